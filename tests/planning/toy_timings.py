"""Records of toy runs that took a given time on a given machine."""

from __future__ import annotations

import json
from typing import Any

from toy_specs import SLUG, Toy

from thesisbench.execute import folder_config
from thesisbench.planning.machine import Machine
from thesisbench.store.lease import Lease
from thesisbench.store.provenance import machine
from thesisbench.tables.model import PlannedRun
from thesisbench.tables.session import Session

HERE = Machine(str(machine()["cpu"]), 1)


def timed_record(run: PlannedRun, seconds: float, **changes: Any) -> dict[str, Any]:
    """A record; `outcome`, `overridden`, `on` (a machine), `facts`, `metrics`, `attempts`."""
    on = changes.get("on", HERE)
    keys = ("id", "lineage", "chapter", "step", "kind", "recipe", "scale")
    return {
        **{key: getattr(run, key) for key in keys},
        "levels": dict(run.levels),
        "replicate": dict(run.replicate),
        "overridden": changes.get("overridden", False),
        "needs": {name: list(ids) for name, ids in run.needs.items()},
        "result": {
            "outcome": changes.get("outcome", "ok"),
            "metrics": changes.get("metrics", {}),
            "digests": {},
        },
        "cost": {"seconds": seconds},
        "provenance": {
            "config": dict(run.config),
            "hardware": {"cpu": on.cpu, "gpus": list(on.gpus)},
            "threads": on.threads,
            "attempts": changes.get("attempts", 1),
            "facts": changes.get("facts", {}),
            "wall_seconds": seconds,
            "finished": "2026-01-01T00:00:00+00:00",
        },
    }


def took(session: Session, run: PlannedRun, seconds: float, **changes: Any) -> None:
    """Publishes the record of a run that took so long."""
    folder = session.store.folder(run.id)
    folder.write_config(folder_config(run))
    lease = Lease.claim(folder.path).lease
    assert lease is not None
    assert folder.publish_record(timed_record(run, seconds, **changes), lease)
    lease.release()


def accept_timed(toy: Toy, run: PlannedRun, seconds: float, **changes: Any) -> None:
    """Puts a run into the accepted results of the chapter's first table."""
    record = timed_record(run, seconds, **changes)
    record["provenance"]["environment"] = "e1"
    content = {"format": 1, "table": "toy.t1", "scale": run.scale, "configs": {}}
    content |= {"accepted": {"commit": None, "date": "2026-01-01"}, "environments": {"e1": {}}}
    content |= {"runs": {run.id: record}}
    toy.write(f"specs/{SLUG}/results/{run.scale}/t1.json", json.dumps(content))


def fits(session: Session, **levels: str) -> list[PlannedRun]:
    """The fits of a plan with these levels, seed by seed."""
    return steps(session, "fit", **levels)


def steps(session: Session, step: str, **levels: str) -> list[PlannedRun]:
    """The runs of a step with these levels."""
    runs = (run for run in session.plan.runs.values() if run.step == step)
    return [run for run in runs if levels.items() <= run.levels.items()]
