"""Moving a fork server's memory to huge pages: which memory, and that it is unharmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from thesisbench.launch import huge_pages

MB = 2**20
MAPS = """\
00200000-00600000 rw-p 00000000 00:00 0
00700000-00f00000 rw-p 00000000 00:00 0          [heap]
01000000-01200000 r--p 00000000 00:00 0
02000000-02800000 rw-s 00000000 00:00 0
03000000-03800000 rw-p 00000000 fe:00 1234       /lib/x.so
04000000-04800000 rw-p 00000000 00:00 0          [stack]
05100000-05300000 rw-p 00000000 00:00 0
"""


def test_only_whole_pages_of_private_memory_of_no_file_count() -> None:
    assert huge_pages.own_memory(MAPS) == [(2 * MB, 4 * MB), (8 * MB, 6 * MB)]


def test_what_is_in_memory_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = [bytes([i % 251]) * MB for i in range(16)]
    huge_pages.collapse()
    assert all(block == bytes([i % 251]) * MB for i, block in enumerate(data))
    monkeypatch.setattr(huge_pages, "MAPS", tmp_path / "none")
    huge_pages.collapse()  # a system that does not tell
