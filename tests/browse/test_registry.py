"""The registries say what each name is; every name that a table uses is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from thesisbench.browse.library import Library
from thesisbench.browse.registry import Registry, read_registry
from thesisbench.errors import SpecError

PLAIN = {"title": "A", "what": "images", "source": "somebody"}
FILES = {**PLAIN, "kind": "files", "folder": "a"}
MADE = {**PLAIN, "kind": "procedural"}


@pytest.fixture(scope="module")
def library() -> Library:
    return Library.at()


def registry(root: Path, **datasets: Any) -> Registry:
    (root / "datasets.yaml").write_text(yaml.safe_dump(datasets))
    return read_registry(((root, False),))


def test_every_name_that_a_table_uses_is_registered(library: Library) -> None:
    tables = library.tables.values()
    data = {name for table in tables for name in table.datasets} | library.loaders
    weights = {name for table in tables for name in table.weights}
    assert data - set(library.registry.datasets) == set()
    assert weights - set(library.registry.weights) == set()
    assert set(library.registry.theses) == {table.thesis for table in tables}


def test_nothing_is_registered_that_nobody_names(library: Library) -> None:
    found = library.registry
    named = {name for table in library.tables.values() for name in table.datasets}
    named |= library.loaders
    for entry in found.datasets.values():
        named |= {*entry.stand_ins(), *entry.made_of, entry.same_as or ""}
    assert set(found.datasets) - named == set()
    used = {name for table in library.tables.values() for name in table.weights}
    assert set(found.weights) - used == set()


def test_stand_ins_are_given_for_theses_and_chapters_that_exist(library: Library) -> None:
    slugs = set(library.catalog.folders)
    known = slugs | {slug.partition("/")[0] for slug in slugs}
    for name, entry in library.registry.datasets.items():
        if isinstance(entry.stand_in, dict):
            assert set(entry.stand_in) <= known, name
        for stand_in in entry.stand_ins():
            assert library.registry.datasets[stand_in].kind == "procedural", name


def test_files_are_here_when_their_folder_holds_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))
    entries = {
        "a": FILES,
        "b": {**PLAIN, "kind": "files", "same_as": "a"},
        "made": MADE,
        "mixed": {**MADE, "made_of": ["a"]},
        "asked": {**PLAIN, "kind": "people"},
    }
    found = registry(tmp_path, **entries)
    assert [found.has_dataset(name) for name in entries] == [False, False, True, False, False]
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / ".part").touch()
    assert not found.has_dataset("a"), "an empty folder is no data set"
    (tmp_path / "data" / "a" / "images.tar").touch()
    assert [found.has_dataset(name) for name in entries] == [True, True, True, True, False]
    assert found.dataset_place("b") == tmp_path / "data" / "a"
    assert found.dataset_place("made") is None


def test_the_stand_in_of_a_chapter_is_the_most_particular_one(tmp_path: Path) -> None:
    choices = {"zhao": "m", "zhao/tuber": "n"}
    found = registry(tmp_path, a={**FILES, "stand_in": choices}, m=MADE, n=MADE)
    entry = found.datasets["a"]
    assert entry.stand_ins() == ["m", "n"]
    assert entry.stand_ins("zhao/tuber") == ["n"]
    assert entry.stand_ins("zhao/lift_pool") == ["m"]
    assert entry.stand_ins("liu/weight_align") == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({**FILES, "kind": "film"}, "unknown kind 'film'; valid: files, people, procedural"),
        ({**FILES, "colour": "red"}, "unknown key 'colour'"),
        ({**FILES, "folder": None}, "needs a folder"),
        ({**MADE, "folder": "a"}, "has no folder"),
        ({**FILES, "stand_in": "x"}, "unknown data set 'x'"),
        ({**FILES, "same_as": "twin"}, "is itself same_as another"),
        ({**MADE, "made_of": ["made"]}, "of kind files only"),
    ],
)
def test_an_entry_that_cannot_be_so_is_refused_in_one_line(
    tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    others = {"twin": {**FILES, "same_as": "b"}, "b": FILES, "made": MADE}
    with pytest.raises(SpecError) as caught:
        registry(tmp_path, a=entry, **others)
    assert said in str(caught.value)
    assert str(caught.value).startswith("datasets.yaml: a")
    assert "\n" not in str(caught.value)


def test_a_name_is_registered_once_over_all_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "datasets.yaml").write_text(yaml.safe_dump({"a": FILES}))
    with pytest.raises(SpecError, match="a is registered twice"):
        read_registry(((tmp_path / "one", True), (tmp_path / "two", False)))
