"""A small chapter, its runs and its registries, as a library; and what commands print."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml
from odd_table import fill, open_session, write_chapter
from rich.console import Console

from thesisbench.browse.library import Library
from thesisbench.store.runs import RunStore
from thesisbench.tables.accept import accept
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.session import Session

SLUG = "toy/odd"
DATASETS = {
    "q_small": {"title": "Small", "what": "digits", "kind": "procedural", "source": "us"},
    "q_big": {
        "title": "Big",
        "what": "Photographs, naïve ones",
        "kind": "files",
        "folder": "big",
        "stand_in": "q_small",
        "source": "the makers",
    },
}
FIRST = """
id: toy.t1
thesis: toy
chapter: 1
kind: table
title: "Several nets | <b>at once</b>"
task: classification
source: 7
published_n: 5
datasets: [q_small]
step: test
replicates: {seed: {small: [0, 1, 2, 3, 4], paper: [0, 1, 2]}}
header: [["In bold", 2]]
columns:
  ap: {name: AP, metric: ap, unit: "%"}
  gain: {name: Gain, metric: ap, unit: points, better: none, cell: "ap - ap[plain]"}
rows:
  plain: {label: "Plain [net]", values: {ap: 81.4, gain: 0.0}, std: {ap: 0.5}}
  wild: {label: Wild, at: {net: wild}, values: {gain: -3.5}, reasons: {ap: diverged}}
  big: {label: Big, at: {net: big}, values: {ap: 90.0}, reasons: {gain: not_measured}}
  human: {label: People, source: human, values: {ap: 91}, reasons: {gain: not_applicable}}
  mine: {label: Control, at: {net: mine}, extra: true, note: "Not in the thesis."}
notes: "Test * accuracy."
"""
CLAIMS = """
claims:
  - id: C1
    text: Plain is better than the [control].
    where: [toy.t1]
    atoms:
      - {paired: "t1[plain].ap > t1[mine].ap", effect: 1.0}
      - {paired: "t1[plain].ap > t1[big].ap", effect: 1.0}
  - id: C2
    text: The control is within a point of 70 in both tables.
    where: [toy.t1, toy.t2]
    standing: The thesis says so only of one.
    atoms:
      - {equal_within: 1.0, expr: "{t}[mine].ap - 70", each: {t: [t1, t2]}}
  - {id: C3, text: Needs people., where: [toy.t2], not_tested: nobody was asked}
"""
LATER = """
id: toy.t3
thesis: toy
chapter: 1
kind: figure
title: Not built
task: detection
says: Bigger is better.
source: 12
datasets: [q_big]
step: later
columns:
  ap: {name: AP, metric: ap, unit: "%"}
rows:
  only: {label: Only, at: {}, settings: {backbone: ResNet-50}, values: {ap: 1.5}, std: {ap: 0.25}}
"""


def library_at(folder: Path) -> Library:
    """The chapter in folder/specs, read as it is now."""
    catalog = Catalog(((folder / "specs", False),))
    return Library(catalog, (str(folder / "conf"),), RunStore(folder / "runs"))


def write_library(folder: Path) -> Session:
    """A chapter of three tables, one of which is not built; nothing has been run."""
    write_chapter(folder)
    chapter = folder / "specs" / SLUG
    text = (chapter / "chapter.yaml").read_text()
    (chapter / "chapter.yaml").write_text(
        f"{text}  later: {{kind: analytic, recipe: later, replicates: []}}\n"
    )
    (chapter / "claims.yaml").write_text(CLAIMS)
    (chapter / "tables" / "t1.yaml").write_text(FIRST)
    (chapter / "tables" / "t3.yaml").write_text(LATER)
    (folder / "specs" / "datasets.yaml").write_text(yaml.safe_dump(DATASETS))
    options = {
        "dataset/q_small": "# Digits.\n_target_: thesisbench.data.module.ArrayDataModule\n",
        "shade/dark": "# @package variants.shade\n# Less light.\n# In all layers.\n_target_: a.B\n",
        "shade/none": "# @package _global_\n{}\n",
        "backbone/tiny": "# Two layers.\n_target_: some.nets.Tiny\n",
    }
    for name, content in options.items():
        path = folder / "conf" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return open_session(folder)


def accepted_library(folder: Path) -> Session:
    """The same with table t1 run and accepted at scale small."""
    session = write_library(folder)
    fill(session, leave_out=())
    accept(session)
    return session


def printed(print_: Any, *, width: int = 100, terminal: bool = False) -> str:
    """What a function prints on a console of some width."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    print_(console)
    return file.getvalue()


def is_json(data: Any) -> bool:
    """Data that JSON can say, without NaN."""
    return bool(json.dumps(data, allow_nan=False))
