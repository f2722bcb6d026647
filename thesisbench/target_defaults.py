"""Keeps the defaults of every shipped instantiation target in target_defaults.json.

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


def shipped_targets() -> list[str]:
    """All targets in the shipped configuration groups."""
    found: set[str] = set()
    for path in Path(str(files("thesisbench.conf"))).rglob("*.yaml"):
        found |= set(targets(yaml.safe_load(path.read_text(encoding="utf-8"))))
    return sorted(found)


def current() -> dict[str, dict[str, Any]]:
    """Target -> its plain defaults, read off the code."""
    return {target: inspect_defaults(target) for target in shipped_targets()}


if __name__ == "__main__":
    kept = Path(str(files("thesisbench"))) / "target_defaults.json"
    kept.write_text(json.dumps(current(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(shipped_targets())} targets in {kept.name}")
