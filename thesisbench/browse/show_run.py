"""`thesisbench show RUN`: what a run is, how far it is, what it came to, and where it is from."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thesisbench.browse.find_run import FoundRun
from thesisbench.browse.library import Library
from thesisbench.browse.printing import put, say
from thesisbench.store.status import outcome_of
from thesisbench.tables.render.words import duration, figure

if TYPE_CHECKING:
    from rich.console import Console

TAIL = 20  # lines of the log of a failed run
TAIL_BYTES = 16_384
_HEAD = (
    "lineage", "chapter", "step", "kind", "recipe", "scale", "levels", "replicate", "overridden"
)  # fmt: skip


def run_data(library: Library, found: FoundRun) -> dict[str, Any]:
    """A run for machines.

    Raises:
        UserError: its files cannot be read.
    """
    config, record = _said(found)
    head = {name: (record or {}).get(name, config.get(name)) for name in _HEAD}
    accepted = [
        {"table": kept.table, "scale": kept.scale, "commit": kept.commit, "date": kept.date}
        for kept in found.accepted
    ]
    result = (record or {}).get("result") or {}
    provenance = dict((record or {}).get("provenance") or {})
    provenance.pop("config", None)
    state = _state(found, record)
    data = {
        "what": "run",
        "id": found.id,
        **head,
        "tables": list(config.get("tables") or dict.fromkeys(a["table"] for a in accepted)),
        "needs": _needs(library, found, (record or config).get("needs") or {}),
        **state,
        "folder": str(found.store.folder(found.id).path) if found.store else None,
        "accepted": accepted,
        "metrics": result.get("metrics") or {},
        "digests": result.get("digests") or {},
        "cost": (record or {}).get("cost") or {},
        "provenance": provenance or None,
        "set_aside": _set_aside(found),
        "log_tail": _log_tail(found) if state["state"] == "failed" else [],
    }
    return {**data, "commands": _commands(library, data)}


def print_run(data: Mapping[str, Any], console: Console) -> None:
    """The same for people."""
    message = f": {data['message']}" if data["message"] else ""
    say(console, f"Run {data['id']}: {data['state']}{message}", "bold")
    for line in _facts(data):
        say(console, line, indent=2)
    for name, values in (("Metrics", data["metrics"]), ("Cost", data["cost"])):
        if values:
            say(console, name, "bold", above=True)
        for key, value in values.items():
            say(console, f"{key}: {_number(value)}", indent=2)
    if data["provenance"]:
        say(console, "Provenance", "bold", above=True)
        for line in _provenance(data["provenance"]):
            say(console, line, indent=2)
    if data["log_tail"]:
        say(console, "End of the log", "bold", above=True)
        for line in data["log_tail"]:
            say(console, line, indent=2)
    say(console, "Commands", "bold", above=True)
    for command in data["commands"]:
        put(console, f"  {command}")
    if data["overridden"]:
        say(console, "It was made with overrides; give the same ones again.", indent=2)


def _said(found: FoundRun) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Configuration and record of a run; an empty configuration where only a record is kept."""
    kept = next((k.runs[found.id] for k in found.accepted), None)
    if found.store is None:
        return {}, kept
    folder = found.store.folder(found.id)
    config = folder.read_config() if folder.config_file.exists() else {}
    return config, found.store.record(found.id) or kept


def _state(found: FoundRun, record: Mapping[str, Any] | None) -> dict[str, Any]:
    if found.store is None:
        name = "done" if record and outcome_of(record) == "ok" else "diverged"
        seconds = ((record or {}).get("provenance") or {}).get("wall_seconds")
        return {"state": name, "message": "", "progress": {}, "attempts": 0, "seconds": seconds}
    status = found.store.state(found.id)
    return {
        "state": status.name,
        "message": status.message,
        "progress": dict(status.progress),
        "attempts": status.attempts,
        "seconds": status.seconds,
    }


def _set_aside(found: FoundRun) -> list[str]:
    """Names of files of the run that could not be read and were kept under another name."""
    if found.store is None:
        return []
    return sorted(path.name for path in found.store.folder(found.id).path.glob("*.corrupt-*"))


def _needs(
    library: Library, found: FoundRun, needs: Mapping[str, Any]
) -> dict[str, list[dict[str, str]]]:
    """Input -> the runs it needs, each with its state."""
    store = found.store or library.store
    kept = {i for table in found.accepted for i in table.runs}

    def state(run_id: str) -> str:
        name = store.state(run_id).name
        return "accepted" if name == "absent" and run_id in kept else name

    return {name: [{"id": i, "state": state(i)} for i in ids] for name, ids in needs.items()}


