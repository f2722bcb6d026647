"""What a launcher is given and what it tells: the one small interface that all launchers share.

A launcher only starts `thesisbench run FOLDER` on folders that are there, in an order that respects
what they need. Leases decide who runs a folder and its files say how it went, so a launcher holds
no truth. It is one module `thesisbench.launch.<name>` with a function

    make(config: Mapping[str, Any], runs: Sequence[PlannedRun]) -> Launcher

(config: the `launcher` node, conf/launcher/<name>.yaml) and a word in `thesisbench.execute`.
`thesisbench.launch.drive` has the loop: what else a launcher needs is how a job is started, how its
end is noticed, and how all are ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from thesisbench.launch.resources import Resources
from thesisbench.store.runs import RunStore

DONE, FAILED, BUSY = 0, 1, 75  # exit codes of an executed run folder
FINAL = ("done", "diverged", "failed", "interrupted", "blocked")
Event = Literal["started", "elsewhere", "done", "diverged", "failed", "interrupted", "blocked"]
OnEvent = Callable[[str, Event], None]
OnTick = Callable[[Sequence[str]], None]


@dataclass(frozen=True)
class Job:
    """A run folder to be executed.

    Attributes:
        id: of the run. needs: ids that must be done before. exclusive: nothing runs beside it.
        resources: what it computes on.
    """

    id: str
    needs: tuple[str, ...] = ()
    exclusive: bool = False
    resources: Resources = field(default_factory=Resources)


class Launcher(Protocol):
    """Starts run folders."""

    def check(self, jobs: Sequence[Job]) -> None:
        """Refuses what can never be run here; asked before anything is written or started.

        Raises:
            UserError: naming the job, what it wants and what there is.
        """

    def launch(
        self, store: RunStore, jobs: Sequence[Job], on_event: OnEvent, on_tick: OnTick
    ) -> dict[str, str]:
        """Executes jobs; returns the final word on each (one of FINAL).

        Args:
            store: the runs folder; the configurations of the jobs are there.
            jobs: in order of preference; those they need are among them or done already.
            on_event: told of a run: started here or executed elsewhere, and one final word.
            on_tick: called about twice a second with the ids of what is running here.

        Raises:
            KeyboardInterrupt: it was stopped (SIGINT); what it had started has been ended by then,
                whole process trees, and all of it can be resumed.
        """
