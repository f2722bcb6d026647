"""A figure as SVG, drawn with matplotlib: published values beside ours.

Published values are hollow with dashed lines, ours filled with solid lines and error bars, so that
colour carries no meaning of its own. Inside a page the colours are variables of its style sheet.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from thesisbench.tables.render.plot_data import Band, Panel, PlotData, Series, plot_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from thesisbench.tables.session import Session

WIDTH = 7.2  # inches
BAND_HEIGHT = 3.0
SLOT = 0.19  # inches a bar takes
WRAP = 30  # characters of a category's name in a line

# Drawn in these and replaced afterwards: name of the variable -> (placeholder, light colour).
# The series colours are those of Okabe and Ito, darkened to stand out on white.
_COLOURS = {
    "ink": ("#010203", "#1a1a1a"),
    "line": ("#010204", "#8a8a8a"),
    "paper": ("#fdfcfb", "#ffffff"),
    "c1": ("#010211", "#0068a5"),
    "c2": ("#010212", "#b84a00"),
    "c3": ("#010213", "#00775a"),
    "c4": ("#010214", "#96447a"),
    "c5": ("#010215", "#5f5f5f"),
    "c6": ("#010216", "#7a6400"),
}
_INK, _LINE, _PAPER, *_SERIES = [placeholder for placeholder, _ in _COLOURS.values()]
_MARKERS = (("o", "s"), ("^", "v"), ("D", "P"), ("<", ">"), ("p", "X"), ("h", "*"))
_HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----")
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "thesisbench",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "figure.facecolor": _PAPER,
    "axes.facecolor": "none",
    "axes.prop_cycle": f"cycler(color=['{_INK}'])",
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.8,
    "text.color": _INK,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "lines.linewidth": 1.3,
    "lines.markersize": 5,
    "grid.color": _LINE,
    "hatch.linewidth": 0.8,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
}


@dataclass(frozen=True)
class Drawing:
    """A figure that has been drawn.

    Attributes:
        svg: an element to be put into a page. file: the same as a file of its own.
        caption: what is drawn and how to read it.
    """

    svg: str
    file: str
    caption: str


def draw(session: Session, table_id: str) -> Drawing | None:
    """Draws the figure of a table; None where there is nothing to draw.

    Raises:
        UserError: no such table.
    """
    data = plot_data(session, table_id)
    if data is None:
        return None
    raw, title = _svg(data), session.catalog.table(table_id).title
    inner = {placeholder: f"var(--{name})" for name, (placeholder, _) in _COLOURS.items()}
    light = dict(_COLOURS.values())
    file = f'<?xml version="1.0" encoding="utf-8"?>\n{_finished(raw, light, title, data)}\n'
    return Drawing(_finished(raw, inner, title, data), file, data.caption)


def _svg(data: PlotData) -> str:
    """What matplotlib makes of it, with placeholders for colours."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    stream = StringIO()
    with warnings.catch_warnings(), rc_context(_STYLE):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(WIDTH, _height(data)), layout="constrained")
        _fill(figure, data)
        FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None})
    return stream.getvalue()


