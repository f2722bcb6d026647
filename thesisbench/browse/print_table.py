"""How `thesisbench show TABLE` is printed for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from thesisbench.browse.entry import counted, yes
from thesisbench.browse.library import Library
from thesisbench.browse.printing import print_grid, put, say
from thesisbench.tables.assign import cell_specs
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.model import Cell
from thesisbench.tables.render.layout import header
from thesisbench.tables.render.words import decimals_of, published_text
from thesisbench.tables.spec import Table

if TYPE_CHECKING:
    from rich.console import Console

_ORIGINS = {"published": "by others", "external": "external", "human": "human"}


def print_table(library: Library, table_id: str, data: Mapping[str, Any], console: Console) -> None:
    """A table, with `data` as made for machines."""
    table, folder = library.tables[table_id], library.catalog.tables[table_id]
    say(console, f"{table_id}: {data['title']}", "bold")
    for line in _facts(library, data):
        say(console, line)
    ours = data["kind"] == "supplement"
    head = "Cells (all ours)" if ours else f"Published ({counted(data['values'], 'value')})"
    say(console, head, "bold", above=True)
    if data["published_n"]:
        say(console, f"Each value is over {data['published_n']} replicates.", indent=2)
    _print_published(table, folder, console)
    say(console, "Grid", "bold", above=True)
    for line in _grid_lines(data):
        say(console, line, indent=2)
    if data["claims"]:
        say(console, "Claims that rest on it", "bold", above=True)
    for claim in data["claims"]:
        say(console, f"{claim['id']}  {claim['words']}", indent=2)
        say(console, claim["text"], "dim", indent=4)
    say(console, "Data and weights", "bold", above=True)
    for line in _data_lines(data):
        say(console, line, indent=2)
    say(console, "Commands", "bold", above=True)
    for command in data["commands"]:
        put(console, f"  {command}")


def _facts(library: Library, data: Mapping[str, Any]) -> Iterator[str]:
    thesis = library.registry.theses.get(data["thesis"])
    whose = f"{thesis.author}, " if thesis else ""
    yield f"{whose}{data['chapter']}: {data['chapter_title']}"
    line = f", line {data['source']} of the text" if data["source"] is not None else ""
    kind = "supplement of ours" if data["kind"] == "supplement" else data["kind"]
    yield f"{kind.capitalize()}{line}; task {data['task']}"
    state = f"accepted {', '.join(data['accepted'])}" if data["accepted"] else data["state"]
    yield f"State: {state}"
    for name in ("says", "notes", "findings"):
        if data[name]:
            yield f"{name.capitalize()}: {data[name]}"


def _print_published(table: Table, folder: ChapterFolder, console: Console) -> None:
    """The published values in the thesis's layout."""
    cells = [
        Cell(table.id, c.row, c.column, c.source, "printed", target=c.target)
        for c in cell_specs(table, folder.chapter)
    ]
    digits = {
        key: decimals_of([c for c in cells if c.column == key], column.decimals)
        for key, column in table.columns.items()
    }
    words = {(c.row, c.column): published_text(c, digits[c.column]) for c in cells}
    lines = [
        [_label(table, key), *(words[key, column] for column in table.columns)]
        for key in table.rows
    ]
    print_grid(["", *_headers(table)], lines, console)


def _headers(table: Table) -> list[str]:
    """Names of the columns, after what stands over them."""
    over = [f"{label}: " if label else "" for label, count in table.header for _ in range(count)]
    names = [header(column) for column in table.columns.values()]
    return [group + name for group, name in zip(over or [""] * len(names), names, strict=True)]


def _label(table: Table, key: str) -> str:
    row = table.rows[key]
    origin = "ours" if row.extra else _ORIGINS.get(row.source, "")
    return f"{row.label} ({origin})" if origin else row.label


def _grid_lines(data: Mapping[str, Any]) -> Iterator[str]:
    grid, missing = data["grid"], data["missing_recipes"]
    if grid is None:
        yield "Targets only: there is no grid yet."
        if missing:
            yield f"Recipes that are not built: {', '.join(missing)}"
        return
    for step in grid["steps"]:
        yield _step_line(step)
    for scale, facts in grid["scales"].items():
        values = [f"{key} {_listed(v)}" for key, v in facts["replicates"].items()]
        yield "; ".join([f"{scale}: {counted(facts['cells'], 'cell')} to run", *values])
        for reason, count in facts["skipped"].items():
            yield f"  skipped ({counted(count, 'cell')}): {reason}"


def _step_line(step: Mapping[str, Any]) -> str:
    needs = f", needs {', '.join(step['needs'])}" if step["needs"] else ""
    factors = [f"{factor} {'|'.join(levels)}" for factor, levels in step["factors"].items()]
    over = f"; {', '.join(factors)}" if factors else ""
    read = f"; {counted(step['cells'], 'cell')}" if step["cells"] else ""
    return f"{step['name']} ({step['kind']}, recipe {step['recipe']}{needs}){over}{read}"


def _listed(values: Sequence[int]) -> str:
    """Numbers in a row as a range: "0-9", else "1, 3"."""
    if len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1)):
        return f"{values[0]}-{values[-1]}"
    return ", ".join(map(str, values))


def _data_lines(data: Mapping[str, Any]) -> Iterator[str]:
    if not data["datasets"] and not data["weights"]:
        yield "None."
    for entry in data["datasets"]:
        yield f"{entry['name']}: {_dataset_words(entry)}"
    for entry in data["weights"]:
        where = "here" if entry["here"] else f"not here: {entry['folder'] or 'not registered'}"
        yield f"{entry['name']} (weights): {entry['title'] or ''}; {where}"


def _dataset_words(entry: Mapping[str, Any]) -> str:
    if entry["kind"] is None:
        return "not registered"
    if entry["folder"]:
        where = f"{'here' if entry['here'] else 'not here'}: {entry['folder']}"
    elif entry["made_of"]:
        where = f"made of {', '.join(entry['made_of'])} ({'here' if entry['here'] else 'not here'})"
    else:
        where = "asked of people" if entry["kind"] == "people" else "procedural, always here"
    instead = [f"stand-in {s['name']} (loader: {yes(s['loader'])})" for s in entry["stand_ins"]]
    return "; ".join([entry["title"], where, f"loader: {yes(entry['loader'])}", *instead])
