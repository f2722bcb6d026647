"""The command `thesisbench doctor`: all checks, for people and for machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from thesisbench.doctor.check import Check
from thesisbench.doctor.devices import device_checks
from thesisbench.doctor.folders import folder_checks
from thesisbench.doctor.surroundings import surrounding_checks

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {"ok": "green", "warn": "yellow", "missing": "red"}


def all_checks() -> Iterator[Check]:
    """Every check; one that cannot be made is a line as well."""
    yield from _guarded("packages", _packages)
    yield from _guarded("devices", device_checks)
    yield from _guarded("folders", folder_checks)
    yield from _guarded("surroundings", lambda: surrounding_checks(os.environ))


def exit_code(checks: Sequence[Check]) -> int:
    """1 when something is missing without which nothing can be run."""
    return 1 if any(check.breaks for check in checks) else 0


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """The checks for machines."""
    return {"works": exit_code(checks) == 0, "checks": [asdict(check) for check in checks]}


def print_checks(checks: Sequence[Check], console: Console) -> None:
    """A line a check, and a last one with the sum."""
    from rich.text import Text

    for check in checks:
        line = Text(check.line)
        line.stylize(STYLES[check.state], 0, len(check.state))
        console.print(line, soft_wrap=True)
    broken = [check.name for check in checks if check.breaks]
    if broken:
        text = f"cannot work yet: {', '.join(broken)}"
    else:
        warned = sum(check.state != "ok" for check in checks)
        text = (
            f"can work; {warned} line{'' if warned == 1 else 's'} to look at"
            if warned
            else ("can work; nothing to do")
        )
    console.print(text, markup=False, highlight=False)


def _packages() -> Iterator[Check]:
    from thesisbench.doctor.packages import package_checks

    return package_checks()


def _guarded(name: str, make: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The checks of a group; what goes wrong in making them is a line too."""
    try:
        yield from make()
    except Exception as error:  # a doctor must not fall ill
        reason = " ".join(str(error).split()) or type(error).__name__
        yield Check(name, "warn", f"could not be looked at: {type(error).__name__}: {reason}")
