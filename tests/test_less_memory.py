"""`--rerun oom`: batches in smaller parts where that is the same experiment, a reason elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toy_chapter import FITS, Command, Toy, write, write_toy
from toy_runs import PARTS, allowed_parts, toy_config, toy_folder

from thesisbench.errors import UserError
from thesisbench.less_memory import cut, more_parts, out_of_memory
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore
from thesisbench.training.batching import Batching


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def free_config(batch: int, **trainer: Any) -> dict[str, Any]:
    """A fit of a network without batch statistics."""
    backbone = {"_target_": f"{PARTS}.HungryNet"}
    return toy_config(backbone=backbone, schedule={"batch_size": batch}, trainer=trainer)


@pytest.mark.parametrize(
    ("batch", "trainer", "parts"),
    [
        (64, {}, 2),
        (250, {}, 2),
        (75, {}, 3),  # nothing is cut in halves
        (7, {}, 7),
        (64, {"max_per_device_batch": 16}, 8),  # four parts so far
        (64, {"devices": 4}, 2),
        (2, {}, 2),
    ],
)
def test_twice_as_many_parts_or_the_next_number_that_is_equal(
    store: RunStore, batch: int, trainer: dict[str, Any], parts: int
) -> None:
    config = free_config(batch, **trainer)
    with allowed_parts():
        toy_folder(store.root, "a", config)
        assert more_parts(store, "a") == parts
        after = Batching.of(cut(config, parts))
    assert after.accumulate == parts
    assert after.per_device * after.parts == batch


def test_a_finer_cut_that_is_there_already_stays() -> None:
    config = free_config(64, max_per_device_batch=8)
    assert cut(config, 4) == config


def test_one_sample_at_a_time_is_the_end(store: RunStore) -> None:
    toy_folder(store.root, "a", free_config(4, devices=4))
    with allowed_parts(), pytest.raises(UserError, match="one sample a device already"):
        more_parts(store, "a")


def test_a_batch_normalisation_is_refused_with_what_else_to_do(store: RunStore) -> None:
    toy_folder(store.root, "a", toy_config())
    with allowed_parts(), pytest.raises(UserError, match=r"normalisation.*accumulate=2 makes"):
        more_parts(store, "a")


def test_what_trains_nothing_is_refused(store: RunStore) -> None:
    toy_folder(store.root, "a", {"kind": "eval"})
    with pytest.raises(UserError, match="trains nothing"):
        more_parts(store, "a")


def fail(store: RunStore, run_id: str, kind: str) -> None:
    folder = store.folder(run_id)
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    folder.write_state({"name": "failed", "kind": kind, "message": "said"}, lease)
    lease.release()


def test_runs_that_failed_for_something_else_are_not_among_them(store: RunStore) -> None:
    for name, kind in (("a", "out of memory"), ("b", "")):
        toy_folder(store.root, name, free_config(6))
        fail(store, name, kind)
    assert out_of_memory(store, ["a", "b"]) == ["a"]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return write_toy(tmp_path, seeds=1, epochs=1)


@pytest.fixture
def command(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(toy, monkeypatch, capfd)


def hungry(toy: Toy, most: int) -> None:
    target = {"_target_": f"{PARTS}.HungryNet", "width": 8, "most": most}
    write(toy.root / "conf/backbone/toy_net.yaml", target)


def kinds(toy: Toy) -> dict[str, str]:
    return {i: toy.store.state(i).kind or toy.store.state(i).name for i in toy.store.ids()}


def test_only_when_asked_and_until_it_fits(toy: Toy, command: Command) -> None:
    hungry(toy, most=2)
    assert command.reproduce(FITS).code == 1
    failed = [i for i, kind in kinds(toy).items() if kind == "out of memory"]
    assert len(failed) == 2
    said = command.reproduce(FITS)
    assert (said.code, "held back" in said.out) == (1, True)
    assert "out of memory" in command.reproduce(FITS, "--rerun", "failed").out  # as it is
    said = command.reproduce(FITS, "--rerun", "oom")  # parts of three
    assert "out of memory" in said.out
    assert command.reproduce(FITS, "--rerun", "oom").code == 0  # parts of two or one
    assert set(kinds(toy).values()) == {"done"}
    for run_id in failed:
        record = toy.store.record(run_id)
        assert record is not None
        assert record["provenance"]["config"]["schedule"]["accumulate"] in (4, 6)


def test_an_interrupted_run_keeps_its_parts(toy: Toy, command: Command) -> None:
    hungry(toy, most=3)
    command.reproduce(FITS)
    failed = [i for i, kind in kinds(toy).items() if kind == "out of memory"]
    for run_id in failed:
        folder = toy.store.folder(run_id)
        config = folder.read_config()
        folder.renew_config({**config, "parts": 2})
        assert Lease.claim(folder.path).lease is not None  # and its owner is gone: see below
        for lease in folder.path.glob("lease.*"):
            lease.write_text(lease.read_text().replace('"pid": ', '"pid": 9'))
    assert command.reproduce(FITS).code == 0
    assert {toy.store.folder(i).read_config()["parts"] for i in failed} == {2}


def test_what_cannot_be_cut_is_held_back_with_the_reason(toy: Toy, command: Command) -> None:
    command.reproduce(FITS, "--seeds", "0")
    run_id = next(i for i in toy.store.ids() if toy.store.folder(i).read_config()["step"] == "fit")
    path = toy.store.folder(run_id).path
    (path / "record.json").unlink()
    fail(toy.store, run_id, "out of memory")
    said = command.reproduce(FITS, "--rerun", "oom")
    assert said.code == 1
    assert "1 held back: failed out of memory; run" in said.out
    assert "batch normalisation would see other batches" in said.out
