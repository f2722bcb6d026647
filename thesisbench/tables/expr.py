"""Expressions of derived cells and of atoms: read with `ast` against a whitelist, never executed.

Allowed are numbers, `+ - * /`, unary minus, `min`, `max`, `mean`, `abs` and cells; an atom may also
hold one comparison at its top and `diverged(cell)`. How a cell is written depends on the mode:

    column  `ap` is a column of this row, `ap[full]` the same column of another row
    row     `full` is a row of this column
    atom    `t2_1[full].top1` is a cell of a table
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from thesisbench.errors import SpecError

Mode = Literal["column", "row", "atom"]
MAX_LENGTH = 1000
MAX_DEPTH = 50

_KEY = re.compile(r"[a-z][a-z0-9_]*")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_ .,()\[\]+\-*/<>=]")
_FUNCTIONS = ("min", "max", "mean", "abs")
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_COMPARISONS = {ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "=="}
_CELLS = {
    "column": "a column of this row (ap) or of another row (ap[full])",
    "row": "a row of this column (full)",
    "atom": "a cell (t2_1[full].top1), diverged(cell), one comparison (> < >= <= ==) at the top",
}


class ExpressionError(ArithmeticError):
    """An expression without a finite value: a division by zero, an overflow, a value not finite."""


@dataclass(frozen=True)
class Reference:
    """A cell named by an expression; None stands for "the one the expression belongs to".

    Attributes:
        table: table key such as `t2_1`; row, column: keys.
        diverged: the share of diverged seeds is meant, not the value.
    """

    table: str | None = None
    row: str | None = None
    column: str | None = None
    diverged: bool = False

    def __str__(self) -> str:
        if self.table is not None:
            cell = f"{self.table}[{self.row}].{self.column}"
        elif self.row is not None and self.column is not None:
            cell = f"{self.column}[{self.row}]"
        else:
            cell = self.row or self.column or ""
        return f"diverged({cell})" if self.diverged else cell


@dataclass(frozen=True)
class Number:
    """A finite number written in an expression."""

    value: float


@dataclass(frozen=True)
class Operation:
    """An operator or function (`-` with one argument is the unary minus) and its arguments."""

    name: str
    args: tuple[Node, ...]


Node = Number | Reference | Operation


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Attributes:
        text: as written, white space made single.
        left: the tree, or its left side when there is a comparison.
        comparison: `>`, `<`, `>=`, `<=`, `==`, or None.
        right: right side of the comparison.
    """

    text: str
    left: Node
    comparison: str | None = None
    right: Node | None = None

    def references(self) -> frozenset[Reference]:
        """All cells the expression names."""
        return frozenset(_leaves(self.left)) | frozenset(_leaves(self.right or Number(0.0)))

    def sides(self) -> tuple[Expression, Expression]:
        """Left and right of the comparison; without one, the expression itself and 0."""
        return (
            Expression(self.text, self.left),
            Expression(self.text, self.right or Number(0.0)),
        )

    def evaluate(self, lookup: Callable[[Reference], float]) -> float:
        """The value, given that of each cell.

        Raises:
            ExpressionError: the value, or one on the way to it, is not finite.
            ValueError: the expression is a comparison; evaluate its `sides()`.
        """
        if self.comparison is not None:
            raise ValueError(f"{self.text!r} is a comparison; evaluate its sides")
        return _evaluate(self.left, lookup)

    def opposed(self) -> Iterator[tuple[Reference, Reference]]:
        """Pairs of cells on the two sides of a comparison, a difference or a division."""
        yield from _opposed(Operation("-", (self.left, self.right or Number(0.0))))


def parse(text: str, mode: Mode) -> Expression:
    """Read an expression.

    Args:
        text: as it stands in the spec, at most `MAX_LENGTH` characters.
        mode: where it stands: in a derived `column`, a derived `row`, or an `atom` of a claim.

    Raises:
        SpecError: it says something that is not allowed; the message names the part.

    >>> sorted(map(str, parse("ap - ap[full]", "column").references()))
    ['ap', 'ap[full]']
    """
    if not isinstance(text, str):
        raise SpecError(f"expression {text!r}: must be text, such as {'a - b'!r}")
    reader = _Reader(text=text if len(text) > MAX_LENGTH else " ".join(text.split()), mode=mode)
    tree = reader.syntax_tree()
    if mode != "atom" or not isinstance(tree, ast.Compare):
        return Expression(reader.text, reader.read(tree))
    if len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        raise reader.refusal(tree, "only one comparison is allowed, and it is one of > < >= <= ==")
    comparison = _COMPARISONS[type(tree.ops[0])]
    sides = reader.read(tree.left), reader.read(tree.comparators[0])
    return Expression(reader.text, sides[0], comparison, sides[1])


