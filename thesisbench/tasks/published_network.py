"""A published network, kept so that evaluations take it where they take a fit.

For networks that a thesis tests as they are published, such as AlexNet, by whose flip rates those
of others are divided (Zhao, chapter 3, Table 3.5). Nothing is trained.
"""

from __future__ import annotations

import os

import torch

from thesisbench.data.module import checksum
from thesisbench.errors import UserError
from thesisbench.step import StepContext, build_network
from thesisbench.store.files import make_below, written_whole
from thesisbench.weights.load import loaded_weights

FILE = "weights-0.pt"


class PublishedNetwork:
    """Keeps the step's backbone, with the weights that its variants load, as a fit is kept.

    Metric: `parameters`.
    """

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Builds the network and writes its weights.

        Raises:
            UserError: nothing loads weights into the network, or they do not fit it.
        """
        network, replaced = build_network(context.config)
        notes = loaded_weights(network)
        if not notes:
            text = (
                "a published network needs weights: weights=pretrained variants.weights.name=NAME"
            )
            raise UserError(f"{text}; `thesisbench weights list` shows them")
        state = {f"network.{name}": value for name, value in network.state_dict().items()}
        result = context.result
        result.facts |= {"replaced": replaced, "pretrained": notes}
        result.digests["weights"] = checksum(*state.values())
        if context.rank.number == 0:
            make_below(context.folder.path, context.attempt)
            path = context.attempt / FILE
            with written_whole(path) as temporary, temporary.open("xb") as file:
                torch.save(state, file)
            result.facts["weights"] = os.path.relpath(path, context.folder.path)
            result.facts["weights_bytes"] = path.stat().st_size
        return {"parameters": float(sum(p.numel() for p in network.parameters()))}
