"""What is probed: a fitted network on its own test images, or an untrained backbone on noise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thesisbench.compose import Composer
from thesisbench.errors import UserError, unknown
from thesisbench.evaluate import find_run
from thesisbench.step import NeededRun, StepContext, build_network
from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore
from thesisbench.training.randomness import seed_all

_VALUES = ("backbone", "variants", "seed", "memory_format")
_OTHER_GROUPS = (
    *("task", "detector", "dataset", "optimizer", "scheduler", "evaluation", "compute"),
    *("callbacks", "trainer", "logger", "launcher", "experiment", "debug"),
)
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_PREFERRED = ("test", "val")


@dataclass(frozen=True)
class Subject:
    """A network and the images it is probed with.

    Attributes:
        name: for people. network: in evaluation mode. images: [n, c, h, w].
        trained: False for random weights. shown: what the images are.
    """

    name: str
    network: nn.Module
    images: Tensor
    trained: bool
    shown: str


def find_subject(
    place: str,
    overrides: Sequence[str],
    *,
    count: int,
    side: int,
    split: str | None = None,
    normal: bool = False,
    config_dirs: tuple[str, ...] = (),
) -> Subject:
    """The network a user means, and images for it.

    Args:
        place: a backbone of conf/backbone; or a run id, the beginning of one, or a run folder.
        overrides: of a backbone: `border=full`, `pool=blur`, `backbone.classes=10`, `seed=3`.
        count: number of images.
        side: of the noise for a backbone.
        split: of a run's data set; default test, else val, else its last.
        normal: whether the noise is N(0, 1); else it is uniform from 0 to 1.
        config_dirs: the user's config groups.

    Raises:
        UserError: no such run or backbone, or overrides that change no network.
    """
    composer = Composer(config_dirs)
    backbones = [name for name in composer.options("backbone") if name != "none"]
    if place in backbones:
        if split is not None:
            raise UserError("--split is of a run's data set; a backbone is probed with noise")
        return _backbone(composer, place, overrides, (count, side), normal=normal)
    folder = _run(place, backbones)
    if overrides:
        raise UserError(
            f"run {folder.id} has its network; {overrides[0]!r} is for a backbone: give its name"
        )
    return _fitted(folder, count, split)


def _run(place: str, backbones: Sequence[str]) -> RunFolder:
    ids = list(RunStore().ids())
    begins = re.fullmatch(r"[0-9a-f]+", place) and any(i.startswith(place) for i in ids)
    if begins or (place and Path(place).exists()):
        return find_run(place)
    named = [*backbones, *ids]
    raise UserError(unknown("run or backbone", place, named, "`thesisbench list backbones`"))


def _backbone(
    composer: Composer, name: str, overrides: Sequence[str], size: tuple[int, int], *, normal: bool
) -> Subject:
    """A backbone with random weights, and noise for it; size: how many images, and their side."""
    count, side = size
    words = ["kind=analytic", f"backbone={name}", *overrides]
    for override in composer.parse(words[2:], "probe"):
        group, key = override.key_or_group, override.key_or_group.split(".")[0]
        variant = composer.is_group(group) and group not in (*_OTHER_GROUPS, "backbone")
        value = key in _VALUES and not composer.is_group(group)
        if not variant and not value:
            text = "changes no network; give backbone.KEY=VALUE, seed=N or a variant: border=full"
            raise UserError(f"probe: {override.input_line!r} {text}")
    config = composer.compose(words, "probe").config
    seed_all(int(config["seed"]))
    network, _ = build_network(config)
    channels = next((m.in_channels for m in network.modules() if isinstance(m, _CONVS)), 3)
    generator = torch.Generator().manual_seed(int(config["seed"]))
    draw = torch.randn if normal else torch.rand
    images = draw(count, channels, side, side, generator=generator)
    shown = f"{'noise N(0, 1)' if normal else 'noise'}, {side}x{side}"
    return Subject(" ".join([name, *overrides]), network.eval(), images, False, shown)


def _fitted(folder: RunFolder, count: int, split: str | None) -> Subject:
    record = folder.read_record()
    if record is None:
        raise UserError(f"run {folder.id} is not done; `thesisbench status` says how far it is")
    if record["kind"] != "fit":
        fits = [i for ids in (record.get("needs") or {}).values() for i in ids]
        hint = f"; it needs {fits[0]}" if fits else ""
        raise UserError(f"run {folder.id} is of kind {record['kind']}; give a fit{hint}")
    config = folder.read_config()
    needed = NeededRun(folder, config, record)
    context = StepContext(
        config={"kind": "eval"}, folder=folder, attempt=folder.path, needs={"weights": (needed,)}
    )
    data = context.fitted_dataset()
    name = split or _split(data)
    images = _images(data, name, count)
    shown = f"{name} split, {images.shape[-2]}x{images.shape[-1]}"
    recipe = config.get("recipe") or type(data).__name__
    return Subject(f"{folder.id} {recipe}", context.fitted(), images, True, shown)


def _split(data: Any) -> str:
    names = list(data.arrays) if hasattr(data, "arrays") else list(_PREFERRED)
    return next((name for name in _PREFERRED if name in names), names[-1])


def _images(data: Any, split: str, count: int) -> Tensor:
    """The first images of a split."""
    parts: list[Tensor] = []
    for inputs, _ in data.loader(split):
        if len(inputs) != 1 or inputs[0].dim() != 4:
            raise UserError("its network takes more than one batch of images; none can be shifted")
        parts.append(inputs[0])
        if sum(map(len, parts)) >= count:
            break
    return torch.cat(parts)[:count]
