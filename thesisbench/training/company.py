"""The other ranks of a run on this machine: started, listened to, and ended with the run.

They are `python -m thesisbench run FOLDER` with LOCAL_RANK set. What they print goes into the log
of the run, a line at a time. A rank that ends badly ends the run, with one word on it; a rank whose
run is gone ends itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from thesisbench.errors import UserError
from thesisbench.launch.environment import THREADS, changed_environment
from thesisbench.training.ranks import LOOPBACK, PARENT, Rank, connect, meeting_point

GRACE = 10.0  # seconds in which rank 0 notices by itself that another has gone
LOOK = 0.25
_STOPPED = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL, 130, 143)


class RankLostError(UserError, RuntimeError):
    """Another rank of the run has ended badly.

    Attributes:
        killed: it was killed or interrupted, and nothing is wrong with the run.
    """

    def __init__(self, text: str, *, killed: bool) -> None:
        super().__init__(text)
        self.killed = killed


@dataclass
class Member:
    """A rank that was started here.

    Attributes:
        number: of the rank. process: of it. said: its last lines.
    """

    number: int
    process: subprocess.Popen[str]
    said: deque[str]

    def listen(self) -> None:
        """Passes on what it prints."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())
            print(f"[rank {self.number}] {line}", end="", file=sys.stderr, flush=True)

    def loss(self, code: int) -> RankLostError:
        """What to say of its end."""
        if code in _STOPPED:
            name = signal.Signals(-code).name if code < 0 else "an interrupt"
            return RankLostError(f"rank {self.number} was ended by {name}", killed=True)
        failed = [line.removeprefix("failed: ") for line in self.said if "failed: " in line[:8]]
        last = [line for line in self.said if line][-1:]
        text = (failed or last or [f"exit code {code}"])[-1]
        return RankLostError(f"rank {self.number}: {text}", killed=False)


class Company:
    """The ranks that this process has started.

    Args:
        path: the run folder. rank: this process. port: where they meet.
        count: how many to start.
        stuck: told of the loss of a rank when this process does not notice it by itself.
    """

    def __init__(
        self, path: Path, rank: Rank, port: int, count: int, stuck: Callable[[RankLostError], None]
    ) -> None:
        self.stuck, self.over, self.noticed = stuck, threading.Event(), threading.Event()
        self.lost: RankLostError | None = None
        self.members = [self._start(path, rank, port, n + 1) for n in range(count)]
        self.watches = [
            threading.Thread(target=self._watch, args=(member,), daemon=True)
            for member in self.members
        ]
        for watch in self.watches:
            watch.start()

    def cause(self) -> RankLostError | None:
        """The loss behind an error of this process, if it is one; waits a moment for the news."""
        self.noticed.wait(2.0)
        return self.lost

    def end(self) -> None:
        """Ends all that are left: at any moment they have nothing to lose."""
        self.over.set()
        for member in self.members:
            member.process.kill()
        for watch in self.watches:
            watch.join(2.0)

    def _start(self, path: Path, rank: Rank, port: int, local: int) -> Member:
        places = {"LOCAL_RANK": str(local), "NODE_RANK": str(rank.node), PARENT: str(os.getpid())}
        modules = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
        meeting = {"MASTER_PORT": str(port), "PYTHONPATH": modules}
        if rank.opens:
            meeting["MASTER_ADDR"] = LOOPBACK
        process = subprocess.Popen(
            [sys.executable, "-m", "thesisbench", "run", str(path)],
            env={**os.environ, **places, **meeting},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return Member(rank.number + local, process, deque(maxlen=50))

    def _watch(self, member: Member) -> None:
        ears = threading.Thread(target=member.listen, daemon=True)
        ears.start()
        code = member.process.wait()
        ears.join(1.0)  # its loaders may still hold the pipe
        if not ears.is_alive() and member.process.stdout is not None:
            member.process.stdout.close()
        if code == 0 or self.over.is_set():
            return
        self.lost = self.lost or member.loss(code)
        self.noticed.set()
        if not self.over.wait(GRACE):
            self.stuck(self.lost)


@contextmanager
def in_company(
    rank: Rank, path: Path, kind: str, stuck: Callable[[RankLostError], None]
) -> Iterator[None]:
    """The ranks of a run joined, for as long as this one works; nothing for a run of one.

    Args:
        rank: this process.
        path: the run folder.
        kind: of device.
        stuck: told of the loss of a rank when this process does not notice it by itself.

    Raises:
        RankLostError: in place of the error that the loss of another rank caused here.
    """
    if rank.size == 1:
        yield
        return
    others = 0 if "LOCAL_RANK" in os.environ else rank.beside - 1
    with changed_environment({"LOCAL_RANK": str(rank.local), "NODE_RANK": str(rank.node)}):
        share_cores(rank.beside)
        store = meeting_point(rank)
        company = Company(path, rank, store.port, others, stuck)
        try:
            connect(rank, kind, store)
            yield
            distributed.destroy_process_group()
        except Exception as error:
            lost = None if isinstance(error, UserError) else company.cause()
            if lost is not None:
                raise lost from error
            raise
        finally:
            company.end()
            if distributed.is_initialized() and kind != "cuda":  # NCCL would wait for the others
                distributed.destroy_process_group()


def share_cores(count: int) -> None:
    """Lets the ranks of a machine compute beside each other, where nobody said with how many."""
    if not any(os.environ.get(name) for name in THREADS):
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count() or 1
        torch.set_num_threads(max(1, cores // count))


def end_with_parent() -> None:
    """Lets this rank end soon after the one that started it; an interrupt is for that one."""
    parent = os.environ.get(PARENT, "")
    if parent.isdigit():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_look_up, args=(int(parent),), daemon=True).start()


def _look_up(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)
