"""What a run would be computed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thesisbench.planning.machine import Machine, gpus_here, gpus_used

TWO = ("H100", "H100")
USES: list[tuple[Any, ...]] = [
    ("cpu", 1, "fit", 0),
    ("auto", 1, "fit", 1),
    ("gpu", 2, "fit", 2),
    ("cuda", "2", "fit", 2),
    ("auto", "auto", "fit", 2),
    ("gpu", -1, "fit", 2),
    ("gpu", [1], "fit", 1),
    ("auto", 1, "eval", 0),
]


@pytest.mark.parametrize(("accelerator", "devices", "kind", "count"), USES)
def test_gpus_of_a_run(accelerator: str, devices: Any, kind: str, count: int) -> None:
    config = {"trainer": {"accelerator": accelerator, "devices": devices}}
    assert gpus_used(config, kind, TWO) == TWO[:count]
    assert gpus_used(config, kind, ()) == ()


def test_gpus_are_those_that_the_driver_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slot in ("0", "1"):
        (tmp_path / slot).mkdir()
        (tmp_path / slot / "information").write_text("Model: \t NVIDIA H100\nIRQ: 3\n")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus_here(tmp_path) == ("NVIDIA H100", "NVIDIA H100")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpus_here(tmp_path) == ("NVIDIA H100",)
    for none in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpus_here(tmp_path) == ()
    assert gpus_here(tmp_path / "no driver") == ()


def test_timings_carry_over_to_the_same_gpus_or_to_the_same_cpu_and_threads() -> None:
    cpu, gpu = Machine("A", 1), Machine("A", 1, ("H100",))
    assert cpu.is_like(Machine("A", 1))
    assert not cpu.is_like(Machine("A", 2))
    assert not cpu.is_like(Machine("B", 1))
    assert not cpu.is_like(gpu)
    assert gpu.is_like(Machine("B", 8, ("H100",)))
    assert not gpu.is_like(Machine("A", 1, TWO))
