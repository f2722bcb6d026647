"""Short answers for the terminal and for machines: how far tables are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.tables.session import Session

ORDER = ("done", "diverged", "running", "failed", "interrupted", "stale", "queued", "absent")


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
