"""What `thesisbench search` looks through: one document a table, claim, data set, chapter, ..."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thesisbench.browse.entry import one_line, thesis_of
from thesisbench.browse.library import Library
from thesisbench.errors import UserError, unknown
from thesisbench.tables.spec import Row, Table

TITLE, LABEL, TEXT = 4, 2, 1  # weights: a word in an id or title counts most


@dataclass(frozen=True)
class Field:
    """A piece of text of a document: what it is, the text, and how much a word in it counts."""

    name: str
    text: str
    weight: int


@dataclass(frozen=True)
class Document:
    """Something that can be found.

    Attributes:
        kind: thesis, chapter, table, claim, data set, weights, variant or backbone.
        id: what `list` and `show` call it. title: a line on it. theses: those it belongs to.
        fields: its text.
    """

    kind: str
    id: str
    title: str
    theses: frozenset[str]
    fields: tuple[Field, ...]


def documents(library: Library, thesis: str | None = None) -> list[Document]:
    """All documents, tables first.

    Args:
        library: where they are.
        thesis: only what belongs to it.

    Raises:
        UserError: no such thesis.
    """
    theses = {thesis_of(slug) for slug in library.catalog.folders}
    if thesis is not None and thesis not in theses:
        raise UserError(unknown("thesis", thesis, theses))
    return [d for d in _every(library) if thesis is None or thesis in d.theses]


def _every(library: Library) -> Iterator[Document]:
    for table in library.tables.values():
        yield _document("table", table.id, table.title, [table.thesis], _of_table(table))
    for slug, folder in library.catalog.folders.items():
        theses = [thesis_of(slug)]
        for claim in folder.claims:
            fields = [Field("text", claim.text, TEXT), Field("tables", " ".join(claim.where), TEXT)]
            fields += [Field(n, getattr(claim, n) or "", TEXT) for n in ("standing", "not_tested")]
            yield _document("claim", f"{slug}:{claim.id}", claim.text, theses, fields)
        yield _document(
            "chapter", slug, folder.chapter.title, theses, _titles(folder.chapter.title)
        )
    yield from _registered(library)
    yield from _options(library)


def _document(
    kind: str, name: str, title: str, theses: Iterable[str], fields: Iterable[Field]
) -> Document:
    every = (Field("id", name, TITLE), *(f for f in fields if f.text))
    return Document(kind, name, one_line(title), frozenset(theses), every)


def _titles(*texts: str | None) -> list[Field]:
    return [Field("title", text, TITLE) for text in texts if text]


def _of_table(table: Table) -> Iterator[Field]:
    yield from _titles(table.title)
    for row in table.rows.values():
        yield Field("row", row.label, LABEL)
    for column in table.columns.values():
        yield Field("column", column.name, LABEL)
    yield Field("columns over", ", ".join(label for label, _ in table.header), LABEL)
    yield Field(
        "metrics", ", ".join(dict.fromkeys(c.metric for c in table.columns.values())), LABEL
    )
    yield Field("data sets", ", ".join(table.datasets), LABEL)
    yield Field("weights", ", ".join(table.weights), LABEL)
    yield Field("task", table.task, LABEL)
    yield Field("settings", ", ".join(dict.fromkeys(_settings(table.rows.values()))), TEXT)
    for name, text in (("says", table.says), ("notes", table.notes), ("findings", table.findings)):
        yield Field(name, text or "", TEXT)
    for row in table.rows.values():
        yield Field("row note", row.note or "", TEXT)


def _settings(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield from (f"{key} {value}" for key, value in row.settings.items())


def _registered(library: Library) -> Iterator[Document]:
    registry, tables = library.registry, library.tables.values()
    for name, data in registry.datasets.items():
        theses = {t.thesis for t in tables if name in t.datasets}
        texts = (
            ("what", data.what),
            ("source", data.source),
            ("stand-in", ", ".join(data.stand_ins())),
        )
        fields = [*_titles(data.title), *(Field(n, t, TEXT) for n, t in texts)]
        yield _document("data set", name, data.title, theses, fields)
    for name, weights in registry.weights.items():
        theses = {t.thesis for t in tables if name in t.weights}
        about = (("what", weights.what), ("source", weights.source))
        fields = [*_titles(weights.title), *(Field(n, t, TEXT) for n, t in about)]
        yield _document("weights", name, weights.title, theses, fields)
    for name, thesis in registry.theses.items():
        fields = _titles(thesis.title, thesis.author)
        yield _document("thesis", name, f"{thesis.title} ({thesis.author})", [name], fields)


def _options(library: Library) -> Iterator[Document]:
    for option in library.options:
        if option.is_variant:
            fields = [Field("what", option.what, TEXT)]
            yield _document("variant", f"{option.group}={option.name}", option.what, (), fields)
        elif option.group == "backbone" and option.target:
            fields = [Field("what", option.what, TEXT), Field("class", option.target, TEXT)]
            yield _document("backbone", option.name, option.what, (), fields)
