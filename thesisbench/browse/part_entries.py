"""Listings of what experiments are made of: variants, backbones, data sets; and of runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from thesisbench.browse.entry import Entry, one_line, thesis_of, yes
from thesisbench.browse.library import Library
from thesisbench.store.runs import RunSummary
from thesisbench.tables.render.words import duration

DATASET_STATES = ("built", "not built", "here", "missing")
RUN_STATES = ("done", "diverged", "running", "failed", "interrupted", "queued")


def variant_entries(library: Library) -> Iterator[Entry]:
    """Drop-ins that rewrite a network, chosen as group=option."""
    for option in filter(lambda o: o.is_variant, library.options):
        words = f"{option.group}={option.name}"
        data = {"variant": words, "group": option.group, "option": option.name}
        yield Entry({**data, "what": option.what}, {"variant": words, "what": option.what})


def backbone_entries(library: Library) -> Iterator[Entry]:
    """Networks, chosen as backbone=name."""
    for option in library.options:
        if option.group == "backbone" and option.target:
            made = option.target.rpartition(".")[2]
            yield Entry(
                {"backbone": option.name, "class": option.target, "what": option.what},
                {"backbone": option.name, "class": made, "what": option.what},
            )


def dataset_entries(library: Library) -> Iterator[Entry]:
    """Data sets: those that are registered, that tables name, or that can be loaded."""
    registry = library.registry
    names = {*registry.datasets, *library.loaders}
    names |= {name for table in library.tables.values() for name in table.datasets}
    for name in sorted(names):
        data = dataset_data(library, name)
        tables = [library.tables[t] for t in data["tables"]]
        states = ["built" if data["loader"] else "not built", "here" if data["here"] else "missing"]
        yield Entry(
            data,
            {
                "data set": name,
                "kind": data["kind"] or "?",
                "tables": str(len(tables)),
                "loader": yes(data["loader"]),
                "here": yes(data["here"]),
                "stand-in": ", ".join(s["name"] for s in data["stand_ins"]),
                "title": data["title"] or "not registered",
            },
            {
                "thesis": {t.thesis for t in tables},
                "task": {t.task for t in tables},
                "state": states,
            },
        )


def dataset_data(library: Library, name: str, slug: str | None = None) -> dict[str, Any]:
    """What is known of a data set, for machines; None where it is not registered.

    Args:
        library: where it is registered.
        name: of the data set.
        slug: chapter whose stand-in is wanted; all stand-ins when not given.
    """
    registry = library.registry
    entry = registry.datasets.get(name)
    keys = ("title", "kind", "what", "count", "source", "terms", "same_as")
    facts = {key: getattr(entry, key, None) for key in keys}
    place = registry.dataset_place(name) if entry else None
    stand_ins = entry.stand_ins(slug) if entry else []
    return {
        "name": name,
        **{key: one_line(value) if value else None for key, value in facts.items()},
        "made_of": list(entry.made_of) if entry else [],
        "stand_ins": [{"name": s, "loader": library.loader_of(s)} for s in stand_ins],
        "loader": library.loader_of(name),
        "folder": str(place) if place else None,
        "here": registry.has_dataset(name) if entry else False,
        "tables": [t.id for t in library.tables.values() if name in t.datasets],
    }


def run_entries(library: Library) -> Iterator[Entry]:
    """Runs of the runs folder, by chapter, step, scale, levels and replicate.

    Raises:
        UserError: the runs folder cannot be read.
    """
    runs = library.store.summaries().values()
    for run in sorted(runs, key=_order):
        words = {
            "run": run.id,
            "step": f"{run.chapter}:{run.step}",
            "state": run.state,
            "scale": run.scale,
            "time": "" if run.seconds is None else duration(run.seconds),
            "what": " ".join(f"{k}={v}" for k, v in {**run.levels, **run.replicate}.items()),
        }
        yield Entry(
            run_data(run),
            words,
            {
                "thesis": [thesis_of(run.chapter)],
                "chapter": [run.chapter],
                "task": {library.tables[t].task for t in run.tables if t in library.tables},
                "state": [run.state],
            },
        )


def run_data(run: RunSummary) -> dict[str, Any]:
    """A run in short, for machines."""
    names = ("id", "lineage", "chapter", "step", "kind", "recipe", "scale", "state", "seconds")
    return {
        **{name: getattr(run, name) for name in names},
        "finished": run.finished,
        "levels": dict(run.levels),
        "replicate": dict(run.replicate),
        "needs": {name: list(ids) for name, ids in run.needs.items()},
        "tables": list(run.tables),
        "overridden": run.overridden,
    }


def _order(run: RunSummary) -> tuple[str, str, str, str, list[tuple[str, int]]]:
    levels: Mapping[str, Any] = run.levels
    return (run.chapter, run.step, run.scale, str(levels), sorted(run.replicate.items()))
