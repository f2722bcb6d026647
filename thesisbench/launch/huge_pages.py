"""Imported last by a fork server that will fork many children: moves its memory to huge pages.

A fork copies the page table of the whole server, and the end of a child takes it apart again. Of
half a gigabyte in small pages that costs a run 35 ms of a core, in huge ones 15 ms; the move costs
0.3 s once. Where the system has no huge pages, nothing happens.
"""

import ctypes
from pathlib import Path

MAPS = Path("/proc/self/maps")
SIZE = 2 * 2**20  # of a huge page, in bytes
COLLAPSE = 25  # MADV_COLLAPSE, since Linux 6.1


def own_memory(maps: str) -> list[tuple[int, int]]:
    """Start and length in bytes of the whole huge pages that the memory of a process has room for.

    Args:
        maps: what the system says of its memory; only what is private, writable and of no file
            counts.

    >>> own_memory("00300000-00900000 rw-p 00000000 00:00 0 [heap]")
    [(4194304, 4194304)]
    """
    found = []
    for line in maps.splitlines():
        place, rights, *_, inode = line.split()[:5]
        name = line.split()[5:]
        if rights != "rw-p" or inode != "0" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(text, 16) for text in place.split("-"))
        first, last = -(-first // SIZE) * SIZE, last // SIZE * SIZE
        if last > first:
            found.append((first, last - first))
    return found


def collapse() -> None:
    """Asks the system to move the memory of this process; refusals are ignored."""
    try:
        advise = ctypes.CDLL(None).madvise
        maps = MAPS.read_text()
    except (OSError, AttributeError):
        return
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for start, length in own_memory(maps):
        advise(start, length, COLLAPSE)


collapse()
