"""Downloads and unpacks; a file or folder appears whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from thesisbench.data.files.resume import fetch_rest, locked, partial_of
from thesisbench.errors import UserError
from thesisbench.store.files import plain_errors

_BROKEN = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


class FetchError(UserError):
    """Something that could not be downloaded; other things may still be."""

    code = 1


def digest_of(path: Path, kind: str) -> str:
    """Checksum of a file in hex digits; `kind` is md5 or sha256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def fits(path: Path, checksum: str) -> bool:
    """Whether a file has a checksum, given as `md5:...` or `sha256:...`, which may be cut short."""
    kind, _, wanted = checksum.partition(":")
    return digest_of(path, kind).startswith(wanted)


def download(urls: Sequence[str], path: Path, checksum: str | None = None) -> None:
    """Puts a file in its place, from the first address that has it, unless it is there.

    A download that was cut off goes on where it was, if the checksum is known.

    Args:
        urls: addresses, tried in order.
        path: where it is to be; its folder is made.
        checksum: that it must have, as for `fits`.

    Raises:
        FetchError: no address can be reached or has the file, or it has another checksum.
    """
    if path.exists():
        if checksum is not None and not fits(path, checksum):
            raise FetchError(f"{path} is broken: its checksum is not {checksum}; delete it")
        return
    new = [p for p in path.parents if not p.exists()]
    with plain_errors("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            _download_one(url, path, checksum)
            return
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            failures.append(f"{url}: {' '.join(str(error).split())}")
    with contextlib.suppress(OSError):
        for folder in new:
            folder.rmdir()
    tried = "; ".join(failures)
    raise FetchError(f"cannot download {path.name} ({tried}); try again, or put it at {path}")


def _download_one(url: str, path: Path, checksum: str | None) -> None:
    partial, again = partial_of(path), checksum is not None
    with locked(partial, keep=again) as file:
        try:
            fetch_rest(url, file)
            if checksum is not None and not fits(partial, checksum):
                again = False
                raise RuntimeError(f"the download does not have the checksum {checksum}")
            partial.replace(path)
        finally:
            if partial.exists() and not (again and partial.stat().st_size):
                partial.unlink()


@contextlib.contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its name when the block ends without an error."""
    partial = folder.with_name(f".{folder.name}.partial")
    with plain_errors("write", folder):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def unpack(archive: Path, folder: Path, *, inside: str = "") -> None:
    """Unpacks a tar or zip archive; the folder is there with all of it, or not at all.

    Args:
        archive: its file.
        folder: that is made, and must not be there.
        inside: folder of the archive that becomes `folder`; all of it when empty.

    Raises:
        FetchError: the archive is broken or has no such folder.
    """
    with made_whole(folder) as partial:
        everything = partial / ".all"
        _extract(archive, everything)
        if not (everything / inside).is_dir():
            raise FetchError(f"{archive} has no folder {inside}; fetch it anew")
        for path in sorted((everything / inside).iterdir()):
            path.rename(partial / path.name)
        shutil.rmtree(everything)


def _extract(archive: Path, folder: Path) -> None:
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
    except _BROKEN as error:
        reason = " ".join(str(error).split())
        raise FetchError(f"cannot unpack {archive}: {reason}; fetch it anew") from error
