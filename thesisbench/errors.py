"""Errors that are the user's to mend: one clear line, exit code 2, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input; the message names the thing, the valid choices and what to do.

    Attributes:
        code: exit code of the command line (2 unless nothing was wrong with the input itself).
    """

    code = 2


class SpecError(UserError):
    """A chapter, table or claims file that does not say what a spec may say."""


class CorruptFileError(UserError):
    """A file of the runs folder that cannot be read; it is set aside, the rest goes on."""

    code = 1


class StorageError(UserError):
    """A folder that cannot be read or written: full, gone or not ours to use."""


def nearest(name: str, choices: Iterable[str], n: int = 3) -> list[str]:
    """The choices closest to a mistyped name, best first.

    >>> nearest("kayhan.t21", ["kayhan.t2.1", "liu.t5.4"])
    ['kayhan.t2.1']
    """
    return difflib.get_close_matches(name, sorted(choices), n=n, cutoff=0.5)


def unknown(kind: str, name: str, choices: Iterable[str], hint: str = "") -> str:
    """One line for an unknown name: the nearest choices, or all of them when they are few.

    >>> unknown("scale", "big", ["smoke", "small", "paper"])
    "unknown scale 'big'; valid: paper, small, smoke"
    """
    names = sorted(choices)
    close = nearest(name, names)
    if len(names) <= 12:
        listed = f"; valid: {', '.join(names)}" if names else "; there are none"
    else:
        listed = f"; nearest: {', '.join(close)}" if close else f"; there are {len(names)}"
    return f"unknown {kind} {name!r}{listed}{f'; {hint}' if hint else ''}"
