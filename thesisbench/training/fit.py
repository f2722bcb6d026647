"""The fit: trains a task on a data set under a schedule, resumable bit for bit at epoch ends."""

from __future__ import annotations

import logging
import os
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
)
from pytorch_lightning.utilities.exceptions import (  # type: ignore[attr-defined]
    MisconfigurationException,
)
from torch.utils.flop_counter import FlopCounterMode

from thesisbench.data.module import checksum
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.step import StepContext, StepResult, build_network
from thesisbench.store.files import make_below
from thesisbench.training.batching import (
    LR_KEYS,
    STRATEGIES,
    Batching,
    lr_factor,
    precision_of,
)
from thesisbench.training.inner_network import check_declared, compiled
from thesisbench.training.journal import Journal
from thesisbench.training.parts import WeighParts
from thesisbench.training.plateau import plateau_of
from thesisbench.training.randomness import SeedEachEpoch, seed_all
from thesisbench.training.ranks import device_type, from_first
from thesisbench.training.selection import LAST, DivergedError, KeepBest, StopWhenDiverged
from thesisbench.training.single_values import single_value
from thesisbench.training.start import start_from
from thesisbench.weights.load import loaded_weights

_OURS = ("num_workers", "compile", "channels_last", "max_per_device_batch", "precision")


def run_fit(context: StepContext) -> StepResult:
    """Trains until the schedule ends or the loss diverges; the kept weights stay in the attempt.

    Ranks other than 0 do the same and hand back nothing.
    """
    config, schedule = context.config, context.config["schedule"]
    if schedule is None:
        raise UserError("a fit needs a schedule: set schedule.epochs and schedule.batch_size")
    seed_all(config["seed"])
    network, replaced = build_network(config)
    check_declared(config, network)
    start_from(context, network)
    if config["trainer"].get("channels_last"):
        network.to(memory_format=torch.channels_last)
    data = context.dataset()
    task = make(config["task"])(network, **_parts(config))
    keep = _keeper(context, schedule)
    start = time.perf_counter()
    with compiled(network, wanted=bool(config["trainer"].get("compile"))):
        _train(context, task, data, keep)
    if context.rank.number:
        return context.result
    context.result.cost["fit_seconds"] = time.perf_counter() - start
    _describe(context, network, data, replaced)
    if context.result.outcome == "ok":
        _finish(context, keep)
    return context.result


def _train(context: StepContext, task: Any, data: Any, keep: KeepBest) -> None:
    trainer, resumed = _trainer(context, keep), _resume(context)
    with quiet_lightning():
        try:
            trainer.fit(task, datamodule=data, ckpt_path=resumed, weights_only=True)
        except DivergedError as error:
            context.result.facts["diverged"] = str(error)
            context.result.outcome = "diverged"
        except ValueError as error:
            if told := single_value(error):
                raise told from error
            raise
        except SystemExit:  # what Lightning makes of an interrupt
            raise KeyboardInterrupt from None


def _parts(config: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = config.get("optimizer")
    if optimizer and (set(LR_KEYS) & set(optimizer)):
        factor = lr_factor(optimizer, config["schedule"]["batch_size"])
        optimizer = {k: v for k, v in optimizer.items() if k not in LR_KEYS}
        if factor != 1.0:
            optimizer["lr"] = optimizer["lr"] * factor
    scheduler = None if plateau_of(config.get("scheduler")) else make(config.get("scheduler"))
    parts = {"optimizer": make(optimizer), "scheduler": scheduler}
    return {name: part for name, part in parts.items() if part is not None}


def _keeper(context: StepContext, schedule: Mapping[str, Any]) -> KeepBest:
    writes = context.rank.number == 0
    if writes:
        make_below(context.folder.path, context.attempt)
    chosen = {k: schedule[k] for k in ("monitor", "mode", "patience", "select")}
    return KeepBest(context.attempt, **chosen, allowed=context.allowed, writes=writes)


def _trainer(context: StepContext, keep: KeepBest) -> Trainer:
    given = _given(context)
    fixed = _fixed(context, [*_callbacks(context), keep])
    for name in given.keys() & fixed.keys():
        raise UserError(f"trainer.{name} is not yours to set; schedule, callbacks or we set it")
    with quiet_lightning():
        try:
            return Trainer(**{"accelerator": "auto", "devices": 1, **given, **fixed})
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise UserError(f"Lightning's Trainer does not take {given}: {error}") from error


def _given(context: StepContext) -> dict[str, Any]:
    """Flags of the Trainer that the configuration sets; for one device, none that is for several.

    Of several devices the kind is settled here, since all ranks must agree on it.
    """
    trainer = context.config["trainer"]
    given = {k: v for k, v in trainer.items() if k not in _OURS and v is not None}
    if context.rank.size > 1:
        return {**given, "accelerator": device_type(context.config)}
    if given.get("strategy") in STRATEGIES:
        del given["strategy"]
    given.pop("sync_batchnorm", None)
    return given


def _callbacks(context: StepContext) -> list[Callback]:
    config, rank = context.config, context.rank.number
    extra = [make(node) for node in (config.get("callbacks") or {}).values()]
    weigh = [] if context.loading().share.whole else [WeighParts()]
    journal = Journal(
        context.folder.metrics_file, context.report, context.allowed, writes=rank == 0
    )
    plateau = plateau_of(config.get("scheduler"))
    first = [SeedEachEpoch(config["seed"], rank), StopWhenDiverged()]
    return [*first, *weigh, *extra, journal, *plateau]


def _fixed(context: StepContext, callbacks: list[Callback]) -> dict[str, Any]:
    """Arguments of the Trainer that the schedule and the engine decide."""
    config, schedule = context.config, context.config["schedule"]
    turns = context.loading().share.accumulate
    limit = schedule["limit_batches"]
    most = 1.0 if limit is None else limit * turns
    here = {"plugins": [LightningEnvironment()]} if context.rank.size > 1 else {}
    return {
        "max_epochs": schedule["epochs"],
        "precision": precision_of(config),
        "accumulate_grad_batches": turns,
        "gradient_clip_val": schedule["gradient_clip"],
        "limit_train_batches": most,
        "limit_val_batches": most,
        "callbacks": callbacks,
        "default_root_dir": context.attempt,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        **here,
    }


def _resume(context: StepContext) -> str | None:
    """The newest earlier checkpoint, carried over into this attempt by rank 0 for all."""
    return from_first(None if context.rank.number else _carry_over(context))


def _carry_over(context: StepContext) -> str | None:
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
    if notes := loaded_weights(network):
        facts["pretrained"] = notes
    facts |= _shared_out(context.config)
    sample, _ = data.split("train")[(0, 0)]
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*(x.to(next(network.parameters()).device) for x in sample))
    facts["flops_per_sample"] = counter.get_total_flops()


def _shared_out(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of how a fit was executed, where it was not plainly."""
    batching = Batching.of(config)
    facts: dict[str, Any] = {}
    if batching.parts > 1:
        facts["batching"] = {**asdict(batching), "per_device": batching.per_device}
    if config["trainer"].get("compile"):
        facts["compiled"] = True
    if config["trainer"].get("channels_last"):
        facts["channels_last"] = True
    return facts


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
