"""A variant, recipe, chapter and table from outside the package; and an engine of no chapter."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, *, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, x):
        return self.body(x)


class Activation:
    \"\"\"Replaces every ReLU of a network; says how many.\"\"\"

    def __init__(self, *, kind):
        self.kind = {"swish": nn.SiLU, "tanh": nn.Tanh}[kind]

    def __call__(self, network):
        places = [
            (parent, name)
            for parent in network.modules()
            for name, child in parent.named_children()
            if isinstance(child, nn.ReLU)
        ]
        for parent, name in places:
            setattr(parent, name, self.kind())
        return len(places)


def blobs(*, n, data_seed):
    generator = torch.Generator().manual_seed(data_seed)

    def split():
        labels = torch.arange(n) % 2
        return torch.randn(n, 2, generator=generator) + 4 * labels[:, None], labels

    return {name: split() for name in ("train", "val", "test")}
"""
FILES = {
    "code/toypkg/__init__.py": "",
    "code/toypkg/parts.py": PACKAGE,
    "conf/activation/swish.yaml": (
        "# @package variants.activation\n_target_: toypkg.parts.Activation\nkind: swish\n"
    ),
    "conf/backbone/toy_net.yaml": "_target_: toypkg.parts.Net\nwidth: 4\n",
    "conf/dataset/blobs.yaml": (
        "_target_: thesisbench.data.module.ArrayDataModule\nname: blobs\nsplits:\n"
        "  _target_: toypkg.parts.blobs\n  _partial_: true\n  n: 16\n  data_seed: ${seed}\n"
    ),
    "conf/experiment/toy/one/fit.yaml": """# @package _global_
defaults:
  - override /task: classification
  - override /backbone: toy_net
  - override /dataset: blobs
  - override /optimizer: sgd
kind: fit
revision: 1
schedule: {epochs: 2, batch_size: 8, select: last}
trainer: {accelerator: cpu}
""",
    "conf/experiment/toy/one/test.yaml": (
        "# @package _global_\ndefaults:\n  - override /evaluation: top1\n"
        "kind: eval\nrevision: 1\nevaluation: {splits: [test]}\n"
    ),
    "specs/toy/one/chapter.yaml": """
title: Activations
levels: {activation: {relu: [], swish: [+activation=swish]}}
steps:
  fit: {kind: fit, recipe: fit, takes: [activation]}
  test: {kind: eval, recipe: test, needs: {weights: fit}}
""",
    "specs/toy/one/tables/t1_1.yaml": """
id: toy.t1.1
thesis: toy
chapter: 1
kind: table
title: Activations on two clouds
task: classification
step: test
replicates: {seed: [0, 1]}
columns: {top1_test: {name: Test, metric: top1_accuracy, unit: "%"}}
rows:
  relu: {label: ReLU, at: {activation: relu}, values: {top1_test: 97.0}}
  swish: {label: Swish, at: {activation: swish}, values: {top1_test: 98.0}}
""",
}
TIMEOUT = 120


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def thesisbench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in a folder outside the repository."""
    env = {**os.environ, "PYTHONPATH": str(folder / "code"), "OMP_NUM_THREADS": "1"}
    env = {k: v for k, v in env.items() if not k.startswith("THESISBENCH_")}
    places = ["--spec-dir", "specs", "--config-dir", "conf"]
    return subprocess.run(
        [sys.executable, "-m", "thesisbench", words[0], "toy.t1.1", *places, *words[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_a_chapter_from_outside_is_reproduced_with_its_variant(outside: Path) -> None:
    words = ["--allow-targets", "toypkg", "--workers", "1", "logger=none", "--json"]
    done = thesisbench(outside, "reproduce", *words)
    assert done.returncode == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    assert "toy.t1.1" in json.dumps(table)
    report = (outside / "reports/toy.t1.1.small.md").read_text()
    assert "ReLU" in report
    assert "Swish" in report
    assert json.loads((outside / "reports/toy.t1.1.small.json").read_text()) == table
    records = [json.loads(p.read_text()) for p in (outside / "runs").glob("*/record.json")]
    replaced = {
        r["levels"]["activation"]: r["provenance"]["facts"]["replaced"]
        for r in records
        if r["kind"] == "fit"
    }
    assert replaced == {"relu": {}, "swish": {"activation": 1}}
    assert sorted(r["kind"] for r in records) == ["eval"] * 4 + ["fit"] * 4
    accuracies = [r["result"]["metrics"]["top1_test"] for r in records if r["kind"] == "eval"]
    assert all(50 < a <= 100 for a in accuracies)  # two clouds eight spreads apart
    again = thesisbench(outside, "reproduce", *words)
    assert again.returncode == 0
    assert "8 runs done, 0 to do" in again.stderr


@pytest.mark.parametrize("command", ["reproduce", "plan"])
def test_without_leave_nothing_of_the_user_is_imported_or_run(outside: Path, command: str) -> None:
    (outside / "code/toypkg/parts.py").write_text("open('was_imported', 'w').close()\n" + PACKAGE)
    done = thesisbench(outside, command)
    assert done.returncode == 2
    assert not (outside / "runs").exists()
    assert not (outside / "reports").exists()
    assert not (outside / "was_imported").exists()
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("thesisbench: ")
    assert "toypkg.parts" in line
    assert "--allow-targets toypkg" in line


# The engine knows no chapter.

ROOT = Path(str(files("thesisbench")))
ENGINE = sorted(
    [
        *(p for folder in ("tables", "store", "launch") for p in (ROOT / folder).rglob("*.py")),
        *(ROOT / f"{name}.py" for name in ("run", "step", "execute", "reproduce", "compose")),
        *(ROOT / f"{name}.py" for name in ("identity", "override_values", "schema", "selection")),
    ]
)
SCIENCE = sorted((ROOT / "methods").rglob("*.py"))


def imported(path: Path) -> list[str]:
    """Full names of the modules that a file imports, relative imports resolved."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = ["thesisbench", *path.relative_to(ROOT).parent.parts]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return names


