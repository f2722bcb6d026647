"""What a step sees while it runs, and what it hands back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from thesisbench.data.arrays import Loading
from thesisbench.data.shares import Share
from thesisbench.errors import UserError, unknown
from thesisbench.instantiate import make
from thesisbench.store.files import make_below, written_whole
from thesisbench.store.folder import RunFolder
from thesisbench.training.batching import Batching
from thesisbench.training.placement import evaluation_device, placed
from thesisbench.training.ranks import ALONE, Rank


class LostRunError(Exception):
    """Another process has taken the run over; this one must write nothing more."""


@dataclass
class StepResult:
    """The outcome of a step.

    Attributes:
        metrics: name -> number, read by cells. outcome: "ok" or "diverged".
        digests: name -> checksum of what was predicted or trained (bitwise reproducible).
        cost: measured seconds, bytes and rates (not bitwise).
        facts: parameters, FLOPs, data fingerprint and the like, for the provenance.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    outcome: str = "ok"
    digests: dict[str, str] = field(default_factory=dict)
    cost: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NeededRun:
    """A finished run that this one builds on.

    Attributes:
        folder: its folder. config: its configuration. record: its record.
    """

    folder: RunFolder
    config: Mapping[str, Any]
    record: Mapping[str, Any]

    @property
    def weights(self) -> Path:
        """File of the kept weights.

        Raises:
            UserError: the record is here but the checkpoint is not.
        """
        name = self.record.get("provenance", {}).get("facts", {}).get("weights")
        path = self.folder.path / str(name)
        if not name or not path.exists():
            text = f"run {self.folder.id} has a record but no weights here"
            raise UserError(f"{text}; train it again with --rerun {self.folder.id}")
        return path


@dataclass
class StepContext:
    """What a step may use.

    Attributes:
        config: its resolved configuration (plain data). folder: where it may write.
        attempt: folder of this attempt's checkpoints.
        previous: those of earlier attempts, newest first.
        needs: input name -> runs, in order; an absent input is not there.
        report: tells how far it is. allowed: False once another process owns the run.
        rank: which process of the run this is; only rank 0 writes.
    """

    config: Mapping[str, Any]
    folder: RunFolder
    attempt: Path
    previous: tuple[Path, ...] = ()
    needs: Mapping[str, tuple[NeededRun, ...]] = field(default_factory=dict)
    report: Callable[[dict[str, Any]], None] = lambda _: None
    allowed: Callable[[], bool] = lambda: True
    result: StepResult = field(default_factory=StepResult)
    rank: Rank = ALONE

    def loading(self) -> Loading:
        """How this step's data are to be batched."""
        schedule = self.config.get("schedule") or {}
        return Loading(
            batch_size=schedule.get("batch_size", 256),
            seed=self.config.get("seed", 0),
            shuffle=schedule.get("shuffle", True),
            drop_last=schedule.get("drop_last", False),
            limit=schedule.get("limit_batches"),
            workers=(self.config.get("trainer") or {}).get("num_workers", 0),
            share=self._share(),
        )

    def _share(self) -> Share:
        """Which parts of a batch are this process's; only a fit does several in turn."""
        trains = self.config.get("kind") == "fit" and self.config.get("schedule")
        turns = Batching.of(self.config).accumulate if trains else 1
        return Share(self.rank.number, self.rank.size, turns)

    def dataset(self) -> Any:
        """This step's own data module, ready to load."""
        return self._load(self.config.get("dataset"))

    def fitted_dataset(self, name: str = "weights") -> Any:
        """The data module a needed fit was trained on."""
        return self._load(self._needed(name).config["config"].get("dataset"))

    def _load(self, node: Any) -> Any:
        module = make(node)
        if module is None:
            raise UserError("no data set: choose one with dataset=NAME")
        module.loading = self.loading()
        return module

    def _needed(self, name: str) -> NeededRun:
        if name not in self.needs:
            raise UserError(
                f"this step needs a run as input {name!r}; give it in the step's `needs:`"
            )
        return self.needs[name][0]

    def fitted(self, name: str = "weights") -> Any:
        """The network of a needed fit with its kept weights, in evaluation mode.

        It takes and gives tensors of main memory, and computes where this step is to.
        """
        needed = self._needed(name)
        network, _ = build_network(needed.config["config"])
        state = torch.load(needed.weights, weights_only=True, map_location="cpu")
        prefix = "network."
        inner = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        network.load_state_dict(inner)
        return placed(network.eval(), evaluation_device(self.config))

    def save_predictions(self, name: str, values: npt.NDArray[Any]) -> None:
        """Writes predictions/<name>.npy and puts its checksum into the result; rank 0 only."""
        if self.rank.number:
            return
        path = self.folder.predictions_dir / f"{name}.npy"
        make_below(self.folder.path, path.parent)
        with written_whole(path) as temporary, temporary.open("xb") as file:
            np.save(file, values)
        digest = hashlib.sha256(f"{values.dtype}{values.shape}".encode() + values.tobytes())
        self.result.digests[name] = digest.hexdigest()[:16]


def build_network(config: Mapping[str, Any]) -> tuple[torch.nn.Module, dict[str, int]]:
    """The backbone, in a detector where one is chosen; how many modules each variant replaced.

    Variants rewrite what a network has as `varied`, such as the backbone of a detector; those that
    say `whole_network`, and networks without such a part, are for all of it.

    Raises:
        UserError: no backbone, or a variant that replaced nothing.
    """
    network = make(config.get("backbone"))
    if network is None:
        raise UserError("no network: choose one with backbone=NAME")
    if config.get("detector"):
        network = _in_detector(network, config["detector"])
    replaced = {}
    for name, node in (config.get("variants") or {}).items():
        variant = make(node)
        if variant is None:
            continue
        try:
            whole = getattr(variant, "whole_network", False)
            replaced[name] = variant(network if whole else getattr(network, "varied", network))
        except ValueError as error:
            raise UserError(f"{name} does not fit {type(network).__name__}: {error}") from error
        if replaced[name] == 0:
            raise UserError(
                f"{name} replaced no module of {type(network).__name__}: nothing to vary"
            )
    return _laid_out(network, str(config.get("memory_format", "contiguous"))), replaced


def _in_detector(backbone: torch.nn.Module, node: Any) -> torch.nn.Module:
    """A detector over the backbone."""
    try:
        network: torch.nn.Module = make(node)(backbone)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{node.get('_target_')} cannot be made: {reason}") from error
    return network


def _laid_out(network: torch.nn.Module, memory_format: str) -> torch.nn.Module:
    """The network with the kernels of its convolutions in a memory format; it changes last bits."""
    by_axes = {4: torch.channels_last, 5: torch.channels_last_3d}
    if memory_format not in ("contiguous", "channels_last"):
        raise UserError(unknown("memory_format", memory_format, ("contiguous", "channels_last")))
    if memory_format == "channels_last":
        for parameter in network.parameters():
            if parameter.dim() in by_axes:
                parameter.data = parameter.data.to(memory_format=by_axes[parameter.dim()])
    return network
