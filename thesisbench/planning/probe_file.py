"""Probes that were made in a runs folder, kept beside the runs for the next plan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from thesisbench.planning.machine import Machine
from thesisbench.planning.settings import digest
from thesisbench.store.files import plain_errors, write_text

FILE = ".probes.json"
FORMAT = 1


class Probe(msgspec.Struct, frozen=True):
    """A fit that was tried for a few steps; all times in seconds.

    Attributes:
        count: training steps that were made. steps: the times they took, without the first ones.
        validation: of a validation batch (median; 0 without any).
        epoch_end: of what is done once an epoch. once: of all that is done once a run.
        batches, validation_batches: of a whole epoch. every: epochs between two validations.
    """

    count: int
    steps: tuple[float, ...]
    validation: float
    epoch_end: float
    once: float
    batches: int
    validation_batches: int
    every: int = 1

    def seconds(self, epochs: int, step: float) -> float:
        """What a whole fit takes when a training step takes `step` seconds.

        >>> Probe(20, (2.0,), 0.5, 1.0, 7.0, batches=10, validation_batches=4).seconds(3, 2.0)
        76.0
        """
        validations = epochs // self.every
        training = epochs * (self.batches * step + self.epoch_end)
        return self.once + training + validations * self.validation_batches * self.validation


class _Kept(msgspec.Struct):
    format: int
    probes: dict[str, Probe]


class Probes:
    """The probes of a runs folder.

    Args:
        root: the runs folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE
        self.found = self._read()

    def get(self, settings: str, machine: Machine) -> Probe | None:
        """The probe of runs with these settings on this hardware."""
        return self.found.get(_key(settings, machine))

    def keep(self, made: Iterable[tuple[str, Machine, Probe]]) -> None:
        """Adds probes (settings, hardware, probe) to the file, those of others included.

        Raises:
            UserError: the runs folder cannot be written to.
        """
        new = {_key(settings, machine): probe for settings, machine, probe in made}
        if not new:
            return
        self.found = self._read() | new
        content = _Kept(FORMAT, self.found)
        text = msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=1)
        with plain_errors("make", self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, text + b"\n")

    def _read(self) -> dict[str, Probe]:
        """What the file holds; nothing if it is not there or of another form."""
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return {}
        return kept.probes if kept.format == FORMAT else {}


def _key(settings: str, machine: Machine) -> str:
    hardware = list(machine.gpus) or [machine.cpu, str(machine.threads)]
    return f"{settings}-{digest(hardware)}"
