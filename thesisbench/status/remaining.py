"""How long running runs still need: from their own epochs, else from runs like them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from thesisbench.status.model import RunView

if TYPE_CHECKING:
    from thesisbench.store.index import RunSummary
    from thesisbench.tables.model import PlannedRun

    Planned: TypeAlias = PlannedRun | RunSummary


@dataclass
class Usual:
    """What runs took that differ in nothing but their replicate.

    Attributes:
        seconds: kind of run -> wall times.
    """

    seconds: dict[Hashable, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Iterable[RunSummary]) -> Usual:
        """From those that are done."""
        usual = cls()
        for run in runs:
            if run.state == "done" and run.seconds is not None:
                usual.seconds.setdefault(like(run), []).append(run.seconds)
        return usual

    def __call__(self, run: Planned) -> float | None:
        """Median of the times of runs like this one; None when there is none."""
        found = self.seconds.get(like(run))
        return median(found) if found else None


def like(run: Planned) -> Hashable:
    """The same for runs that are expected to take as long."""
    return (run.recipe, run.step, run.scale, *sorted(map(str, run.levels.items())))


def remaining(run: RunView, told: float | None, since: float, usual: float | None) -> float | None:
    """Seconds a running run still needs; None when nothing tells.

    A first attempt's own epochs tell best. A resumed one may have done them at another time.

    Args:
        run: its progress and attempts count, and how long it has run so far.
        told: seconds it had run when it last told its progress.
        since: seconds since then.
        usual: seconds that runs like it take.
    """
    done, most = run.epochs or (0.0, 0.0)
    if done and told is not None and run.attempts == 1:
        return max(told / done * (most - done) - since, 0.0)
    if usual is None:
        return None
    if done:
        return max(usual * (1 - done / most) - since, 0.0)
    return max(usual - (run.seconds or 0.0), 0.0)


def altogether(
    running: Iterable[RunView], waiting: Iterable[Planned], usual: Usual
) -> float | None:
    """Seconds until all are done, if as many go on at a time as now; None when that is not known.

    Args:
        running: those being executed.
        waiting: those that the same command is yet to execute.
        usual: what runs like them took.
    """
    left = [run.remaining for run in running]
    times = [*left, *map(usual, waiting)]
    known = [seconds for seconds in times if seconds is not None]
    if not left or len(known) < len(times):
        return None
    return max(sum(known) / len(left), *(s for s in left if s is not None))
