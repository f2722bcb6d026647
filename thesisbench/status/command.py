"""`thesisbench status`: how far tables, or all runs of the runs folder, are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from thesisbench.errors import UserError, unknown
from thesisbench.status.gather import of_folder, of_tables
from thesisbench.status.look import LookingStore
from thesisbench.status.model import Overview

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.tables.session import Session

SCALES = ("smoke", "small", "paper")
DAMAGED = 1


def show_status(
    session: Session | None, scale: str | None, console: Console, *, as_json: bool, watch: bool
) -> int:
    """Says or watches how far runs are; returns the exit code.

    Args:
        session: the tables; None for all that is in the runs folder.
        scale: then, only runs of this one.
        console: to print on.
        as_json: for machines.
        watch: until it is interrupted.

    Raises:
        UserError: options that do not go together, or a folder that cannot be read.
    """
    if watch and as_json:
        raise UserError("--watch and --json do not go together: --json says it once, for machines")
    store = LookingStore()
    look = _looker(session, scale, store)
    if watch:
        from thesisbench.status.watch import watch as go

        go(look, store.root, console)
        return 0
    found = look()
    if as_json:
        from thesisbench.commands.output import put

        put(found.as_json())
    else:
        from thesisbench.status.view import View

        console.print(View(found), crop=False)
    return DAMAGED if found.problems else 0


def _looker(
    session: Session | None, scale: str | None, store: LookingStore
) -> Callable[[], Overview]:
    if session is not None:
        session.store = store
        return lambda: of_tables(session, store)
    if scale is not None and scale not in SCALES:
        raise UserError(unknown("scale", scale, SCALES))
    return lambda: of_folder(store, scale)
