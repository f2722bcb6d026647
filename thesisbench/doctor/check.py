"""One line of `thesisbench doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "missing"]


@dataclass(frozen=True)
class Check:
    """What was found out about one thing.

    Attributes:
        name: of the thing. state: ok, warn (it works, but not all of it) or missing.
        text: what is there. todo: what to do, where something is to be done.
        essential: without it nothing can be run.
    """

    name: str
    state: State
    text: str
    todo: str = ""
    essential: bool = False

    @property
    def breaks(self) -> bool:
        """Whether nothing can be run because of it."""
        return self.essential and self.state == "missing"

    @property
    def line(self) -> str:
        """The check for people."""
        return f"{self.state:7} {self.name}: {self.text}{f'; {self.todo}' if self.todo else ''}"
