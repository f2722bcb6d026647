"""Keys, tokens and passwords: kept out of everything that is written.

A configuration that holds one is refused, since it would go into configurations, records and
reports. In what a run says (state, log, record) it is replaced by `***`, so that an error that
quotes one does no harm. What counts: the values of variables that are named like a secret,
passwords in addresses, and tokens that are known by their form.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from thesisbench.errors import UserError

MASK = "***"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LEAST = 8  # characters; shorter values are words, such as "true", that occur anywhere
SHORTEST_TOKEN = 10  # characters; "://a:b@" and something before and after

_NAMES = re.compile(
    r"passw(or)?d|(^|_)(api_?key|key|token|secret|passphrase|pat|credentials?|auth)(_|$)", re.I
)
_ENTRY = re.compile(
    r"\b(?:(?:api|access|secret|private)_?key|(?:access|auth|api|hf)_?token|passw(?:or)?d"
    r"|client_?secret)\b",
    re.I,
)
_ADDRESS = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{1,15}://)[^\s/@:]{0,200}:[^\s/@]{1,500}(?=@)", re.I
)
_TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{24,}|gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}"
    r"|sk-[A-Za-z0-9_-]{24,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|xox[abprs]-[\w-]{20,}"
    r"|wandb_v1_\w{20,})"
)


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that hold a secret, by their names; a path to a file that is there is none."""
    return {
        name: value
        for name, value in environment.items()
        if _NAMES.search(name) and len(value) >= LEAST and not _is_path(value)
    }


def masked(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text without secrets.

    Args:
        text: any.
        environment: variables, by default those of this process.

    >>> masked("https://me:mine@host/repo", {})
    'https://***@host/repo'
    """
    return _masked(text, _values(os.environ if environment is None else environment))


def masked_data(value: Any) -> Any:
    """Plain data with all texts in it masked, keys included."""
    values = _values(os.environ)

    def mask(part: Any) -> Any:
        if isinstance(part, str):
            return _masked(part, values)
        if isinstance(part, Mapping):
            return {mask(key): mask(item) for key, item in part.items()}
        return [mask(item) for item in part] if isinstance(part, list | tuple) else part

    return mask(value)


def refuse_secrets(config: Mapping[str, Any], what: str, text: str = "") -> None:
    """Refuses a configuration that holds a secret.

    Args:
        config: plain data.
        what: named in the message, such as the id of a run.
        text: the same as it is about to be written; where that is clean, nothing more is looked at.

    Raises:
        UserError: naming the key, never the value.
    """
    if text and masked(text) == text and not _ENTRY.search(text):
        return
    known = secrets_of(os.environ)
    for key, value in _texts(config, ""):
        named = next((name for name, secret in known.items() if secret in value), None)
        if named is not None:
            found = f"the value of the variable {named}"
        elif _masked(value, ()) != value or _names_one(key, value):
            found = "a key, token or password"
        else:
            continue
        raise UserError(
            f"{what}: {key} holds {found}, and configurations are written into records; "
            "leave it out and let the code read a variable of the environment itself"
        )


def refuse_secret_words(words: Iterable[str]) -> None:
    """Refuses overrides on the command line that hold a secret.

    Raises:
        UserError: naming the key, never the value.
    """
    for word in words:
        key, _, value = word.partition("=")
        refuse_secrets({key.lstrip("+~"): value}, "override")


class MaskedStream:
    """A text stream that masks what is written; all else is that of the stream inside."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text without the secrets in it; a full disk loses it, which does no harm."""
        try:
            self._stream.write(masked(text))
        except OSError as error:
            if error.errno not in FULL:
                raise
        return len(text)

    def flush(self) -> None:
        """Flushes; see `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            if error.errno not in FULL:
                raise

    def writelines(self, lines: Any) -> None:
        """Writes several."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def masked_output() -> Iterator[None]:
    """Masks what is printed meanwhile, as far as that goes through `sys.stdout`, `sys.stderr`."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, MaskedStream(stream)) for stream in (out, err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def _masked(text: str, values: Iterable[str]) -> str:
    for value in values:
        text = text.replace(value, MASK)
    if len(text) < SHORTEST_TOKEN:
        return text
    return _TOKENS.sub(MASK, _ADDRESS.sub(rf"\g<before>{MASK}", text))


def _values(environment: Mapping[str, str]) -> list[str]:
    """The secrets of an environment, the longest first: one may begin with another."""
    return sorted(secrets_of(environment).values(), key=len, reverse=True)


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text in plain data, with the path of keys that leads to it; keys are texts too."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield key or "a key", str(name)
            yield from _texts(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, f"{key}[{index}]")


def _names_one(key: str, value: str) -> bool:
    """Whether an entry says by its name that it holds a secret."""
    return bool(_ENTRY.fullmatch(key.rpartition(".")[2])) and len(value) >= LEAST


def _is_path(value: str) -> bool:
    try:
        return "/" in value and Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False
