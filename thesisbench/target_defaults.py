"""Keeps the defaults of every shipped instantiation target in target_defaults.json.

Beside it, batch_free.json keeps which networks and variants mix no samples of a batch.

    python -m thesisbench.target_defaults

A changed default changes results without changing ids, so a test compares the file with the code;
whoever changes one raises the revision of the recipes that rest on it, then runs this.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from thesisbench.identity import inspect_defaults
from thesisbench.instantiate import targets
from thesisbench.training import batch_free


def shipped_targets() -> list[str]:
    """All targets in the shipped configuration groups."""
    found: set[str] = set()
    for path in Path(str(files("thesisbench.conf"))).rglob("*.yaml"):
        found |= set(targets(yaml.safe_load(path.read_text(encoding="utf-8"))))
    return sorted(found)


def current() -> dict[str, dict[str, Any]]:
    """Target -> its plain defaults, read off the code."""
    return {target: inspect_defaults(target) for target in shipped_targets()}


def current_batch_free() -> dict[str, bool]:
    """Target -> whether it says that it is free of batch statistics, read off the code."""
    return {target: batch_free.says_so(target) for target in shipped_targets()}


def write() -> None:
    """Writes both files."""
    kept: dict[str, dict[str, Any]] = {
        "target_defaults.json": current(),
        batch_free.KEPT: current_batch_free(),
    }
    for name, content in kept.items():
        path = Path(str(files("thesisbench"))) / name
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{len(content)} targets in {name}")


if __name__ == "__main__":
    write()
