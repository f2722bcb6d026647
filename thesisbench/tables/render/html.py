"""A table as a page of its own: everything is in the file, and nothing is fetched.

Text from specs and records is escaped by the templates; what is inserted as it is (style sheet,
script, plot) is ours.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thesisbench.tables.render.layout import lay_out
from thesisbench.tables.render.pictures import pictures_of
from thesisbench.tables.render.provenance import provenance_of

if TYPE_CHECKING:
    from thesisbench.tables.render.view import TableView
    from thesisbench.tables.session import Session

SIGNS = {
    "reproduced": "✓",
    "better": "▲",
    "worse": "▼",
    "undecided": "?",
    "not comparable": "–",
    "missing": "○",
    "failed": "✗",
    "holds": "✓",
    "fails": "✗",
    "not tested": "–",
}


@dataclass(frozen=True)
class Links:
    """How a page is tied to others made with it.

    Attributes:
        pages: ids of all tables that have a page, in order; empty for a page on its own.
        other_scales: scales at which this table has records too.
    """

    pages: tuple[str, ...] = ()
    other_scales: tuple[str, ...] = ()

    def beside(self, table: str, step: int) -> str:
        """The page before (-1) or after (1) that of a table; empty where there is none."""
        if table not in self.pages:
            return ""
        at = self.pages.index(table) + step
        return self.pages[at] if 0 <= at < len(self.pages) else ""


@dataclass(frozen=True)
class Head:
    """A header cell over one or more columns of the page's table."""

    text: str
    span: int
    scope: str


def render_html(session: Session, table_id: str, links: Links | None = None) -> str:
    """The page of a table.

    Args:
        session: that has the table.
        table_id: of the table.
        links: to other pages; None for a page on its own.

    Raises:
        UserError: no such table.
    """
    from thesisbench.tables.render.plot import draw

    view, links = lay_out(session, table_id), links or Links()
    alone = session.of((table_id,))
    return page(
        "table.html",
        view=view,
        links=links,
        heads=_heads(view),
        plot=draw(session, table_id),
        pictures=pictures_of(session, table_id),
        provenance=provenance_of(session, table_id),
        reproduce=None if view.targets_only else alone.command("reproduce"),
        at_scale=lambda scale: shlex.join(
            ["thesisbench", "report", table_id, "--scale", scale, "--format", "html"]
        ),
    )


def page(template: str, **values: Any) -> str:
    """A filled template; it may name style sheet, script and signs."""
    script = _file("filter.js") if template == "index.html" else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shared = {
        "style": _file("style.css"),
        "script": script,
        "script_source": f"'sha256-{digest}'" if script else "'none'",
        "signs": SIGNS,
    }
    text: str = _environment().get_template(template).render(**shared, **values)
    return text


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("thesisbench.tables.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment


def _unbroken(text: str) -> str:
    """A number that keeps its spread and n on its line."""
    return text.replace(" ± ", "\u00a0±\u00a0").replace(" (n=", "\u00a0(n=")


@cache
def _file(name: str) -> str:
    return (Path(__file__).with_name("templates") / name).read_text(encoding="utf-8")


def _heads(view: TableView) -> list[Sequence[Head]]:
    """The header rows of the table: groups, columns, and what each column is split into."""
    parts = 1 if view.targets_only else 2
    rows: list[Sequence[Head]] = []
    if view.groups:
        rows.append([Head(text, n * parts, "colgroup") for text, n in view.groups])
    scope = "col" if parts == 1 else "colgroup"
    rows.append([Head(name, parts, scope) for name in view.columns])
    if parts == 2:
        rows.append([Head(t, 1, "col") for _ in view.columns for t in ("published", "ours")])
    return rows


def count_words(words: Sequence[str], order: Mapping[str, str] = SIGNS) -> list[tuple[str, int]]:
    """How often each verdict occurs, in the order of the signs; absent ones are left out.

    >>> count_words(["missing", "reproduced", "missing"])
    [('reproduced', 1), ('missing', 2)]
    """
    return [(word, words.count(word)) for word in order if word in words]
