"""A table as plain data for machines: every value, the runs behind it, verdicts and claims."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from thesisbench.tables.model import Cell, ClaimVerdict
from thesisbench.tables.render.facts import Facts, table_facts
from thesisbench.tables.render.layout import claims_on
from thesisbench.tables.render.words import finished
from thesisbench.tables.spec import Table
from thesisbench.tables.stats import mean_and_sd

if TYPE_CHECKING:
    from thesisbench.tables.compare import CellVerdictDetail
    from thesisbench.tables.session import Session

FORMAT = 1


def table_json(session: Session, table_id: str) -> dict[str, Any]:
    """A table of a session as JSON data: string keys, no NaN; what is not there is None.

    Raises:
        UserError: no such table.
    """
    table, facts = session.catalog.table(table_id), table_facts(session, table_id)
    keys = [(table.id, row, column) for row in table.rows for column in table.columns]
    content = {
        "format": FORMAT,
        **{k: getattr(table, k) for k in ("id", "thesis", "chapter", "kind", "title", "task")},
        "datasets": table.datasets,
        "published_n": table.published_n,
        "notes": table.notes,
        "findings": table.findings,
        **_facts(facts),
        "columns": _columns(table),
        "rows": _rows(table),
        "cells": [_cell(session.cells[key], session.verdicts[key]) for key in keys],
        "claims": [claim_json(verdict) for verdict in claims_on(session, table_id)],
    }
    plain = plain_data(content)
    assert isinstance(plain, dict)
    return plain


def claim_json(verdict: ClaimVerdict) -> dict[str, Any]:
    """What a claim came to, with its atoms, as JSON data."""
    plain = plain_data(
        {
            "claim": verdict.claim,
            "text": " ".join(verdict.text.split()),
            "scale": verdict.scale,
            "result": verdict.result,
            "summary": verdict.summary,
            "why": verdict.why,
            "tables": verdict.tables,
            "atoms": verdict.atoms,
        }
    )
    assert isinstance(plain, dict)
    return plain


def plain_data(value: Any) -> Any:
    """A value as JSON can say it: dataclasses and mappings as objects, sequences as lists.

    Sets are sorted, keys become text, and a number that is not finite becomes None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain_data(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return [plain_data(v) for v in sorted(value)]
    if isinstance(value, list | tuple):
        return [plain_data(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _facts(facts: Facts) -> dict[str, Any]:
    return {
        "scale": facts.scale,
        "seeds": facts.seeds,
        "plan": {"runs": facts.total, "done": facts.done, "diverged": facts.diverged},
        "retried": {run: count for run, count in facts.attempts.items() if count > 1},
        "wall_seconds": facts.seconds,
        "data": [{"name": name, "stand_in_for": other} for name, other in facts.data],
        "overrides": facts.overrides,
        "overridden": facts.overridden,
        "comparable": facts.comparable,
        "facts": facts.sentences(),
    }


def _columns(table: Table) -> list[dict[str, Any]]:
    """The columns; `group` is the label over one, empty where there is none."""
    names = ("name", "metric", "unit", "better")
    groups = iter([label for label, over in table.header for _ in range(over)])
    return [
        {"key": k, **{n: getattr(c, n) for n in names}, "group": next(groups, "")}
        for k, c in table.columns.items()
    ]


def _rows(table: Table) -> list[dict[str, Any]]:
    names = ("label", "source", "extra", "note")
    return [{"key": k, **{n: getattr(r, n) for n in names}} for k, r in table.rows.items()]


def _cell(cell: Cell, detail: CellVerdictDetail) -> dict[str, Any]:
    """All of a cell; mean and sd only over the seeds that count."""
    values = finished(cell)
    mean, sd = mean_and_sd(values) if values else (None, None)
    fields = {f.name: getattr(cell, f.name) for f in dataclasses.fields(cell)}
    counted = {"mean": mean, "sd": sd if len(values) > 1 else None, "n": len(values)}
    return {**fields, **counted, "verdict": detail}
