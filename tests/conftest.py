"""Makes the parts that tests of several folders share importable, and interrupts work."""

import signal
import sys
import threading
from pathlib import Path

import pytest

from thesisbench.compose import Composer

sys.path.append(str(Path(__file__).with_name("toy")))

# A shell starts background jobs with interrupts ignored, and what they start inherits that; tests
# that interrupt a program need them.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def composer() -> Composer:
    """Composes configurations, once for the tests of a module."""
    return Composer()


@pytest.fixture
def data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `data` of the test's own in which data sets are looked for."""
    root = tmp_path / "data"
    monkeypatch.setenv("THESISBENCH_DATA", str(root))
    return root
