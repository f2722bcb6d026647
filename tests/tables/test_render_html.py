"""The page of a table: complete in itself, well formed, readable without colour, escaped."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from pathlib import Path

import pytest
from odd_table import ODD, fill, open_session, record_of, write_chapter, write_record
from page_reader import grid_of, read_page

from thesisbench.errors import UserError
from thesisbench.store.runs import RunStatus, RunStore
from thesisbench.tables.render.html import SIGNS, Links, render_html
from thesisbench.tables.render.html_index import render_index
from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.session import Session

ATTACK = "\"'><script>alert(1)</script>"
QUOTED = json.dumps(ATTACK)  # as YAML writes it
TARGETS_ONLY = """
id: toy.t3
thesis: toy
chapter: 1
kind: table
title: Only printed
task: classification
says: Nets work.
columns:
  ap: {name: AP, metric: ap, unit: "%"}
rows:
  one: {label: One, values: {ap: 1.5}, std: {ap: 0.5}}
  none: {label: None, reasons: {ap: not_printed}}
"""


@pytest.fixture(params=["small", "paper"])
def session(tmp_path: Path, request: pytest.FixtureRequest) -> Session:
    write_chapter(tmp_path)
    (tmp_path / "specs/toy/odd/tables/t3.yaml").write_text(TARGETS_ONLY)
    made = open_session(tmp_path, "toy.t1", "toy.t3", scale=request.param)
    fill(made)
    return made


@pytest.fixture
def pages(session: Session) -> dict[str, str]:
    links = Links(("toy.t1", "toy.t3"), ("smoke",))
    made = {table: render_html(session, table, links) for table in session.tables}
    return made | {"index": render_index(dict.fromkeys(session.tables, session))}


def test_ids_are_unique_and_links_within_a_page_lead_somewhere(pages: dict[str, str]) -> None:
    for text in pages.values():
        elements = read_page(text).all()
        ids = [e.attributes["id"] for e in elements if "id" in e.attributes]
        assert len(ids) == len(set(ids))
        targets = [e.attributes["href"] for e in elements if "href" in e.attributes]
        assert {t[1:] for t in targets if t.startswith("#")} <= set(ids)
        for name in ("aria-labelledby", "for"):
            named = " ".join(e.attributes.get(name, "") for e in elements).split()
            assert set(named) <= set(ids)


def test_links_between_pages_name_pages_that_are_made(
    pages: dict[str, str], session: Session
) -> None:
    for text in pages.values():
        links = [e.attributes.get("href", "") for e in read_page(text).all("a")]
        others = {link for link in links if not link.startswith("#")}
        assert others <= {f"{name}.html" for name in pages}
    alone = read_page(render_html(session, "toy.t1"))
    assert [e for e in alone.all("a") if ".html" in e.attributes["href"]] == []


def test_nothing_is_fetched(pages: dict[str, str]) -> None:
    for text in pages.values():
        for element in read_page(text).all():
            for name in ("src", "href", "xlink:href", "action", "srcset"):
                value = element.attributes.get(name, "#")
                assert re.match(r"#|data:|[a-z0-9._]+\.html$", value), value
        assert "url(http" not in text
        assert "@import" not in text
        assert "default-src 'none'" in text


def test_headings_are_in_order_and_landmarks_are_there(pages: dict[str, str]) -> None:
    for text in pages.values():
        root = read_page(text)
        levels = [int(e.tag[1]) for e in root.all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
        assert [e.attributes["lang"] for e in root.all("html")] == ["en"]
        assert len(root.all("main")) == len(root.all("header")) == 1
        assert root.all("a")[0].attributes["href"] == "#main"


def test_every_cell_has_a_row_and_a_column_header(pages: dict[str, str]) -> None:
    for text in pages.values():
        for table in read_page(text).all("table"):
            heads, rows = grid_of(table)
            assert len({len(row) for row in heads}) == 1
            for row in rows:
                assert row[0].attributes.get("scope") == "row"
                assert len(row) == len(heads[-1])
            for column in zip(*heads, strict=True):
                named = [c for c in column if c.text and c.tag == "th"]
                assert named
                assert {c.attributes["scope"] for c in named} <= {"col", "colgroup"}


def test_tables_that_scroll_can_be_reached_and_are_named(pages: dict[str, str]) -> None:
    for text in pages.values():
        root = read_page(text)
        regions = root.named("scroll")
        assert len([t for r in regions for t in r.all("table")]) == len(root.all("table"))
        for region in regions:
            assert region.attributes["tabindex"] == "0"
            assert region.attributes["role"] == "region"
            assert region.attributes["aria-label"]


def test_every_verdict_is_a_word_with_a_sign(pages: dict[str, str], session: Session) -> None:
    shown = read_page(pages["toy.t1"]).named("verdict")
    for element in shown:
        sign, word = element.text.split(" ", 1)
        assert SIGNS[re.sub(r" \(.*", "", word)] == sign
    view = lay_out(session, "toy.t1")
    cells = [cell.verdict for row in view.rows for cell in row.cells]
    words = [e.text.split(" ", 1)[1] for e in shown]
    assert words[: len(cells)] == cells
    assert len({*SIGNS}) == len(SIGNS)


def test_cells_show_what_the_table_in_words_says(pages: dict[str, str], session: Session) -> None:
    view = lay_out(session, "toy.t1")
    table = read_page(pages["toy.t1"]).named("cells")[0]
    _, rows = grid_of(table)
    for row, shown in zip(view.rows, rows, strict=True):
        assert shown[0].text == " ".join(row.label.split())
        for at, cell in enumerate(row.cells):
            published, ours = shown[1 + 2 * at : 3 + 2 * at]
            assert published.text == cell.published
            difference = f" difference {cell.difference}" if cell.difference else ""
            words = f"{cell.ours}{difference} {SIGNS[cell.verdict]} {cell.verdict} {cell.note}"
            assert ours.text == " ".join(words.split())
    groups = [c.text for c in table.all("tr")[0].all("th")]
    assert groups == ["Row", *(text for text, _ in view.groups)]


def test_targets_only_shows_what_is_printed_and_no_column_of_ours(pages: dict[str, str]) -> None:
    root = read_page(pages["toy.t3"])
    _, rows = grid_of(root.named("cells")[0])
    assert [[c.text for c in row] for row in rows] == [
        ["One", "1.5 ± 0.5"],
        ["None", "not printed"],
    ]
    assert "Targets only: no grid yet" in root.text
    assert "Nets work." in root.text
    assert "reproduce" not in root.all("main")[0].text
    assert not root.named("verdict")


def test_a_claim_shows_its_parts(pages: dict[str, str], session: Session) -> None:
    atoms = read_page(pages["toy.t1"]).named("atoms")
    (claim,) = [c for c in lay_out(session, "toy.t1").claims if c.id == "C1"]
    _, rows = grid_of(atoms[0])
    wanted = [
        [a.text, a.kind, f"{SIGNS[a.result]} {a.result}", a.margin, a.interval, a.n, a.power, a.why]
        for a in claim.atoms
    ]
    assert [[c.text for c in row] for row in rows] == wanted


def test_provenance_goes_down_to_the_run(pages: dict[str, str], session: Session) -> None:
    root = read_page(pages["toy.t1"])
    shown = {
        row[0].text: [c.text for c in row] for t in root.named("runs") for row in grid_of(t)[1]
    }
    with_record = {i for i in session.plan.runs if session.brief(i)}
    assert set(shown) == with_record
    for label, line in _plain_and_wild(session):
        assert shown[line[0]][:4] == line, label
    said = root.text
    assert "0123456789abcdef0123456789abcdef01234567" in said
    assert "some, 2 cores, GPU: none" in said
    assert f"thesisbench reproduce toy.t1 --scale {session.scale}" in said
    assert "q_small, a stand-in for q_big" in said


def _plain_and_wild(session: Session) -> list[tuple[str, list[str]]]:
    """Id, step, replicate and value of each run behind two rows."""
    cells = [session.cells["toy.t1", row, "ap"] for row in ("plain", "wild")]
    return [
        (cell.row, [i, "test", f"seed={seed}", f"{cell.values.get(seed, '')}".removesuffix(".0")])
        for cell in cells
        for seed, (i,) in cell.runs.items()
    ]


def test_runs_that_were_never_started_are_counted(session: Session) -> None:
    root = read_page(render_html(session, "toy.t1"))
    summaries = [e.text for e in root.all("summary")]
    waiting = [s for s in summaries if s.startswith("Gone")]
    n = len(session.plan.seeds["toy.t1"])
    assert [s.rpartition(": ")[2] for s in waiting] == [f"0 runs, {n} not started"]


def test_text_from_anywhere_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_chapter(tmp_path)
    chapter = tmp_path / "specs/toy/odd"
    spec = ODD.replace('label: "Plain [net]"', f"label: {QUOTED}")
    spec = spec.replace('"Test * accuracy."', QUOTED).replace("name: Gain", f"name: {QUOTED}")
    (chapter / "tables/t1.yaml").write_text(f"{spec}says: {QUOTED}\nfindings: {QUOTED}\n")
    pictures = chapter / "results/small/t1"
    pictures.mkdir(parents=True)
    (pictures / 'a"><script>x.svg').write_text("<svg onload='alert(2)'></svg>")
    session = open_session(tmp_path)
    fill(session)
    run = next(iter(session.plan.runs.values()))
    record = record_of(run, session)
    record["provenance"] |= {"platform": ATTACK, "threads": ATTACK, "finished": ATTACK}
    write_record(session, record)
    session.refresh()
    lost = next(i for i, state in session.states.items() if state == "absent")
    session.states[lost] = "failed"
    status = RunStatus("failed", ATTACK)
    monkeypatch.setattr(RunStore, "state", lambda self, run_id: status)
    text = render_html(session, "toy.t1")
    root = read_page(text)
    assert root.all("script") == []
    assert [n for e in root.all() for n in e.attributes if n.startswith("on")] == []
    assert root.text.count("<script>alert(1)</script>") > 8
    (image,) = root.all("img")
    assert image.attributes["src"].startswith("data:image/svg+xml;base64,")
    assert image.attributes["alt"] == 'a"><script>x'
    index = read_page(render_index({"toy.t1": session}))
    assert len(index.all("script")) == 1


def test_the_index_counts_cells_and_claims(session: Session) -> None:
    root = read_page(render_index(dict.fromkeys(session.tables, session)))
    _, ((row),) = grid_of(root.named("overview")[0])
    words = [v.verdict for v in session.verdicts.values()]
    claims = [c.result for c in session.claims["toy/odd"]]
    counted = [claims.count(w) for w in ("holds", "fails", "undecided", "not tested")]
    published = sum(c.target.value is not None for c in session.cells.values())
    wanted = [2, published, words.count("reproduced"), len(claims), *counted]
    assert [c.text for c in row] == ["toy/odd", *map(str, wanted)]
    lines = {r[0].text: [c.text for c in r] for t in root.named("index") for r in grid_of(t)[1]}
    assert lines["toy.t3"][4:] == ["targets only", ""]
    assert lines["toy.t1"][4].startswith(f"scale {session.scale}: ")


def test_an_unknown_table_is_named(session: Session) -> None:
    with pytest.raises(UserError, match=r"unknown table 'toy\.t9'"):
        render_html(session, "toy.t9")


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_pages_without_a_complaint(
    tmp_path: Path, pages: dict[str, str], width: int, scheme: str
) -> None:
    browser = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
    heard, asked = [], []
    with browser.sync_playwright() as tool:
        chromium = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for name in pages:
            page.goto((tmp_path / f"{name}.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        page.fill("#filter", "only printed")
        assert page.inner_text("#filter-said") == "1 of 2 tables"
        assert page.locator(".index tbody tr:visible").count() == 1
        chromium.close()
    assert heard == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_in_both_schemes(pages: dict[str, str]) -> None:
    schemes = re.findall(r":root \{(.*?)\}", pages["toy.t3"], re.DOTALL)
    for scheme in schemes[:2]:  # the third is for paper
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for ground in ("paper", "band"):
            for text in ("ink", "dim", "link", "good", "bad", "open"):
                assert _contrast(colours[text], colours[ground]) >= 4.5, text
        for mark in ("line", "c1", "c2", "c3", "c4", "c5", "c6"):
            assert _contrast(colours[mark], colours["paper"]) >= 3, mark
