"""Out of memory: what is taken for it, and what the run says."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.launch.jobs import FAILED
from thesisbench.launch.memory import failure_kind, note_killed
from thesisbench.run import run_folder
from thesisbench.store.lease import Lease
from thesisbench.store.runs import RunStore


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[enforce fail at alloc.cpp:9] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        caused(UserError("cannot be made"), caused(ValueError(), MemoryError())),
    ],
)  # fmt: skip
def test_lack_of_memory_is_known_in_all_its_forms(error: Exception) -> None:
    assert failure_kind(error) == "out of memory"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("CUDA out of memory"),  # somebody talks about it
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.ENOSPC, "No space left on device"),
        UserError("no network"),
    ],
)
def test_other_failures_have_no_name_of_their_own(error: Exception) -> None:
    assert failure_kind(error) == ""


def test_what_the_allocator_of_torch_says_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert failure_kind(caught.value) == "out of memory"


def hungry(store: RunStore, name: str) -> Path:
    config = {"kind": "fit", "seed": 0, "schedule": None}
    folder = store.folder(name)
    folder.write_config({"id": name, "kind": "fit", "needs": {}, "config": config})
    return folder.path


def test_a_run_without_memory_fails_under_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(_: object) -> None:
        raise MemoryError("no room for it")

    monkeypatch.setattr("thesisbench.run.run_step", too_much)
    store = RunStore(tmp_path)
    assert run_folder(hungry(store, "big")) == FAILED
    state = store.state("big")
    assert (state.name, state.kind) == ("failed", "out of memory")
    assert state.message == "out of memory: MemoryError: no room for it"


def test_other_failures_and_later_attempts_are_not_called_so(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    path = hungry(store, "a")
    note_killed(store.folder("a"))
    assert store.state("a").kind == "out of memory"
    assert run_folder(path) == FAILED  # it has no schedule
    assert (store.state("a").name, store.state("a").kind) == ("failed", "")


def test_a_run_that_somebody_else_has_by_now_is_left_alone(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    lease = Lease.claim(hungry(store, "a")).lease
    assert lease is not None
    note_killed(store.folder("a"))
    assert store.state("a").name == "running"
    lease.release()
