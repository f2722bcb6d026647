"""The hardware that a timing holds for, found without waking torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesisbench.store.provenance import machine

GPU_FOLDER = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Machine:
    """What a run was, or would be, computed on.

    Attributes:
        cpu: name of the processor. threads: of torch. gpus: names of the GPUs in use.
    """

    cpu: str
    threads: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def here(cls, config: Mapping[str, Any], kind: str, threads: int) -> Machine:
        """What a run of this configuration would be computed on here.

        Args:
            config: resolved configuration.
            kind: of the step.
            threads: that a run computes with.
        """
        return cls(str(machine()["cpu"]), threads, gpus_used(config, kind, gpus_here()))

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Machine:
        """What the provenance of a record says."""
        said = record.get("provenance", {})
        hardware = said.get("hardware") or {}
        gpus = tuple(str(name) for name in hardware.get("gpus") or ())
        return cls(str(hardware.get("cpu", "unknown")), int(said.get("threads") or 0), gpus)

    def is_like(self, other: Machine) -> bool:
        """Whether timings carry over: the same GPUs, or without any the same CPU and threads."""
        if self.gpus or other.gpus:
            return self.gpus == other.gpus
        return (self.cpu, self.threads) == (other.cpu, other.threads)

    @property
    def text(self) -> str:
        """Names for people.

        >>> Machine("AMD EPYC", 2).text, Machine("AMD EPYC", 2, ("H100", "H100")).text
        ('AMD EPYC with 2 threads', '2 x H100')
        """
        if self.gpus:
            return f"{len(self.gpus)} x {self.gpus[0]}" if len(self.gpus) > 1 else self.gpus[0]
        return f"{self.cpu} with {self.threads} thread{'' if self.threads == 1 else 's'}"


def gpus_used(config: Mapping[str, Any], kind: str, present: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the present GPUs that a run of this configuration computes on.

    Only fits are given to Lightning, which chooses devices; the other kinds compute on the CPU
    unless their records say otherwise.
    """
    trainer = config.get("trainer") or {}
    wanted = str(trainer.get("accelerator", "auto"))
    if kind != "fit" or wanted not in ("auto", "gpu", "cuda"):
        return ()
    devices = trainer.get("devices", 1)
    if isinstance(devices, int) and devices >= 0:
        return present[:devices]
    if isinstance(devices, str) and devices.isdigit():
        return present[: int(devices)]
    return present[: len(devices)] if isinstance(devices, list) else present


def gpus_here(folder: Path = GPU_FOLDER) -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that the driver shows and `CUDA_VISIBLE_DEVICES` leaves.

    Args:
        folder: where the driver describes them.
    """
    names = [_model(path) for path in sorted(folder.glob("*/information"))]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(names)
    chosen = [part.strip() for part in visible.split(",") if part.strip()]
    return tuple(names[: len(chosen)]) if "-1" not in chosen else ()


def _model(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("Model:"))
    return next(found, "GPU")
