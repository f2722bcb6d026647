"""Every pool with every border: all of it on small networks, pairs on the real ones."""

import itertools
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from thesisbench.instantiate import make

CONF = Path(str(files("thesisbench.conf")))
BORDERS = ["same", "circular", "reflect", "replicate", "full", "valid"]
POOLS = ["max", "avg", "haar", "spectral", "s3", "mixed", "gated", "dpp", "gauss", "gfgp"]
POOLS += ["lift_down", "fixed_lift"]
SMALL = {"resnet8": 4, "mini_vgg": 4}  # strided layers and pools
REAL = {"resnet18": 7, "resnet50": 7, "vgg13": 5, "mobilenet_v2": 4}
PLACES = ["strides", "block_input", "block_output"]
# Each pool with each border and each network, each border with each network.
PAIRS = [
    (tuple(REAL)[(i + j) % 4], border, pool, PLACES[(i + j // 2) % 3])
    for i, pool in enumerate(POOLS)
    for j, border in enumerate(BORDERS)
]


def _option(group, name, **changes):
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return make({**node, **changes})


def _rewritten(network, variants):
    """Applies variants; parameters and keys of the network must stay. Returns their counts."""
    before, keys = dict(network.named_parameters()), list(network.state_dict())
    counts = [variant(network) for variant in variants]
    after = dict(network.named_parameters())
    assert all(after[name] is parameter for name, parameter in before.items())
    assert [key for key in network.state_dict() if key in set(keys)] == keys
    return counts


def _step(network, x):
    """Loss of a forward pass, extra losses too, and a backward pass."""
    y = network(x)
    losses = [
        loss for m in network.modules() for loss in getattr(m, "extra_losses", dict)().values()
    ]
    ((y**2).sum() + sum(losses)).backward()
    return y, [p.grad for p in network.parameters()]


@pytest.mark.parametrize("border", ["none", *BORDERS])
@pytest.mark.parametrize("pool", [*POOLS, "skip"])
@pytest.mark.parametrize("backbone", SMALL)
def test_small_networks_take_every_border_and_pool(backbone, pool, border):
    """Border first in one half of the cases, pool first in the other."""
    with torch.device("meta"):
        network = _option("backbone", backbone)
    variants = [_option("border", border)] if border != "none" else []
    border_first = (len(backbone) + [*POOLS, "skip"].index(pool) + len(border)) % 2
    variants.insert(len(variants) if border_first else 0, _option("pool", pool))
    if (backbone, pool) == ("resnet8", "skip"):
        assert _option("pool", pool)(network) == 0
        return
    assert SMALL[backbone] in _rewritten(network, variants)
    y, gradients = _step(network, torch.zeros(2, 3, 97, 100, device="meta"))
    assert y.shape == (2, 10 if backbone == "resnet8" else 16)
    assert all(g is not None for g in gradients)


def test_pairs_cover_what_they_say():
    for a, b in itertools.combinations(range(3), 2):
        seen = {(pair[a], pair[b]) for pair in PAIRS}
        assert len(seen) == len({p[a] for p in PAIRS}) * len({p[b] for p in PAIRS})
    assert {pair[3] for pair in PAIRS if pair[0] == "resnet50"} == set(PLACES)


def _real(backbone, border, pool, places, device):
    torch.manual_seed(0)
    with torch.device(device):
        network = _option("backbone", backbone)
    variants = [_option("border", border), _option("pool", pool, places=places)]
    assert REAL[backbone] in _rewritten(network, variants)
    return network


@pytest.mark.parametrize(
    ("backbone", "border", "pool", "places"),
    [
        pytest.param(*pair, marks=[] if i % 2 else [pytest.mark.slow])
        for i, pair in enumerate(PAIRS)
    ],
)
def test_real_networks_fit_together(backbone, border, pool, places):
    """On images so large that valid convolutions leave a map."""
    network = _real(backbone, border, pool, places, "meta")
    y = network(torch.zeros(2, 3, 1281, 1300, device="meta"))
    assert y.shape == (2, 100 if backbone == "vgg13" else 1000)


def _is_daily(pair):
    return pair in PAIRS[::9] and pair[0] != "vgg13"


@pytest.mark.parametrize(
    ("backbone", "border", "pool", "places"),
    [
        pytest.param(*pair, marks=[] if _is_daily(pair) else [pytest.mark.slow])
        for pair in PAIRS
        if pair[1] != "valid"
    ],
)
def test_real_networks_compute_finite_gradients(backbone, border, pool, places):
    network = _real(backbone, border, pool, places, "cpu")
    # reflecting needs more positions than it pads, also in the last stage
    y, gradients = _step(network, torch.randn(2, 3, 65, 65))
    assert torch.isfinite(y).all()
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    assert sum(g.abs().sum() for g in gradients) > 0
