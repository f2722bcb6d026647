"""A disk that has no room for some files, put between Python and the system."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

Open = Callable[..., Any]


@dataclass(frozen=True)
class FullDisk:
    """Writing a file fails as on a full disk, when some of it is written already.

    Attributes:
        pattern: files that it is about; `*` also stands for `/`.
        room: bytes of a file that still fit.
        spared: so many of these files are written all the same.
    """

    pattern: str
    room: int = 0
    spared: int = 0

    def arm(self) -> None:
        """From now on, for good; for a child that is about to end."""
        io.open = builtins.open = self._instead_of(io.open)  # type: ignore[assignment]

    @contextmanager
    def armed(self) -> Iterator[None]:
        """For a while."""
        before = io.open, builtins.open
        self.arm()
        try:
            yield
        finally:
            io.open, builtins.open = before

    def _instead_of(self, real: Open) -> Open:
        left = [self.spared]

        def opened(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            writes = set(mode) & set("wxa+") and not isinstance(file, int)
            if not writes or not fnmatch(os.fspath(file), self.pattern):
                return real(file, mode, *arguments, **named)
            if left[0]:
                left[0] -= 1
                return real(file, mode, *arguments, **named)
            binary = Full(io.FileIO(file, mode.replace("b", "").replace("t", "")), self.room)
            return binary if "b" in mode else io.TextIOWrapper(binary, write_through=True)

        return opened


class Full(io.BufferedWriter):
    """A file that fits up to a length."""

    def __init__(self, raw: io.FileIO, room: int) -> None:
        super().__init__(raw)
        self.room = room

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size > self.room:
            super().write(bytes(data)[: self.room])
            self.room = 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= size
        return super().write(data)
