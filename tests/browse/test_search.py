"""`thesisbench search`: what is found, in which order, and what is marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from browse_toy import is_json, library_at, printed, write_library

from thesisbench.browse.documents import LABEL, TEXT, TITLE, Document, Field, documents
from thesisbench.browse.library import Library
from thesisbench.browse.search import Hit, folded, nothing_found, print_hits, search
from thesisbench.errors import UserError


def document(name: str, **fields: str) -> Document:
    weights = {"title": TITLE, "row": LABEL, "notes": TEXT}
    made = [Field(n, text, weights[n]) for n, text in fields.items()]
    return Document(
        "table", name, fields.get("title", ""), frozenset(), (Field("id", name, TITLE), *made)
    )


SHELF = [
    document("a.t1", notes="Blurs borders of images."),
    document("a.t2", title="Other", row="Border"),
    document("a.t3", title="Border handling", notes="No image."),
    document("a.t4", title="Naïve Straße", notes="F-Conv shifts top1_similar by 0.5 to 2.5."),
]


def ids(*words: str) -> list[str]:
    return [hit.document.id for hit in search(SHELF, words)]


def hit(*words: str) -> Hit:
    (found,) = search(SHELF, words)
    return found


@pytest.fixture
def library(tmp_path: Path) -> Library:
    write_library(tmp_path)
    return library_at(tmp_path)


def test_titles_come_before_labels_and_labels_before_texts() -> None:
    assert ids("border") == ["a.t3", "a.t2", "a.t1"]
    assert [h.score for h in search(SHELF, ["border"])] == [TITLE, LABEL, TEXT]


def test_every_word_must_begin_a_word() -> None:
    assert ids("border", "image") == ["a.t3", "a.t1"]
    assert ids("border image") == ["a.t3", "a.t1"]
    assert ids("order") == []
    assert ids("border", "shift") == []


@pytest.mark.parametrize(
    "word",
    ["NAÏVE", "naive", "strasse", "STRASSE", "f-conv", "conv", "similar", "top1", "2.5", "a.t4"],
)
def test_case_accents_and_signs_do_not_matter(word: str) -> None:
    assert "a.t4" in ids(word)


def test_signs_in_words_are_no_patterns() -> None:
    assert ids("t.p1") == []
    assert ids("(") == []


def test_the_snippet_marks_the_words_as_they_are_written() -> None:
    found = hit("strasse", "naive")
    assert found.field == "title"
    assert [found.snippet[a:b] for a, b in found.marks] == ["Naïve", "Straße"]
    assert folded("Naïve Straße") == "naive strasse"


def test_a_long_text_is_cut_around_the_first_match() -> None:
    text = f"{'before ' * 40}needle {'after ' * 40}"
    (found,) = search([document("a.t9", notes=text)], ["needle"])
    assert found.snippet.startswith("...before")
    assert found.snippet.endswith("after...")
    assert len(found.snippet) < 140
    ((start, end),) = found.marks
    assert found.snippet[start:end] == "needle"


def test_nothing_found_names_the_nearest_words() -> None:
    said = nothing_found(SHELF, ["bordr", "image"])
    assert said == "nothing has 'bordr'; nearest: 'border', 'borders'"
    both = nothing_found(SHELF, ["handling", "other"])
    assert both == "nothing has all of 'handling', 'other'; try fewer words"
    assert nothing_found(SHELF, ["xqzw"]) == "nothing has 'xqzw'"


@pytest.mark.parametrize("words", [[], [""], [" ", "\t"]])
def test_no_word_is_an_error(words: list[str]) -> None:
    with pytest.raises(UserError, match="no word to search for"):
        search(SHELF, words)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["plain", "net"], ("table", "toy.t1")),  # a row's label
        (["gain"], ("table", "toy.t1")),  # a column's name
        (["resnet-50"], ("table", "toy.t3")),  # a setting
        (["bigger"], ("table", "toy.t3")),  # what the thesis says
        (["accuracy"], ("table", "toy.t1")),  # notes
        (["toy.t3"], ("table", "toy.t3")),
        (["detection"], ("table", "toy.t3")),
        (["within", "point"], ("claim", "toy/odd:C2")),
        (["nobody", "asked"], ("claim", "toy/odd:C3")),
        (["naive"], ("data set", "q_big")),
        (["makers"], ("data set", "q_big")),
        (["toy/odd"], ("chapter", "toy/odd")),
        (["less", "light"], ("variant", "shade=dark")),
        (["tiny"], ("backbone", "tiny")),
    ],
)
def test_all_that_is_written_is_looked_through(
    library: Library, words: list[str], found: tuple[str, str]
) -> None:
    hits = search(documents(library), words)
    assert found in [(h.document.kind, h.document.id) for h in hits]
    assert is_json([h.as_json() for h in hits])


def test_a_thesis_narrows_the_search(library: Library) -> None:
    assert {d.kind for d in documents(library, "toy")} == {"table", "claim", "chapter", "data set"}
    with pytest.raises(UserError, match="unknown thesis 'toi'; valid: toy"):
        documents(library, "toi")


def test_hits_are_printed_by_kind_with_their_place(library: Library) -> None:
    hits = search(documents(library), ["control"])
    text = printed(lambda console: print_hits(hits, console))
    assert text.splitlines() == [
        "table (2)",
        "  toy.t1  Several nets | <b>at once</b>",
        "    row: Control",
        "  toy.t2  Second",
        "    row: Control",
        "claim (2)",
        "  toy/odd:C1  Plain is better than the [control].",
        "  toy/odd:C2  The control is within a point of 70 in both tables.",
    ]


def test_only_the_first_hits_of_a_kind_are_printed() -> None:
    many = [document(f"a.t{i}", title="Border") for i in range(15)]
    hits = search(many, ["border"])
    assert len(hits) == 15
    text = printed(lambda console: print_hits(hits, console))
    assert text.count("  a.t") == 12
    assert "and 3 more; --json shows all" in text


def test_the_shipped_tables_are_found_by_what_they_are_about() -> None:
    hits = search(documents(Library.at()), ["red-green"])
    assert "kayhan.t2.1" in [h.document.id for h in hits][:3]