def code_words(path: Path) -> set[str]:
    """Names and texts of a file's code, in lower case, without docstrings (they give examples)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            texts.append(node.value)
        texts += [
            str(getattr(node, part))
            for part in ("id", "attr", "arg", "name", "module")
            if isinstance(getattr(node, part, None), str)
        ]
    return set(re.findall(r"[a-z0-9]+(?:_[a-z0-9]+)*", " ".join(texts).lower()))


def chapters() -> set[tuple[str, str]]:
    """(thesis, chapter) of all shipped specs."""
    specs = Path(str(files("thesisbench.experiments")))
    return {tuple(p.parent.relative_to(specs).parts) for p in specs.glob("*/*/chapter.yaml")}  # type: ignore[misc]


@pytest.mark.parametrize("path", ENGINE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_engine_imports_no_method_and_names_no_chapter(path: Path) -> None:
    outside = ("thesisbench.methods", "thesisbench.layers", "thesisbench.backbones")
    assert not [name for name in imported(path) if name.startswith(outside)]
    plain = {"cross", "shift"}  # words that may mean something else
    named = {word for slug in chapters() for word in slug} - plain
    assert len(named) > 4
    assert not code_words(path) & named


def test_the_look_for_names_finds_them(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text('"""About kayhan."""\n\ndef run(full_conv: int) -> str:\n    return "Liu/x"\n')
    assert code_words(path) >= {"run", "full_conv", "liu"}
    assert "kayhan" not in code_words(path)


def test_chapters_never_import_each_other() -> None:
    assert len(SCIENCE) > 8
    for path in SCIENCE:
        mine = path.relative_to(ROOT / "methods").parts[:2]
        own = ".".join(["thesisbench", "methods", *mine])
        for name in imported(path):
            if name.startswith("thesisbench.methods."):
                assert f"{name}.".startswith(f"{own}."), f"{path} imports {name}"


def test_shared_parts_import_no_chapter() -> None:
    shared = ("ops", "layers", "backbones", "data", "metrics", "tasks", "training", "loggers")
    for folder in shared:
        for path in (ROOT / folder).rglob("*.py"):
            assert not [n for n in imported(path) if n.startswith("thesisbench.methods")], path
