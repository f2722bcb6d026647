"""What a run computes on: how many GPUs, processes and machines its configuration asks for.

`trainer.accelerator=auto` means a GPU for a fit, where the machine has one; other steps compute on
the CPU unless the configuration says gpu, and always in one process.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from thesisbench.errors import UserError

ALL = -1  # devices: all there are


@dataclass(frozen=True)
class Resources:
    """What a run asks for, before it is known what the machine has.

    Attributes:
        accelerator: cpu, gpu, auto (a GPU where there is one), or another word of Lightning's.
        devices: on each machine, one process each; ALL for all GPUs there are.
        nodes: machines.
    """

    accelerator: str = "cpu"
    devices: int = 1
    nodes: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any], kind: str) -> Resources:
        """What a configuration asks for.

        Args:
            config: resolved configuration.
            kind: of the step.

        Raises:
            UserError: devices are named one by one, or are no number.
        """
        trainer = config.get("trainer") or {}
        accelerator = _accelerator(str(trainer.get("accelerator") or "auto"))
        if kind != "fit":
            return cls("cpu" if accelerator == "auto" else accelerator)
        devices, nodes = _count(trainer.get("devices")), trainer.get("num_nodes") or 1
        return cls(accelerator, devices, nodes)

    def gpus(self, present: int) -> int:
        """GPUs it takes on a machine that has so many; it may want more than there are."""
        if self.accelerator == "gpu" or (self.accelerator == "auto" and present):
            return max(1, present) if self.devices == ALL else self.devices
        return 0

    def processes(self, present: int) -> int:
        """Processes it is, on a machine that has so many GPUs."""
        return self.gpus(present) or max(1, self.devices)

    def own_tree(self, present: int) -> bool:
        """Whether it needs fresh processes: CUDA and Metal fail after a fork, ranks need a root."""
        on_cpu = self.accelerator in ("cpu", "auto") and not self.gpus(present)
        return not on_cpu or self.processes(present) > 1


def _accelerator(word: str) -> str:
    if word == "cuda":
        return "gpu"
    return "mps" if word == "gpu" and sys.platform == "darwin" else word


def _count(devices: Any) -> int:
    """The number of devices that Lightning would read out of a value."""
    if devices is None or devices == "auto":
        return ALL if devices else 1
    try:
        count = int(devices)
    except (TypeError, ValueError):
        count = 0
    if isinstance(devices, bool) or not (count > 0 or count == ALL):
        hint = "give their number, and CUDA_VISIBLE_DEVICES for which ones"
        raise UserError(f"trainer.devices={devices}: the launcher chooses the devices; {hint}")
    return count
