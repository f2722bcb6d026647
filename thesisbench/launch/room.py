"""What a machine has to give to runs, and who has it: GPUs by name, CPU processes by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from thesisbench.errors import UserError
from thesisbench.launch.jobs import Job


@dataclass(frozen=True)
class Place:
    """What one run has.

    Attributes:
        gpus: names of its GPUs. processes: that compute on the CPU; 0 with GPUs.
    """

    gpus: tuple[str, ...] = ()
    processes: int = 0


@dataclass
class Claims:
    """What older jobs wait for, so that younger ones leave it alone."""

    gpus: bool = False
    cpus: bool = False


@dataclass
class Room:
    """The places of a machine.

    A job that is larger than what is free claims it: younger jobs leave what becomes free to it,
    so a run on four GPUs is not overtaken for ever by runs on one.

    Attributes:
        cpus: processes at a time, of the runs that compute on the CPU.
        gpus: names of the GPUs, one run each. most: runs at a time on whatever; None: no limit.
        taken: run id -> its place.
    """

    cpus: int = 1
    gpus: tuple[str, ...] = ()
    most: int | None = None
    taken: dict[str, Place] = field(default_factory=dict)

    def check(self, jobs: Iterable[Job]) -> None:
        """Refuses jobs that will never fit.

        Raises:
            UserError: naming the first one, what it wants and what is there.
        """
        have = len(self.gpus)
        for job in jobs:
            if (nodes := job.resources.nodes) > 1:
                text = f"run {job.id} wants {nodes} machines (trainer.num_nodes={nodes})"
                raise UserError(f"{text}, and launcher=local has this one; use num_nodes=1")
            want = job.resources.gpus(have)
            if want > have:
                there = f"{have} GPU{'s' * (have != 1)}" if have else "no GPU"
                hint = f"trainer.devices={have} fits" if have else "trainer=cpu uses the CPU"
                text = f"run {job.id} wants {want} GPU{'s' * (want != 1)} and this machine has"
                raise UserError(f"{text} {there} that runs may use; {hint}")

    @property
    def width(self) -> int:
        """Runs at a time at most, if each is as small as it can be."""
        everywhere = self.cpus + len(self.gpus)
        return everywhere if self.most is None else min(self.most, everywhere)

    @property
    def full(self) -> bool:
        """Whether no job at all can start."""
        if self.most is not None and len(self.taken) >= self.most:
            return True
        return not self._free_gpus() and self._free_cpus() <= 0

    def place(self, job: Job, claims: Claims) -> Place | None:
        """A place for a job; None where there is none now, which is then claimed.

        Args:
            job: that wants a place.
            claims: of older jobs; that of this one is added.
        """
        if want := job.resources.gpus(len(self.gpus)):
            free = self._free_gpus()
            if not claims.gpus and len(free) >= want:
                return Place(gpus=free[:want])
            claims.gpus = True
            return None
        processes = min(job.resources.processes(len(self.gpus)), self.cpus)
        if not claims.cpus and self._free_cpus() >= processes:
            return Place(processes=processes)
        claims.cpus = True
        return None

    def _free_gpus(self) -> tuple[str, ...]:
        held = {name for place in self.taken.values() for name in place.gpus}
        return tuple(name for name in self.gpus if name not in held)

    def _free_cpus(self) -> int:
        return self.cpus - sum(place.processes for place in self.taken.values())
