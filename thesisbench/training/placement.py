"""Where the network of an evaluation computes: on the CPU, or on a GPU if the step asks for one.

An evaluation hands tensors in main memory to its network and gets such tensors back, wherever the
network computes, so evaluations need not know of devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from thesisbench.errors import UserError


def evaluation_device(config: Mapping[str, Any]) -> torch.device:
    """The device of a step that is no fit: the CPU unless `trainer.accelerator` is gpu or cuda.

    Raises:
        UserError: a GPU is asked for and there is none.
    """
    wanted = str((config.get("trainer") or {}).get("accelerator") or "auto")
    if wanted not in ("gpu", "cuda"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        text = f"trainer.accelerator={wanted}: this machine has no GPU that the run may use"
        raise UserError(f"{text}; choose trainer.accelerator=cpu")
    return torch.device("cuda")


def moved(value: Any, device: torch.device) -> Any:
    """A structure of tensors on a device; what is no tensor stays."""
    return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, value)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """A network that computes on a device, and takes and gives tensors of main memory.

    Its keys and its structure stay; on the CPU it is returned as it is.

    Args:
        network: any; its weights are moved.
        device: where it computes.
    """
    if device.type == "cpu":
        return network
    network.to(device)
    network.register_forward_pre_hook(
        lambda _, args, kwargs: (moved(args, device), moved(kwargs, device)), with_kwargs=True
    )
    network.register_forward_hook(lambda _, __, output: moved(output, torch.device("cpu")))
    return network
