"""What the server that forks children changes in itself; only that server imports this module.

A launcher can be killed between asking for a child and saying what it is to run. Such a child has
nothing to do, and nobody is left to tell: it ends without a word, where Python would print a
traceback into the terminal of a program that is gone.
"""

from __future__ import annotations

import pickle
import sys
from multiprocessing import spawn
from types import TracebackType

_told_otherwise = sys.excepthook


def _quiet_without_orders(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not (isinstance(error, (EOFError, pickle.UnpicklingError)) and _was_reading(trace)):
        _told_otherwise(kind, error, trace)


def _was_reading(trace: TracebackType | None) -> bool:
    """Whether the error comes from reading what a child is to run, not from running it."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename == spawn.__file__


sys.excepthook = _quiet_without_orders
