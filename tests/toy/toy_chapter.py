"""A chapter from outside the package, and the command line that uses it, here or in a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from toy_runs import HERE, PARTS

from thesisbench.cli import main
from thesisbench.store.runs import RunStore

FITS, NUMBERS = "toy.t1.1", "toy.t1.2"


@dataclass
class Toy:
    """Specs, configuration and runs below one folder.

    Attributes:
        root: the folder. runs: name of the runs folder in it.
    """

    root: Path
    runs: str = "runs"

    @property
    def store(self) -> RunStore:
        return RunStore(self.root / self.runs)

    @property
    def shared(self) -> list[str]:
        """Options of every command that composes runs of tables."""
        return [*self.parts, "--spec-dir", str(self.root / "specs")]

    @property
    def parts(self) -> list[str]:
        """Options of every command that composes runs."""
        return ["--config-dir", str(self.root / "conf"), "--allow-targets", PARTS]

    @property
    def places(self) -> list[str]:
        """Options of every command."""
        return ["--config-dir", str(self.root / "conf"), "--spec-dir", str(self.root / "specs")]

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([HERE, *filter(None, sys.path)])
        extra = {"PYTHONPATH": path, "THESISBENCH_RUNS": str(self.root / self.runs)}
        return {**os.environ, **extra, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}

    def words(self, command: str, *words: str) -> list[str]:
        """Words of a command on the chapter's tables at scale smoke."""
        extra = ["--out", str(self.root / "reports"), "logger=none"]
        extra = extra if command == "reproduce" else []
        return [command, *words, *extra, "--scale", "smoke", *self.shared]

    def start(self, *words: str, program: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Starts a command in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, *(program or ("-m", "thesisbench")), *words],
            env=self.environment(),
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@dataclass
class Said:
    """What a command line came to."""

    code: int
    out: str
    err: str

    def __iter__(self) -> object:
        return iter((self.code, self.out, self.err))


class Command:
    """Calls the console command in this process."""

    def __init__(
        self, toy: Toy, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.toy, self.capfd, self.monkeypatch = toy, capfd, monkeypatch
        for name in ("THESISBENCH_RUNS", "COLUMNS"):
            monkeypatch.setenv(name, toy.environment()[name])
        monkeypatch.delenv("THESISBENCH_ALLOW_TARGETS", raising=False)
        monkeypatch.chdir(toy.root)

    def __call__(self, *words: str) -> Said:
        """The exit code and what was printed."""
        self.monkeypatch.setattr(sys, "argv", ["thesisbench", *words])
        self.capfd.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as exit_:
            main()
        signal.signal(signal.SIGTERM, before)
        os.environ.pop("THESISBENCH_ALLOW_TARGETS", None)
        code = exit_.value.code
        return Said(code if isinstance(code, int) else 0, *self.capfd.readouterr())

    def reproduce(self, *words: str) -> Said:
        """`reproduce` of the chapter at scale smoke, one run after another in this process."""
        return self(*self.toy.words("reproduce", *words, "launcher=inline"))


def write_toy(
    root: Path,
    *,
    seeds: int = 2,
    epochs: int = 3,
    numbers: int = 3,
    seconds: float = 0.0,
    wants: str = "",
) -> Toy:
    """Writes a chapter of fits of two widths with their tests, and one of many numbers.

    Args:
        root: folder of it all.
        seeds: of both tables. epochs: of a fit. numbers: rows of the second table.
        seconds: that a number takes. wants: file without which numbers fail.
    """
    specs, conf = root / "specs/toy/sweep", root / "conf"
    rows = [f"k{i}" for i in range(numbers)]
    levels = {
        "width": {w: [f"backbone.width={w[1:]}"] for w in ("w4", "w8")},
        "k": {row: [f"compute.k={row[1:]}"] for row in rows},
    }
    steps = {
        "fit": {"kind": "fit", "recipe": "fit", "takes": ["width"]},
        "test": {"kind": "eval", "recipe": "test", "needs": {"weights": "fit"}},
        "number": {"kind": "analytic", "recipe": "number", "takes": ["k"]},
    }
    write(specs / "chapter.yaml", {"title": "Toy", "levels": levels, "steps": steps})
    write(specs / "claims.yaml", {"claims": []})
    write(
        specs / "tables/t1_1.yaml", table(FITS, "test", "width", ["w4", "w8"], "top1_test", seeds)
    )
    write(specs / "tables/t1_2.yaml", table(NUMBERS, "number", "k", rows, "number", seeds))
    fit = {
        "defaults": [
            {"override /task": "classification"},
            {"override /backbone": "toy_net"},
            {"override /dataset": "blobs"},
            {"override /optimizer": "sgd"},
        ],
        "kind": "fit",
        "schedule": {"epochs": epochs, "batch_size": 6},
        "trainer": {"accelerator": "cpu"},
    }
    test = {"defaults": [{"override /evaluation": "top1"}], "kind": "eval"}
    number = {"defaults": [{"override /compute": "number"}], "kind": "analytic"}
    for name, recipe in {"fit": fit, "test": test, "number": number}.items():
        write(conf / f"experiment/toy/sweep/{name}.yaml", recipe, "# @package _global_\n")
    write(conf / "backbone/toy_net.yaml", {"_target_": f"{PARTS}.ToyNet", "width": 8})
    splits = {"_target_": f"{PARTS}.blobs", "_partial_": True, "n": 24}
    transform = {"_target_": f"{PARTS}.jitter", "_partial_": True}
    module = {"_target_": "thesisbench.data.module.ArrayDataModule", "name": "blobs"}
    write(conf / "dataset/blobs.yaml", {**module, "splits": splits, "transform": transform})
    target = {"_target_": f"{PARTS}.Number", "k": 0, "seconds": seconds, "wants": wants}
    write(conf / "compute/number.yaml", {**target, "told": str(root / "told")})
    return Toy(root)


def table(
    name: str, step: str, factor: str, rows: list[str], read: str, seeds: int
) -> dict[str, object]:
    """A table of one column."""
    return {
        "id": name,
        "thesis": "toy",
        "chapter": 1,
        "kind": "table",
        "title": "Toy",
        "task": "toy",
        "step": step,
        "replicates": {"seed": list(range(seeds))},
        "columns": {read: {"name": "Number", "metric": "number"}},
        "rows": {row: {"label": row, "at": {factor: row}, "values": {read: 50.0}} for row in rows},
    }


def write(path: Path, data: object, header: str = "") -> None:
    """Writes a YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(header + yaml.safe_dump(data, sort_keys=False))
