"""Whether the disk is to blame: full, read-only, broken, or the folder on it gone."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from thesisbench.errors import StorageError
from thesisbench.store.files import in_words, plain_errors, temporary_path

PROBE_BYTES = 2**16

_OF_THE_DISK = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS),
    *(errno.EIO, errno.ESTALE, errno.ENOTCONN),
)


def disk_fault(error: BaseException, folder: Path) -> str | None:
    """What is wrong with the disk, in one line, where that is what an error comes from.

    Args:
        error: any error; one that was raised from another is followed.
        folder: named where the error names no file; also a fault is that it is gone.
    """
    try:
        folder.stat()
    except OSError as gone:
        return in_words("read", folder, gone)
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, StorageError):
            return str(seen)
        if isinstance(seen, OSError) and seen.errno in _OF_THE_DISK:
            return in_words("write", Path(seen.filename or folder), seen)
        seen = seen.__cause__
    return None


def check_writable(folder: Path) -> None:
    """Writes a small file into a folder and removes it.

    Raises:
        StorageError: that cannot be done.
    """
    probe = temporary_path(folder)
    with plain_errors("write to", folder):
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
