"""Probes: what their configuration is, what they read, and that nothing is left of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from toy_chapter import FITS, Command, Toy, write_toy
from toy_runs import toy_config, toy_folder

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.environment import changed_environment
from thesisbench.launch.inline import InlineLauncher
from thesisbench.planning.machine import Machine
from thesisbench.planning.probe import Prober, Wish, probe_config
from thesisbench.planning.probe_file import Probe, Probes
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun

HERE = Machine("A", 1)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which probes are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.glob("thesisbench-*")) == []


def planned(config: dict[str, Any], needs: dict[str, tuple[str, ...]] | None = None) -> PlannedRun:
    config = {"trainer": {}, "callbacks": None, **config}
    return PlannedRun(
        *("0" * 16, "1" * 16, "toy/one", "fit", "fit", "toy/one/fit", "small"),
        levels={},
        replicate={"seed": 3},
        config=config,
        needs=needs or {},
    )


def probe(tmp_path: Path, run: PlannedRun, launcher: dict[str, Any]) -> tuple[Prober, Probe | None]:
    prober = Prober(RunStore(tmp_path / "runs"), launcher, Probes(tmp_path / "runs"))
    with changed_environment({ALLOW_VARIABLE: "toy_parts,toy_threads"}):
        prober.make([Wish(run, "alike", HERE)], Console(quiet=True))
    return prober, prober.probes.get("alike", HERE)


def test_a_probe_has_few_steps_and_the_rest_of_the_fit_unchanged(tmp_path: Path) -> None:
    config = toy_config(schedule={"epochs": 90, "patience": 3}, callbacks={"own": {"a": 1}})
    made = probe_config(config, tmp_path / "clock.json")
    assert made["schedule"] | {"limit_batches": None, "patience": 3} == config["schedule"]
    assert (made["schedule"]["limit_batches"], made["schedule"]["patience"]) == (20, None)
    assert list(made["callbacks"]) == ["own", "step_clock"]
    assert {k: v for k, v in made.items() if config[k] != v}.keys() == {"schedule", "callbacks"}
    assert config["callbacks"] == {"own": {"a": 1}}


def test_an_epoch_of_few_steps_is_repeated(tmp_path: Path, temporary: Path) -> None:
    _, found = probe(tmp_path, planned(toy_config()), {"name": "inline"})
    assert found is not None
    assert (found.count, len(found.steps)) == (20, 15)
    assert (found.batches, found.validation_batches) == (4, 4)
    assert min(*found.steps, found.validation, found.epoch_end, found.once) > 0


def test_a_long_epoch_is_not_gone_through(tmp_path: Path, temporary: Path) -> None:
    config = toy_config(blobs={"n": 600, "val": False}, schedule={"select": "last"})
    _, found = probe(tmp_path, planned(config), {"name": "inline"})
    assert found is not None
    assert (found.count, found.batches) == (20, 100)
    assert (found.validation, found.validation_batches) == (0.0, 0)


def test_batches_that_are_limited_stay_so(tmp_path: Path, temporary: Path) -> None:
    config = toy_config(blobs={"n": 600}, schedule={"limit_batches": 30})
    _, found = probe(tmp_path, planned(config), {"name": "inline"})
    assert found is not None
    assert (found.batches, found.validation_batches) == (30, 30)


def test_a_probe_is_run_by_the_launcher_of_a_real_run(tmp_path: Path) -> None:
    config = toy_config(callbacks={"own": {"_target_": "toy_threads.NeedsThreads", "count": 2}})
    local = {"name": "local", "workers": 9}
    prober, found = probe(tmp_path, planned(config), {**local, "threads": 1})
    assert prober.failed == {"fit seed=3": "ValueError: 1 threads, not 2"}
    prober, found = probe(tmp_path, planned(config), {**local, "threads": 2})
    assert prober.failed == {}
    assert found is not None


def test_what_fails_is_told_and_keeps_nothing(tmp_path: Path, temporary: Path) -> None:
    config = toy_config(backbone={"_target_": "toy_parts.ToyNet", "nonsense": 1})
    prober, found = probe(tmp_path, planned(config), {"name": "inline"})
    assert found is None
    assert "nonsense" in prober.failed["fit seed=3"]
    assert not (tmp_path / "runs").exists()


def test_a_fit_that_diverges_is_told(tmp_path: Path, temporary: Path) -> None:
    optimizer = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 1e30}
    prober, found = probe(tmp_path, planned(toy_config(optimizer=optimizer)), {"name": "inline"})
    assert found is None
    assert prober.failed == {"fit seed=3": "the loss left the finite range in its first steps"}


def test_a_fit_whose_needs_are_not_done_cannot_be_probed(tmp_path: Path) -> None:
    run = planned(toy_config(), {"proposals": ("a" * 16,)})
    prober, found = probe(tmp_path, run, {"name": "inline"})
    assert found is None
    assert prober.failed == {"fit seed=3": f"needs run {'a' * 16}, which is not done here"}


def test_a_needed_run_is_only_read(tmp_path: Path, temporary: Path) -> None:
    store = RunStore(tmp_path / "runs")
    needed = toy_folder(store.root, "a" * 16, toy_config())
    lease = Lease.claim(needed.path).lease
    assert lease is not None
    needed.publish_record({"id": "a" * 16, "result": {"outcome": "ok", "metrics": {}}}, lease)
    before = {path: path.read_bytes() for path in needed.path.iterdir()}
    run = planned(toy_config(), {"proposals": ("a" * 16,)})
    prober, found = probe(tmp_path, run, {"name": "inline"})
    assert prober.failed == {}
    assert found is not None
    assert {path: path.read_bytes() for path in needed.path.iterdir()} == before


def test_an_interrupt_leaves_nothing(
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    toy: Toy = write_toy(tmp_path)
    command = Command(toy, monkeypatch, capfd)
    seen: list[Path] = []

    def interrupted(self: InlineLauncher, store: RunStore, *rest: object) -> dict[str, str]:
        seen.extend(store.root.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(InlineLauncher, "launch", interrupted)
    said = command(*toy.words("plan", FITS, "--probe", "launcher=inline"))
    assert said.code == 130
    assert len(seen) == 2
    assert not (tmp_path / "runs").exists()


def test_probes_are_kept_one_by_one(tmp_path: Path) -> None:
    one = Probe(20, (1.0,), 0.0, 0.0, 0.0, batches=1, validation_batches=0)
    mine, other = Probes(tmp_path), Probes(tmp_path)
    mine.keep([("a", HERE, one)])
    other.keep([("b", HERE, one)])
    kept = json.loads((tmp_path / ".probes.json").read_text())["probes"]
    assert len(kept) == 2
    assert Probes(tmp_path).get("a", Machine("A", 2)) is None
