"""What killed processes leave: cleared away where it serves nobody, and nothing else."""

from __future__ import annotations

import errno
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from thesisbench.errors import StorageError, UserError
from thesisbench.store.disk import check_writable, disk_fault
from thesisbench.store.files import TEMPORARY, temporary_path, written_whole
from thesisbench.store.lease import Lease
from thesisbench.store.leftovers import clear_leftovers, tidy
from thesisbench.store.owner import Process
from thesisbench.store.runs import RunStore


def gone() -> Process:
    """A process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    return replace(Process.current(), pid=ended.pid, start=1)


def litter(folder: Path, process: Process) -> Path:
    stamp = f"{process.boot or 'unknown'}-{process.namespace}-{process.pid}-{process.start}"
    path = folder / f"{TEMPORARY}{stamp}-{'0' * 12}"
    path.write_text("half of i")
    return path


def made(store: RunStore, name: str, *, weights: str | None = None) -> Path:
    """A run with files of two attempts; with weights it is done and they are its kept ones."""
    folder = store.folder(name)
    folder.write_config({"id": name})
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    for n, names in ((1, ["last.ckpt", "weights-0.pt"]), (2, ["last.ckpt", "weights-3.pt"])):
        folder.attempt_dir(n).mkdir(parents=True)
        for file in names:
            (folder.attempt_dir(n) / file).write_text("x")
    if weights is not None:
        facts = {"weights": weights} if weights else {}
        result = {"outcome": "ok", "metrics": {}, "digests": {}}
        assert folder.publish_record({"result": result, "provenance": {"facts": facts}}, lease)
    return folder.path


def checkpoints(path: Path) -> set[str]:
    return {str(p.relative_to(path / "attempts")) for p in path.glob("attempts/*/checkpoints/*")}


def test_of_finished_runs_only_kept_weights_stay_and_unfinished_ones_keep_all(
    tmp_path: Path,
) -> None:
    store = RunStore(tmp_path)
    kept = "attempts/2/checkpoints/weights-3.pt"
    done, none, unfinished = made(store, "a", weights=kept), made(store, "b", weights=""), None
    unfinished = made(store, "c")
    clear_leftovers(store, ["a", "b", "c", "absent"])
    assert checkpoints(done) == {"2/checkpoints/weights-3.pt"}
    assert checkpoints(none) == set()
    assert len(checkpoints(unfinished)) == 4
    clear_leftovers(store, ["a"])
    assert checkpoints(done) == {"2/checkpoints/weights-3.pt"}
    assert not (tmp_path / "absent").exists()


def test_temporary_files_of_the_dead_go_from_run_folders_and_the_runs_folder(
    tmp_path: Path,
) -> None:
    store = RunStore(tmp_path)
    path = made(store, "a")
    dead = [litter(folder, gone()) for folder in (path, tmp_path)]
    alive = [litter(folder, Process.current()) for folder in (path, tmp_path)]
    clear_leftovers(store, ["a"])
    assert not any(file.exists() for file in dead)
    assert all(file.exists() for file in alive)


def test_tidy_leaves_nothing_where_nothing_is_kept(tmp_path: Path) -> None:
    path = made(RunStore(tmp_path), "a")
    tidy(path, None)
    assert checkpoints(path) == set()
    assert (path / "config.yaml").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(UnicodeEncodeError), written_whole(path) as temporary:
        temporary.write_text("half \ud800")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_full_disk_names_the_file_even_where_torch_hides_it(
    wrapped: bool, tmp_path: Path
) -> None:
    def write() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            if wrapped:
                raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904  (as torch does)
            raise

    with (
        pytest.raises(StorageError, match=f"cannot write {tmp_path / 'a'}: the disk is full"),
        written_whole(tmp_path / "a"),
    ):
        write()
    with pytest.raises(RuntimeError, match="real"), written_whole(tmp_path / "a"):
        raise RuntimeError("real")


def test_only_errors_of_the_disk_are_laid_on_it(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space", str(tmp_path / "b"))
    assert disk_fault(ValueError("no"), tmp_path) is None
    assert disk_fault(UserError("no"), tmp_path) is None
    assert disk_fault(FileNotFoundError(errno.ENOENT, "no", "data.npz"), tmp_path) is None
    assert str(disk_fault(full, tmp_path)).startswith(f"cannot write {tmp_path / 'b'}: the disk is")
    wrapped = ValueError("in a library")
    wrapped.__cause__ = full
    assert disk_fault(wrapped, tmp_path) == disk_fault(full, tmp_path)
    assert disk_fault(StorageError("as it says"), tmp_path) == "as it says"
    assert "has vanished" in str(disk_fault(ValueError("no"), tmp_path / "gone"))


def test_a_folder_is_probed_and_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match=r"cannot write to .*has vanished"):
        check_writable(tmp_path / "gone")
    assert temporary_path(tmp_path).parent == tmp_path
