"""Looks at many files at once, with a bar where somebody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def problems_of(look: Callable[[T], list[str]], items: Sequence[T], title: str) -> list[str]:
    """What is wrong with some files, in their order.

    Args:
        look: what is wrong with one of them, in lines; it is called in threads.
        items: all of them.
        title: of the bar.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        shown = track(
            pool.map(look, items),
            title,
            total=len(items),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        return [line for lines in shown for line in lines]
