"""How many parameters a network has with each pool.

Zhao, chapter 3, text under Table 3.4: with ResNet-50 LiftDownPool has 25.58 M, GFGP 31.08 M and
GaussPool 33.85 M. The network is the step's own backbone with its pool; nothing is computed.

*Deviations*. The thesis does not say where in a ResNet pools go; see
`thesisbench.layers.pool_places` for the places that give its counts.
"""

from __future__ import annotations

import torch

from thesisbench.step import StepContext, build_network


class ParameterCount:
    """Parameters of the step's backbone as its variants leave it.

    Metrics: `parameters`, `parameters_m` (millions) and `added_k`, thousands more than the backbone
    has without variants.
    """

    def __call__(self, context: StepContext) -> dict[str, float]:
        """Counts on the meta device: no weight is drawn."""
        with torch.device("meta"):
            network, replaced = build_network(context.config)
            plain, _ = build_network({**context.config, "variants": {}})
        ours, without = (sum(p.numel() for p in net.parameters()) for net in (network, plain))
        context.result.facts["replaced"] = replaced
        return {
            "parameters": float(ours),
            "parameters_m": ours / 1e6,
            "added_k": (ours - without) / 1e3,
        }
