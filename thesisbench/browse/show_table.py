"""`thesisbench show TABLE`, for machines: what was published, what is behind it, how to make it."""

from __future__ import annotations

import itertools
import shlex
from typing import Any

from thesisbench.browse.entry import one_line
from thesisbench.browse.grid_facts import ScaleFacts, StepFacts, scale_facts, step_facts
from thesisbench.browse.library import Library, values_of
from thesisbench.browse.part_entries import dataset_data
from thesisbench.browse.spec_entries import claim_results, claim_words
from thesisbench.tables.assign import CellSpec, cell_specs
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.grid import has_grid, missing_recipes
from thesisbench.tables.model import SCALES
from thesisbench.tables.spec import Table


def table_data(library: Library, table_id: str) -> dict[str, Any]:
    """A table for machines.

    Raises:
        SpecError: its specification contradicts itself.
    """
    table, folder = library.tables[table_id], library.catalog.tables[table_id]
    built = has_grid(library.catalog, library.recipes, table_id)
    accepted = library.accepted(table_id)
    plain = ("id", "kind", "thesis", "title", "task", "source", "published_n")
    return {
        "what": "table",
        **{name: getattr(table, name) for name in plain},
        "chapter": folder.slug,
        "chapter_title": folder.chapter.title,
        "says": one_line(table.says) or None,
        "notes": one_line(table.notes) or None,
        "findings": one_line(table.findings) or None,
        "state": "accepted" if accepted else library.state(table_id),
        "accepted": accepted,
        "values": values_of(table),
        "columns": _columns(table),
        "rows": _rows(table, folder),
        "grid": _grid(folder, table) if built else None,
        "missing_recipes": missing_recipes(library.catalog, library.recipes, table_id),
        "claims": _claims(library, folder, table_id),
        "datasets": [dataset_data(library, name, folder.slug) for name in table.datasets],
        "weights": [_weights(library, name) for name in table.weights],
        "commands": _commands(library, table_id, built=built),
    }


def _columns(table: Table) -> list[dict[str, Any]]:
    names = ("name", "metric", "unit", "better", "cell")
    return [{"key": k, **{n: getattr(c, n) for n in names}} for k, c in table.columns.items()]


def _rows(table: Table, folder: ChapterFolder) -> list[dict[str, Any]]:
    rows = []
    by_row = itertools.groupby(cell_specs(table, folder.chapter), key=lambda cell: cell.row)
    for key, cells in by_row:
        row = table.rows[key]
        rows.append(
            {
                "key": key,
                "label": row.label,
                "extra": row.extra,
                "settings": row.settings,
                "note": one_line(row.note) or None,
                "cells": [_cell(cell) for cell in cells],
            }
        )
    return rows


def _cell(cell: CellSpec) -> dict[str, Any]:
    target = cell.target
    published = {"value": target.value, "std": target.std, "reason": target.reason}
    return {"column": cell.column, "source": cell.source, "step": cell.step or None, **published}


def _grid(folder: ChapterFolder, table: Table) -> dict[str, Any]:
    return {
        "steps": [_step(step) for step in step_facts(folder, table)],
        "scales": {facts.scale: _scale(facts) for facts in scale_facts(folder, table)},
    }


def _step(step: StepFacts) -> dict[str, Any]:
    factors = {factor: list(levels) for factor, levels in step.factors.items()}
    plain = {name: getattr(step, name) for name in ("name", "kind", "recipe", "cells")}
    return {**plain, "needs": list(step.needs), "factors": factors}


def _scale(facts: ScaleFacts) -> dict[str, Any]:
    replicates = {key: list(values) for key, values in facts.replicates.items()}
    return {"cells": facts.cells, "skipped": dict(facts.skipped), "replicates": replicates}


def _claims(library: Library, folder: ChapterFolder, table_id: str) -> list[dict[str, Any]]:
    found = []
    for slug, claim in ((f.slug, c) for f in library.catalog.folders.values() for c in f.claims):
        if table_id in claim.where:
            kept = library.claims(slug).get(claim.id, ())
            words = {"words": claim_words(claim, kept), "results": claim_results(kept)}
            found.append({"id": f"{slug}:{claim.id}", **words, "text": one_line(claim.text)})
    return sorted(found, key=lambda claim: claim["id"].partition(":")[0] != folder.slug)


def _weights(library: Library, name: str) -> dict[str, Any]:
    entry = library.registry.weights.get(name)
    if entry is None:
        return {"name": name, "title": None, "source": None, "folder": None, "here": False}
    place = library.registry.weights_place(name)
    facts = {"name": name, "title": entry.title, "source": entry.source}
    return {**facts, "folder": str(place), "here": place.exists()}


def _commands(library: Library, table_id: str, *, built: bool) -> list[str]:
    def command(verb: str, *more: str) -> str:
        return shlex.join(["thesisbench", verb, table_id, *more, *library.words])

    if not built:
        return [command("report")]
    runs = [command("reproduce", "--scale", scale) for scale in SCALES]
    shown = library.accepted(table_id)[-1:] or ["small"]
    return [command("plan", "--scale", "small"), *runs, command("report", "--scale", *shown)]
