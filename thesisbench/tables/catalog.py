"""Where the specs are: the shipped chapters and those of users."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from thesisbench.errors import SpecError, UserError, unknown
from thesisbench.tables.chapter import Chapter, parse_chapter
from thesisbench.tables.claims import Claim, parse_claims
from thesisbench.tables.spec import Table, parse_table
from thesisbench.tables.strict_yaml import read_yaml


@dataclass(frozen=True)
class ChapterFolder:
    """A folder experiments/<thesis>/<chapter>: parsed on first use.

    Attributes:
        path: the folder; slug: "<thesis>/<chapter>"; shipped: part of the package.
    """

    path: Path
    slug: str
    shipped: bool

    @cached_property
    def chapter(self) -> Chapter:
        """Levels and steps."""
        path = self.path / "chapter.yaml"
        return parse_chapter(read_yaml(path), self.slug, _short(path))

    @cached_property
    def tables(self) -> dict[str, Table]:
        """Table id -> spec."""
        tables = {}
        for path in sorted((self.path / "tables").glob("*.yaml")):
            table = parse_table(read_yaml(path), self.chapter, _short(path))
            if path.stem != table.key:
                raise SpecError(
                    f"{_short(path)}: holds {table.id}, so it must be named {table.key}.yaml"
                )
            tables[table.id] = table
        return tables

    @cached_property
    def claims(self) -> list[Claim]:
        """The chapter's claims, in order."""
        path = self.path / "claims.yaml"
        return parse_claims(read_yaml(path), self.slug) if path.exists() else []

    def results(self, scale: str) -> Path:
        """Folder of the accepted records of a scale."""
        return self.path / "results" / scale


@dataclass(frozen=True)
class Catalog:
    """All chapters at hand.

    Attributes:
        roots: folders of chapters, the shipped one first.
    """

    roots: tuple[tuple[Path, bool], ...] = field(default=())

    @classmethod
    def at(cls, spec_dirs: Sequence[str | Path] = ()) -> Catalog:
        """The shipped chapters and those under the users' `spec_dirs`.

        Raises:
            UserError: a folder that is not there.
        """
        roots = [(Path(str(files("thesisbench.experiments"))), True)]
        for directory in spec_dirs:
            path = Path(directory)
            if not str(directory) or not path.is_dir():
                raise UserError(
                    f"--spec-dir {str(directory) or repr('')}: no such folder; "
                    "it holds <thesis>/<chapter>/chapter.yaml"
                )
            roots.append((path.resolve(), False))
        return cls(tuple(roots))

    @cached_property
    def folders(self) -> dict[str, ChapterFolder]:
        """Slug -> chapter folder."""
        found: dict[str, ChapterFolder] = {}
        for root, shipped in self.roots:
            for path in sorted(root.glob("*/*/chapter.yaml")):
                slug = "/".join(path.parent.relative_to(root).parts)
                if slug in found:
                    raise SpecError(
                        f"chapter {slug!r} is defined twice: {found[slug].path} and {path.parent}"
                    )
                found[slug] = ChapterFolder(path.parent, slug, shipped)
        return found

    @cached_property
    def tables(self) -> dict[str, ChapterFolder]:
        """Table id -> the chapter folder that holds it."""
        owners: dict[str, ChapterFolder] = {}
        for folder in self.folders.values():
            for table_id in folder.tables:
                if table_id in owners:
                    raise SpecError(
                        f"table {table_id!r} is defined twice, in {owners[table_id].slug} "
                        f"and {folder.slug}"
                    )
                owners[table_id] = folder
        return owners

    def table(self, table_id: str) -> Table:
        """A table by its id.

        Raises:
            UserError: no such table; the nearest ids are shown.
        """
        if table_id not in self.tables:
            raise UserError(
                unknown("table", table_id, self.tables, "`thesisbench list tables` shows all")
            )
        return self.tables[table_id].tables[table_id]

    def select(
        self,
        tables: Iterable[str] = (),
        chapter: str | None = None,
        thesis: str | None = None,
        every: bool = False,
    ) -> list[str]:
        """Table ids from the selectors of the command line, in order, without repetition.

        Raises:
            UserError: nothing selected, or an unknown name.
        """
        picked = [self.table(t).id for t in tables]
        if chapter is not None:
            if chapter not in self.folders:
                raise UserError(unknown("chapter", chapter, self.folders))
            picked += list(self.folders[chapter].tables)
        if thesis is not None:
            theses = {slug.split("/")[0] for slug in self.folders}
            if thesis not in theses:
                raise UserError(unknown("thesis", thesis, theses))
            picked += [t for t, f in self.tables.items() if f.slug.split("/")[0] == thesis]
        if every:
            picked += list(self.tables)
        if not picked:
            raise UserError("no table named; give table ids, --chapter, --thesis or --all")
        return list(dict.fromkeys(picked))


def _short(path: Path) -> str:
    return "/".join(path.parts[-4:])