def _facts(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"{data['kind']} {data['chapter']}:{data['step']}, recipe {data['recipe']}"
    words = {**(data["levels"] or {}), **(data["replicate"] or {})}
    yield f"Scale {data['scale']}; {' '.join(f'{k}={v}' for k, v in words.items())}"
    if data["progress"]:
        yield f"Progress: {', '.join(f'{k} {v}' for k, v in data['progress'].items())}"
    if data["tables"]:
        yield f"Tables: {', '.join(data['tables'])}"
    for name, runs in data["needs"].items():
        listed = [f"{run['id']} ({run['state']})" for run in runs]
        yield f"Needs {name}: {', '.join(listed)}"
    for kept in data["accepted"]:
        yield f"Accepted for {kept['table']}, scale {kept['scale']}, on {kept['date']}"
    if data["attempts"] > 1:
        yield f"Attempts: {data['attempts']}, of which {data['attempts'] - 1} did not finish"
    for name in data["set_aside"]:
        yield f"Set aside, since it could not be read: {name}"
    if data["seconds"] is not None:
        yield f"Time: {duration(data['seconds'])}"
    if data["folder"]:
        yield f"Folder: {data['folder']}"


def _provenance(said: Mapping[str, Any]) -> Iterator[str]:
    code, hardware, facts = (said.get(k) or {} for k in ("code", "hardware", "facts"))
    tree = "uncommitted changes" if code.get("dirty") else "clean"
    yield (
        f"Code: commit {code['git_commit']}, {tree}" if code.get("git_commit") else "Code: unknown"
    )
    gpus = f", {', '.join(hardware['gpus'])}" if hardware.get("gpus") else ", no GPU"
    threads = f", threads {said['threads']}" if said.get("threads") else ""
    yield f"Hardware: {hardware.get('cpu', 'unknown')}{gpus}{threads}"
    versions = {k: v for k, v in (said.get("versions") or {}).items() if v}
    yield f"Versions: {', '.join(f'{k} {v}' for k, v in versions.items()) or 'unknown'}"
    if said.get("finished"):
        yield f"Finished: {said['finished']}"
    if data := facts.get("data"):
        instead = f", stands in for {data['stand_in_for']}" if data.get("stand_in_for") else ""
        yield f"Data: {data.get('name')}{instead}"
        for name, split in (data.get("splits") or {}).items():
            yield f"  {name}: {split.get('count')} samples, checksum {split.get('sha256')}"
    for name in ("parameters", "flops_per_sample"):
        if name in facts:
            yield f"{name.replace('_', ' ').capitalize()}: {facts[name]:,}"
    if said.get("peak_memory_mib"):
        yield f"Peak memory: {said['peak_memory_mib']:.0f} MiB"


def _number(value: Any) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def _log_tail(found: FoundRun) -> list[str]:
    """The last lines of the log; none when there is no log."""
    assert found.store is not None
    path = found.store.folder(found.id).log_file
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL_BYTES, 0), os.SEEK_SET)
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-TAIL:]


def _commands(library: Library, data: Mapping[str, Any]) -> list[str]:
    """How to go on with a run, make it again, or evaluate it."""
    done, folder = data["state"] in ("done", "diverged"), data["folder"]
    lines: list[list[str]] = []
    if data["tables"]:
        again = ["--rerun", data["id"]] if done else []
        again = ["--rerun", "failed"] if data["state"] == "failed" else again
        words = ["reproduce", data["tables"][0], "--scale", data["scale"], *again]
        lines.append([*words, *library.words])
    elif folder and not done:
        lines.append(["run", folder])
    if folder and data["state"] == "done":
        default = (library.store.root / data["id"]).resolve() == Path(folder).resolve()
        run = data["id"] if default else folder
        lines += [["evaluate", run, *words] for words in _evaluations(library, data)]
    return [shlex.join(["thesisbench", *words]) for words in lines]


def _evaluations(library: Library, data: Mapping[str, Any]) -> Iterator[list[str]]:
    """Words after `evaluate RUN`: none repeats an evaluation; a fit is measured by a recipe."""
    if data["kind"] == "eval":
        yield []
    folder = library.catalog.folders.get(data["chapter"])
    if data["kind"] != "fit" or folder is None:
        return
    for step in folder.chapter.steps.values():
        recipe = f"{folder.slug}/{step.recipe}"
        inputs = [need.step for needs in step.inputs().values() for need in needs]
        if step.kind == "eval" and inputs == [data["step"]] and recipe in library.recipes:
            yield [f"experiment={recipe}"]
