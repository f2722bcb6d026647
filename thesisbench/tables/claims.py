"""Claims of a chapter, as its claims.yaml states them: what must hold in which cells.

claims:
  - id: C2
    text: F-Conv does not learn absolute location.
    where: [kayhan.t2.1]
    looks: 2                     # one declared second look; alpha is then halved at both
    atoms:
      - {paired: "t2_1[full].similar > t2_1[circular].similar", effect: 8.0}
      - {exact: "t2_1[{r}].errors == 0", each: {r: [full, same]}}
      - {equal_within: 2.0, expr: "t2_1[full].top1 - t2_1[same].top1"}
  - {id: C9, text: ..., not_tested: "needs people"}
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from thesisbench.errors import SpecError, unknown
from thesisbench.store.files import canonical_json
from thesisbench.tables.expr import Expression, parse

AtomKind = Literal["paired", "exact", "equal_within"]
MAX_ATOMS = 1000

_CLAIM_KEYS = ("id", "text", "where", "alpha", "looks", "standing", "atoms", "not_tested")
_ATOM_KEYS: dict[AtomKind, tuple[str, ...]] = {
    "paired": ("paired", "effect", "each"),
    "exact": ("exact", "each"),
    "equal_within": ("equal_within", "expr", "each"),
}
_COMPARISONS: dict[AtomKind, tuple[str | None, ...]] = {
    "paired": (">", "<"),
    "exact": ("==", "<=", ">=", "<", ">"),
    "equal_within": (None,),
}
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_VALUE = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True)
class Atom:
    """One statement of a claim, placeholders filled in.

    Attributes:
        text: the expression as written; for equal_within, in words.
        kind: paired, exact or equal_within.
        expression: parsed; a comparison unless the kind is equal_within.
        effect: the difference worth seeing (paired), if stated.
        tolerance: the d of equal_within.
    """

    text: str
    kind: AtomKind
    expression: Expression
    effect: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Claim:
    """A falsifiable statement of a chapter.

    Attributes:
        id: C1, C2, ...
        text: in words.
        where: ids of the tables its atoms speak of.
        atoms: all must hold.
        alpha: error level over all declared looks.
        looks: 1, or 2 when a second look with twice the seeds was declared.
        standing: a note on what the thesis says, or how the claim stands there.
        not_tested: why it has no atoms.
    """

    id: str
    text: str
    where: tuple[str, ...] = ()
    atoms: tuple[Atom, ...] = ()
    alpha: float = 0.05
    looks: int = 1
    standing: str | None = None
    not_tested: str | None = None

    @property
    def alpha_per_look(self) -> float:
        """Error level of one look."""
        return self.alpha / self.looks


def table_key(table_id: str) -> str:
    """How atoms name a table: without the thesis, dots made underscores, lower case.

    >>> table_key("kayhan.t2.1")
    't2_1'
    """
    _, _, rest = table_id.partition(".")
    return (rest or table_id).replace(".", "_").lower()


def statement_digest(claim: Claim) -> str:
    """sha256 (16 hex digits) of what is judged: tables, error level, looks and atoms.

    The text of a claim is for people: a better wording leaves its verdicts as they are.
    """
    atoms = [
        {"text": a.text, "kind": a.kind, "effect": a.effect, "tolerance": a.tolerance}
        for a in claim.atoms
    ]
    stated = {"where": claim.where, "alpha": claim.alpha, "looks": claim.looks, "atoms": atoms}
    return hashlib.sha256(canonical_json(stated).encode()).hexdigest()[:16]


def parse_claims(data: Mapping[str, Any], chapter: str) -> list[Claim]:
    """Read a claims file.

    Args:
        data: its content, `{claims: [...]}`.
        chapter: slug, for messages.

    Raises:
        SpecError: it says something that a claims file may not say; names file, claim and key.
    """
    place = f"{chapter}/claims.yaml"
    if not isinstance(data, Mapping) or not isinstance(data.get("claims"), list):
        raise SpecError(f"{place}: must hold `claims:` with a list of claims")
    _known_keys(data, ("claims",), place)
    claims = [_claim(item, place, i + 1) for i, item in enumerate(data["claims"])]
    names = [claim.id for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SpecError(f"{place}: claim {twice[0]} is there twice; give each its own id")
    return claims


def _claim(data: Any, file: str, number: int) -> Claim:
    if not isinstance(data, Mapping):
        _refuse(f"{file}: claim {number}", "must be a mapping with keys", _CLAIM_KEYS)
    name = data.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        _refuse(f"{file}: claim {number}", f"id {name!r} must be a word such as C2")
    place = f"{file}: claim {name}"
    _known_keys(data, _CLAIM_KEYS, place)
    reason = _text(data, "not_tested", place, required=False)
    if (reason is None) == (data.get("atoms") is None):
        _refuse(place, "needs either atoms or not_tested (with the reason)")
    where = _where(data.get("where", []), place, required=reason is None)
    return Claim(
        id=name,
        text=_text(data, "text", place) or "",
        where=where,
        atoms=() if reason else tuple(_atoms(data["atoms"], where, place)),
        alpha=_number(data.get("alpha", 0.05), "alpha", place, below=0.5),
        looks=_looks(data.get("looks", 1), place),
        standing=_text(data, "standing", place, required=False),
        not_tested=reason,
    )


def _atoms(items: Any, where: Collection[str], place: str) -> Iterator[Atom]:
    if not isinstance(items, list) or not items:
        _refuse(place, "atoms must be a list with at least one atom")
    seen: set[str] = set()
    for number, item in enumerate(items):
        here = f"{place}, atom {number + 1}"
        if not isinstance(item, Mapping):
            _refuse(here, "must be a mapping with one of", tuple(_ATOM_KEYS))
        kinds = [kind for kind in _ATOM_KEYS if kind in item]
        if len(kinds) != 1:
            _refuse(here, "must have exactly one of", tuple(_ATOM_KEYS))
        _known_keys(item, _ATOM_KEYS[kinds[0]], here)
        for atom in _expanded(item, kinds[0], {table_key(t) for t in where}, here):
            if atom.text in seen:
                _refuse(here, f"{atom.text!r} is there twice")
            seen.add(atom.text)
            if len(seen) > MAX_ATOMS:
                _refuse(place, f"has more than {MAX_ATOMS} atoms")
            yield atom


def _expanded(
    item: Mapping[str, Any], kind: AtomKind, tables: Collection[str], place: str
) -> Iterator[Atom]:
    source = "expr" if kind == "equal_within" else kind
    template = _text(item, source, place) or ""
    effect = item.get("effect")
    if effect is not None:
        effect = _number(effect, "effect", place)
    d = _number(item["equal_within"], "equal_within", place) if kind == "equal_within" else None
    for text in _filled(template, item.get("each", {}), place):
        try:
            expression = parse(text, "atom")
        except SpecError as error:
            raise SpecError(f"{place}: {error}") from None
        _check(expression, kind, tables, place)
        shown = expression.text if d is None else f"|{expression.text}| <= {d:g}"
        yield Atom(shown, kind, expression, effect, d)


def _check(expression: Expression, kind: AtomKind, tables: Collection[str], place: str) -> None:
    """The comparison fits the kind of atom, and the cells are in tables of `where`."""
    if expression.comparison not in _COMPARISONS[kind]:
        valid = ", ".join(c or "none, only a difference" for c in _COMPARISONS[kind])
        found = expression.comparison or "no comparison"
        _refuse(place, f"{expression.text!r} has {found}; {kind} takes: {valid}")
    references = expression.references()
    if not references:
        _refuse(place, f"{expression.text!r} names no cell")
    for reference in references:
        if reference.table not in tables:
            hint = "or add its table to where"
            raise SpecError(f"{place}: {unknown('table', str(reference.table), tables, hint)}")
    left, right = expression.sides()
    if left.left == right.left:
        _refuse(place, f"{expression.text!r} compares a cell with itself")


def _filled(template: str, each: Any, place: str) -> Iterator[str]:
    """The template with every combination of the placeholders' values."""
    if not isinstance(each, Mapping):
        _refuse(place, "each must map a placeholder to a list of values")
    used = set(_PLACEHOLDER.findall(template))
    if used != set(each):
        odd = sorted(map(str, used ^ set(each)))[0]
        _refuse(place, f"placeholder {odd!r} must stand both in {template!r} and in each")
    choices = [[_word(v, place) for v in _list(each[name], name, place)] for name in each]
    if math.prod(map(len, choices)) > MAX_ATOMS:
        _refuse(place, f"each makes more than {MAX_ATOMS} atoms")
    for combination in itertools.product(*choices):
        text = template
        for name, word in zip(each, combination, strict=True):
            text = text.replace(f"{{{name}}}", word)
        yield text


