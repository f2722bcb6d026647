"""claims.yaml: what it may say, how placeholders fill in, how a mistake is named."""

from __future__ import annotations

from typing import Any

import pytest

from thesisbench.errors import SpecError
from thesisbench.tables.claims import MAX_ATOMS, Claim, parse_claims, table_key

PAIRED = {"paired": "t2_1[full].top1 > t2_1[circular].top1", "effect": 8.0}


def claim(**changes: Any) -> dict[str, Any]:
    """A valid claim with some keys changed; None takes a key out."""
    data = {"id": "C2", "text": "It holds.", "where": ["kayhan.t2.1"], "atoms": [PAIRED], **changes}
    return {key: value for key, value in data.items() if value is not None}


def read(**changes: Any) -> Claim:
    return parse_claims({"claims": [claim(**changes)]}, "kayhan/full_conv")[0]


def refusal(**changes: Any) -> str:
    with pytest.raises(SpecError) as refused:
        read(**changes)
    message = str(refused.value)
    assert "\n" not in message
    assert message.startswith("kayhan/full_conv/claims.yaml: claim ")
    return message


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("kayhan.t2.1", "t2_1"),
        ("kayhan.t2_1_held_out", "t2_1_held_out"),
        ("kayhan.t2.2a", "t2_2a"),
        ("zhao.f2.16", "f2_16"),
        ("zhao.T6.1F", "t6_1f"),
        ("supplement", "supplement"),
    ],
)
def test_table_key_drops_the_thesis(table: str, key: str) -> None:
    assert table_key(table) == key


def test_defaults_and_fields() -> None:
    plain = read()
    assert (plain.id, plain.text, plain.where) == ("C2", "It holds.", ("kayhan.t2.1",))
    assert (plain.alpha, plain.looks, plain.alpha_per_look) == (0.05, 1, 0.05)
    assert plain.standing is None
    atom = plain.atoms[0]
    assert (atom.kind, atom.effect, atom.tolerance) == ("paired", 8.0, None)
    assert atom.text == "t2_1[full].top1 > t2_1[circular].top1"


def test_two_looks_halve_alpha() -> None:
    assert read(looks=2).alpha_per_look == 0.025
    assert read(looks=2, alpha=0.1).alpha_per_look == 0.05


def test_all_kinds_of_atoms() -> None:
    atoms = read(
        atoms=[
            {"exact": "t2_1[a].n == 3"},
            {"exact": "t2_1[a].n <= 3"},
            {"equal_within": 2, "expr": "t2_1[a].n - t2_1[b].n"},
            {"paired": "diverged(t2_1[a].n) < 0.5"},
        ]
    ).atoms
    assert [atom.kind for atom in atoms] == ["exact", "exact", "equal_within", "paired"]
    assert [atom.tolerance for atom in atoms] == [None, None, 2.0, None]
    assert atoms[2].text == "|t2_1[a].n - t2_1[b].n| <= 2"


def test_a_claim_without_atoms_says_why() -> None:
    untested = read(atoms=None, where=None, not_tested="needs people")
    assert (untested.atoms, untested.not_tested) == ((), "needs people")


def test_each_makes_one_atom_per_value() -> None:
    atoms = read(
        atoms=[{"paired": "t2_1[{r}].top1 > t2_1[full].top1", "each": {"r": ["none", "semi"]}}]
    ).atoms
    assert [atom.text for atom in atoms] == [
        "t2_1[none].top1 > t2_1[full].top1",
        "t2_1[semi].top1 > t2_1[full].top1",
    ]


