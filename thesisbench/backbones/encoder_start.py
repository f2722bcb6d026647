"""Networks whose encoder may start from the weights of a classifier."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from thesisbench.errors import UserError

CLASSIFIER = "fc."  # what names of a classifier's last layer begin with
# A pool in place of a stride, as `thesisbench.layers.pool_places` names it: an encoder lacks those
# of stages whose stride became dilation.
_POOL = re.compile(r"(.*\.)?(blur|pool\d+)\.")


class StartsFromClassifier(nn.Module):
    """A network with a part `encoder` that is a classifier without its last layer."""

    encoder: nn.Module

    def take_classifier(self, state: Mapping[str, Tensor]) -> list[str]:
        """Loads the weights of a classifier into the encoder.

        Args:
            state: of the classifier, whose names must be those of the encoder.

        Returns:
            Names of what was not taken: the classifier's last layer, pools of dilated stages.

        Raises:
            UserError: weights that the encoder lacks, that it needs, or of another shape.
        """
        own = self.encoder.state_dict()
        pooled = any(_POOL.match(name) for name in own)
        others = [n for n in state.keys() - own.keys() if n.startswith(CLASSIFIER)]
        pools = [n for n in state.keys() - own.keys() if _POOL.match(n)] if pooled else []
        left = sorted([*others, *pools])
        given = {name: value for name, value in state.items() if name not in left}
        kind = type(self).__name__
        if odd := sorted(own.keys() ^ given.keys()):
            text = f"the weights do not fit the encoder of {kind}: only one of the two has {odd[0]}"
            raise UserError(f"{text}; choose the same backbone and pool")
        for name, value in given.items():
            if value.shape != own[name].shape:
                shapes = f"{tuple(value.shape)}, not {tuple(own[name].shape)}"
                raise UserError(f"the weights do not fit {kind}: {name} is {shapes}")
        self.encoder.load_state_dict(given)
        return left
