"""What `thesisbench plan` shows: runs, what they need, what they cost and what that rests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from thesisbench.planning.forecast import Forecast, seed_costs
from thesisbench.planning.spread import Spread, bytes_text, range_text, seconds_text

if TYPE_CHECKING:
    from rich.console import Console

    from thesisbench.tables.model import PlannedRun
    from thesisbench.tables.session import Session

FINISHED = ("done", "diverged")


def plan_json(forecast: Forecast) -> dict[str, Any]:
    """The plan for machines: every run with what it needs and what it will take."""
    session = forecast.session
    return {
        "scale": session.scale,
        "tables": list(session.built),
        "targets_only": targets_only(session),
        "steps": _steps_json(forecast),
        "runs": [_run_json(forecast, run) for run in session.plan.runs.values()],
        "skipped": skipped(session),
        "estimate": _estimate_json(forecast),
        "seeds": {
            table: {str(n): _estimate_json(other) for n, other in costs.items()}
            for table, costs in seed_costs(forecast).items()
        },
    }


def targets_only(session: Session) -> list[str]:
    """The selected tables that have no grid."""
    return [table for table in session.tables if table not in session.built]


def accepted(session: Session) -> list[str]:
    """The runs that have no record in the runs folder, but one in the accepted results."""
    missing = (i for i, state in session.states.items() if state not in FINISHED)
    return [i for i in missing if session.accepted.get(i) is not None]


def skipped(session: Session) -> dict[str, str]:
    """Cell -> why it is not run."""
    return {
        f"{table}[{row}].{column}": cell.skipped
        for (table, row, column), cell in session.plan.cells.items()
        if cell.skipped
    }


def steps(session: Session) -> dict[str, list[PlannedRun]]:
    """Step, as "<chapter>:<name>" -> its runs."""
    found: dict[str, list[PlannedRun]] = {}
    for run in session.plan.runs.values():
        found.setdefault(f"{run.chapter}:{run.step}", []).append(run)
    return found


def after(session: Session, runs: Sequence[PlannedRun]) -> list[str]:
    """The steps that runs need."""
    needed = {i for run in runs for ids in run.needs.values() for i in ids}
    return sorted({session.plan.runs[i].step for i in needed})


def _steps_json(forecast: Forecast) -> list[dict[str, Any]]:
    session = forecast.session
    return [
        {
            "step": name,
            "kind": runs[0].kind,
            "runs": len(runs),
            "done": sum(session.states[run.id] in FINISHED for run in runs),
            "to_do": sum(run.id in forecast.estimates for run in runs),
            "after": after(session, runs),
            "rests_on": {why: len(times) for why, times in _reasons(forecast, runs).items()},
        }
        for name, runs in steps(session).items()
    ]


def _run_json(forecast: Forecast, run: PlannedRun) -> dict[str, Any]:
    estimate = forecast.estimates.get(run.id)
    return {
        "id": run.id,
        "step": f"{run.chapter}:{run.step}",
        "kind": run.kind,
        "levels": dict(run.levels),
        "replicate": dict(run.replicate),
        "needs": {name: list(ids) for name, ids in run.needs.items()},
        "tables": list(run.tables),
        "state": forecast.session.states[run.id],
        "accepted": forecast.session.accepted.get(run.id) is not None,
        "seconds": None if estimate is None else _spread_json(estimate.seconds),
        "rests_on": None if estimate is None else estimate.why,
    }


def _estimate_json(forecast: Forecast) -> dict[str, Any]:
    size, least, unknown = forecast.disk
    return {
        "runs": len(forecast.work.jobs),
        "without_timing": len(forecast.untimed),
        "wall_seconds": _spread_json(forecast.wall),
        "wall_is": "simulated" if forecast.simulated else "bound",
        "workers": forecast.workers,
        "threads": forecast.threads,
        "gpu_seconds": forecast.gpu_seconds,
        "core_seconds": forecast.core_seconds,
        "disk_bytes": size,
        "disk_weights_only": least,
        "disk_unknown": unknown,
    }


def _spread_json(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else asdict(spread)


def _reasons(forecast: Forecast, runs: Sequence[PlannedRun]) -> dict[str, list[Spread | None]]:
    """What the estimates of runs rest on -> these estimates."""
    found: dict[str, list[Spread | None]] = {}
    for run in runs:
        if (estimate := forecast.estimates.get(run.id)) is not None:
            found.setdefault(estimate.why, []).append(estimate.seconds)
    return found


def print_plan(forecast: Forecast, console: Console) -> None:
    """The plan for people: a line a step, what it rests on, and the sums."""
    session = forecast.session

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for name, runs in steps(session).items():
        say(_step_line(forecast, name, runs))
        for why, times in _reasons(forecast, runs).items():
            say(f"    {_reason_line(why, times)}")
    for place, reason in skipped(session).items():
        say(f"{place} skipped: {reason}")
    if lacking := targets_only(session):
        say(_targets_line(lacking))
    if session.plan.runs:
        for line in sum_lines(forecast):
            say(line)
    for table, costs in seed_costs(forecast).items():
        say(f"{table} has one seed at scale paper, as published; what is left to do costs")
        for n, other in costs.items():
            say(f"    with {n} seed{'' if n == 1 else 's'}: {_cost(other)}")


def _reason_line(why: str, times: Sequence[Spread | None]) -> str:
    middles = sorted(spread.middle for spread in times if spread is not None)
    if not middles:
        return f"{len(times)} to do: {why}"
    ends = dict.fromkeys(seconds_text(s) for s in (middles[0], middles[-1]))
    return f"{len(times)} to do, about {' to '.join(ends)} each: from {why}"


def _step_line(forecast: Forecast, name: str, runs: Sequence[PlannedRun]) -> str:
    states = Counter(forecast.session.states[run.id] for run in runs)
    done = states["done"] + states["diverged"]
    needs = ", ".join(after(forecast.session, runs))
    reasons = (forecast.work.held.get(run.id) for run in runs)
    held = Counter(why.split(":")[0] for why in reasons if why is not None)
    text = f"{name} ({runs[0].kind}): {len(runs)} run{_s(len(runs))}, {done} done"
    text += "".join(f", {count} held back ({why})" for why, count in held.items())
    return f"{text}, after {needs}" if needs else text


def _targets_line(tables: Sequence[str]) -> str:
    if len(tables) > 6:
        return f"{len(tables)} tables have targets only: no grid yet"
    return f"targets only, no grid yet: {', '.join(tables)}"


def sum_lines(forecast: Forecast) -> list[str]:
    """Runs in all, wall time, GPU-hours or core-hours, disk."""
    todo = len(forecast.work.jobs)
    held = f", {len(forecast.work.held)} held back" if forecast.work.held else ""
    kept = len(accepted(forecast.session))
    shown = f" ({kept} accepted: `report` shows them without running)" if kept else ""
    lines = [f"{len(forecast.session.plan.runs)} runs in all, {todo} to do{held}{shown}"]
    if not todo:
        return lines
    lines.append(f"wall time: {_wall(forecast)}")
    lines += [f"{name}: {text}" for name, text in _hours(forecast).items()]
    lines.append(f"disk: {_disk(forecast)}")
    return lines


def _wall(forecast: Forecast) -> str:
    wall, untimed = forecast.wall, len(forecast.untimed)
    if wall is None:
        return "not known; `--probe` tries 20 steps of each kind of fit"
    how = "simulated schedule" if forecast.simulated else "longest chain or work shared evenly"
    workers = f"{forecast.workers} worker{_s(forecast.workers)}"
    threads = f"{forecast.threads} thread{_s(forecast.threads)}"
    text = f"about {range_text(wall)} with {workers} of {threads} ({how})"
    return f"{text}; without {untimed} run{_s(untimed)} of no known timing" if untimed else text


def _hours(forecast: Forecast) -> dict[str, str]:
    said = {"GPU-hours": forecast.gpu_seconds, "core-hours": forecast.core_seconds}
    return {name: _hours_text(value / 3600) for name, value in said.items() if value}


def _hours_text(hours: float) -> str:
    return "less than 0.01" if hours < 0.01 else f"{hours:.2g}" if hours < 10 else f"{hours:.0f}"


def _disk(forecast: Forecast) -> str:
    size, least, unknown = forecast.disk
    if unknown == len(forecast.work.jobs):
        return "not known: no run like these has a folder here"
    notes = [f"of {least} runs the weights only"] if least else []
    notes += [f"{unknown} runs of unknown size left out"] if unknown else []
    about = f"about {bytes_text(size)}"
    return f"{about} ({'; '.join(notes)})" if notes else about


def _cost(forecast: Forecast) -> str:
    hours = "".join(f", {text} {name}" for name, text in _hours(forecast).items())
    wall = forecast.wall
    time = "time not known" if wall is None else f"about {seconds_text(wall.middle)}"
    count, untimed = len(forecast.work.jobs), len(forecast.untimed)
    rest = f", {untimed} of them of no known timing" if untimed else ""
    return f"{count} run{_s(count)}{rest}; {time}{hours}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def probed_lines(made: Sequence[str], left: int, failed: Mapping[str, str]) -> list[str]:
    """What came of `--probe`."""
    lines = [f"probed {title}" for title in made]
    lines += [] if made or failed else ["nothing to probe: every kind of fit has a timing"]
    titles: dict[str, list[str]] = {}
    for title, why in failed.items():
        titles.setdefault(why, []).append(title)
    for why, alike in titles.items():
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        lines.append(f"not probed: {alike[0]}{more}: {why}")
    if left:
        lines.append(f"{left} more kind{_s(left)} of fit left unprobed; --probe-limit raises that")
    return lines
