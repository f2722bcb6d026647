"""The command `probe`: what a network does with inputs made for the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thesisbench.commands.output import console, put
from thesisbench.completion import complete_overrides
from thesisbench.errors import UserError, unknown
from thesisbench.selectors import AsJson, ConfigDirs, Targets, allow

if TYPE_CHECKING:
    from thesisbench.probe.command import Options

PROBES = ("equivariance", "activations")
Kind = Annotated[
    str,
    typer.Argument(
        metavar="PROBE",
        help="equivariance or activations.",
        autocompletion=lambda: list(PROBES),
    ),
]
Place = Annotated[
    str, typer.Argument(metavar="RUN|BACKBONE", help="Fit, or a name of conf/backbone.")
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="Of a backbone: border=full, backbone.classes=10, seed=1.",
        autocompletion=complete_overrides,
    ),
]
Shifts = Annotated[
    int | None,
    typer.Option(min=1, max=512, help="Largest shift in pixels.", show_default="2 total strides"),
]
Mode = Annotated[
    str | None, typer.Option(help="Of shifts: canvas (black) or cyclic.", show_default="canvas")
]
Count = Annotated[
    int | None, typer.Option(min=1, help="How many.", show_default="16; activations 128")
]
Side = Annotated[
    int | None,
    typer.Option(min=1, max=1024, help="Side of noise images.", show_default="64; activations 32"),
]


def probe(
    kind: Kind,
    place: Place,
    overrides: Words = None,
    shifts: Shifts = None,
    mode: Mode = None,
    images: Count = None,
    size: Side = None,
    split: Annotated[str | None, typer.Option(help="Of a run's data; else test or val.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also a .png, .svg or .html.")
    ] = None,
    config_dir: ConfigDirs = None,
    allow_targets: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Ask one network a question: a fit with images of its test split, a backbone with noise.

    equivariance: how much the answers change when the input is shifted; shifts that are multiples
    of the network's total stride are told from the others.

    activations: of each convolution and linear layer, drift of channel means, spread, dominant
    channel or class, skewness and symmetry of the responses, symmetry of the weights.

      thesisbench probe equivariance red_green_net border=full

      thesisbench probe equivariance resnet18 border=circular --mode cyclic

      thesisbench probe equivariance 3f0c51d2a4b6e789 --out shifts.html

      thesisbench probe activations random_net norm=without weight=align
    """
    if kind not in PROBES:
        raise UserError(unknown("probe", kind, PROBES))
    from thesisbench.probe.command import Options
    from thesisbench.probe.show import check_out

    allow(allow_targets)
    check_out(out)
    options = Options(shifts, mode, images, size, split, tuple(config_dir or ()))
    report, show, write = _asked(kind, place, overrides or [], options)
    if as_json:
        put(report.as_json())
    else:
        show(report, console(stderr=False))
    if out is not None:
        write(report, out)
        console(stderr=True).print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)


def _asked(
    kind: str, place: str, overrides: Sequence[str], options: Options
) -> tuple[Any, Callable[..., None], Callable[..., None]]:
    """The report of a probe, and what prints and what writes it."""
    from thesisbench.probe import command, show, show_activations

    if kind == "activations":
        report = command.activations(place, overrides, options)
        return report, show_activations.print_activations, show_activations.write_activations
    return command.equivariance(place, overrides, options), show.print_report, show.write_report
