"""The fit: trains a task on a data set under a schedule, resumable bit for bit at epoch ends."""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities.exceptions import (  # type: ignore[attr-defined]
    MisconfigurationException,
)
from torch.utils.flop_counter import FlopCounterMode

from thesisbench.data.module import checksum
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.step import StepContext, StepResult, build_network
from thesisbench.training.journal import Journal
from thesisbench.training.randomness import SeedEachEpoch, seed_all
from thesisbench.training.selection import LAST, DivergedError, KeepBest, StopWhenDiverged

_OURS = ("num_workers", "compile")


def run_fit(context: StepContext) -> StepResult:
    """Trains until the schedule ends or the loss diverges; the kept weights stay in the attempt."""
    config, schedule = context.config, context.config["schedule"]
    if schedule is None:
        raise UserError("a fit needs a schedule: set schedule.epochs and schedule.batch_size")
    seed_all(config["seed"])
    network, replaced = build_network(config)
    data = context.dataset()
    task = make(config["task"])(network, **_parts(config))
    keep = _keeper(context, schedule)
    trainer = _trainer(context, keep)
    start = time.perf_counter()
    with quiet_lightning():
        try:
            trainer.fit(task, datamodule=data, ckpt_path=_resume(context), weights_only=True)
        except DivergedError as error:
            context.result.facts["diverged"] = str(error)
            context.result.outcome = "diverged"
        except SystemExit:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None
    context.result.cost["fit_seconds"] = time.perf_counter() - start
    _describe(context, network, data, replaced)
    if context.result.outcome == "ok":
        _finish(context, keep)
    return context.result


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: make(config.get(name)) for name in ("optimizer", "scheduler")}
    return {name: part for name, part in parts.items() if part is not None}


def _keeper(context: StepContext, schedule: Mapping[str, Any]) -> KeepBest:
    context.attempt.mkdir(parents=True, exist_ok=True)
    chosen = {k: schedule[k] for k in ("monitor", "mode", "patience", "select")}
    return KeepBest(context.attempt, **chosen, allowed=context.allowed)


def _trainer(context: StepContext, keep: KeepBest) -> Trainer:
    config = context.config
    extra = [make(node) for node in (config.get("callbacks") or {}).values()]
    journal = Journal(context.folder.metrics_file, context.report, context.allowed)
    callbacks: list[Callback] = [SeedEachEpoch(config["seed"]), StopWhenDiverged(), *extra]
    given = {k: v for k, v in config["trainer"].items() if k not in _OURS and v is not None}
    fixed = _fixed(context, [*callbacks, journal, keep])
    for name in given.keys() & fixed.keys():
        raise UserError(f"trainer.{name} is not yours to set; schedule, callbacks or we set it")
    with quiet_lightning():
        try:
            return Trainer(**{"accelerator": "auto", "devices": 1, **given, **fixed})
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise UserError(f"Lightning's Trainer does not take {given}: {error}") from error


def _fixed(context: StepContext, callbacks: list[Callback]) -> dict[str, Any]:
    """Arguments of the Trainer that the schedule and the engine decide."""
    config, schedule = context.config, context.config["schedule"]
    limit = schedule["limit_batches"]
    return {
        "max_epochs": schedule["epochs"],
        "precision": config["precision"],
        "accumulate_grad_batches": schedule["accumulate"],
        "gradient_clip_val": schedule["gradient_clip"],
        "limit_train_batches": limit if limit is not None else 1.0,
        "limit_val_batches": limit if limit is not None else 1.0,
        "callbacks": callbacks,
        "default_root_dir": context.attempt,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
    }


def _resume(context: StepContext) -> str | None:
    """Carries the newest earlier checkpoint over into this attempt."""
    for folder in context.previous:
        if (folder / LAST).exists():
            for path in (*folder.glob("weights-*.pt"), folder / LAST):  # LAST when all is there
                shutil.copyfile(path, context.attempt / f".{path.name}")
                (context.attempt / f".{path.name}").replace(context.attempt / path.name)
            return str(context.attempt / LAST)
    return None


def _describe(context: StepContext, network: Any, data: Any, replaced: dict[str, int]) -> None:
    facts = context.result.facts
    facts["parameters"] = sum(p.numel() for p in network.parameters())
    facts["replaced"] = replaced
    facts["data"] = data.fingerprint()
    sample, _ = data.split("train")[(0, 0)]
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*(x.to(next(network.parameters()).device) for x in sample))
    facts["flops_per_sample"] = counter.get_total_flops()


def _finish(context: StepContext, keep: KeepBest) -> None:
    result = context.result
    state = torch.load(keep.weights, weights_only=True, map_location="cpu")
    if not all(torch.isfinite(value).all() for value in state.values()):
        result.outcome, result.facts["diverged"] = "diverged", "the kept weights are not finite"
        return
    result.digests["weights"] = checksum(*state.values())
    result.metrics |= keep.metrics
    result.metrics |= {"epochs": float(keep.epochs), "kept_epoch": float(keep.kept_epoch)}
    if keep.best is not None:
        result.metrics[f"best_{keep.monitor}"] = keep.best
    result.facts["weights"] = os.path.relpath(keep.weights, context.folder.path)
    result.facts["weights_bytes"] = keep.weights.stat().st_size


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silences Lightning's hints about loggers, workers and devices; other warnings pass."""
    loggers = [
        logging.getLogger(n) for n in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in (".*does not have many workers.*", ".*smaller than the logging interval.*",
                         ".*GPU available but not used.*", ".*You defined a `validation_step`.*",
                         ".*Total length of `list` across.*", ".*LeafSpec.*",
                         ".*isinstance.treespec.*"):  # fmt: skip
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