def _finished(raw: str, colours: Mapping[str, str], title: str, data: PlotData) -> str:
    """The element without prolog and metadata, with its colours, ids of its own and a text."""
    text = raw[raw.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\n\s*\n+", "\n", text)
    for placeholder, colour in colours.items():
        text = text.replace(placeholder, colour)
    text = re.sub(r'\bid="', 'id="plot-', text)
    text = re.sub(r'(href="|url\()#', r"\1#plot-", text)
    attributes = 'role="img" aria-labelledby="plot-name plot-words"'
    said = f'<title id="plot-name">{escape(title)}</title>'
    said += f'<desc id="plot-words">{escape(data.description)}</desc>'
    return re.sub(r"<svg([^>]*)>", lambda m: f"<svg {attributes}{m[1]}>{said}", text, count=1)


def _fill(figure: Figure, data: PlotData) -> None:
    columns = max(len(band.panels) for band in data.bands)
    grid = figure.subplots(len(data.bands), columns, squeeze=False, sharey=_is_bars(data))
    handles: dict[str, Any] = {}
    for band, row in zip(data.bands, grid, strict=True):
        for ax, panel in zip(row, band.panels, strict=False):
            handles |= _axes(ax, data, band, panel)
        for ax in row[len(band.panels) :]:
            ax.set_visible(False)
        if _is_bars(data):
            row[0].set_ylabel(_wrapped(data.xlabel, 34), parse_math=False)
            for ax in row[1:]:
                ax.tick_params(labelleft=False)
    _legend(figure, handles)


def _axes(ax: Axes, data: PlotData, band: Band, panel: Panel) -> dict[str, Any]:
    """Draws a panel; returns what the legend shows of it, by name."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    ax.set_title(panel.title, loc="left", parse_math=False)
    if _is_bars(data):
        drawn = {_name(s): _bars(ax, data, panel, s) for s in panel.series}
        _bar_axes(ax, data, band)
        return drawn
    drawn = {_name(s): _curve(ax, s, joined=data.kind == "line") for s in panel.series}
    ax.grid(True)
    ax.set_xlabel(_wrapped(data.xlabel, 50), parse_math=False)
    ax.set_ylabel(_wrapped(band.label, 34), parse_math=False)
    if data.categories:
        _name_places(ax, data.categories, crowded=len(band.panels) * len(data.categories) > 6)
    for name in data.log:
        getattr(ax, f"set_{name}scale")("log")
        _plain_ticks(ax.xaxis if name == "x" else ax.yaxis)
    return drawn


def _curve(ax: Axes, series: Series, *, joined: bool) -> Any:
    colour, look = _look(series)
    x, y = [p.x for p in series.points], [p.y for p in series.points]
    if any(p.sd for p in series.points):
        spread = [p.sd or 0.0 for p in series.points]
        across = [p.x_sd or 0.0 for p in series.points]
        sides = across if any(across) else None
        ax.errorbar(x, y, spread, sides, fmt="none", ecolor=colour, elinewidth=1, capsize=3)
    for point in (p for p in series.points if p.name):
        ax.annotate(
            point.name,
            (point.x, point.y),
            (5, 4),
            textcoords="offset points",
            fontsize="small",
            parse_math=False,
        )
    dashes: Any = ("-" if series.ours else (0, (4, 2))) if joined else "none"
    return ax.plot(x, y, linestyle=dashes, color=colour, **look)[0]


def _bars(ax: Axes, data: PlotData, panel: Panel, series: Series) -> Any:
    """Horizontal bars of a series; those of several are told apart by hatching too."""
    start, colour = _starts(data), _look(series)[0]
    face, edge = (colour, _PAPER) if series.ours else (_PAPER, colour)
    return ax.barh(
        [start[int(p.x)] + _rank(panel, series, p.x) for p in series.points],
        [p.y for p in series.points],
        height=0.84,
        color=face,
        edgecolor=edge,
        hatch=_HATCHES[series.index % len(_HATCHES)],
        linestyle="-" if series.ours else (0, (4, 2)),
        linewidth=0 if series.ours else 1.3,
        xerr=[p.sd or 0.0 for p in series.points] if series.ours else None,
        error_kw={"ecolor": _INK, "elinewidth": 1, "capsize": 3},
    )


def _bar_axes(ax: Axes, data: PlotData, band: Band) -> None:
    start, room = _starts(data), _most(data)
    middle = [at + (bars - 1) / 2 for at, bars in zip(start, room, strict=True)]
    names = [_wrapped(name, WRAP) for name in data.categories]
    ax.set_yticks(middle, labels=names, parse_math=False)
    ax.set_ylim(start[-1] + room[-1], -1)
    ax.tick_params(axis="y", length=0)
    ax.grid(True, axis="x")
    ax.set_xlabel(_wrapped(band.label, 50), parse_math=False)
    if "y" not in data.log:
        ax.axvline(0, color=_LINE, linewidth=0.8)
        return
    values = [p.y for panel in band.panels for s in panel.series for p in s.points]
    ax.set_xscale("log")
    ax.set_xlim(min(values) / 3, max(values) * 1.5)
    _plain_ticks(ax.xaxis)


def _name_places(ax: Axes, names: Sequence[str], *, crowded: bool) -> None:
    """Writes the names of categories below the x axis, slanted where they are many."""
    lines = [_wrapped(name, 40 if crowded else 16) for name in names]
    ax.set_xticks(range(len(lines)), labels=lines, parse_math=False)
    if crowded:
        for label in ax.get_xticklabels():
            label.set(rotation=35, horizontalalignment="right", rotation_mode="anchor")


def _plain_ticks(axis: Axis) -> None:
    """Numbers such as 10, 20 and 50 on a logarithmic axis, without powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _most(data: PlotData) -> list[int]:
    """Category -> room for its bars, in bars: at least as many as its name has lines."""
    panels = [panel for band in data.bands for panel in band.panels]
    names = [len(_wrapped(name, WRAP).split("\n")) for name in data.categories]
    counts = [
        max(sum(p.x == at for s in panel.series for p in s.points) for panel in panels)
        for at in range(len(names))
    ]
    return [max(pair) for pair in zip(names, counts, strict=True)]


def _starts(data: PlotData) -> list[float]:
    """Category -> place of its first bar; one bar's room lies between categories."""
    starts, at = [], 0.0
    for count in _most(data):
        starts.append(at)
        at += count + 1
    return starts


def _rank(panel: Panel, series: Series, x: float) -> int:
    """How many bars of earlier series there are at a place."""
    earlier = panel.series[: panel.series.index(series)]
    return sum(p.x == x for s in earlier for p in s.points)


def _legend(figure: Figure, handles: Mapping[str, Any]) -> None:
    """One legend below all panels, where there is more than one name."""
    if len(handles) < 2:
        return
    keys = [str(i) for i in range(len(handles))]  # names that begin with _ would be left out
    columns = 1 if max(map(len, handles)) > 40 else 2
    legend = figure.legend(
        list(handles.values()), keys, loc="outside lower left", ncols=columns, frameon=False
    )
    for text, name in zip(legend.get_texts(), handles, strict=True):
        text.set_parse_math(False)
        text.set_text(_wrapped(name, 80))


def _look(series: Series) -> tuple[str, dict[str, Any]]:
    """Colour and marker of a series."""
    colour = _SERIES[series.index % len(_SERIES)]
    marker = _MARKERS[series.index % len(_MARKERS)][series.ours]
    face = colour if series.ours else _PAPER
    return colour, {"marker": marker, "markerfacecolor": face, "markeredgecolor": colour}


def _name(series: Series) -> str:
    whose = "ours" if series.ours else "published"
    return f"{series.name}, {whose}" if series.name else whose


def _height(data: PlotData) -> float:
    names = len({_name(series) for series in data.series})
    legend = 0.2 * names if names > 1 else 0.0
    if _is_bars(data):
        return legend + len(data.bands) * (0.7 + SLOT * sum(n + 1 for n in _most(data)))
    return legend + len(data.bands) * BAND_HEIGHT


def _is_bars(data: PlotData) -> bool:
    return data.kind == "bar"


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width)) or text
