"""Which of the processes of a run this one is, and how they find each other.

A run on several devices is a process a device. The first (rank 0) owns the run folder; the others
only compute. Rank 0 starts those of its machine; with several machines, `thesisbench run FOLDER` is
started once on each, with NODE_RANK, MASTER_ADDR and MASTER_PORT in the environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from thesisbench.errors import UserError
from thesisbench.training.batching import (
    check_batching,
    devices_on_a_node,
    precision_of,
    takes_every_device,
    world_size,
)

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store, TCPStore

PARENT = "THESISBENCH_RANK_PARENT"  # id of the process that started this rank
LOOPBACK = "127.0.0.1"
PATIENCE = timedelta(minutes=30)  # of a rank that waits for another

T = TypeVar("T")


@dataclass(frozen=True)
class Rank:
    """One of the processes of a run.

    Attributes:
        number: over all machines; 0 owns the run. local: on this machine.
        size: number of processes. node: number of the machine. nodes: how many machines.
    """

    number: int = 0
    local: int = 0
    size: int = 1
    node: int = 0
    nodes: int = 1

    @classmethod
    def here(cls, config: Mapping[str, Any]) -> Rank:
        """What the environment says of this process, for a run of this configuration.

        Raises:
            UserError: a run on several machines, and nothing says which one this is.
        """
        size, per_node = world_size(config), devices_on_a_node(config)
        if size == 1 or config.get("compute"):
            return ALONE
        nodes = size // per_node
        needed = ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
        if nodes > 1 and (missing := [name for name in needed if not os.environ.get(name)]):
            text = f"trainer.num_nodes={nodes}: start the run once on each machine"
            raise UserError(f"{text} with {', '.join(needed)}; not set: {', '.join(missing)}")
        local, node = _number("LOCAL_RANK", per_node), _number("NODE_RANK", nodes)
        return cls(node * per_node + local, local, size, node, nodes)

    @property
    def beside(self) -> int:
        """Number of processes on this machine."""
        return self.size // self.nodes

    @property
    def opens(self) -> bool:
        """Whether it opens the place where the processes of one machine meet."""
        return self.nodes == 1 and self.number == 0


ALONE = Rank()  # of a run of one process


def _number(name: str, count: int) -> int:
    text = os.environ.get(name) or "0"
    if not text.isdigit() or int(text) >= count:
        raise UserError(f"{name}={text} in the environment; this run has 0 to {count - 1}")
    return int(text)


def device_type(config: Mapping[str, Any]) -> str:
    """What a run computes on here: cpu, cuda, or another word of Lightning's.

    What is no fit exchanges on the CPU; `placement` says where the network of an evaluation is.
    """
    wanted = str((config.get("trainer") or {}).get("accelerator") or "auto")
    if config.get("kind") != "fit":
        return "cpu"
    if wanted in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    metal = torch.backends.mps.is_available() and world_size(config) == 1
    return "cpu" if wanted == "auto" and not metal else wanted


def check_devices(config: Mapping[str, Any]) -> None:
    """Refuses devices that are not here, and precisions, layers and batches that do not fit them.

    Raises:
        UserError: saying what there is.
    """
    check_batching(config)
    trainer, kind = config.get("trainer") or {}, device_type(config)
    count, present = devices_on_a_node(config), torch.cuda.device_count()
    if kind in ("cuda", "gpu") and sys.platform != "darwin" and count > present:
        text = f"trainer.devices={trainer.get('devices')} asks for {count} GPUs"
        choice = f"at most {present}" if present else "trainer.accelerator=cpu"
        raise UserError(f"{text}, this machine has {present} that the run may use; choose {choice}")
    if takes_every_device(config) and kind == "cuda" and present > 1:
        text = f"trainer.devices={trainer['devices']} stands for {present} devices here"
        raise UserError(f"{text}; give their number, since the batch is cut by it")
    if kind == "cpu" and precision_of(config) in ("16-mixed", "16"):
        raise UserError("precision=16-mixed needs a GPU; bf16-mixed works on the CPU too")
    if kind == "cpu" and count > 1 and trainer.get("sync_batchnorm"):
        raise UserError("trainer.sync_batchnorm=true works on GPUs only; leave it out on the CPU")


def connect(rank: Rank, kind: str, store: Store) -> None:
    """Joins the processes of a run into a group.

    Args:
        rank: this process.
        kind: of device.
        store: where they meet (`meeting_point`).
    """
    if kind == "cuda":
        torch.cuda.set_device(rank.local)
    elif Path("/sys/class/net/lo").exists() and rank.nodes == 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # a host's own name may lead nowhere
    distributed.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        store=store,
        rank=rank.number,
        world_size=rank.size,
        timeout=PATIENCE,
    )


def meeting_point(rank: Rank) -> TCPStore:
    """Where the processes of a run meet; rank 0 opens it, at a port the system chooses."""
    address = LOOPBACK if rank.opens else os.environ["MASTER_ADDR"]
    port = 0 if rank.opens else int(os.environ["MASTER_PORT"])
    return distributed.TCPStore(  # type: ignore[attr-defined]
        address, port, rank.size, is_master=rank.number == 0, wait_for_workers=False
    )


def from_first(value: T) -> T:
    """What rank 0 says; all ranks call it."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    said = [value]
    distributed.broadcast_object_list(said, src=0)
    return said[0]


def true_for_any(value: bool, device: torch.device) -> bool:
    """Whether it is true on any rank; all ranks call it."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    flag = torch.tensor(int(value), device=device)
    distributed.all_reduce(flag, distributed.ReduceOp.MAX)
    return bool(flag)
