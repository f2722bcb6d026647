"""A child whose launcher died before it said what to run."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import multiprocessing, os
from multiprocessing import forkserver
from thesisbench.launch.forked import SERVER_MODULE
multiprocessing.set_forkserver_preload({preload})
ends, orders = forkserver.connect_to_new_process([])
os.write(orders, {said!r})
os.close(orders)
os.read(ends, 8), os.read(ends, 8)  # its number, then its exit code
"""


def ask(preload: str, said: bytes) -> str:
    """What a child prints that was told no more than this before its launcher was gone."""
    code = ASK.format(preload=preload, said=said)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("said", [b"", b"\x80\x04\x95"])
def test_a_child_without_orders_ends_without_a_word(said: bytes) -> None:
    assert "Traceback" in ask("[]", said), "Python itself prints one"
    assert ask("[SERVER_MODULE]", said) == ""


def test_any_other_error_of_a_child_is_still_told() -> None:
    assert "TypeError" in ask("[SERVER_MODULE]", b"\x80\x04N.")  # orders that are None