class _Reader:
    """Turns one text into a tree of our own nodes."""

    def __init__(self, *, text: str, mode: Mode) -> None:
        self.text = text
        self.mode = mode

    def refusal(self, part: ast.AST | str, why: str = "is not allowed") -> SpecError:
        """The one clear line: the text, the offending part, what is allowed."""
        found = part if isinstance(part, str) else ast.get_source_segment(self.text, part)
        return SpecError(
            f"expression {_short(self.text)!r}: {_short(found or self.text)!r} {why}; "
            f"allowed: numbers, + - * /, {', '.join(_FUNCTIONS)}, {_CELLS[self.mode]}"
        )

    def syntax_tree(self) -> ast.expr:
        """Python's reading of the text, which is short and of harmless characters."""
        if not self.text or len(self.text) > MAX_LENGTH:
            raise self.refusal(self.text, f"must have 1 to {MAX_LENGTH} characters")
        if strange := _FORBIDDEN.search(self.text):
            raise self.refusal(strange.group())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                return ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
            words = [w for w in re.findall(r"[A-Za-z_]+", self.text) if keyword.iskeyword(w)]
        if words:
            raise self.refusal(words[0], "is a word of Python's grammar and cannot be a key here")
        raise self.refusal(self.text, "cannot be read")

    def read(self, node: ast.expr, depth: int = 0) -> Node:
        """Our node for one of Python's."""
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"is nested more than {MAX_DEPTH} deep")
        match node:
            case ast.Constant():
                return Number(self.number(node))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Operation("-", (self.read(operand, depth + 1),))
            case ast.BinOp(left=left, op=op, right=right):
                if type(op) not in _BINARY:
                    raise self.refusal(node)
                args = (self.read(left, depth + 1), self.read(right, depth + 1))
                return Operation(_BINARY[type(op)], args)
            case ast.Call():
                return self.call(node, depth)
            case _:
                return self.cell(node)

    def number(self, node: ast.Constant) -> float:
        """A finite real number."""
        if type(node.value) not in (int, float):
            raise self.refusal(node)
        try:
            value = float(node.value)  # type: ignore[arg-type]
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise self.refusal(node, "is too large")
        return value

    def call(self, node: ast.Call, depth: int) -> Node:
        """One of the allowed functions, or `diverged(cell)` in an atom."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or not node.args:
            raise self.refusal(node)
        if name == "diverged" and self.mode == "atom" and len(node.args) == 1:
            cell = self.cell(node.args[0])
            return Reference(cell.table, cell.row, cell.column, diverged=True)
        if name not in _FUNCTIONS or (name == "abs" and len(node.args) != 1):
            raise self.refusal(node)
        return Operation(name, tuple(self.read(arg, depth + 1) for arg in node.args))

    def cell(self, node: ast.expr) -> Reference:
        """A cell, written as the mode asks."""
        match self.mode, node:
            case "column", ast.Name(id=column):
                return Reference(column=self.key(column, node))
            case "column", ast.Subscript(value=ast.Name(id=column), slice=ast.Name(id=row)):
                return Reference(row=self.key(row, node), column=self.key(column, node))
            case "row", ast.Name(id=row):
                return Reference(row=self.key(row, node))
            case "atom", ast.Attribute(
                value=ast.Subscript(value=ast.Name(id=table), slice=ast.Name(id=row)), attr=column
            ):
                table, row = self.key(table, node), self.key(row, node)
                return Reference(table, row, self.key(column, node))
            case _:
                raise self.refusal(node)

    def key(self, name: str, node: ast.expr) -> str:
        """A well-formed key of a table, row or column."""
        if not _KEY.fullmatch(name):
            raise self.refusal(node, f"holds {name!r}, which is no key (a-z, then a-z 0-9 _)")
        return name


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."


def _leaves(node: Node) -> Iterator[Reference]:
    if isinstance(node, Reference):
        yield node
    elif isinstance(node, Operation):
        for arg in node.args:
            yield from _leaves(arg)


def _opposed(node: Node) -> Iterator[tuple[Reference, Reference]]:
    if not isinstance(node, Operation):
        return
    if node.name in ("-", "/") and len(node.args) == 2:
        left, right = node.args
        yield from ((a, b) for a in _leaves(left) for b in _leaves(right))
    for arg in node.args:
        yield from _opposed(arg)


def _mean(*values: float) -> float:
    return math.fsum(values) / len(values)


_APPLY: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": lambda a, b=None: -a if b is None else a - b,
    "*": operator.mul,
    "/": operator.truediv,
    "abs": abs,
    "mean": _mean,
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
}


def _evaluate(node: Node, lookup: Callable[[Reference], float]) -> float:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Reference):
        value, what = float(lookup(node)), str(node)
    else:
        args = [_evaluate(arg, lookup) for arg in node.args]
        what = "an intermediate result"
        try:
            value = _APPLY[node.name](*args)
        except ZeroDivisionError:
            raise ExpressionError("division by zero") from None
        except OverflowError:
            value = math.inf
    if not math.isfinite(value):
        raise ExpressionError(f"{what} is not finite")
    return value
