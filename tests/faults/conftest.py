"""Processes that end with the test that started them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sweeps import Started


@pytest.fixture
def ended() -> Iterator[Started]:
    """Processes that are ended with the test, whatever became of it."""
    processes: Started = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()
