"""What there is to compute on: torch and its devices, tried in a process of its own; cores, memory.

A torch that does not import, crashes or hangs is then a line and not the end of us.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from thesisbench.doctor.check import Check
from thesisbench.store.provenance import machine

SECONDS = 120.0
DRIVER = Path("/proc/driver/nvidia/version")
LITTLE_MEMORY = 4096  # MiB

ASK = """
import json, torch
gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
said = {"torch": torch.__version__, "cuda": torch.version.cuda, "vision": ""}
said["gpus"] = [[g.name, g.total_memory] for g in gpus]
said["mps"] = torch.backends.mps.is_available()
try:
    import torchvision
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
except Exception as error:
    said["vision"] = f"{type(error).__name__}: {error}"
print(json.dumps(said))
"""


def device_checks() -> Iterator[Check]:
    """Torch, GPUs, cores, memory and threads."""
    said, problem = ask_torch()
    yield from torch_checks(said, problem)
    if said is not None:
        yield gpu_check(said, driver=_driver())
    yield from _processor()
    yield threads_check(os.environ)


def ask_torch(code: str = ASK, seconds: float = SECONDS) -> tuple[Mapping[str, Any] | None, str]:
    """What torch says of itself in another process, or why it says nothing.

    Args:
        code: that it runs; the last line it prints is JSON.
        seconds: it may take.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"does not import within {seconds:.0f} s"
    except OSError as error:
        return None, f"Python cannot be started: {error.strerror}"
    lines = (done.stdout if done.returncode == 0 else done.stderr).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no word")
    if done.returncode != 0:
        return None, f"does not import ({last})"
    try:
        said: Mapping[str, Any] = json.loads(last)
    except ValueError:
        return None, f"says something else than expected ({last})"
    return said, ""


def torch_checks(said: Mapping[str, Any] | None, problem: str) -> Iterator[Check]:
    """Whether torch and torchvision import and compute."""
    if said is None:
        todo = "pip install --force-reinstall torch torchvision"
        yield Check("import torch", "missing", problem, todo, essential=True)
        return
    yield Check("import torch", "ok", str(said["torch"]), essential=True)
    name = "import torchvision"
    if not said["vision"]:
        yield Check(name, "ok", "with its compiled operators", essential=True)
        return
    text, todo = str(said["vision"]), "pip install --upgrade torch torchvision, in one command"
    yield Check(name, "missing", " ".join(text.split()), todo, essential=True)


def gpu_check(said: Mapping[str, Any], driver: str) -> Check:
    """The accelerators that torch can use.

    Args:
        said: by torch.
        driver: version of the NVIDIA driver, empty where there is none.
    """
    with_driver = f", driver {driver}" if driver else ""
    if said["gpus"]:
        names = ", ".join(f"{name} ({size / 2**30:.0f} GiB)" for name, size in said["gpus"])
        text = f"{len(said['gpus'])} CUDA: {names}{with_driver}, CUDA {said['cuda']}"
        return Check("GPUs", "ok", text)
    if driver:
        build = "is built without CUDA" if said["cuda"] is None else "sees none of the GPUs"
        todo = "install a CUDA build of torch, or look at CUDA_VISIBLE_DEVICES and the driver"
        return Check("GPUs", "warn", f"there is a driver ({driver}), but torch {build}", todo)
    if said["mps"]:
        return Check("GPUs", "ok", "Apple GPU (MPS)")
    return Check("GPUs", "ok", "none; runs compute on the CPU, scales smoke and small are for that")


def _processor() -> Iterator[Check]:
    found = machine()
    cores = f"{found['usable_cores']} of {found['cores']} cores usable"
    yield Check("CPU", "ok", f"{found['cpu']}, {cores}")
    memory = found["memory_mib"]
    if memory is None:
        yield Check("memory", "warn", "the system does not tell how much there is")
    elif memory < LITTLE_MEMORY:
        todo = "start fewer runs at a time: --workers 1"
        yield Check("memory", "warn", f"{memory / 1024:.1f} GiB is little", todo)
    else:
        yield Check("memory", "ok", f"{memory / 1024:.1f} GiB")


def threads_check(environment: Mapping[str, str]) -> Check:
    """The thread settings that runs get."""
    given = environment.get("OMP_NUM_THREADS")
    local = "the local launcher gives each run launcher.threads"
    if given is None:
        return Check("threads", "ok", f"OMP_NUM_THREADS is not set; {local}")
    return Check("threads", "ok", f"OMP_NUM_THREADS={given} holds for launcher=inline; {local}")


def _driver() -> str:
    """Version of the NVIDIA driver; empty where there is none."""
    try:
        first = DRIVER.read_text(errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return ""
    return next((word for word in first.split() if word[0].isdigit() and "." in word), "unknown")
