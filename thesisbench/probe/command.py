"""What `thesisbench probe` does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thesisbench.errors import UserError, unknown
from thesisbench.metrics.activations import layer_figures
from thesisbench.probe.equivariance import MODES, Mode, measure, total_stride
from thesisbench.probe.show import Report
from thesisbench.probe.show_activations import ActivationReport
from thesisbench.probe.subject import find_subject

MOST, USUAL = 64, 16  # shifts: at most, and where the stride is not known


@dataclass(frozen=True)
class Options:
    """How a network is probed.

    Attributes:
        shifts: largest, in pixels; None: twice the total stride, 64 at most.
        mode: canvas (where None) or cyclic. images: how many; None: 16, of activations 128.
        side: of noise images; None: 64, of activations 32. split: of a run's data set.
        config_dirs: the user's config groups.
    """

    shifts: int | None = None
    mode: str | None = None
    images: int | None = None
    side: int | None = None
    split: str | None = None
    config_dirs: tuple[str, ...] = ()


def equivariance(place: str, overrides: Sequence[str], options: Options) -> Report:
    """Probes a run or a backbone.

    Raises:
        UserError: no such thing, or a network that does not take the images.
    """
    mode = _mode(options.mode or MODES[0])
    found = find_subject(
        place,
        overrides,
        count=options.images or 16,
        side=options.side or 64,
        split=options.split,
        config_dirs=options.config_dirs,
    )
    stride = total_stride(found.network, found.images)
    most = options.shifts or min(MOST, 2 * stride if stride else USUAL)
    if mode == "cyclic" and most >= found.images.shape[-1]:
        side = found.images.shape[-1]
        raise UserError(f"--shifts {most}: a cyclic shift of {side} px images is below {side}")
    shifts = range(1, most + 1)
    with _taking_images(found.name):
        changes = measure(found.network, found.images, shifts, mode=mode, stride=stride)
    return Report(
        name=found.name,
        trained=found.trained,
        images=found.shown,
        count=len(found.images),
        mode=mode,
        stride=stride,
        changes=tuple(changes),
    )


def activations(place: str, overrides: Sequence[str], options: Options) -> ActivationReport:
    """Probes the responses of all layers of a run or a backbone.

    Raises:
        UserError: no such thing, a network that does not take the images, or options of another
            probe.
    """
    for name, value in (("--shifts", options.shifts), ("--mode", options.mode)):
        if value is not None:
            raise UserError(f"{name} is of `probe equivariance`: nothing is shifted here")
    found = find_subject(
        place,
        overrides,
        count=options.images or 128,
        side=options.side or 32,
        split=options.split,
        normal=True,
        config_dirs=options.config_dirs,
    )
    with _taking_images(found.name):
        layers = layer_figures(found.network, found.images, batch_statistics=not found.trained)
    return ActivationReport(
        name=found.name,
        trained=found.trained,
        images=found.shown,
        count=len(found.images),
        layers=tuple(layers),
    )


@contextlib.contextmanager
def _taking_images(name: str) -> Iterator[None]:
    """Turns what a network says of images that it cannot take into one line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name} does not take such images: {reason}") from error


def _mode(name: str) -> Mode:
    for mode in MODES:
        if name == mode:
            return mode
    raise UserError(unknown("--mode", name, MODES))
