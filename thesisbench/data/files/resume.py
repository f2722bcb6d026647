"""Downloads that go on where they were cut off.

What has come so far stays in a hidden file beside the place of the whole one. It is used again
only where a checksum is known, since a server may have another file under the same address by
then; a mixture is noticed by its checksum and thrown away.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

BLOCK = 1 << 20
SILENCE = 60.0  # seconds without a byte after which a connection has ended
_PARTIAL, _PAST_THE_END = 206, 416  # of HTTP
_AGENT = {"User-Agent": "thesisbench"}


def partial_of(path: Path) -> Path:
    """Where the first bytes of a file that is being downloaded are."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def locked(partial: Path, *, keep: bool) -> Iterator[IO[bytes]]:
    """The file of what has come so far, for one process at a time; empty unless kept.

    Raises:
        RuntimeError: another process is downloading it.
    """
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), partial.stat()):
                raise BlockingIOError  # it has got its name since this one opened it
        except OSError:
            raise RuntimeError("another process is downloading it") from None
        if not keep:
            file.truncate(0)
        yield file


def fetch_rest(url: str, file: IO[bytes]) -> None:
    """Appends to a file what it lacks of what is at an address; shows how far it is.

    A server that cannot start in the middle sends all of it again.

    Raises:
        OSError: it cannot be reached, or the connection ended early.
    """
    have = file.seek(0, 2)
    headers = _AGENT | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=SILENCE
        )
    except urllib.error.HTTPError as error:
        if error.code == _PAST_THE_END and have:
            return  # all of it is here; the checksum tells
        raise
    with answer:
        if getattr(answer, "status", None) != _PARTIAL:
            file.truncate(0)
            have = 0
        _copy(answer, file, have)


def _copy(answer: Any, file: IO[bytes], have: int) -> None:
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    with _shown() as progress:
        task = progress.add_task("", total=total, completed=have)
        while block := answer.read(BLOCK):
            file.write(block)
            have += len(block)
            progress.update(task, completed=have)
    file.flush()
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have} of {total} bytes")


def _shown() -> Progress:
    """A bar on a terminal, nothing elsewhere."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
