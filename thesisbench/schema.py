"""Types of the keys that every run configuration has, whatever its chapter.

Registered with Hydra's ConfigStore: a wrong type or unknown key is an error before anything runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Schedule:
    """How long and on what a fit trains, and which of its epochs is kept.

    Attributes:
        epochs: most epochs. batch_size: global batch of a step, over all devices and parts.
        shuffle: permute the training set, by (seed, epoch); else its own order.
        patience: stop after so many epochs without a better `monitor`; null never stops early.
        monitor, mode: what "better" means. select: "best" or "last" epoch is evaluated.
        accumulate: parts of its batch that a device does one after another.
        gradient_clip: norm, null for none.
        limit_batches: train and evaluate on so many batches only (debugging); null for all.
        drop_last: leave out a last, smaller training batch.
    """

    epochs: int = MISSING
    batch_size: int = MISSING
    shuffle: bool = True
    patience: int | None = None
    monitor: str = "val_loss"
    mode: str = "min"
    select: str = "best"
    accumulate: int = 1
    gradient_clip: float | None = None
    limit_batches: int | None = None
    drop_last: bool = False


@dataclass
class RunConfig:
    """A run configuration; groups fill in the nodes typed Any.

    Attributes:
        kind: fit, eval, prepare or analytic. revision: raised when a bug fix changes results.
        seed, split: replicate keys. precision: as Lightning's Trainer takes it;
            trainer.precision, where given, takes its place.
        memory_format: contiguous or channels_last.
        detector: what is built around the backbone; null for the backbone itself.
        variants: drop-ins that rewrite the backbone, by group name.
        needs: input name -> run ids, filled in by the engine.
    """

    kind: str = MISSING
    revision: int = 1
    seed: int = 0
    split: int | None = None
    precision: str = "32-true"
    memory_format: str = "contiguous"
    dataset: Any = None
    backbone: Any = None
    detector: Any = None
    variants: dict[str, Any] = field(default_factory=dict)
    task: Any = None
    optimizer: Any = None
    scheduler: Any = None
    schedule: Schedule | None = None
    evaluation: Any = None
    compute: Any = None
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: Any = None
    logger: Any = None
    launcher: Any = None


def register() -> None:
    """Makes the schema known to Hydra as `run_schema`."""
    ConfigStore.instance().store(name="run_schema", node=RunConfig, provider="thesisbench")
