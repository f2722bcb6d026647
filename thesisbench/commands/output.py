"""What commands print: tables, JSON, problems of the runs folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thesisbench.selectors import Selected


def show(selected: Selected, console: Any, as_json: bool) -> None:
    """Prints tables, on the console or as JSON."""
    session = selected.session
    if as_json:
        from thesisbench.tables.render.as_json import table_json

        put({"tables": [table_json(session, table) for table in session.tables]})
        return
    from thesisbench.tables.render.terminal import render_terminal

    for table in session.tables:
        render_terminal(session, table, console)


def problems(selected: Selected) -> int:
    """Names the files that could not be read; the exit code that follows."""
    for problem in selected.session.store.problems:
        print(problem, file=sys.stderr)
    return 1 if selected.session.store.problems else 0


def put(data: Any) -> None:
    """Prints data as JSON."""
    from thesisbench.store.files import format_json

    sys.stdout.write(format_json(data))


def console(*, stderr: bool) -> Any:
    """A console of rich."""
    from rich.console import Console

    return Console(stderr=stderr)
