"""What `thesisbench probe` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thesisbench.errors import UserError, unknown
from thesisbench.probe.equivariance import MODES, Mode, measure, total_stride
from thesisbench.probe.show import Report
from thesisbench.probe.subject import find_subject

MOST, USUAL = 64, 16  # shifts: at most, and where the stride is not known


@dataclass(frozen=True)
class Options:
    """How a network is probed.

    Attributes:
        shifts: largest, in pixels; None: twice the total stride, 64 at most.
        mode: canvas or cyclic. images: how many. side: of noise images. split: of a run's data set.
        config_dirs: the user's config groups.
    """

    shifts: int | None = None
    mode: str = "canvas"
    images: int = 16
    side: int = 64
    split: str | None = None
    config_dirs: tuple[str, ...] = ()


def equivariance(place: str, overrides: Sequence[str], options: Options) -> Report:
    """Probes a run or a backbone.

    Raises:
        UserError: no such thing, or a network that does not take the images.
    """
    mode = _mode(options.mode)
    found = find_subject(
        place,
        overrides,
        count=options.images,
        side=options.side,
        split=options.split,
        config_dirs=options.config_dirs,
    )
    stride = total_stride(found.network, found.images)
    most = options.shifts or min(MOST, 2 * stride if stride else USUAL)
    if mode == "cyclic" and most >= found.images.shape[-1]:
        side = found.images.shape[-1]
        raise UserError(f"--shifts {most}: a cyclic shift of {side} px images is below {side}")
    shifts = range(1, most + 1)
    try:
        changes = measure(found.network, found.images, shifts, mode=mode, stride=stride)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{found.name} does not take such images: {reason}") from error
    return Report(
        name=found.name,
        trained=found.trained,
        images=found.shown,
        count=len(found.images),
        mode=mode,
        stride=stride,
        changes=tuple(changes),
    )


def _mode(name: str) -> Mode:
    for mode in MODES:
        if name == mode:
            return mode
    raise UserError(unknown("--mode", name, MODES))
