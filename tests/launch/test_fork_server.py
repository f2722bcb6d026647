"""Children whose launcher died while it asked for them."""

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


KNOCK = """
import multiprocessing, os, socket
from multiprocessing import forkserver
from thesisbench.launch.forked import SERVER_MODULE
multiprocessing.set_forkserver_preload({preload})
forkserver.ensure_running()
server = forkserver._forkserver
with socket.socket(socket.AF_UNIX) as knock:
    knock.connect(server._forkserver_address)
os.waitpid(server._forkserver_pid, 0)  # the server ends, as its launcher has
server._forkserver_pid = None
"""


def printed(code: str) -> str:
    """What a program and the processes it started print as errors."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


def ask(preload: str, said: bytes) -> str:
    """What a child prints that was told no more than this before its launcher was gone."""
    return printed(ASK.format(preload=preload, said=said))


@pytest.mark.parametrize("said", [b"", b"\x80\x04\x95"])
def test_a_child_without_orders_ends_without_a_word(said: bytes) -> None:
    assert "Traceback" in ask("[]", said), "Python itself prints one"
    assert ask("[SERVER_MODULE]", said) == ""


def test_a_server_without_pipes_ends_without_a_word() -> None:
    assert "Traceback" in printed(KNOCK.format(preload="[]")), "Python itself prints one"
    assert printed(KNOCK.format(preload="[SERVER_MODULE]")) == ""


def test_any_other_error_of_a_child_is_still_told() -> None:
    assert "TypeError" in ask("[SERVER_MODULE]", b"\x80\x04N.")  # orders that are None
