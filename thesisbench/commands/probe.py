"""The command `probe`: what a network does with inputs made for the question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thesisbench.commands.output import console, put
from thesisbench.completion import complete_overrides
from thesisbench.errors import UserError, unknown
from thesisbench.selectors import AsJson, ConfigDirs, Targets, allow

PROBES = ("equivariance",)
Kind = Annotated[
    str, typer.Argument(metavar="PROBE", help="equivariance.", autocompletion=lambda: list(PROBES))
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


def probe(
    kind: Kind,
    place: Place,
    overrides: Words = None,
    shifts: Shifts = None,
    mode: Annotated[str, typer.Option(help="canvas (black) or cyclic.")] = "canvas",
    images: Annotated[int, typer.Option(min=1, help="How many.")] = 16,
    size: Annotated[int, typer.Option(min=1, max=1024, help="Side of noise images.")] = 64,
    split: Annotated[str | None, typer.Option(help="Of a run's data; else test or val.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also a .png, .svg or .html.")
    ] = None,
    config_dir: ConfigDirs = None,
    allow_targets: Targets = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much a network's answers change when its input is shifted.

    A fit is probed with images of its test split, a backbone with random weights and noise. Shifts
    that are multiples of the network's total stride are told from the others.

      thesisbench probe equivariance red_green_net border=full

      thesisbench probe equivariance resnet18 border=circular --mode cyclic

      thesisbench probe equivariance 3f0c51d2a4b6e789 --out shifts.html
    """
    if kind not in PROBES:
        raise UserError(unknown("probe", kind, PROBES))
    from thesisbench.probe.command import Options, equivariance
    from thesisbench.probe.show import check_out, print_report, write_report

    allow(allow_targets)
    check_out(out)
    options = Options(shifts, mode, images, size, split, tuple(config_dir or ()))
    report = equivariance(place, overrides or [], options)
    if as_json:
        put(report.as_json())
    else:
        print_report(report, console(stderr=False))
    if out is not None:
        write_report(report, out)
        console(stderr=True).print(f"wrote {out}", markup=False, highlight=False, soft_wrap=True)
