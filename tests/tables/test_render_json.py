"""A table as JSON data: complete, and readable by anything that reads JSON."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from odd_table import fill, open_session, write_chapter

from thesisbench.tables.model import Interval
from thesisbench.tables.render.as_json import plain_data, table_json
from thesisbench.tables.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Session:
    write_chapter(tmp_path)
    made = open_session(tmp_path)
    fill(made)
    return made


def by_place(content: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(cell["row"], cell["column"]): cell for cell in content["cells"]}


def test_it_survives_the_round_trip(session: Session) -> None:
    content = table_json(session, "toy.t1")
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_cells_hold_all_their_values_runs_and_verdicts(session: Session) -> None:
    content = table_json(session, "toy.t1")
    cells = by_place(content)
    assert set(cells) == {key[1:] for key in session.cells}
    for cell in session.cells.values():
        shown = cells[cell.row, cell.column]
        assert {int(seed): value for seed, value in shown["values"].items()} == cell.values
        assert {int(seed): tuple(ids) for seed, ids in shown["runs"].items()} == cell.runs
        assert shown["diverged"] == sorted(cell.diverged)
        assert shown["verdict"]["verdict"] == session.verdicts[cell.key].verdict
    assert cells["plain", "ap"]["target"] == {
        "value": 81.4, "std": 0.5, "decimals": 1, "reason": None,
    }  # fmt: skip
    plain, gone = cells["plain", "ap"], cells["gone", "ap"]
    assert (plain["mean"], plain["sd"], plain["n"]) == (81.0, 1.0, 5)
    assert (gone["state"], gone["values"], gone["mean"], gone["sd"], gone["n"]) == (
        "missing", {}, None, None, 0,
    )  # fmt: skip
    assert cells["twin", "ap"]["same_as"] == "net=plain"


def test_head_and_plan_are_counted(session: Session) -> None:
    content = table_json(session, "toy.t1")
    assert content["plan"] == {"runs": 40, "done": 30, "diverged": 4}
    assert content["wall_seconds"] == 45.0
    assert content["data"] == [{"name": "q_small", "stand_in_for": "q_big"}]
    assert (content["scale"], content["comparable"], content["overridden"]) == (
        "small",
        False,
        False,
    )
    assert [row["key"] for row in content["rows"]][-2:] == ["human", "mine"]
    assert [column["unit"] for column in content["columns"]] == ["%", "points", "%"]
    derived = "Derived, 100% {of} it"
    assert [column["group"] for column in content["columns"]] == ["Test set", derived, derived]


def test_claims_carry_their_atoms(session: Session) -> None:
    claims = {claim["claim"]: claim for claim in table_json(session, "toy.t1")["claims"]}
    assert list(claims) == ["C1", "C2"]
    assert claims["C1"]["summary"] == "holds (1 of 2 atoms tested)"
    first, second = claims["C1"]["atoms"]
    assert (first["result"], first["margin"], first["n"], first["effect"]) == (
        "holds",
        11.0,
        5,
        1.0,
    )
    assert first["interval"]["level"] == 0.95
    assert (second["result"], second["interval"]) == ("not tested", None)


def test_numbers_that_json_cannot_say_become_none() -> None:
    value = {
        1: (math.nan, math.inf, 0.5),
        "set": frozenset({3, 1}),
        "i": Interval(-math.inf, 1, 0.9),
    }
    assert plain_data(value) == {
        "1": [None, None, 0.5],
        "set": [1, 3],
        "i": {"low": None, "high": 1, "level": 0.9},
    }


def test_json_and_markdown_do_without_rich() -> None:
    code = (
        "import sys, thesisbench.tables.render.as_json, thesisbench.tables.render.markdown;"
        "print([m for m in ('rich', 'torch', 'pandas', 'scipy', 'hydra') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
