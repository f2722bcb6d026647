"""The command that shows tables from whatever records exist, in any form, on screen or in files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thesisbench.errors import UserError, unknown
from thesisbench.store.files import format_json, plain_errors, write_text
from thesisbench.tables.model import SCALES

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.tables.session import Session

AUTO = "auto"
SUFFIXES = {
    "terminal": ".txt",
    "md": ".md",
    "tex": ".tex",
    "csv": ".csv",
    "html": ".html",
    "json": ".json",
}
FORMATS = tuple(SUFFIXES)
HTML_FOLDER = Path("reports/html")
TEXT_WIDTH = 100  # characters of a line, where a terminal's form is written to a file
MANY = 5  # tables from which on a bar shows how far it is


def check_format(form: str) -> str:
    """The name of a form, if it is one.

    Raises:
        UserError: it is none.
    """
    if form not in FORMATS:
        raise UserError(unknown("format", form, FORMATS))
    return form


def check_scale(name: str) -> str:
    """The name of a scale, or "auto".

    Raises:
        UserError: it is neither.
    """
    if name not in (AUTO, *SCALES):
        raise UserError(unknown("scale", name, (AUTO, *SCALES)))
    return name


@dataclass
class Report:
    """Tables to be shown, each at a scale.

    Attributes:
        base: a session with all the tables; every other one is made from it.
        scale: smoke, small or paper, or "auto": for each table the largest scale that has records,
            small where none has.
    """

    base: Session
    scale: str
    _sessions: dict[tuple[str, tuple[str, ...]], Session] = field(default_factory=dict)

    @cached_property
    def shown(self) -> dict[str, Session]:
        """Table id -> the session it is shown from; tables of a scale share one."""
        by_scale: dict[str, list[str]] = {}
        for table in self.base.tables:
            by_scale.setdefault(self._scale_of(table), []).append(table)
        owner = {
            table: self._at(scale, tables) for scale, tables in by_scale.items() for table in tables
        }
        return {table: owner[table] for table in self.base.tables}

    def judge(self) -> None:
        """Reads and judges everything, so that what is wrong comes up before a file is written."""
        for session in {id(s): s for s in self.shown.values()}.values():
            _ = session.verdicts, session.claims

    def scales_with_records(self, table: str) -> list[str]:
        """Scales at which a record of a table exists, the largest first."""
        if table not in self.base.built:
            return []
        return [scale for scale in reversed(SCALES) if self._has_records(table, scale)]

    def other_scales(self, table: str) -> tuple[str, ...]:
        """Further scales at which a record of a table exists."""
        shown = self.shown[table].scale
        return tuple(scale for scale in self.scales_with_records(table) if scale != shown)

    def _scale_of(self, table: str) -> str:
        if self.scale != AUTO:
            return self.scale
        return next(iter(self.scales_with_records(table)), "small")

    def _has_records(self, table: str, scale: str) -> bool:
        """A file of accepted records is there, or the runs folder has one of the planned runs.

        Accepted records say nothing of what the user has overridden.
        """
        folder = self.base.catalog.tables[table]
        key = self.base.catalog.table(table).key
        if not self.base.overrides and (folder.results(scale) / f"{key}.json").exists():
            return True
        done = {i for i, run in self.base.summaries.items() if run.chapter == folder.slug}
        if not done:
            return False
        session = self._at(scale, [table])
        try:
            wanted = set(session.plan.runs)
        except UserError:
            return False  # it is not built at that scale
        changed = wanted & session.plan.overridden
        return any(session.states[i] in ("done", "diverged") for i in (changed or wanted) & done)

    def _at(self, scale: str, tables: Sequence[str]) -> Session:
        """The session with these tables at a scale, made once."""
        if (scale, tuple(tables)) == (self.base.scale, self.base.tables):
            return self.base
        key = (scale, tuple(tables))
        if key not in self._sessions:
            made = self.base.of(tables, scale=scale)
            made.__dict__["summaries"] = self.base.summaries  # the runs folder is read once
            self._sessions[key] = made
        return self._sessions[key]


def print_report(report: Report, form: str, console: Console) -> None:
    """Puts all tables of a report on standard output.

    Args:
        report: what to show.
        form: terminal, md, tex, csv or json.
        console: standard output.
    """
    pairs = [(session, table) for table, session in report.shown.items()]
    if form == "terminal":
        from thesisbench.tables.render.terminal import render_terminal

        for session, table in pairs:
            render_terminal(session, table, console)
    else:
        console.file.write(_together(pairs, form))


def write_report(report: Report, form: str, out: Path, progress: Console) -> Iterator[Path]:
    """Writes a file a table, and for html an index of them; yields each path when it is there.

    Args:
        report: what to show.
        form: one of `FORMATS`.
        out: folder, made if need be.
        progress: told how far it is, where the tables are many.

    Raises:
        UserError: the folder cannot be written to.
    """
    report.judge()
    make_folder(out)
    for table, session in _with_bar(report.shown, progress):
        text = _page(report, session, table) if form == "html" else _text(session, table, form)
        path = out / f"{table}{SUFFIXES[form]}"
        if form == "md":
            text += _picture(session, table, out)
        write_text(path, text, durable=False)
        yield path
    if form == "html":
        from thesisbench.tables.render.html_index import render_index

        write_text(out / "index.html", render_index(report.shown), durable=False)
        yield out / "index.html"


def write_table(session: Session, table: str, out: Path) -> list[Path]:
    """Writes the Markdown, JSON and HTML report of one table, as `<table>.<scale>.md` and so on.

    Raises:
        UserError: the folder cannot be written to.
    """
    make_folder(out)
    written = []
    for form in ("md", "json", "html"):
        path = out / f"{table}.{session.scale}{SUFFIXES[form]}"
        write_text(path, _text(session, table, form))
        written.append(path)
    return written


def make_folder(out: Path) -> None:
    """Makes the folder of reports.

    Raises:
        UserError: it cannot be made.
    """
    with plain_errors("write reports to", out):
        out.mkdir(parents=True, exist_ok=True)


def _together(pairs: Sequence[tuple[Session, str]], form: str) -> str:
    """All tables as one text."""
    if form == "json":
        from thesisbench.tables.render.as_json import table_json

        return format_json({"tables": [table_json(*pair) for pair in pairs]})
    if form == "csv":
        from thesisbench.tables.render.as_csv import render_csv

        return render_csv(pairs)
    if form == "tex":
        from thesisbench.tables.render.latex import latex_document, render_latex

        return latex_document([render_latex(*pair) for pair in pairs])
    return "\n".join(_text(*pair, form) for pair in pairs)


def _text(session: Session, table: str, form: str) -> str:
    """One table as the content of a file; LaTeX as a fragment to be put into a document."""
    makers: Mapping[str, Callable[[Session, str], str]] = {
        "terminal": _plain,
        "md": _markdown,
        "tex": _latex,
        "html": _html,
        "json": _json,
    }
    return makers[form](session, table) if form in makers else _together([(session, table)], form)


def _plain(session: Session, table: str) -> str:
    from rich.console import Console

    from thesisbench.tables.render.terminal import render_terminal

    stream = io.StringIO()
    render_terminal(session, table, Console(file=stream, width=TEXT_WIDTH, color_system=None))
    return stream.getvalue()


def _markdown(session: Session, table: str) -> str:
    from thesisbench.tables.render.markdown import render_markdown

    return render_markdown(session, table)


def _json(session: Session, table: str) -> str:
    from thesisbench.tables.render.as_json import table_json

    return format_json(table_json(session, table))


def _latex(session: Session, table: str) -> str:
    from thesisbench.tables.render.latex import render_latex

    return render_latex(session, table)


def _html(session: Session, table: str) -> str:
    from thesisbench.tables.render.html import render_html

    return render_html(session, table)


def _page(report: Report, session: Session, table: str) -> str:
    """The page of a table, tied to the others."""
    from thesisbench.tables.render.html import Links, render_html

    links = Links(tuple(report.shown), report.other_scales(table))
    return render_html(session, table, links)


def _picture(session: Session, table: str, out: Path) -> str:
    """Draws the figure of a table beside its Markdown file, and returns the lines that show it."""
    from thesisbench.tables.render.markdown import escape
    from thesisbench.tables.render.plot import draw

    drawing = draw(session, table)
    if drawing is None:
        return ""
    write_text(out / f"{table}.svg", drawing.file, durable=False)
    return f"\n![Plot of {escape(table)}]({table}.svg)\n\n{escape(drawing.caption)}\n"


def _with_bar(shown: Mapping[str, Session], console: Console) -> Iterator[tuple[str, Session]]:
    """The tables, one after the other, with a bar where they are many."""
    from rich.progress import Progress

    quiet = not console.is_terminal or len(shown) < MANY
    with Progress(console=console, transient=True, disable=quiet) as bar:
        task: Any = bar.add_task("tables", total=len(shown))
        for pair in shown.items():
            yield pair
            bar.advance(task)
