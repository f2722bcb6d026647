"""How a planned run appears in W&B: group, job type, name, tags and configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from thesisbench.identity import science
from thesisbench.tables.model import PlannedRun

TAG_LENGTH = 64  # longer tags are refused by W&B
NAME_LENGTH = 128


def describe(run: PlannedRun) -> dict[str, Any]:
    """What the writer process needs to know of a run, as plain data.

    Returns:
        id, group (recipe), job_type (kind), name (levels and replicate), tags, and config: the
        values that change the result, with `levels` and `scale` to filter by.
    """
    values = science(run.config, {})["values"]
    return {
        "id": run.id,
        "group": shorten(run.recipe, NAME_LENGTH),
        "job_type": run.kind,
        "name": shorten(_name(run), NAME_LENGTH),
        "tags": tags(run),
        "config": {**values, "levels": dict(run.levels), "scale": run.scale},
    }


def tags(run: PlannedRun) -> list[str]:
    """Tables, thesis, chapter, variants, data set and scale; each once, none too long."""
    thesis = run.chapter.split("/")[0]
    variants = [f"{factor}={level}" for factor, level in run.levels.items()]
    variants += _variants(run.config.get("variants") or {})
    node = run.config.get("dataset")
    dataset = node.get("name") if isinstance(node, Mapping) else node
    found = [*run.tables, thesis, run.chapter, *variants, dataset, run.scale]
    return list(dict.fromkeys(shorten(str(tag), TAG_LENGTH) for tag in found if tag))


def shorten(text: str, length: int) -> str:
    """The text, its end replaced by a digest where it is too long, so that two stay two.

    >>> shorten("border=full", 64)
    'border=full'
    """
    if len(text) <= length:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: length - 9]}~{digest}"


def _name(run: PlannedRun) -> str:
    """Levels, then seed and other replicate keys; the step where there are neither."""
    parts = [f"{key}={value}" for key, value in [*run.levels.items(), *run.replicate.items()]]
    return " ".join(parts) or run.step


def _variants(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Drop-ins of an ad-hoc run, which has no levels: "border=full", or the group's name alone."""
    for group, node in nodes.items():
        option = node.get(group) if isinstance(node, Mapping) else node
        yield f"{group}={option}" if isinstance(option, str | int | float) else group
