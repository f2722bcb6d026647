"""Figures: which numbers are drawn, how published values and ours are told apart, and the SVG."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from odd_table import OURS, fill, open_session, write_chapter
from page_reader import read_page

from thesisbench.errors import SpecError
from thesisbench.tables.render.html import render_html
from thesisbench.tables.render.plot import Drawing, draw
from thesisbench.tables.render.plot_data import PlotData, Point, plot_data
from thesisbench.tables.session import Session

FIGURE = """
id: toy.f1
thesis: toy
chapter: 1
kind: {kind}
title: "A $figure$ <b>&"
task: classification
step: test
replicates: {{seed: {{small: [0, 1, 2, 3, 4], paper: [0, 1, 2]}}}}
columns:
  ap: {{name: "AP $x_<b>", metric: ap, unit: "%", read: ap}}
  loss: {{name: Loss, metric: loss, unit: "{unit}", better: lower, cell: "100 - ap"}}
rows:
  plain: {{label: Same, settings: {{size: 4, net: a}}, values: {{ap: 81.4, loss: 18.6}}}}
  mine:
    label: Same
    settings: {{size: 2, net: b}}
    at: {{net: mine}}
    values: {{ap: 70.5}}
    reasons: {{loss: not_printed}}
  gone:
    label: _Gone
    settings: {{size: 8, net: b}}
    at: {{net: gone}}
    values: {{loss: 0}}
    reasons: {{ap: not_printed}}
  human:
    label: "People $5"
    source: human
    settings: {{size: many, net: a}}
    values: {{ap: 90.0}}
    reasons: {{loss: not_applicable}}
{plot}
"""
OURS_PLAIN = list(OURS["plain"].values())


def open_figure(
    folder: Path, *, plot: str = "", kind: str = "figure", unit: str = "%", **changes: Any
) -> Session:
    write_chapter(folder)
    text = FIGURE.format(kind=kind, plot=plot and f"plot: {plot}", unit=unit)
    (folder / "specs/toy/odd/tables/f1.yaml").write_text(text)
    return open_session(folder, "toy.f1", **changes)


def data_of(session: Session) -> PlotData:
    data = plot_data(session, "toy.f1")
    assert data is not None
    return data


def drawn(session: Session) -> Drawing:
    drawing = draw(session, "toy.f1")
    assert drawing is not None
    return drawing


def test_a_figure_is_bars_of_all_columns_unless_its_spec_says_otherwise(tmp_path: Path) -> None:
    session = open_figure(tmp_path)
    data = data_of(session)
    assert data.kind == "bar"
    assert data.categories == ("Same", "Same", "_Gone", "People $5")  # equal labels stay apart
    (band,) = data.bands
    assert band.label == "%"  # the directions of its columns differ
    (panel,) = band.panels
    assert panel.title == "published"
    assert [(s.name, s.ours) for s in panel.series] == [("AP $x_<b>", False), ("Loss", False)]
    assert panel.series[0].points == (Point(0, 81.4), Point(1, 70.5), Point(3, 90.0))
    assert panel.series[1].points == (Point(0, 18.6), Point(2, 0.0))
    assert data.caption == "Published values only: nothing has been measured yet."


def test_a_table_is_drawn_only_where_its_spec_says_so(tmp_path: Path) -> None:
    assert draw(open_figure(tmp_path, kind="table"), "toy.f1") is None
    (tmp_path / "b").mkdir()
    session = open_figure(tmp_path / "b", kind="table", plot="{kind: line}")
    assert data_of(session).kind == "line"


def test_at_a_small_scale_published_and_ours_have_axes_of_their_own(tmp_path: Path) -> None:
    session = open_figure(tmp_path)
    fill(session)
    data = data_of(session)
    (band,) = data.bands
    assert [panel.title for panel in band.panels] == [
        "published",
        "ours, scale small (stand-in), not comparable",
    ]
    assert [{s.ours for s in panel.series} for panel in band.panels] == [{False}, {True}]
    ours = band.panels[1].series[0]
    assert ours.points[0] == Point(0, fmean(OURS_PLAIN), stdev(OURS_PLAIN))
    assert "not of the published experiment" in data.caption
    published = band.panels[0].series[0]
    assert (published.name, published.index) == (ours.name, ours.index)


def test_at_paper_scale_they_share_one(tmp_path: Path) -> None:
    session = open_figure(tmp_path, scale="paper")
    fill(session)
    data = data_of(session)
    (panel,) = data.bands[0].panels
    assert [s.ours for s in panel.series] == [False, False, True, True]
    assert "not of the published experiment" not in data.caption
    assert "hollow and dashed" in data.caption


def test_units_have_panels_of_their_own(tmp_path: Path) -> None:
    data = data_of(open_figure(tmp_path, unit="nats", plot="{kind: bar, ylabel: both}"))
    assert [band.label for band in data.bands] == ["AP $x_<b> (%) ↑", "Loss (nats) ↓"]


@pytest.mark.parametrize("kind", ["line", "scatter"])
def test_numbers_of_a_setting_are_places_on_the_axis(tmp_path: Path, kind: str) -> None:
    plot = f"{{kind: {kind}, x: size, series: net, log: [x, y], xlabel: Size, ylabel: Score}}"
    data = data_of(open_figure(tmp_path, plot=plot))
    assert data.categories == ()
    series = {s.name: s.points for s in data.series}
    assert series == {
        "AP $x_<b>, a": (Point(4, 81.4),),
        "AP $x_<b>, b": (Point(2, 70.5),),
        "Loss, a": (Point(4, 18.6),),
    }
    assert data.caption.endswith("2 values have no place on these axes.")  # a word, and log of 0
    assert (data.xlabel, data.bands[0].label) == ("Size", "Score")


def test_points_of_a_curve_are_in_order(tmp_path: Path) -> None:
    data = data_of(open_figure(tmp_path, plot="{kind: line, x: size}"))
    first = next(iter(data.series))
    assert [p.x for p in first.points] == [2, 4]


def test_one_column_against_another(tmp_path: Path) -> None:
    session = open_figure(tmp_path, plot="{kind: scatter, against: loss, series: net}")
    data = data_of(session)
    assert (data.categories, data.xlabel) == ((), "Loss (%) ↓")
    assert [band.label for band in data.bands] == ["AP $x_<b> (%) ↑"]
    (series,) = data.series
    assert series.points == (Point(18.6, 81.4, name="Same"),)
    assert data.caption.endswith("2 values have no place on these axes.")  # they have no loss
    fill(session)
    ours = [s for s in data_of(session).series if s.ours and s.name == "a"]
    (point,) = ours[0].points
    assert point.x == pytest.approx(100 - fmean(OURS_PLAIN))
    assert (point.sd, point.x_sd) == (pytest.approx(stdev(OURS_PLAIN)),) * 2
    assert ">Same<" in drawn(session).svg


@pytest.mark.parametrize(
    ("plot", "said"),
    [
        ("{kind: scatter, against: los}", "plot.against: unknown column 'los'"),
        ("{kind: line, against: loss}", "plot.against is for `kind: scatter` without `x`"),
        ("{kind: scatter, against: loss, x: size}", "plot.against is for `kind: scatter`"),
    ],
)
def test_a_column_that_cannot_be_an_axis_is_refused(tmp_path: Path, plot: str, said: str) -> None:
    with pytest.raises(SpecError, match=re.escape(said)):
        data_of(open_figure(tmp_path, plot=plot))


@pytest.mark.parametrize(
    "plot",
    [
        "{kind: bar}",
        "{kind: line, x: size, log: [x]}",
        "{kind: scatter}",
        "{kind: scatter, against: loss}",
        "{kind: line}",
    ],
)
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_drawing_is_one_clean_element(tmp_path: Path, plot: str, scale: str) -> None:
    session = open_figure(tmp_path, plot=plot, scale=scale)
    fill(session)
    drawing = drawn(session)
    (svg,) = read_page(drawing.svg).children
    assert svg.attributes["role"] == "img"
    title, words = svg.children[:2]
    assert title.text == "A $figure$ <b>&"
    assert "published" in words.text
    assert svg.attributes["aria-labelledby"] == "plot-name plot-words"
    assert [title.attributes["id"], words.attributes["id"]] == ["plot-name", "plot-words"]
    ids = [e.attributes["id"] for e in svg.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    named = re.findall(r'(?:href="|url\()#([^")]+)', drawing.svg)
    assert set(named) <= set(ids)
    assert {name.split("-")[0] for name in ids} == {"plot"}
    assert "metadata" not in drawing.svg
    texts = [e.text for e in svg.all("text")]
    name = "" if "against" in plot else "AP $x_<b>, "  # the only column left needs no name
    assert any(f"{name}published" in text for text in texts)
    assert any(f"{name}ours" in text for text in texts)


def test_colours_are_variables_in_a_page_and_plain_in_a_file(tmp_path: Path) -> None:
    session = open_figure(tmp_path, scale="paper")
    fill(session)
    drawing = drawn(session)
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawing.svg)) == set()
    style = json.dumps(render_html(session, "toy.f1"))
    for name in set(re.findall(r"var\(--([a-z0-9]+)\)", drawing.svg)):
        assert style.count(f"--{name}: ") >= 2, name  # light and dark
    assert "var(" not in drawing.file
    assert drawing.file.startswith("<?xml")


def test_published_and_ours_differ_in_more_than_colour(tmp_path: Path) -> None:
    session = open_figure(tmp_path, scale="paper", plot="{kind: line, x: size}")
    fill(session)
    svg = drawn(session).svg
    dashed = re.findall(r'<path d="[^"]*" [^>]*style="[^"]*stroke-dasharray[^"]*"', svg)
    assert len(dashed) >= 2  # one a published curve, and those of the legend
    faces = set(re.findall(r'style="fill: var\(--(\w+)\); stroke: var\(--c1\)', svg))
    assert faces >= {"paper", "c1"}  # hollow and filled markers


def test_the_same_figure_is_drawn_byte_for_byte_alike(tmp_path: Path) -> None:
    session = open_figure(tmp_path)
    fill(session)
    assert drawn(session) == drawn(session)


def test_nothing_to_draw_is_nothing(tmp_path: Path) -> None:
    write_chapter(tmp_path)
    text = FIGURE.format(kind="supplement", plot="plot: {kind: bar}", unit="%")
    text = re.sub(r"values: \{[^}]*\}", "values: {}", text)
    text = re.sub(r"  human:\n(    .*\n)+", "", text)
    text = re.sub(r"\n    reasons: .*", "", text)
    (tmp_path / "specs/toy/odd/tables/f1.yaml").write_text(text)
    session = open_session(tmp_path, "toy.f1")
    assert draw(session, "toy.f1") is None
    assert read_page(render_html(session, "toy.f1")).all("svg") == []
