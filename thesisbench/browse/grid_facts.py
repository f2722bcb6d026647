"""What stands behind a table, from its specification alone: steps, levels, cells at each scale.

Nothing is planned or composed, so Hydra is not imported; `thesisbench plan` counts the runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from thesisbench.tables.assign import CellSpec, applies, cell_specs, fixed
from thesisbench.tables.catalog import ChapterFolder
from thesisbench.tables.chapter import Chapter, SameAs, Skip, at_scale
from thesisbench.tables.grid import steps_behind
from thesisbench.tables.model import SCALES
from thesisbench.tables.spec import Table


@dataclass(frozen=True)
class StepFacts:
    """A step behind a table.

    Attributes:
        name, kind, recipe: of the step. needs: steps it needs. factors: factor -> levels that the
            table's cells take, in their order. cells: cells that read it.
    """

    name: str
    kind: str
    recipe: str
    needs: tuple[str, ...]
    factors: Mapping[str, tuple[str, ...]]
    cells: int


@dataclass(frozen=True)
class ScaleFacts:
    """A table at a scale.

    Attributes:
        cells: that are run. skipped: reason -> cells. replicates: key -> values, such as seeds.
    """

    scale: str
    cells: int
    skipped: Mapping[str, int]
    replicates: Mapping[str, tuple[int, ...]]


def step_facts(folder: ChapterFolder, table: Table) -> list[StepFacts]:
    """The steps behind a table: those its cells read, then those these need."""
    cells = _run_cells(folder, table)
    chapter, found = folder.chapter, list[StepFacts]()
    for name in steps_behind(folder, list(dict.fromkeys(cell.step for cell in cells))):
        step = chapter.steps[name]
        inputs = [need.step for needs in step.inputs().values() for need in needs]
        levels: dict[str, dict[str, None]] = {factor: {} for factor in step.takes}
        for cell in cells:
            for taken in _levels_at(chapter, cell.step, cell.assignment, name):
                for factor, level in taken.items():
                    levels[factor].setdefault(level)
        found.append(
            StepFacts(
                name,
                step.kind,
                f"{folder.slug}/{step.recipe}",
                tuple(dict.fromkeys(inputs)),
                {factor: tuple(names) for factor, names in levels.items()},
                sum(cell.step == name for cell in cells),
            )
        )
    return found


def scale_facts(folder: ChapterFolder, table: Table) -> list[ScaleFacts]:
    """The table at each scale."""
    cells = _run_cells(folder, table)
    found = []
    for scale in SCALES:
        why = [skip_reason(folder.chapter, c.step, c.assignment, scale) for c in cells]
        replicates = {k: tuple(at_scale(v, scale) or ()) for k, v in table.replicates.items()}
        skipped = Counter(reason for reason in why if reason)
        found.append(ScaleFacts(scale, why.count(None), skipped, replicates))
    return found


def skip_reason(chapter: Chapter, step: str, levels: Mapping[str, str], scale: str) -> str | None:
    """Why a cell of this step at these levels is skipped at a scale; None when it is run."""
    for needs in chapter.steps[step].inputs().values():
        for need in (n for n in needs if applies(n, levels)):
            inner = skip_reason(chapter, need.step, {**levels, **fixed(need)}, scale)
            if inner is not None:
                return inner
    for factor in chapter.steps[step].takes:
        name = levels[factor]
        meaning = chapter.level(factor, name, scale)
        if isinstance(meaning, SameAs):
            name = meaning.level
            meaning = chapter.level(factor, name, scale)
        if isinstance(meaning, Skip):
            return f"{factor}={name}: {meaning.reason}"
    return None


def _run_cells(folder: ChapterFolder, table: Table) -> list[CellSpec]:
    """The cells that are ours to run; one that is not applicable has no meaning and is not."""
    return [
        cell
        for cell in cell_specs(table, folder.chapter)
        if cell.source == "run" and cell.step and cell.target.reason != "not_applicable"
    ]


def _levels_at(
    chapter: Chapter, step: str, levels: Mapping[str, str], wanted: str
) -> list[dict[str, str]]:
    """What a step takes wherever it stands behind another one at these levels."""
    found = []
    if step == wanted:
        found.append({factor: levels[factor] for factor in chapter.steps[step].takes})
    for needs in chapter.steps[step].inputs().values():
        for need in (n for n in needs if applies(n, levels)):
            found += _levels_at(chapter, need.step, {**levels, **fixed(need)}, wanted)
    return found
