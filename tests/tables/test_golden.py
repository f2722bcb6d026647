"""A table with every oddity in every form, byte for byte.

THESISBENCH_RENEW_GOLDEN=1 writes the files anew; read each of them before it is committed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from odd_table import fill, open_session, with_plain_ids, write_chapter
from rich.console import Console

from thesisbench.store.files import format_json
from thesisbench.tables.render.as_csv import render_csv
from thesisbench.tables.render.as_json import table_json
from thesisbench.tables.render.html import render_html
from thesisbench.tables.render.latex import render_latex
from thesisbench.tables.render.markdown import render_markdown
from thesisbench.tables.render.terminal import render_terminal
from thesisbench.tables.session import Session

GOLDEN = Path(__file__).with_name("golden")
RENEW = "THESISBENCH_RENEW_GOLDEN"
TABLE = "toy.t1"


def terminal(session: Session) -> str:
    stream = io.StringIO()
    render_terminal(session, TABLE, Console(file=stream, width=120))
    return stream.getvalue()


FORMS: dict[str, Callable[[Session], str]] = {
    "txt": terminal,
    "md": lambda session: render_markdown(session, TABLE),
    "json": lambda session: format_json(table_json(session, TABLE)),
    "tex": lambda session: render_latex(session, TABLE),
    "csv": lambda session: render_csv([(session, TABLE)]),
    "html": lambda session: render_html(session, TABLE),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "scale"), [("odd", "small"), ("odd_paper", "paper")])
def test_golden(form: str, name: str, scale: str, tmp_path: Path) -> None:
    write_chapter(tmp_path)
    session = open_session(tmp_path, scale=scale)
    fill(session)
    shown = with_plain_ids(session, FORMS[form](session))
    text = shown.replace(str(tmp_path), "/folder").encode()
    path = GOLDEN / f"{name}.{form}"
    if os.environ.get(RENEW):
        path.write_bytes(text)
    assert text == path.read_bytes()