def test_several_placeholders_make_every_combination() -> None:
    each = {"g": [8, 16], "neg": [True, False]}
    atoms = read(atoms=[{"exact": "t2_1[g{g}_{neg}].a == t2_1[x].a_{neg}", "each": each}]).atoms
    assert [atom.text for atom in atoms] == [
        "t2_1[g8_true].a == t2_1[x].a_true",
        "t2_1[g8_false].a == t2_1[x].a_false",
        "t2_1[g16_true].a == t2_1[x].a_true",
        "t2_1[g16_false].a == t2_1[x].a_false",
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lokks": 2}, "unknown key 'lokks'; valid: alpha, atoms, id, looks"),
        ({"id": None}, "must be a word such as C2"),
        ({"id": "C 2"}, "must be a word such as C2"),
        ({"text": None}, "text must be text"),
        ({"text": 5}, "text must be text"),
        ({"standing": 5}, "standing must be text"),
        ({"where": None}, "where must name at least one table"),
        ({"where": "kayhan.t2.1"}, "where must be a list"),
        ({"where": ["kayhan.t2.1", "liu.t2.1"]}, "named alike"),
        ({"where": ["kayhan.t2.2"]}, "unknown table 't2_1'; valid: t2_2; or add its table"),
        ({"alpha": 0}, "alpha 0 must be a number above 0 and below 0.5"),
        ({"alpha": 0.5}, "below 0.5"),
        ({"alpha": "5%"}, "alpha '5%' must be a number"),
        ({"alpha": float("nan")}, "alpha nan"),
        ({"looks": 3}, "looks 3 must be 1 or 2"),
        ({"looks": True}, "looks True must be 1 or 2"),
        ({"looks": []}, "must be 1 or 2"),
        ({"atoms": None}, "either atoms or not_tested"),
        ({"not_tested": "why"}, "either atoms or not_tested"),
        ({"atoms": []}, "at least one atom"),
        ({"atoms": PAIRED}, "must be a list"),
        ({"atoms": ["a > b"]}, "atom 1: must be a mapping"),
        ({"atoms": [PAIRED, {}]}, "atom 2: must have exactly one of: paired, exact, equal_within"),
        ({"atoms": [{**PAIRED, "exact": "t2_1[a].b == 1"}]}, "exactly one of"),
        ({"atoms": [{**PAIRED, "d": 1}]}, "unknown key 'd'; valid: each, effect, paired"),
        ({"atoms": [PAIRED, PAIRED]}, "is there twice"),
    ],
)
def test_a_wrong_claim_is_refused_with_the_place(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(**changes)


@pytest.mark.parametrize(
    ("atom", "says"),
    [
        ({"paired": "t2_1[a].b >= t2_1[c].b"}, "has >=; paired takes: >, <"),
        ({"paired": "t2_1[a].b == t2_1[c].b"}, "has ==; paired takes: >, <"),
        ({"paired": "t2_1[a].b"}, "has no comparison"),
        ({"exact": "t2_1[a].b"}, "has no comparison; exact takes: ==, <=, >=, <, >"),
        ({"exact": "1 < 2"}, "names no cell"),
        ({"exact": "t2_1[a].b == t2_1[a].b"}, "compares a cell with itself"),
        ({"exact": "t2_1[a].b == 1", "effect": 2}, "unknown key 'effect'"),
        ({"paired": 5}, "paired must be text"),
        ({"paired": "t2_1[a].b > 1", "effect": -1}, "effect -1 must be a number above 0"),
        ({"equal_within": 0, "expr": "t2_1[a].b"}, "equal_within 0 must be a number above 0"),
        ({"equal_within": True, "expr": "t2_1[a].b"}, "equal_within True must be a number"),
        ({"equal_within": 1}, "expr must be text"),
        ({"equal_within": 1, "expr": "t2_1[a].b > 1"}, "has >; equal_within takes: none"),
        ({"paired": "t2_1[a].b > __import__(os)"}, "is not allowed"),
        ({"paired": "t2_1[{r}].b > 1"}, "placeholder 'r' must stand both"),
        ({"paired": "t2_1[a].b > 1", "each": {"r": ["a"]}}, "placeholder 'r' must stand both"),
        ({"paired": "t2_1[a].b > 1", "each": ["a"]}, "each must map"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": "a"}}, "each: r must be a list"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": []}}, "each: r must be a list"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": ["a b"]}}, "each: 'a b' is no key"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": ["{r}"]}}, "is no key"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": [None]}}, "each: None is no key"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": [1.5]}}, "each: 1.5 is no key"),
        ({"paired": "t2_1[{r}].b > 1", "each": {"r": ["a", "a"]}}, "is there twice"),
    ],
)
def test_a_wrong_atom_is_refused_with_the_place(atom: dict[str, Any], says: str) -> None:
    message = refusal(atoms=[atom])
    assert says in message
    assert "claim C2" in message


def test_placeholders_cannot_blow_up() -> None:
    names = [f"r{i}" for i in range(11)]
    assert len(names) ** 3 > MAX_ATOMS
    each = {"a": names, "b": names, "c": names}
    atom = {"exact": "t2_1[{a}_{b}_{c}].x == 1", "each": each}
    assert f"more than {MAX_ATOMS} atoms" in refusal(atoms=[atom])
    atoms = [{"exact": f"t2_1[a].b == {i}"} for i in range(MAX_ATOMS + 1)]
    assert f"more than {MAX_ATOMS} atoms" in refusal(atoms=atoms)


@pytest.mark.parametrize("data", [None, [], {}, {"claims": {}}, {"claims": None}, {"claim": []}])
def test_a_file_without_a_list_of_claims_is_refused(data: Any) -> None:
    with pytest.raises(SpecError, match=r"kayhan/full_conv/claims.yaml: must hold `claims:`"):
        parse_claims(data, "kayhan/full_conv")


def test_the_file_level_is_checked() -> None:
    with pytest.raises(SpecError, match="unknown key 'version'; valid: claims"):
        parse_claims({"claims": [], "version": 1}, "x/y")
    with pytest.raises(SpecError, match="claim C2 is there twice"):
        parse_claims({"claims": [claim(), claim()]}, "x/y")
    with pytest.raises(SpecError, match="claim 2: must be a mapping"):
        parse_claims({"claims": [claim(), "C3"]}, "x/y")
