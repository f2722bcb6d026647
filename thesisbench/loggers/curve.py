"""Follows one metrics.jsonl: hands out every epoch once, however often the file is rewritten."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Curve:
    """What has been read of a metrics file.

    A resumed fit rewrites the file without the epochs it runs again, so it is read from its start
    whenever it has changed, and lines of epochs already handed out are passed over: a repeated
    epoch gives the same numbers.

    Attributes:
        path: metrics.jsonl. last: highest epoch handed out, -1 for none.
    """

    path: Path
    last: int = -1
    _seen: tuple[int, int, int] | None = None

    def new_lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Epoch and metrics of complete lines not handed out before, in order of the file.

        A last line without its end, or one that is not JSON, is left for the next time.
        """
        for line in self._changed_text().split("\n")[:-1]:
            entry = _entry(line)
            if entry is not None and entry[0] > self.last:
                self.last = entry[0]
                yield entry

    def _changed_text(self) -> str:
        """The text of the file if it is not the one read last time, else nothing."""
        try:
            with self.path.open("rb") as file:
                stat = _status(file.fileno())
                if stat == self._seen:
                    return ""
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        self._seen = stat
        return text


def _status(descriptor: int) -> tuple[int, int, int]:
    """Inode, size and time of change; taken before reading, so a later append is seen next time."""
    stat = os.fstat(descriptor)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _entry(line: str) -> tuple[int, dict[str, Any]] | None:
    """Epoch and values of a line; the optimiser's step is called `global_step`, W&B has its own."""
    try:
        values = json.loads(line)
        epoch = int(values["epoch"])
    except (ValueError, KeyError, TypeError):
        return None
    named = {("global_step" if key == "step" else key): value for key, value in values.items()}
    return epoch, named
