"""Toy run folders, and children that execute them and kill themselves at a chosen call."""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from thesisbench.instantiate import ALLOW_VARIABLE
from thesisbench.launch.forked import _no_main_module
from thesisbench.launch.jobs import Job
from thesisbench.schema import Schedule
from thesisbench.store.folder import RunFolder

HERE = str(Path(__file__).parent)
PARTS = "toy_parts"


def toy_config(**changes: Any) -> dict[str, Any]:
    """A resolved configuration of a toy fit; `schedule` and `trainer` are merged, the rest set."""
    schedule = asdict(Schedule(epochs=6, batch_size=6)) | changes.pop("schedule", {})
    trainer = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "num_workers": 0}
    trainer |= changes.pop("trainer", {})
    blobs = {"_target_": f"{PARTS}.blobs", "_partial_": True, **changes.pop("blobs", {})}
    transform = {"_target_": f"{PARTS}.jitter", "_partial_": True}
    config = {
        "kind": "fit",
        "revision": 1,
        "seed": 3,
        "precision": "32-true",
        "memory_format": "contiguous",
        "backbone": {"_target_": f"{PARTS}.ToyNet"},
        "variants": {},
        "task": {
            "_target_": "thesisbench.tasks.classification.ClassificationTask",
            "_partial_": True,
        },
        "dataset": {
            "_target_": "thesisbench.data.module.ArrayDataModule",
            "name": "blobs",
            "splits": blobs,
            "transform": transform,
        },
        "optimizer": {
            "_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.2, "momentum": 0.9
        },
        "schedule": schedule,
        "trainer": trainer,
        "callbacks": None,
    }  # fmt: skip
    return config | changes


def toy_folder(root: Path, run_id: str, config: dict[str, Any], **needs: list[str]) -> RunFolder:
    """A run folder that holds a configuration."""
    folder = RunFolder(root / run_id)
    folder.write_config(
        {"id": run_id, "lineage": run_id, "kind": config["kind"], "needs": needs, "config": config}
    )
    return folder


def toy_compute(root: Path, run_id: str, seed: int = 0, **arguments: Any) -> Job:
    """A job of a compute: `toy_parts.Number` with these arguments, or the `target` given."""
    target = arguments.pop("target", "Number")
    needs = arguments.pop("needs", ())
    config = {
        "kind": "analytic",
        "seed": seed,
        "compute": {"_target_": f"{PARTS}.{target}", **arguments},
    }
    toy_folder(root, run_id, config, **({"input": list(needs)} if needs else {}))
    return Job(run_id, tuple(needs))


@dataclass(frozen=True)
class Kill:
    """Where a child kills itself: before or after the nth call of a function.

    Attributes:
        function: "module:name" or "module:Class.name". nth: from 1. after: once the call returned.
        half: of a copy, leave half of the file first.
    """

    function: str
    nth: int = 1
    after: bool = True
    half: bool = False

    def arm(self) -> None:
        _arm(self)


class Fault(Protocol):
    """What a child does to itself before it executes a folder."""

    def arm(self) -> None: ...


class Children:
    """Executes run folders in children of a server that has imported torch, a child a run."""

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["thesisbench.launch.preload", "thesisbench.step"])

    def execute(self, path: Path, *faults: Fault) -> int:
        """Exit code of a child that executes a folder; negative when it killed itself."""
        child = self.context.Process(target=execute_or_die, args=(str(path), faults))
        with _no_main_module():
            child.start()
        child.join(60)
        code = child.exitcode
        assert code is not None, "the child hangs"
        child.close()
        return code


def execute_or_die(path: str, faults: tuple[Fault, ...]) -> None:
    """What a child does."""
    from thesisbench.run import run_folder

    if HERE not in sys.path:
        sys.path.append(HERE)
    os.environ[ALLOW_VARIABLE] = PARTS
    log = os.open(Path(path) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for fault in faults:
        fault.arm()
    code = run_folder(Path(path))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _arm(kill: Kill) -> None:
    module, _, name = kill.function.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, last = name.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, last)
    calls = iter(range(1, 10**9))

    @functools.wraps(original)
    def dies(*arguments: Any, **named: Any) -> Any:
        mine = next(calls) == kill.nth
        if mine and kill.half:
            Path(arguments[1]).write_bytes(Path(arguments[0]).read_bytes()[:500])
        if mine and not kill.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, dies)


@contextmanager
def allowed_parts() -> Iterator[None]:
    """Lets configurations made here, and in children started here, call into the toy parts."""
    before = os.environ.get(ALLOW_VARIABLE)
    os.environ[ALLOW_VARIABLE] = PARTS
    try:
        yield
    finally:
        if before is None:
            del os.environ[ALLOW_VARIABLE]
        else:
            os.environ[ALLOW_VARIABLE] = before
