"""The fit: trains a task on a data set under a schedule, resumable bit for bit at epoch ends."""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
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
    context.result.cost["fit_seconds"] = time.perf_counter() - start
    _describe(context, network, data, replaced)
    if context.result.outcome == "ok":
        _finish(context, keep, trainer)
    return context.result


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: make(config.get(name)) for name in ("optimizer", "scheduler")}
    return {name: part for name, part in parts.items() if part is not None}


def _keeper(context: StepContext, schedule: Mapping[str, Any]) -> KeepBest:
    context.attempt.mkdir(parents=True, exist_ok=True)
    chosen = {k: schedule[k] for k in ("monitor", "mode", "patience", "select")}
    return KeepBest(context.attempt, **chosen, allowed=context.allowed)


def _trainer(context: StepContext, keep: KeepBest) -> Trainer:
    config, schedule = context.config, context.config["schedule"]
    extra = [make(node) for node in (config.get("callbacks") or {}).values()]
    callbacks: list[Callback] = [SeedEachEpoch(config["seed"]), StopWhenDiverged(), *extra, keep]
    callbacks.append(Journal(context.folder.metrics_file, context.report))
    given = {k: v for k, v in config["trainer"].items() if k not in _OURS and v is not None}
    limit = schedule["limit_batches"]
    with quiet_lightning():
        return Trainer(
            **{"accelerator": "auto", "devices": 1, **given},
            max_epochs=schedule["epochs"],
            precision=config["precision"],
            accumulate_grad_batches=schedule["accumulate"],
            gradient_clip_val=schedule["gradient_clip"],
            limit_train_batches=limit if limit is not None else 1.0,
            limit_val_batches=limit if limit is not None else 1.0,
            callbacks=callbacks,
            default_root_dir=context.attempt,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )


def _resume(context: StepContext) -> str | None:
    """Carries the newest earlier checkpoint over into this attempt."""
    for folder in context.previous:
        if (folder / LAST).exists():
            for path in (*folder.glob("weights-*.pt"), folder / LAST):
                shutil.copyfile(path, context.attempt / path.name)
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


def _finish(context: StepContext, keep: KeepBest, trainer: Trainer) -> None:
    result = context.result
    state = torch.load(keep.weights, weights_only=True, map_location="cpu")
    result.digests["weights"] = checksum(*state.values())
    result.metrics |= {k: float(v) for k, v in trainer.callback_metrics.items()}
    result.metrics |= {"epochs": float(trainer.current_epoch), "kept_epoch": float(keep.kept_epoch)}
    if keep.best is not None:
        result.metrics[f"best_{keep.monitor}"] = keep.best
    result.facts["weights"] = os.path.relpath(keep.weights, context.folder.path)
    result.facts["weights_bytes"] = keep.weights.stat().st_size


def tidy(attempts: Path, kept: Path) -> None:
    """Leaves of all attempts only the kept weights; called once the record is there."""
    for path in attempts.glob("*/checkpoints/*"):
        if path != kept:
            path.unlink(missing_ok=True)


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
                         ".*LeafSpec.*", ".*isinstance.treespec.*"):  # fmt: skip
                warnings.filterwarnings("ignore", text)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
