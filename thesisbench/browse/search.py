"""`thesisbench search`: documents that hold all words, the best first."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from thesisbench.browse.documents import Document, Field
from thesisbench.browse.entry import one_line
from thesisbench.errors import UserError, nearest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

AROUND = 60  # letters of a snippet on either side of its first match
SHOWN = 12  # hits of a kind that people are shown
_WORD = re.compile(r"[^\W_]{3,}")


@dataclass(frozen=True)
class Hit:
    """A document that holds all words.

    Attributes:
        score: the higher the better. field: where its snippet is from. snippet: in one line.
        marks: (start, end) of the words in the snippet.
    """

    document: Document
    score: int
    field: str
    snippet: str
    marks: tuple[tuple[int, int], ...]

    def as_json(self) -> dict[str, Any]:
        """The hit for machines."""
        found = self.document
        names = {"kind": found.kind, "id": found.id, "title": found.title}
        return {
            **names,
            "theses": sorted(found.theses),
            "score": self.score,
            "field": self.field,
            "snippet": self.snippet,
            "marks": [list(mark) for mark in self.marks],
        }


def folded(text: str) -> str:
    """Lower case, without accents; letters that take two (ß) become two.

    >>> folded("Naïve Straße")
    'naive strasse'
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def search(documents: Iterable[Document], words: Sequence[str]) -> list[Hit]:
    """The documents in which every word begins a word of the text, the best first.

    Args:
        documents: to look through; among equals their order is kept.
        words: as typed; those with blanks are several.

    Raises:
        UserError: there is no word at all.
    """
    patterns = [_pattern(word) for word in _split(words)]
    hits = (_hit(document, patterns) for document in documents)
    return sorted((h for h in hits if h is not None), key=lambda hit: -hit.score)


def nothing_found(documents: Iterable[Document], words: Sequence[str]) -> str:
    """One line on why nothing was found, with the nearest words."""
    texts = [folded(field.text) for document in documents for field in document.fields]
    lost = [w for w in _split(words) if not any(_pattern(w).search(text) for text in texts)]
    if not lost:
        return f"nothing has all of {', '.join(map(repr, _split(words)))}; try fewer words"
    known = {word for text in texts for word in _WORD.findall(text)}
    close = [f"{n!r}" for word in lost for n in nearest(folded(word), known)]
    hint = f"; nearest: {', '.join(dict.fromkeys(close))}" if close else ""
    return f"nothing has {', '.join(map(repr, lost))}{hint}"


def print_hits(hits: Sequence[Hit], console: Console) -> None:
    """Hits by kind, the kind of the best hit first."""
    from rich.text import Text

    for kind in dict.fromkeys(hit.document.kind for hit in hits):
        mine = [hit for hit in hits if hit.document.kind == kind]
        console.print(Text(f"{kind} ({len(mine)})", style="bold"))
        for hit in mine[:SHOWN]:
            for line in _lines(hit):
                console.print(line, soft_wrap=not console.is_terminal)
        if len(mine) > SHOWN:
            console.print(Text(f"  and {len(mine) - SHOWN} more; --json shows all", style="dim"))


def _lines(hit: Hit) -> Iterator[Text]:
    """The id with the title; then the place of the words, unless that is the title."""
    from rich.text import Text

    found = hit.document
    title = textwrap.shorten(found.title, 2 * AROUND, placeholder="...")
    if hit.field == "title":
        title, marks = hit.snippet, hit.marks
    else:
        marks = ()
    head = f"  {found.id}  "
    yield _marked(Text.assemble((head, "cyan"), title), len(head), marks)
    if hit.field not in ("id", "title") and hit.snippet != title:
        prefix = f"    {hit.field}: "
        yield _marked(Text(prefix + hit.snippet), len(prefix), hit.marks)


def _marked(text: Text, shift: int, marks: Sequence[tuple[int, int]]) -> Text:
    for start, end in marks:
        text.stylize("bold underline", shift + start, shift + end)
    return text


def _split(words: Sequence[str]) -> list[str]:
    found = " ".join(words).split()
    if not found:
        raise UserError("no word to search for; for example: thesisbench search border shift")
    return found


def _pattern(word: str) -> re.Pattern[str]:
    """Finds words of the text that begin so; an underscore divides words."""
    return re.compile(rf"(?<![^\W_]){re.escape(folded(word))}")


def _hit(document: Document, patterns: Sequence[re.Pattern[str]]) -> Hit | None:
    """The document if every word is in it; it scores each word's heaviest field once."""
    fields = [(field, folded(field.text)) for field in document.fields]
    score, best = 0, dict[str, int]()
    for pattern in patterns:
        weights = [(f.weight, f.text) for f, text in fields if pattern.search(text)]
        if not weights:
            return None
        score += max(weight for weight, _ in weights)
        for _, text in weights:
            best[text] = best.get(text, 0) + 1
    shown = max(document.fields, key=lambda f: (best.get(f.text, 0), f.name != "id", f.weight))
    return Hit(document, score, shown.name, *_snippet(shown, patterns))


def _snippet(
    field: Field, patterns: Sequence[re.Pattern[str]]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The part of a field around its first match, and where the words are in it."""
    text = one_line(field.text)
    places = _places(text, patterns)
    start = max(places[0][0] - AROUND, 0) if places else 0
    start = text.rfind(" ", 0, start) + 1 if start else 0
    end = start + 2 * AROUND
    end = len(text) if end >= len(text) else max(text.rfind(" ", start, end), start + AROUND)
    before, after = "..." if start else "", "..." if end < len(text) else ""
    shift = len(before) - start
    marks = tuple((a + shift, b + shift) for a, b in places if a >= start and b <= end)
    return f"{before}{text[start:end]}{after}", marks


def _places(text: str, patterns: Sequence[re.Pattern[str]]) -> list[tuple[int, int]]:
    """Where the words are, in letters of the text as it is written."""
    letters = [(i, part) for i, letter in enumerate(text) for part in folded(letter)]
    plain = "".join(part for _, part in letters)
    found = {match.span() for pattern in patterns for match in pattern.finditer(plain)}
    return [(letters[a][0], letters[b - 1][0] + 1) for a, b in sorted(found) if b > a]
