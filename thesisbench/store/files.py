"""Files that are either complete or not there, whoever is killed while writing them.

A writer fills a temporary file in the same folder and then renames it (`write_text`, the last one
wins) or links it (`publish`, the first one wins). Temporary files name the process that writes
them, so what a killed one left behind can be told from what a live one is about to use (`litter`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from thesisbench.errors import CorruptFileError, StorageError
from thesisbench.store.owner import Process

TEMPORARY = ".tmp-"

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space or choose another folder"),
    errno.EFBIG: ("the file is too large for the disk or a limit", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space or choose another folder"),
    errno.EACCES: ("permission denied", "choose a folder that you may write to"),
    errno.EPERM: ("not permitted", "choose a folder on a file system with hard links"),
    errno.ENOTSUP: ("not supported", "choose a folder on a file system with hard links"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.EIO: ("the disk does not answer as it should", "look at the disk"),
    errno.ESTALE: ("its file system is gone", "mount it again"),
    errno.ENOTCONN: ("its file system is gone", "mount it again"),
    errno.ENOENT: ("the folder does not exist or has vanished", "create it or choose another"),
    errno.ENOTDIR: ("a file is where a folder should be", "move it away or choose another folder"),
    errno.EEXIST: ("a file is where a folder should be", "move it away or choose another folder"),
    errno.EISDIR: ("a folder is where a file should be", "move it away"),
}


@contextlib.contextmanager
def plain_errors(
    action: str, path: Path, *, passing: tuple[type[OSError], ...] = ()
) -> Iterator[None]:
    """Turns errors of the file system into one line for the user.

    Args:
        action: what was tried, for example "write".
        path: the file or folder it was tried on.
        passing: errors that the caller deals with, left as they are.

    Raises:
        StorageError: naming the action, the path, the reason and what to do.
    """
    try:
        yield
    except passing:
        raise
    except OSError as error:
        raise StorageError(in_words(action, path, error)) from error


def in_words(action: str, path: Path, error: OSError) -> str:
    """One line on an error of the file system; see `plain_errors`."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
    return f"cannot {action} {path}: {reason}{f'; {hint}' if hint else ''}"


def make_below(folder: Path, wanted: Path) -> None:
    """Makes a folder inside one that is there; a runs folder that has vanished is not made anew.

    Args:
        folder: that is there.
        wanted: the one below it.

    Raises:
        StorageError: the folder is gone, or cannot be written to.
    """
    parts = wanted.relative_to(folder).parts
    with plain_errors("make", wanted):
        for depth in range(len(parts)):
            folder.joinpath(*parts[: depth + 1]).mkdir(exist_ok=True)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends without an error.

    Raises:
        StorageError: when the folder cannot be written to; nothing is left behind then.
    """
    temporary = temporary_path(path.parent)
    try:
        with plain_errors("write", path):
            try:
                yield temporary
            except RuntimeError as error:  # what torch makes of a write that fails
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str | bytes, *, durable: bool = True) -> None:
    """Replaces a file by one with this text; readers see the old or the new one, never a part.

    Args:
        path: the file, in a folder that exists.
        text: its new content; text is written as UTF-8.
        durable: wait until it would survive a power failure.

    Raises:
        StorageError: when the folder cannot be written to.
    """
    with plain_errors("write", path), _complete_temporary(path, text, durable) as temporary:
        temporary.replace(path)
        _sync_folder(path.parent, durable)


def publish(path: Path, text: str, *, durable: bool = True) -> bool:
    """Creates a file with this text unless it exists; of several at once exactly one succeeds.

    Args:
        path: the file, in a folder that exists.
        text: its content, written as UTF-8.
        durable: wait until it would survive a power failure.

    Returns:
        Whether it was ours that was published.

    Raises:
        StorageError: when the folder cannot be written to.
    """
    with plain_errors("write", path), _complete_temporary(path, text, durable) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            # A network file system may repeat a request whose answer got lost: the link is ours.
            return temporary.stat().st_nlink == 2
        _sync_folder(path.parent, durable)
        return True


def format_json(value: Any) -> str:
    """JSON for files that people look at: sorted keys, one entry a line; NaN is a ValueError."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replaces a file by this value as JSON; see `write_text` and `format_json`."""
    write_text(path, format_json(value), durable=durable)


def canonical_json(value: Any) -> str:
    """The one spelling of a value, for digests: equal values give equal text.

    Keys are sorted, no blanks, ASCII only. Integral floats are written as integers, -0.0 as 0.

    Args:
        value: mappings with string keys, lists, tuples, strings, numbers, booleans and None.

    Raises:
        ValueError: naming the entry that is not finite, no plain data or has a key of another type.

    >>> canonical_json({"b": 1.0, "a": [-0.0, 1e-3]})
    '{"a":[0,0.001],"b":1}'
    """
    return json.dumps(_canonical(value, "value"), sort_keys=True, separators=(",", ":"))


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        FileNotFoundError: when there is no such file.
        CorruptFileError: when it does not hold JSON (NaN and infinities included).
        StorageError: when it cannot be read.
    """
    with plain_errors("read", path, passing=(FileNotFoundError,)):
        text = path.read_bytes()
    try:
        return json.loads(text.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} is corrupt: {error}") from error


def is_there(path: Path) -> bool:
    """Whether a file exists; StorageError when its folder may not be looked into."""
    with plain_errors("read", path):
        return path.exists()


def set_aside(path: Path) -> Path:
    """Renames a corrupt file to `<name>.corrupt-<n>` with the first free n, and returns that path.

    Raises:
        FileNotFoundError: when somebody else has moved it.
        StorageError: when the folder cannot be written to.
    """
    n = 1
    while (target := path.with_name(f"{path.name}.corrupt-{n}")).exists():
        n += 1
    with plain_errors("set aside", path, passing=(FileNotFoundError,)):
        return path.rename(target)


def temporary_path(folder: Path) -> Path:
    """A new name for a temporary file of this process in a folder."""
    me = Process.current()
    stamp = f"{me.boot or 'unknown'}-{me.namespace}-{me.pid}-{me.start}"
    return folder / f"{TEMPORARY}{stamp}-{uuid.uuid4().hex[:12]}"


@contextlib.contextmanager
def _complete_temporary(path: Path, text: str | bytes, durable: bool) -> Iterator[Path]:
    """A temporary file beside `path` that holds the whole text; gone afterwards."""
    temporary = temporary_path(path.parent)
    try:
        with temporary.open("xb") as file:
            file.write(text.encode() if isinstance(text, str) else text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _sync_folder(folder: Path, durable: bool) -> None:
    """Makes the entries of a folder survive a power failure, where the system can do that."""
    if not durable:
        return
    with contextlib.suppress(OSError):  # some systems cannot open or sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _canonical(value: Any, where: str) -> Any:
    """The value with its numbers in their one spelling; `where` names it in errors."""
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise ValueError(f"{where} has the key {key!r}: keys must be strings")
        return {key: _canonical(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if type(value) is float:
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: only finite numbers can be identified")
        return int(value) if value.is_integer() else value
    if value is None or type(value) in (bool, int, str):
        return value
    raise ValueError(f"{where} is a {type(value).__qualname__}: only plain data can be identified")


def _refuse_constant(name: str) -> Any:
    """Called for NaN and infinities, which are not JSON."""
    raise ValueError(f"{name} is not JSON")
