"""What the server that forks children changes in itself; only that server imports this module.

A launcher can be killed while it asks for a child: before it has handed the server the pipes to
talk through, or between that and saying what the child is to run. The server, or the child, has
nothing to do then, and nobody is left to tell: it ends without a word, where Python would print a
traceback into the terminal of a program that is gone.
"""

from __future__ import annotations

import pickle
import sys
from multiprocessing import forkserver, reduction, spawn
from traceback import walk_tb
from types import TracebackType

_told_otherwise = sys.excepthook


def _quiet_without_orders(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not (isinstance(error, (EOFError, pickle.UnpicklingError)) and _was_reading(trace)):
        _told_otherwise(kind, error, trace)


def _was_reading(trace: TracebackType | None) -> bool:
    """Whether the error comes from reading what is to be run, not from running it."""
    files = [frame.f_code.co_filename for frame, _ in walk_tb(trace)]
    of_child = files[-1:] == [spawn.__file__]
    of_server = files[-2:] == [forkserver.__file__, reduction.__file__]
    return of_child or of_server


sys.excepthook = _quiet_without_orders
