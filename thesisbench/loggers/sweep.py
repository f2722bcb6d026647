"""The parent's side of the W&B mirror: starts the writer of a sweep, and lets it end.

Local files are the truth. Nothing here imports wandb, and nothing that goes wrong here costs a
result or an exit code: it costs one line.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesisbench.loggers.describe import describe
from thesisbench.loggers.mirror import WENT_OFFLINE
from thesisbench.loggers.mode import choose_mode, writer_environment
from thesisbench.tables.model import PlannedRun

NOT_INSTALLED = "W&B is not installed: runs are not mirrored; pip install 'thesisbench[wandb]'"
COMMAND = (sys.executable, "-P", "-m", "thesisbench.loggers.mirror")
DRAIN_SECONDS = 20.0
OLD_SECONDS = 3600.0

Say = Callable[[str], None]


@dataclass
class Mirror:
    """A running writer process; a context manager that closes it.

    Attributes:
        process: the writer. manifest: its temporary file, without keys. log: what it complained of.
        say: takes a line for the user.
    """

    process: subprocess.Popen[bytes]
    manifest: Path
    log: Path
    say: Say
    closed: bool = False

    @classmethod
    def start(
        cls,
        runs: Sequence[PlannedRun],
        root: Path,
        config: Mapping[str, Any],
        say: Say,
        *,
        command: Sequence[str] = COMMAND,
    ) -> Mirror | None:
        """Starts a writer for runs; it never raises for a tracker that does not work.

        Args:
            runs: those about to be executed.
            root: the runs folder.
            config: the `logger` node: name ("wandb", or "none" for no mirror), project, entity.
            say: takes a line for the user.
            command: the writer's program, which is given the manifest.

        Returns:
            The mirror, or None where there is nothing to mirror or no writer could be started.
        """
        disabled = os.environ.get("WANDB_MODE", "").lower() == "disabled"
        if config.get("name") != "wandb" or disabled or not runs:
            return None
        if not installed():
            say(NOT_INSTALLED)
            return None
        root, stamp = root.resolve(), uuid.uuid4().hex
        manifest, log = root / f".wandb-{stamp}.json", root / "wandb" / f"mirror-{stamp[:8]}.log"
        mode = choose_mode(os.environ)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            _remove_old(root)
            text = {
                "project": config.get("project") or "thesisbench",
                "entity": config.get("entity"),
                "mode": mode,
                "root": str(root),
                "runs": [describe(run) for run in runs],
            }
            manifest.write_text(json.dumps(text), encoding="utf-8")
            process = _spawn([*command, str(manifest)], log, writer_environment(os.environ, mode))
        except Exception as error:  # whatever it is, the runs matter more
            say(f"W&B: runs are not mirrored: {error}")
            _remove(manifest)
            return None
        return cls(process, manifest, log, say)

    def close(self, timeout: float = DRAIN_SECONDS) -> None:
        """Lets the writer finish what is there, for so many seconds, then ends it."""
        if self.closed:
            return
        self.closed = True
        try:
            self._tell()
            code = self.process.wait(timeout)
            self._report(code)
        except subprocess.TimeoutExpired:
            self._complain(f"the mirror was ended after {timeout:g} s")
        finally:
            self._kill()
            _remove(self.manifest)

    def __enter__(self) -> Mirror:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _complain(self, what: str) -> None:
        self.say(f"W&B: {what}, local results are not affected; see {self.log}")

    def _tell(self) -> None:
        """A byte before the end: a forked child may hold the pipe open."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(b"\n")
            self.process.stdin.flush()
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def _report(self, code: int) -> None:
        if code == 0:
            _remove(self.log)
        elif code == WENT_OFFLINE:
            runs = self.log.parent / "offline-run-*"
            self._complain(f"no connection, mirrored offline (to upload: wandb sync {runs})")
        else:
            self._complain("the mirror failed")

    def _kill(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def installed() -> bool:
    """Whether wandb can be imported; a mere folder of that name, as W&B makes, does not count."""
    try:
        spec = importlib.util.find_spec("wandb")
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None


def _spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts the writer in a session of its own, so that Ctrl-C reaches the parent only."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=dict(environment),
            start_new_session=True,
        )


def _remove_old(root: Path) -> None:
    """Manifests that a writer reads at once; an old one belongs to a sweep that was killed."""
    for path in root.glob(".wandb-*.json"):
        if time.time() - path.stat().st_mtime > OLD_SECONDS:
            _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
