"""What `thesisbench data list|prepare|verify` do; nothing heavy is imported to list."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from thesisbench.browse.registry import Dataset, Registry, has_files
from thesisbench.data.files.sources import BY_HAND, MODULES, Say, source_of
from thesisbench.errors import UserError, unknown


def data_states(registry: Registry) -> list[dict[str, Any]]:
    """All data sets: name, state, folder, how to get it, title.

    States: present, missing (`prepare` downloads it), by hand (missing; it cannot be downloaded by
    this program), procedural (made when needed) and people (asked of people).
    """
    found = []
    for name, entry in sorted(registry.datasets.items()):
        place = registry.dataset_place(name)
        found.append(
            {
                "name": name,
                "state": _state(entry.same_as or name, entry, place),
                "folder": str(place) if place else None,
                "title": entry.title,
                "verifiable": (entry.same_as or name) in MODULES,
                "source": " ".join(entry.source.split()),
            }
        )
    return found


def _state(name: str, entry: Dataset, place: Path | None) -> str:
    if entry.kind != "files":
        return entry.kind
    if has_files(place):
        return "present"
    return "missing" if name in MODULES and name not in BY_HAND else "by hand"


def known(registry: Registry, name: str) -> tuple[str, Dataset, Path]:
    """A data set of files by its own name: that name, its entry and its folder.

    Raises:
        UserError: unknown, or it has no files.
    """
    if name not in registry.datasets:
        hint = "`thesisbench data list` shows them"
        raise UserError(unknown("data set", name, registry.datasets, hint))
    entry = registry.datasets[name]
    place = registry.dataset_place(name)
    if place is None:
        kinds = {"procedural": "is made when it is needed", "people": "is asked of people"}
        raise UserError(f"{name} has no files: it {kinds.get(entry.kind, entry.kind)}")
    name = entry.same_as or name
    return name, registry.datasets[name], place


def prepare_data(registry: Registry, name: str, say: Say) -> list[str]:
    """Fetches a data set as far as it may be; one line for each thing left to do by hand.

    Raises:
        UserError: unknown, or a download that failed.
    """
    name, entry, place = known(registry, name)
    if name in MODULES:
        return source_of(name).prepare(name, place, say)
    if has_files(place):
        return []
    terms = f" ({entry.terms})" if entry.terms else ""
    source = " ".join(entry.source.split())
    return [f"{name} is not downloaded by this program: {source}{terms}; put it in {place}"]


def verify_data(registry: Registry, name: str, *, decode: bool) -> dict[str, Any]:
    """Counts, problems and fingerprint of a data set; the fingerprint is that of records.

    Raises:
        UserError: unknown, or nothing is known to compare its files with.
    """
    name, _, place = known(registry, name)
    if name not in MODULES:
        raise UserError(unknown("data set that can be verified", name, MODULES))
    if not has_files(place):
        problems = [f"nothing in {place}; run `thesisbench data prepare {name}`"]
        return _told(name, place, {}, problems, None)
    checked = source_of(name).verify(name, place, decode=decode)
    found = fingerprint(name) if not checked.problems else None
    told = _told(name, place, checked.counts, checked.problems, found)
    return {**told, "notes": checked.notes} if checked.notes else told


def _told(
    name: str, place: Path, counts: Mapping[str, int], problems: list[str], found: Any
) -> dict[str, Any]:
    return {
        "name": name,
        "folder": str(place),
        "counts": dict(counts),
        "problems": problems,
        "fingerprint": found,
    }


def fingerprint(name: str) -> dict[str, Any]:
    """What records say of a data set at its default settings (split 1, seed 0).

    Raises:
        UserError: a file that is missing or broken.
    """
    from omegaconf import OmegaConf

    from thesisbench.instantiate import make

    option = files("thesisbench.conf") / "dataset" / f"{name}.yaml"
    shipped = OmegaConf.create(option.read_text(encoding="utf-8"))
    whole = OmegaConf.create({"split": 1, "seed": 0, "dataset": shipped})
    plain: Any = OmegaConf.to_container(whole, resolve=True)
    found: dict[str, Any] = make(plain["dataset"]).fingerprint()
    return found
