"""A runs folder that is taken away while a sweep runs and comes back: one line, and on it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeps import (
    Started,
    begin,
    check_each_was_recorded_once,
    check_nothing_is_half_written,
    finish,
    results,
    wait_for_leases,
)
from toy_chapter import FITS, NUMBERS, Toy, write_toy
from toy_runs import Children, Kill, allowed_parts, toy_config, toy_folder

from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.store.files import make_below

LAUNCHERS = ("launcher=inline", "launcher.workers=2")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("table", [FITS, NUMBERS])
def test_the_sweep_ends_in_one_line_and_the_same_command_goes_on_when_the_folder_is_back(
    table: str, launcher: str, tmp_path: Path, ended: Started
) -> None:
    toy = write_toy(tmp_path, epochs=60, seconds=0.2)
    ended.append(begin(toy, table, launcher))
    code, out, err = finish(ended[-1])
    assert code == 0, out + err
    expected = results(toy)

    toy = Toy(tmp_path, "mounted")
    root, away = toy.store.root, tmp_path / "away"
    ended.append(begin(toy, table, launcher))
    assert wait_for_leases(toy, ended[-1], 3)
    root.rename(away)
    code, out, err = finish(ended[-1])
    assert code == 1, out + err
    *of_runs, last = err.splitlines()
    assert last.startswith(f"thesisbench: cannot write to {root}: the folder does not exist")
    for line in of_runs:  # one a run that noticed by itself
        assert str(root) in line
        assert "the folder does not exist or has vanished" in line
    assert "Traceback" not in out
    assert not root.exists(), "something was written where the folder had been"
    away.rename(root)
    states = {toy.store.state(i).name for i in toy.store.ids()}
    assert states <= {"done", "interrupted", "queued"}
    ended.append(begin(toy, table, launcher))
    code, out, err = finish(ended[-1])
    assert code == 0, out + err
    assert results(toy) == expected
    check_each_was_recorded_once(toy)
    check_nothing_is_half_written(toy)


@pytest.mark.slow
def test_a_folder_that_is_away_for_moments_loses_no_run(tmp_path: Path, ended: Started) -> None:
    toy = write_toy(tmp_path, epochs=60)
    root, away = toy.store.root, tmp_path / "away"
    for _ in range(20):
        ended.append(begin(toy, FITS, "launcher.workers=2"))
        wait_for_leases(toy, ended[-1], 1)
        for _ in range(3):
            root.rename(away)
            time.sleep(0.05)
            away.rename(root)
            time.sleep(0.3)
        code, out, err = finish(ended[-1])
        assert code in (0, 1), out + err
        assert "Traceback" not in out + err
        if code == 0:
            break
    assert len(results(toy)) == 8
    check_each_was_recorded_once(toy)
    check_nothing_is_half_written(toy)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with allowed_parts():
        yield Children()


class TakeAway:
    """Renames the runs folder away at the nth call of a function, in a child.

    Args:
        function: "module:name". root: the runs folder. nth: from 1.
    """

    def __init__(self, function: str, root: Path, nth: int = 1) -> None:
        self.function, self.root, self.nth = function, root, nth

    def arm(self) -> None:
        import os
        import signal

        real = os.kill

        def instead(pid: int, number: int) -> None:
            if number == signal.SIGKILL:
                self.root.rename(self.root.with_name("away"))
            else:
                real(pid, number)

        os.kill = instead
        Kill(self.function, self.nth, after=False).arm()


@pytest.mark.parametrize(
    "function",
    [
        "thesisbench.training.fit:build_network",
        "thesisbench.training.journal:Journal.on_train_epoch_end",
        "thesisbench.training.selection:KeepBest.on_train_epoch_end",
        "thesisbench.training.selection:_save",
        "thesisbench.run:collect_provenance",
    ],
)
def test_wherever_a_fit_is_when_its_folder_goes_it_is_interrupted_and_makes_none_anew(
    function: str, tmp_path: Path, children: Children
) -> None:
    config, root = toy_config(), tmp_path / "runs"
    good = toy_folder(tmp_path / "good", "fit", config)
    assert children.execute(good.path) == DONE
    folder = toy_folder(root, "fit", config)
    assert children.execute(folder.path, TakeAway(function, root)) == FAILED
    assert not root.exists()
    (tmp_path / "away").rename(root)
    assert folder.state().name == "interrupted"
    log = folder.log_file.read_text()
    assert "Traceback" not in log
    assert "the folder does not exist or has vanished" in log
    assert children.execute(folder.path) == DONE
    done, expected = folder.read_record(), good.read_record()
    assert done is not None
    assert expected is not None
    assert done["result"] == expected["result"]


def test_a_folder_is_made_only_below_one_that_is_there(tmp_path: Path) -> None:
    make_below(tmp_path, tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()
    make_below(tmp_path, tmp_path / "a/b")
    with pytest.raises(Exception, match="has vanished"):
        make_below(tmp_path / "gone", tmp_path / "gone/b")
    assert not (tmp_path / "gone").exists()
