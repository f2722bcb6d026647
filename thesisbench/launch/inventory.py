"""The NVIDIA GPUs of this machine, found without importing torch.

A name is what `CUDA_VISIBLE_DEVICES` takes: a number, a UUID, or a slice of a GPU (MIG). Where that
variable is set, its names count, as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
DRIVER = Path("/proc/driver/nvidia")
SECONDS = 20.0  # nvidia-smi may take, on a machine that has just started

_GPU = re.compile(r"GPU \d+:")
_SLICE = re.compile(r"\s+MIG .*\(UUID: (MIG-[^)]+)\)")


def gpus_here() -> tuple[str, ...]:
    """Names of the GPUs that runs may compute on here."""
    return visible(os.environ, lambda: present(_listing(), DRIVER))


def visible(environment: Mapping[str, str], find: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """GPUs that an environment leaves of those that are there.

    Args:
        environment: of the process.
        find: names of all GPUs; asked only where it matters.
    """
    given = environment.get(VISIBLE)
    if given is not None and not given.strip():
        return ()
    found = find()
    if given is None or not found:
        return found
    chosen = []
    for name in (part.strip() for part in given.split(",")):
        if not name or (name.lstrip("-").isdigit() and not 0 <= int(name) < len(found)):
            break  # CUDA too sees nothing from the first name on that is none
        chosen.append(name)
    return tuple(chosen)


def present(listing: str | None, driver: Path) -> tuple[str, ...]:
    r"""Names of all GPUs.

    Args:
        listing: what `nvidia-smi -L` says; None where it says nothing.
        driver: folder in which the driver describes itself and the GPUs.

    >>> present("GPU 0: NVIDIA H100 (UUID: GPU-1)\nGPU 1: NVIDIA H100 (UUID: GPU-2)", Path("/no"))
    ('0', '1')
    """
    if listing is None:
        return tuple(str(i) for i, _ in enumerate(driver.glob("gpus/*")))
    names: list[str] = []
    whole = -1
    for line in listing.splitlines():
        if _GPU.match(line):
            whole += 1
            names.append(str(whole))
        elif part := _SLICE.match(line):
            names = [name for name in names if name != str(whole)] + [part[1]]
    return tuple(names)


def _listing() -> str | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        done = subprocess.run(
            [command, "-L"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
