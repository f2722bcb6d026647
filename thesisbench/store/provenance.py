"""Where a result comes from: code, versions, hardware, time and memory.

Neither the name of the machine nor any environment variable is recorded: records are published.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "numpy",
    "hydra-core",
    "omegaconf",
)
GIT_SECONDS = 10.0

# What decides a result. Accepted records and rendered pages lie beside the specs, but follow a run.
_SCIENCE = (
    "thesisbench",
    "conf",
    "experiments",
    ":(exclude,glob)experiments/**/results/**",
    ":(exclude,glob)experiments/**/*.md",
)


def collect_provenance(
    *, threads: int, started: float, finished: float, config: Mapping[str, Any]
) -> dict[str, Any]:
    """What a record says about how it was made, as plain data.

    Args:
        threads: number of threads that torch computed with.
        started: begin of the run in seconds since the epoch.
        finished: its end.
        config: the resolved configuration.

    Returns:
        The keys code, versions, hardware, threads, platform, started and finished (UTC),
        wall_seconds, peak_memory_mib (None where the system does not tell) and config.
    """
    return {
        "code": dict(code_version()),
        "versions": dict(library_versions()),
        "hardware": {**machine(), "gpus": _gpus()},
        "threads": threads,
        "platform": platform.platform(),
        "started": _utc(started),
        "finished": _utc(finished),
        "wall_seconds": finished - started,
        "peak_memory_mib": _peak_memory(),
        "config": dict(config),
    }


@cache
def code_version() -> Mapping[str, Any]:
    """Version of the package and state of its checkout, asked once a process (children inherit it).

    Returns:
        package_version; git_commit and dirty, both None when the package is not run from a checkout
        of its own. Dirty means: changes or new files in code, configuration or specs.
    """
    checkout = PACKAGE.parent
    unversioned = {"package_version": _installed("thesisbench"), "git_commit": None, "dirty": None}
    # An installed wheel may lie inside somebody's checkout (.venv), where it is not tracked.
    if not _git(checkout, "ls-files", "--", f"{PACKAGE.name}/__init__.py"):
        return unversioned
    commit = _git(checkout, "rev-parse", "--verify", "--quiet", "HEAD")
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=all", "--", *_SCIENCE)
    if commit is None or changes is None:
        return unversioned
    return {**unversioned, "git_commit": commit, "dirty": bool(changes)}


@cache
def library_versions() -> Mapping[str, str | None]:
    """Versions of Python and of the libraries behind a result; None for one that is missing."""
    libraries = {name: _installed(name) for name in DISTRIBUTIONS}
    return {"python": platform.python_version(), **libraries}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says, stripped; None when it is missing, refuses or is too slow."""
    # A hook's GIT_DIR would point at another repository; locks would disturb the user's own git.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def _installed(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


@cache
def machine() -> Mapping[str, Any]:
    """Processor, cores (in the machine, and those we may use) and memory in MiB."""
    may_use = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": _cpu_model(Path("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "usable_cores": len(may_use(0)) if may_use else os.cpu_count(),
        "memory_mib": _memory(),
    }


def _cpu_model(cpuinfo: Path) -> str:
    """The processor's name, its architecture where it has none."""
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names[0] if names else "") or platform.processor() or platform.machine()


def _memory() -> int | None:
    """Memory of the machine in MiB."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    except (AttributeError, OSError, ValueError):
        return None


def _gpus() -> list[str]:
    """Names of the GPUs, if this process computes on them.

    One that does not must not wake CUDA for its record: it costs memory and fails after a fork.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _peak_memory() -> float | None:
    """The most memory this process has held so far, in MiB."""
    try:  # on Linux ru_maxrss starts at the peak of the process that started this one
        lines = Path("/proc/self/status").read_text(errors="replace").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except (OSError, ValueError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _utc(seconds: float) -> str:
    """A moment as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
