"""The error of a data file that cannot be used, which also survives the way out of a loader."""

from __future__ import annotations

from thesisbench.errors import UserError


class BadFileError(UserError):
    """A file that is missing or broken; the message names it in one line.

    A loader process hands an error on as its traceback in words: only the message is kept of it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition("BadFileError: ")[2].strip())
