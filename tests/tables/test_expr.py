"""Expressions: what they mean, what they name, and what they refuse."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thesisbench.errors import SpecError
from thesisbench.tables.expr import (
    MAX_DEPTH,
    MAX_LENGTH,
    Expression,
    ExpressionError,
    Reference,
    parse,
)

VALUES = {"a": 7.0, "b": -2.0, "c": 0.5}


def by_column(reference: Reference) -> float:
    assert reference.column is not None
    return VALUES[reference.column]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3.0),
        ("1.5e2", 150.0),
        ("a", 7.0),
        ("-b", 2.0),
        ("--b", -2.0),
        ("a + b * c", 6.0),
        ("(a + b) * c", 2.5),
        ("a - b - c", 8.5),
        ("a / b / c", -7.0),
        ("a - (b - c)", 9.5),
        ("min(a, b, c)", -2.0),
        ("max(a, b, c)", 7.0),
        ("min(a)", 7.0),
        ("mean(a, b, c)", 5.5 / 3),
        ("abs(b - c)", 2.5),
        ("  a\n   + b ", 5.0),
        ("100 * (a - c) / abs(-b * 2)", 162.5),
    ],
)
def test_arithmetic_gives_the_hand_computed_value(text: str, value: float) -> None:
    assert parse(text, "column").evaluate(by_column) == pytest.approx(value, rel=1e-15)


_TREES = st.recursive(
    st.sampled_from(["a", "b", "c", "2", "0.25", "3e1"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda t: f"-{t}"),
        inner.map(lambda t: f"abs({t})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
    ),
    max_leaves=8,
)


@given(_TREES)
def test_value_equals_that_of_python_itself(text: str) -> None:
    functions = {"abs": abs, "min": min, "max": max}
    try:
        expected = float(eval(text, {"__builtins__": {}}, {**functions, **VALUES}))
    except ZeroDivisionError:
        expected = math.nan
    expression = parse(text, "column")
    if math.isfinite(expected):
        assert expression.evaluate(by_column) == expected
    else:
        with pytest.raises(ExpressionError):
            expression.evaluate(by_column)


def test_names_are_columns_rows_or_cells_by_mode() -> None:
    assert parse("ap - ap[full]", "column").references() == {
        Reference(column="ap"),
        Reference(row="full", column="ap"),
    }
    assert parse("full - same", "row").references() == {
        Reference(row="full"),
        Reference(row="same"),
    }
    assert parse("t2_1[full].top1 > diverged(t2_1[same].top1)", "atom").references() == {
        Reference("t2_1", "full", "top1"),
        Reference("t2_1", "same", "top1", diverged=True),
    }


def test_functions_do_not_hide_columns_of_the_same_name() -> None:
    references = parse("max - mean(max, min)", "column").references()
    assert references == {Reference(column="max"), Reference(column="min")}


@pytest.mark.parametrize("sign", [">", "<", ">=", "<=", "=="])
def test_comparison_of_an_atom_splits_into_sides(sign: str) -> None:
    expression = parse(f"t[r].a + 1 {sign} 2 * t[r].b", "atom")
    assert expression.comparison == sign
    left, right = expression.sides()
    assert left.evaluate(by_column) == 8.0
    assert right.evaluate(by_column) == -4.0
    with pytest.raises(ValueError, match="comparison"):
        expression.evaluate(by_column)


def test_without_comparison_the_right_side_is_zero() -> None:
    left, right = parse("t[r].a - t[r].b", "atom").sides()
    assert (left.evaluate(by_column), right.evaluate(by_column)) == (9.0, 0.0)


def test_opposed_pairs_stand_on_two_sides() -> None:
    def pairs(text: str) -> set[tuple[str, str]]:
        return {(str(a), str(b)) for a, b in parse(text, "atom").opposed()}

    assert pairs("t[r].a > t[r].b + t[r].c") == {("t[r].a", "t[r].b"), ("t[r].a", "t[r].c")}
    assert pairs("t[r].a - t[r].b") == {("t[r].a", "t[r].b")}
    assert pairs("mean(t[r].a, t[r].b) > 2") == set()
    assert pairs("abs(t[r].a / t[r].b) > 2") == {("t[r].a", "t[r].b")}


@pytest.mark.parametrize(
    "text", ["a / (b + 2)", "a / 0", "1e308 * 10 * a", "mean(1e308, 1e308) * a"]
)
def test_no_finite_value_is_a_named_error(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text, "column").evaluate(by_column)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_cell_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(ExpressionError, match="a is not finite"):
        parse("max(a, 1)", "column").evaluate(lambda _: value)


NASTY = [
    "",
    " ",
    "a b",
    "a +",
    "(a",
    "a ** 2",
    "2 ** 999999999",
    "a // b",
    "a % b",
    "a @ b",
    "a | b",
    "a & b",
    "a ^ b",
    "a << 3",
    "~a",
    "+a",
    "not a",
    "a and b",
    "a or b",
    "a if b else c",
    "a is b",
    "a in b",
    "lambda: 1",
    "lambda x: x",
    "x := 1",
    "(x := 1)",
    "a = 1",
    "a; b",
    "import os",
    "__import__('os')",
    "__import__",
    "__import__(os)",
    "a.__class__",
    "().__class__.__bases__",
    "a.b",
    "a.b.c",
    "a[0]",
    "a[-1]",
    "a[full][same]",
    "a[full, same]",
    "a[full:same]",
    "a[a[full]]",
    "[a]",
    "[x for x in a]",
    "(a, b)",
    "{a}",
    "{a: b}",
    "'text'",
    '"text"',
    "f'{a}'",
    "b'x'",
    "`a`",
    "$a",
    "a!",
    "a # comment",
    "a \\",
    "\x00",
    "a\x00b",
    "True",
    "None",
    "...",
    "1j",
    "1e999",
    "9" * 400,
    "0777",
    "1or 2",
    "A",
    "_a",
    "aé",
    "ａ",
    "print(a)",
    "eval(a)",
    "exec(a)",
    "open(a)",
    "getattr(a, b)",
    "pow(2, 9)",
    "sum(a, b)",
    "min()",
    "abs()",
    "abs(a, b)",
    "min(*a)",
    "min(a, key=b)",
    "min(**a)",
    "min(a)(b)",
    "(a)(b)",
    "min(x for x in a)",
    "await a",
    "yield a",
    "(yield)",
    "t[r].class",
    "-" * 900 + "1",
    "(" * 300 + "1" + ")" * 300,
    "+".join(["1"] * 300),
    "a" * (MAX_LENGTH + 1),
    "1" + " " * (2 * MAX_LENGTH) + "** 2",
    "a > b > c",
    "a != b",
    "a > (b > c)",
    "min(a > b, 1)",
    "diverged(1)",
    "diverged(a + b)",
    "diverged()",
    "diverged(diverged(a))",
]


@pytest.mark.parametrize("mode", ["column", "row", "atom"])
@pytest.mark.parametrize("text", NASTY)
def test_what_is_not_allowed_is_refused_in_one_line(text: str, mode: str) -> None:
    if mode == "atom":
        text = re.sub(r"\b[abc]\b", lambda name: f"t[r].{name.group()}", text)
    with pytest.raises(SpecError) as refused:
        parse(text, mode)  # type: ignore[arg-type]
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 600


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("a > b", "column"),
        ("a > b", "row"),
        ("a[full]", "row"),
        ("t[full].a", "row"),
        ("t[full].a", "column"),
        ("a", "atom"),
        ("a[full]", "atom"),
        ("diverged(a)", "column"),
        ("diverged(a)", "row"),
        ("diverged(a)", "atom"),
        ("t[full].__class__", "atom"),
        ("t[full].a.b", "atom"),
        ("t[0].a", "atom"),
        ("diverged(t[r].a, t[r].b)", "atom"),
    ],
)
def test_what_belongs_to_another_mode_is_refused(text: str, mode: str) -> None:
    with pytest.raises(SpecError):
        parse(text, mode)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [5, None, True, ["a"], {"a": 1}])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(SpecError, match="must be text"):
        parse(value, "column")  # type: ignore[arg-type]


def test_the_message_names_text_part_and_what_is_allowed() -> None:
    with pytest.raises(SpecError) as refused:
        parse("a - b ** 2", "column")
    message = str(refused.value)
    assert "'a - b ** 2'" in message
    assert "'b ** 2' is not allowed" in message
    assert "mean" in message
    assert "ap[full]" in message
    with pytest.raises(SpecError, match="'class' is a word of Python's grammar"):
        parse("t[r].class > 1", "atom")


def test_depth_up_to_the_limit_is_read() -> None:
    assert parse("-" * MAX_DEPTH + "2", "row").evaluate(by_column) == 2.0
    with pytest.raises(SpecError, match="nested"):
        parse("-" * (MAX_DEPTH + 1) + "2", "row")


_WORDS = (
    "a t t[r].a [ ] ( ) . , + - * / > == 1 0x _ min mean abs diverged lambda if for in not e5 j"
)
_FRAGMENTS = st.lists(st.sampled_from([" ", *_WORDS.split()]), max_size=14).map("".join)


@given(st.one_of(st.text(max_size=60), _FRAGMENTS), st.sampled_from(["column", "row", "atom"]))
def test_any_text_gives_an_expression_or_a_spec_error(text: str, mode: str) -> None:
    try:
        expression = parse(text, mode)  # type: ignore[arg-type]
    except SpecError:
        return
    assert isinstance(expression, Expression)
    for side in expression.sides():
        try:
            assert math.isfinite(side.evaluate(lambda _: 2.0))
        except ExpressionError:
            assert "/" in text or "*" in text or "e" in text


def test_reading_expressions_imports_nothing_heavy() -> None:
    code = (
        "import sys, thesisbench.tables.expr, thesisbench.tables.claims, thesisbench.tables.judge;"
        "heavy = {'numpy', 'scipy', 'torch', 'pandas', 'hydra'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
