"""A sweep of fits on two devices each, through our launcher: every run once, none by a rank."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_chapter import write_toy
from toy_runs import PARTS


@pytest.mark.slow
def test_a_sweep_on_two_devices_executes_each_run_once(tmp_path: Path) -> None:
    toy = write_toy(tmp_path)
    words = ["experiment=toy/sweep/fit", "seed=0,1", "-m", "trainer=ddp", "trainer.devices=2"]
    options = ["--config-dir", str(tmp_path / "conf"), "--allow-targets", PARTS]
    sweep = toy.start("train", *words, "logger=none", *options)
    out, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, out + err
    records = dict(toy.store.records())
    assert sorted(record["provenance"]["config"]["seed"] for record in records.values()) == [0, 1]
    for run_id, record in records.items():
        folder = toy.store.folder(run_id)
        assert record["provenance"]["facts"]["batching"]["per_device"] == 3
        assert [p.name for p in folder.path.glob("lease.*")] == ["lease.1"]
        assert len(folder.metrics_file.read_text().splitlines()) == 3
    assert len(list(toy.store.root.glob("*/config.yaml"))) == 2
