"""Sweeps of the toy chapter as real processes, and what must hold of their run folders."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from toy_chapter import Toy

from thesisbench.store.files import TEMPORARY

Started = list[subprocess.Popen[str]]


def begin(toy: Toy, table: str, *words: str) -> subprocess.Popen[str]:
    return toy.start(*toy.words("reproduce", table, *words))


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def leases(toy: Toy) -> int:
    return sum(1 for _ in toy.store.root.glob("*/lease.*"))


def wait_for_leases(toy: Toy, process: subprocess.Popen[str], count: int) -> bool:
    """Whether so many runs were claimed before the process ended."""
    while leases(toy) < count:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return True


def descendants(pid: int) -> list[int]:
    """Processes below a process: the fork server, children and their loaders."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found[1:]


def results(toy: Toy) -> dict[str, Any]:
    """Result of each run; every record is complete JSON."""
    return {
        path.parent.name: json.loads(path.read_text())["result"]
        for path in toy.store.root.glob("*/record.json")
    }


def check_each_was_recorded_once(toy: Toy) -> None:
    """No run was claimed after its record; the record tells of the attempt that made it."""
    for run_id, record in toy.store.records():
        numbers = {int(p.suffix[1:]) for p in toy.store.folder(run_id).path.glob("lease.*")}
        assert record["provenance"]["attempts"] == max(numbers)
        assert numbers == set(range(1, max(numbers) + 1))
        lines = toy.store.folder(run_id).metrics_file
        if lines.exists():
            epochs = [json.loads(line)["epoch"] for line in lines.read_text().splitlines()]
            assert epochs == list(range(int(record["result"]["metrics"]["epochs"])))
    assert toy.store.problems == []


def check_nothing_is_half_written(toy: Toy) -> None:
    """All that is JSON can be read, and no temporary file is left."""
    for path in toy.store.root.rglob("*"):
        if path.suffix == ".json" or path.name.startswith("lease."):
            json.loads(path.read_text())
        if path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text().splitlines()]
        assert not path.name.startswith((TEMPORARY, ".metrics", ".last")), path
    assert toy.store.problems == []
