"""Short answers for the terminal and for machines: what is here, what is planned, how far it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thesisbench.errors import UserError, unknown
from thesisbench.tables.catalog import Catalog

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.tables.session import Session

ORDER = ("done", "diverged", "running", "failed", "interrupted", "stale", "queued", "absent")


def listing(catalog: Catalog, what: str) -> list[dict[str, Any]]:
    """Rows of `thesisbench list`.

    Raises:
        UserError: nothing of that name can be listed.
    """
    makers = {"tables": _tables, "chapters": _chapters, "claims": _claims}
    if what not in makers:
        raise UserError(unknown("list", what, makers))
    return makers[what](catalog)


def _tables(catalog: Catalog) -> list[dict[str, Any]]:
    found = [(folder, folder.tables[table]) for table, folder in catalog.tables.items()]
    return [
        {"id": t.id, "kind": t.kind, "chapter": f.slug, "rows": len(t.rows), "title": t.title}
        for f, t in found
    ]


def _chapters(catalog: Catalog) -> list[dict[str, Any]]:
    return [
        {
            "chapter": slug,
            "tables": len(f.tables),
            "claims": len(f.claims),
            "title": f.chapter.title,
        }
        for slug, f in catalog.folders.items()
    ]


def _claims(catalog: Catalog) -> list[dict[str, Any]]:
    return [
        {
            "chapter": slug,
            "claim": c.id,
            "atoms": len(c.atoms),
            "tables": list(c.where),
            "text": c.text,
        }
        for slug, f in catalog.folders.items()
        for c in f.claims
    ]


def print_listing(rows: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Rows as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        shown = (", ".join(v) if isinstance(v, list) else str(v) for v in row.values())
        table.add_row(*(Text(v) for v in shown))
    console.print(table)


def plan_json(session: Session) -> dict[str, Any]:
    """The runs of a plan and what they need."""
    return {
        "scale": session.scale,
        "tables": list(session.tables),
        "runs": [
            {
                "id": run.id,
                "step": f"{run.chapter}:{run.step}",
                "kind": run.kind,
                "levels": dict(run.levels),
                "replicate": dict(run.replicate),
                "needs": {name: list(ids) for name, ids in run.needs.items()},
                "tables": list(run.tables),
                "state": session.states[run.id],
            }
            for run in session.plan.runs.values()
        ],
        "skipped": {
            f"{table}[{row}].{column}": cell.skipped
            for (table, row, column), cell in session.plan.cells.items()
            if cell.skipped
        },
    }


def print_plan(session: Session, console: Console) -> None:
    """A line a step: how many runs, how many are done, what they need."""
    steps: dict[tuple[str, str], list[str]] = {}
    needs: dict[tuple[str, str], set[str]] = {}
    for run in session.plan.runs.values():
        key = (run.chapter, run.step)
        steps.setdefault(key, []).append(run.id)
        found = {session.plan.runs[i].step for ids in run.needs.values() for i in ids}
        needs.setdefault(key, set()).update(found)
    for (chapter, step), ids in steps.items():
        done = sum(session.states[i] in ("done", "diverged") for i in ids)
        kind = session.plan.runs[ids[0]].kind
        after = f", after {', '.join(sorted(needs[chapter, step]))}" if needs[chapter, step] else ""
        console.print(
            f"{chapter}:{step} ({kind}): {len(ids)} runs, {done} done{after}", highlight=False
        )
    for place, why in plan_json(session)["skipped"].items():
        console.print(f"{place} skipped: {why}", markup=False, highlight=False)
    done = sum(s in ("done", "diverged") for s in session.states.values())
    console.print(
        f"{len(session.states)} runs in all, {len(session.states) - done} to do", highlight=False
    )


def status_json(session: Session) -> dict[str, Any]:
    """Counts of states, and each run that is neither done nor waiting."""
    attention = ("running", "failed", "interrupted", "stale")
    runs = {i: state for i, state in session.states.items() if state in attention}
    return {
        "scale": session.scale,
        "tables": list(session.tables),
        "states": dict(Counter(session.states.values())),
        "runs": [
            {
                "id": i,
                "title": session.plan.runs[i].title,
                "state": state,
                "message": session.store.state(i).message,
                "progress": dict(session.store.state(i).progress),
            }
            for i, state in runs.items()
        ],
    }


def print_status(session: Session, console: Console) -> None:
    """The same for people, with the command that goes on."""
    said = status_json(session)
    counts = ", ".join(f"{said['states'][s]} {s}" for s in ORDER if said["states"].get(s))
    console.print(
        f"{', '.join(session.tables)} at scale {session.scale}: {counts}", highlight=False
    )
    for run in said["runs"]:
        progress = run["progress"]
        far = (
            f" epoch {progress['epoch']} of {progress.get('epochs')}" if "epoch" in progress else ""
        )
        text = f"  {run['id']} {run['state']}{far}: {run['title']} {run['message']}"
        console.print(text, markup=False, highlight=False)
    if any(s not in ("done", "diverged") for s in said["states"]):
        again = session.command("reproduce")
        console.print(f"go on with: {again}", markup=False, highlight=False, soft_wrap=True)
