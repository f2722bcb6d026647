"""Planning all tables whose recipes are built, beside composing the same runs with plain Hydra.

Ours starts from the YAML files each time: it reads and checks the specs, composes, and computes ids
and needs. The baseline only composes, as `hydra.compose` does, and is given the overrides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from benchmarks.harness import Comparison, Timing, alternate
from thesisbench.compose import PRIMARY, Composed, Composer
from thesisbench.schema import register
from thesisbench.tables.catalog import Catalog
from thesisbench.tables.grid import has_grid
from thesisbench.tables.plan import Plan, Planner

OURS, BASELINE = "our plan, seconds a run", "plain hydra.compose, seconds a run"


@dataclass
class _Listening(Composer):
    """A composer that remembers what it was asked."""

    asked: list[list[str]] = field(default_factory=list)

    def compose(self, overrides: Sequence[str], origin: str = "overrides") -> Composed:
        """As the parent does."""
        self.asked.append(list(overrides))
        return super().compose(overrides, origin)


def measure(quick: bool) -> list[Comparison]:
    """All built tables at scales small and paper (one scale when quick)."""
    scales = ("small",) if quick else ("small", "paper")
    return [_compare(scale, 3 if quick else 40, 1 if quick else 5) for scale in scales]


def _compare(scale: str, most: int, repetitions: int) -> Comparison:
    listening = _Listening()
    count = len(_plan(listening, scale).runs)
    sample = listening.asked[:: -(-len(listening.asked) // most)]
    register()
    times = alternate({BASELINE: lambda: _plainly(sample), OURS: lambda: _ours(scale)}, repetitions)
    ours, plain = _per(times[OURS], count), _per(times[BASELINE], len(sample))
    note = f"{1 / ours.median:.0f} runs planned a second, {1 / plain.median:.0f} composed plainly"
    case = f"{scale}, {count} runs, {len(sample)} of them plainly"
    return Comparison(case, ours, plain, "speedup", note=note)


def _plan(composer: Composer, scale: str) -> Plan:
    catalog = Catalog.at()
    built = [table for table in catalog.tables if has_grid(catalog, composer.recipes, table)]
    return Planner(catalog, composer).plan(built, scale)


def _ours(scale: str) -> None:
    _plan(Composer(), scale)


def _plainly(asked: Sequence[list[str]]) -> None:
    with initialize_config_module(config_module="thesisbench.conf", version_base="1.3"):
        for overrides in asked:
            OmegaConf.to_container(compose(PRIMARY, overrides), resolve=True)


def _per(timing: Timing, count: int) -> Timing:
    return Timing(timing.label, tuple(seconds / count for seconds in timing.seconds))
