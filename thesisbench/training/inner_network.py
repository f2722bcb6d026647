"""What is done to the network of a fit before it trains: claims checked, compiled on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

from thesisbench.errors import UserError
from thesisbench.training.batching import Batching, is_batch_free

_MIXING = nn.modules.batchnorm._BatchNorm


def check_declared(config: Mapping[str, Any], network: nn.Module) -> None:
    """Refuses a batch in parts for a network that says batch_free and is not.

    Raises:
        UserError: naming the layer; the id of such a run would hide what it sees.
    """
    if Batching.of(config).parts == 1 or not is_batch_free(config):
        return
    for name, layer in network.named_modules():
        if isinstance(layer, _MIXING):
            text = f"{type(network).__name__} says batch_free, but its layer {name} mixes the batch"
            raise UserError(f"{text}; mend that, or train it on one device without accumulation")


@contextmanager
def compiled(network: nn.Module, *, wanted: bool) -> Iterator[None]:
    """The network compiled in its place for a while, so that the names of its parameters stay.

    Random numbers are those of the network as it is; sums are rounded differently.

    Raises:
        UserError: the compiler does not take it.
    """
    if not wanted:
        yield
        return
    import torch._inductor.config as inductor
    from torch._dynamo.exc import TorchDynamoException

    with inductor.patch(fallback_random=True):
        network.compile()
        try:
            yield
        except TorchDynamoException as error:
            reason = " ".join(str(error).split())[:300]
            text = f"trainer.compile=true: torch.compile does not take {type(network).__name__}"
            raise UserError(f"{text}: {reason}") from error
        finally:
            network._compiled_call_impl = None
