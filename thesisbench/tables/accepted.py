"""Accepted records: the results that a chapter keeps beside its specs, one file a table and scale.

    {"format": 1, "table": id, "scale": ..., "accepted": {"commit": ..., "date": ...},
     "environments": {"e1": {...}}, "configs": {"c1": {...}}, "runs": {id: record}}

What many runs share is written once: the provenance of a record names its environment (code,
versions, hardware, threads, platform) and its configuration (without its replicate, so that the
seeds of a cell share one). Reading puts both together again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from thesisbench.errors import CorruptFileError, SpecError
from thesisbench.store.files import read_json
from thesisbench.store.status import outcome_of
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.model import SCALES

FORMAT = 1
CLAIMS_FILE = "claims.json"
_ENVIRONMENT = ("code", "versions", "hardware", "threads", "platform")


@dataclass(frozen=True)
class AcceptedTable:
    """What is accepted for a table at a scale.

    Attributes:
        table: id. scale: smoke, small or paper. path: the file.
        commit, date: when it was accepted, and by which version of the code.
        runs: id -> record, with the whole provenance.
    """

    table: str
    scale: str
    path: Path
    commit: str | None
    date: str
    runs: Mapping[str, dict[str, Any]]


class AcceptedRecords:
    """The accepted records of some chapters; their files are read when first asked for.

    Args:
        folders: of the chapters.
    """

    def __init__(self, folders: Sequence[ChapterFolder]) -> None:
        self.folders = tuple(folders)

    def get(self, run_id: str) -> dict[str, Any] | None:
        """The accepted record of a run, None if there is none.

        Raises:
            SpecError: a file of accepted records that cannot be read.
        """
        return self._records.get(run_id)

    def tables(self, scale: str) -> dict[str, AcceptedTable]:
        """Table id -> what is accepted at a scale.

        Raises:
            SpecError: a file of accepted records that cannot be read.
        """
        return {kept.table: kept for kept in self._files if kept.scale == scale}

    @cached_property
    def _records(self) -> dict[str, dict[str, Any]]:
        return {i: record for kept in self._files for i, record in kept.runs.items()}

    @cached_property
    def _files(self) -> list[AcceptedTable]:
        places = [folder.results(scale) for folder in self.folders for scale in SCALES]
        paths = [path for place in places for path in sorted(place.glob("*.json"))]
        return [read_accepted(path) for path in paths if path.name != CLAIMS_FILE]


def read_accepted(path: Path) -> AcceptedTable:
    """A file of accepted records.

    Raises:
        SpecError: naming the file, when it is not one or was written in another format.
    """
    try:
        content = read_json(path)
    except CorruptFileError as error:
        raise SpecError(
            f"{error}; restore it from version control, or remove it and accept again"
        ) from None
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise SpecError(
            f"{path}: has format {found!r}, and format {FORMAT} is what can be read here"
        )
    try:
        runs = {i: _unpacked(record, content) for i, record in content["runs"].items()}
        stamp = content["accepted"]
        kept = AcceptedTable(
            content["table"], content["scale"], path, stamp["commit"], stamp["date"], runs
        )
    except (KeyError, TypeError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise SpecError(f"{path}: is no file of accepted records ({problem})") from None
    if wrong := [i for i, record in runs.items() if not outcome_of(record)]:
        raise SpecError(f"{path}: run {wrong[0]} has no outcome ok or diverged; accept again")
    return kept


@dataclass
class Packed:
    """Records with their shared provenance taken out, as they are written."""

    environments: dict[str, Any] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Any] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[tuple[str, Mapping[str, Any]]]) -> Packed:
        """Packs (run id, record) pairs; their order is kept."""
        packed = cls()
        for run_id, record in records:
            packed.runs[run_id] = packed._add(record)
        return packed

    def _add(self, record: Mapping[str, Any]) -> dict[str, Any]:
        provenance = dict(record["provenance"])
        environment = {k: provenance.pop(k) for k in _ENVIRONMENT if k in provenance}
        provenance["environment"] = self._name(self.environments, "e", environment)
        config = provenance.get("config")
        if isinstance(config, Mapping):
            own = record.get("replicate") or {}
            if all(key in config and config[key] == own[key] for key in own):
                shared = {k: v for k, v in config.items() if k not in own}
                provenance["config"] = self._name(self.configs, "c", shared)
        return {**record, "provenance": provenance}

    def _name(self, known: dict[str, Any], letter: str, value: Mapping[str, Any]) -> str:
        """The short name of a shared part, a new one when it is new."""
        text = letter + json.dumps(value, sort_keys=True)
        if text not in self._names:
            self._names[text] = f"{letter}{len(known) + 1}"
            known[self._names[text]] = dict(value)
        return self._names[text]


def _unpacked(record: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """A record as it was before it was packed."""
    provenance = dict(record["provenance"])
    provenance |= content["environments"][provenance.pop("environment")]
    config = provenance.get("config")
    if isinstance(config, str):
        provenance["config"] = {**content["configs"][config], **(record.get("replicate") or {})}
    return {**record, "provenance": provenance}