def _list(values: Any, name: Any, place: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        _refuse(place, f"each: {name} must be a list with at least one value")
    return values


def _word(value: Any, place: str) -> str:
    """A value of a placeholder; booleans are the words true and false, as levels are."""
    word = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, (str, int)) or not _VALUE.fullmatch(word):
        _refuse(place, f"each: {value!r} is no key (a-z 0-9 _)")
    return word


def _where(tables: Any, place: str, *, required: bool) -> tuple[str, ...]:
    if not isinstance(tables, list) or not all(isinstance(t, str) and t for t in tables):
        _refuse(place, "where must be a list of table ids")
    if required and not tables:
        _refuse(place, "where must name at least one table")
    keys = [table_key(table) for table in tables]
    if len(set(keys)) < len(keys):
        _refuse(place, f"where: {', '.join(tables)} are named alike in atoms")
    return tuple(tables)


def _looks(value: Any, place: str) -> int:
    if isinstance(value, bool) or value not in (1, 2):
        _refuse(place, f"looks {value!r} must be 1 or 2")
    return int(value)


def _number(value: Any, key: str, place: str, below: float = math.inf) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not fine or not 0 < value < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        _refuse(place, f"{key} {value!r} must be a number above 0{limit}")
    return float(value)


def _text(data: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> str | None:
    value = data.get(key)
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value.strip():
        _refuse(place, f"{key} must be text")
    return value.strip()


def _known_keys(data: Mapping[str, Any], valid: tuple[str, ...], place: str) -> None:
    for key in data:
        if key not in valid:
            raise SpecError(f"{place}: {unknown('key', str(key), valid)}")


def _refuse(place: str, problem: str, valid: tuple[str, ...] = ()) -> NoReturn:
    listed = f": {', '.join(valid)}" if valid else ""
    raise SpecError(f"{place}: {problem}{listed}")
