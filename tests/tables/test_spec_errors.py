"""A spec that says what it may not: one clear line that names the thing, before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from spec_toy import Toy

from thesisbench.compose import Composer
from thesisbench.errors import SpecError, UserError
from thesisbench.tables.plan import Planner
from thesisbench.tables.strict_yaml import parse_yaml


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def one_line(act: Callable[[], Any], kind: type[UserError] = SpecError) -> str:
    """The message of the error an action ends in."""
    with pytest.raises(kind) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


# (what is replaced in the table, by what, words the message must hold)
TABLE_ERRORS = {
    "wrong column": (
        "values: {top1: 81.4}",
        "values: {top_1: 81.4}",
        ("top_1", "top1", "rows.plain"),
    ),
    "unknown key": ("metric: top1", "metrics: top1", ("'metrics'", "metric,", "columns.top1:")),
    "unknown row key": ("label: Deep", "lable: Deep", ("'lable'", "label,", "rows.deep:")),
    "unknown table key": ("title: Toy", "titel: Toy", ("'titel'", "nearest: title")),
    "unknown level": ("net: deep", "net: deeper", ("deeper", "deep", "rows.deep.at")),
    "unknown factor": ("net: deep", "network: deep", ("network", "net", "rows.deep.at")),
    "factor no step takes": (
        "net: deep",
        "net: deep, data: all",
        ("data", "no step", "[deep].top1"),
    ),
    "row against column": ("at: {}", "at: {net: plain}", ("net=deep", "net=plain", "[deep].top1")),
    "no level": ("at: {net: deep}, ", "", ("no level for net", "[deep].top1")),
    "unknown step": ("step: test", "step: tests", ("tests", "test")),
    "no step": ("step: test\n", "", ("no step", "fit, test")),
    "unknown source": (
        "label: Deep",
        "label: Deep, source: guess",
        ("'guess'", "external, human", "rows.deep:"),
    ),
    "reserved row key": ("  deep: {", "  in: {", ("'in'", "reserved")),
    "reserved column key": ("top1: {name", "lambda: {name", ("'lambda'", "reserved")),
    "key with a capital": ("  deep: {", "  Deep: {", ("'Deep'", "[a-z]")),
    "value without a reason": ("values: {top1: 83.0}", "values: {}", ("[deep].top1", "reasons")),
    "unknown reason": (
        "values: {top1: 83.0}",
        "reasons: {top1: lost}",
        ("lost", "diverged", "rows.deep.reasons.top1"),
    ),
    "text for a number": ("top1: 83.0", 'top1: "83.0"', ("float", "rows.deep:", "values")),
    "extra row with values": ("label: Deep", "label: Deep, extra: true", ("rows.deep", "extra")),
    "derived without a formula": (
        "label: Deep",
        "label: Deep, source: derived",
        ("derived", "cell:"),
    ),
    "formula of an unknown row": (
        "at: {net: deep}",
        "source: derived, cell: plain - deeper",
        ("deeper", "[deep].top1"),
    ),
    "another thesis": ("id: toy.t1", "id: other.t1", ("other.t1", "toy")),
    "key twice": ("step: test", "step: test\ntask: detection", ("task", "twice")),
    "list for a mapping": ("rows:", "rows: []\nmore:", ("rows", "object")),
}


@pytest.mark.parametrize("case", TABLE_ERRORS)
def test_a_wrong_table_is_one_line(toy: Toy, case: str) -> None:
    old, new, words = TABLE_ERRORS[case]
    assert old in toy.table
    toy.table = toy.table.replace(old, new, 1)
    message = one_line(toy.load)
    for word in words:
        assert word in message, message


CHAPTER_ERRORS = {
    "unknown key": ("takes: [net]}", "take: [net]}", ("'take'", "takes", "steps.mine:")),
    "unknown kind": ("kind: eval", "kind: evaluate", ("'evaluate'", "eval, fit", "steps.test:")),
    "unknown factor": ("takes: [net]}", "takes: [nets]}", ("nets", "net", "steps.mine.takes")),
    "unknown needed step": ("weights: fit", "weights: fits", ("fits", "fit", "steps.test.needs")),
    "unknown condition": ("when: mining", "when: minnig", ("minnig", "mining", "when")),
    "unknown level of a need": (
        "when: mining",
        "at: {net: deeper}",
        ("deeper", "deep", "steps.fit.needs.first.at"),
    ),
    "unknown default": ("defaults: {}", "defaults: {net: deeper}", ("deeper", "defaults")),
    "needs in a circle": (
        "recipe: fit, takes: [net]}",
        "recipe: fit, takes: [net], needs: {again: fit}}",
        ("circle", "mine -> fit -> mine"),
    ),
    "reserved level": ("    deep: [", "    not: [", ("'not'", "reserved")),
    "reserved step": ("  mine: {", "  while: {", ("'while'", "reserved")),
    "missing small": ("small: {same_as: plain}, ", "", ("net.twin", "small")),
    "missing paper": (", paper: [schedule.epochs=3]", "", ("net.twin", "paper")),
    "unknown scale": ("{small: {same_as", "{tiny: [], small: {same_as", ("tiny", "paper, small")),
    "same_as nothing": ("same_as: plain", "same_as: plane", ("plane", "plain", "net.twin.small")),
    "same_as of same_as": (
        "    deep: [schedule.epochs=2]",
        "    deep: {small: {same_as: twin}, paper: []}",
        ("same_as", "twin", "net.deep.small"),
    ),
    "an override that is no text": ("[schedule.epochs=2]", "[2]", ("net.deep", "overrides")),
    "a bare word for a level": ("[schedule.epochs=2]", "skipped", ("net.deep", "skipped")),
    "a level given twice": ("{true: [", "{'true': [], true: [", ("mining", "true", "twice")),
}


@pytest.mark.parametrize("case", CHAPTER_ERRORS)
def test_a_wrong_chapter_is_one_line(toy: Toy, case: str) -> None:
    old, new, words = CHAPTER_ERRORS[case]
    assert old in toy.chapter
    toy.chapter = toy.chapter.replace(old, new, 1)
    message = one_line(toy.load)
    for word in words:
        assert word in message, message


def test_two_levels_that_write_one_key_differently(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("schedule.patience=1", "schedule.epochs=7")
    message = one_line(toy.plan)
    for word in ("net", "mining", "'schedule.epochs'", "schedule.epochs=1", "schedule.epochs=7"):
        assert word in message


def test_two_cells_that_are_one_run_must_say_so(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("deep: [schedule.epochs=2]", "deep: [schedule.epochs=1]")
    message = one_line(toy.plan)
    for word in ("toy.t1[plain].top1", "toy.t1[deep].top1", "net", "same_as", "small"):
        assert word in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("schedule.epoch=2", ("schedule.epoch", "schedule.epochs")),
        ("schedule.epochs=many", ("schedule.epochs=many", "many")),
        ("border=sideways", ("sideways", "circular, full")),
        ("schedule.epochs=1,2", ("schedule.epochs=1,2", "several values")),
        ("schedule.epochs=[2", ("schedule.epochs=[2", "not an override")),
        ("hydra/launcher=joblib", ("hydra/launcher", "launcher")),
        ("task._target_=os.system", ("task._target_", "option file")),
    ],
)
def test_an_override_that_does_not_compose(toy: Toy, override: str, words: tuple[str, ...]) -> None:
    toy.chapter = toy.chapter.replace("schedule.epochs=2", f"'{override}'")
    message = one_line(toy.plan, UserError)
    for word in ("toy.t1[deep].top1", *words):
        assert word in message, message


def test_a_recipe_that_is_not_built_is_said_so(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("recipe: test", "recipe: missing")
    message = one_line(toy.plan, UserError)
    assert "toy.t1" in message
    assert "toy/toys/missing" in message


def test_a_step_of_another_kind_than_its_recipe(toy: Toy) -> None:
    toy.chapter = toy.chapter.replace("kind: eval", "kind: prepare")
    message = one_line(toy.plan)
    assert "step test is of kind prepare, its recipe of eval" in message


def test_replicates_that_say_nothing_for_a_scale(toy: Toy) -> None:
    toy.table = toy.table.replace("small: [0, 1, 2], ", "")
    assert "replicates.seed" in one_line(toy.plan)


def test_unknown_table_and_scale_name_the_valid_ones(toy: Toy) -> None:
    planner = Planner(toy.catalog(), Composer())
    assert "toy.t1" in one_line(lambda: planner.plan(["toy.t11"], "small"), UserError)
    message = one_line(lambda: planner.plan(["toy.t1"], "big"), UserError)
    assert "paper, small, smoke" in message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("True", "True"),
        ("010", "010"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        (".inf", ".inf"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("1e-3", 0.001),
        ("1.", 1.0),
        ("-0.5", -0.5),
        ("10", 10),
        ("0", 0),
    ],
)
def test_scalars_are_typed_as_in_hydra(text: str, value: object) -> None:
    parsed = parse_yaml(f"key: {text}")["key"]
    assert (parsed, type(parsed)) == (value, type(value))


def test_a_repeated_key_is_named_with_its_line() -> None:
    text = dedent(
        """
        rows:
          plain: {label: A}
          plain: {label: B}
        """
    )
    message = one_line(lambda: parse_yaml(text, "toy.yaml"))
    for word in ("toy.yaml", "'plain'", "twice", "line 4"):
        assert word in message


@pytest.mark.parametrize(
    "text", ["key: [1", "key: !!python/name:os.system x", "a: &a [*a]\nb: {*a: 1}"]
)
def test_yaml_that_is_not_safe_or_not_valid_is_one_line(text: str) -> None:
    assert "not valid YAML" in one_line(lambda: parse_yaml(text))
