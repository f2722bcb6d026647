"""Reads an HTML page with the standard library: what its tests look at, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input"}


@dataclass
class Element:
    """A tag with its attributes, its children in order, and its own text."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All the text in it, white space made single."""
        return " ".join("".join(self.words).split())

    def all(self, *tags: str) -> list[Element]:
        """All elements below it with one of these tags (any, when none is given), in order."""
        found: list[Element] = []
        for child in self.children:
            found += [child] if not tags or child.tag in tags else []
            found += child.all(*tags)
        return found

    def named(self, name: str) -> list[Element]:
        """All elements below it of a class."""
        return [e for e in self.all() if name in e.attributes.get("class", "").split()]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {n: v or "" for n, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.words.append(data)


def read_page(text: str) -> Element:
    """The root of a page; every element must be closed in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == [reader.root], "an element is not closed"
    return reader.root


def grid_of(table: Element) -> tuple[list[list[Element]], list[list[Element]]]:
    """Header rows and body rows of a table, each cell repeated where it spans."""
    head, body = table.all("thead")[0], table.all("tbody")[0]
    below: dict[int, list[Element]] = {}
    rows = []
    for at, row in enumerate(head.all("tr")):
        cells = list(below.get(at, []))
        for cell in row.all("th", "td"):
            for further in range(1, int(cell.attributes.get("rowspan", 1))):
                below.setdefault(at + further, []).append(cell)
            cells += [cell] * int(cell.attributes.get("colspan", 1))
        rows.append(cells)
    return rows, [row.all("th", "td") for row in body.all("tr")]
