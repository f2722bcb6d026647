"""Normalisation x weight x border x pool: all of it on small networks, pairs on the real ones.

Drop-ins are applied in the order of conf/train.yaml.
"""

import itertools
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from thesisbench.instantiate import make
from thesisbench.layers.reparameterize import fold

CONF = Path(str(files("thesisbench.conf")))
NORMS = ["without", "batch", "group", "layer", "instance", "none"]
WEIGHTS = ["none", "align", "weight_norm", "standardised"]
BORDERS = ["none", "same", "circular", "reflect", "replicate", "full", "valid"]
POOLS = ["strided", "max", "avg", "haar", "spectral", "s3", "mixed", "gated", "dpp", "gauss"]
POOLS += ["gfgp", "lift_down", "fixed_lift", "blur"]
SMALL = {  # backbone: its size here, number of convolutions, each before a normalisation
    "resnet8": ({"channels": [4, 8, 8]}, 9),
    "mini_vgg": ({"widths": [[4], [4], [8], [8]]}, 4),
}
REAL = {"resnet18": 20, "resnet50": 53, "vgg13": 10, "mobilenet_v2": 52, "bagnet33": 54}
REAL_POOLS = ["max", "lift_down", "strided", "avg", "dpp"]


@cache
def _option(group, name, **changes):
    """A drop-in; they keep nothing of the networks they rewrite."""
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return make({**node, **changes})


def _backbone(name, **changes):
    """A new network on the CPU, or on the device set."""
    node = yaml.safe_load((CONF / "backbone" / f"{name}.yaml").read_text(encoding="utf-8"))
    return make({**node, **changes})


def _rewrite(network, norm, weight, border, pool, *, groups=4, residual=True):
    """Applies drop-ins in the order of conf/train.yaml; returns what each counted."""
    chosen = {"border": border, "pool": pool, "norm": norm, "weight": weight}
    if norm == "without":
        chosen["init"] = "fixup" if residual else "kaiming"
    counts = {}
    for group, name in chosen.items():
        changes = {"groups": groups} if (group, name) == ("norm", "group") else {}
        variant = None if name == "none" else _option(group, name, **changes)
        if variant is not None:
            counts[group] = variant(network)
    return counts


def _step(network, x):
    """Loss of a forward pass, extra losses too, and a backward pass."""
    y = network(x)
    losses = [v for m in network.modules() for v in getattr(m, "extra_losses", dict)().values()]
    ((y**2).sum() + sum(losses)).backward()
    return y


def test_the_order_is_that_of_the_primary_configuration():
    defaults = yaml.safe_load((CONF / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    groups = [group for entry in defaults if isinstance(entry, dict) for group in entry]
    order = ["border", "pool", "unpool", "norm", "weight", "init", "weights"]
    assert [group for group in groups if group in order] == order


PRODUCT = list(itertools.product(SMALL, NORMS, WEIGHTS))
MAPS = list(itertools.product(BORDERS, POOLS))


def _check_small(backbone, norm, weight, border, pool):
    """It learns, and folded it is a plain network of equal outputs."""
    size, convs = SMALL[backbone]
    torch.manual_seed(0)
    side = 101 if border == "valid" else 53  # valid convolutions and blurs use up the map
    network, x = _backbone(backbone, **size), torch.randn(2, 3, side, side + 1)
    keys = set(network.state_dict())
    counts = _rewrite(network, norm, weight, border, pool, residual=backbone == "resnet8")
    expected = {"norm": convs, "weight": convs, "init": 3 if backbone == "resnet8" else convs}
    assert all(counts.get(group, n) == n for group, n in expected.items())
    _step(network, x)
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    y = network.eval()(x)
    assert fold(network) == (0 if weight == "none" else convs)
    assert torch.equal(network(x), y)
    if norm == "none" and pool == "strided":
        assert set(network.state_dict()) == keys


@pytest.mark.parametrize(("backbone", "norm", "weight"), PRODUCT)
def test_small_networks_take_each_norm_and_weight_with_some_borders_and_pools(
    backbone, norm, weight
):
    start = PRODUCT.index((backbone, norm, weight))
    for border, pool in MAPS[start::49]:  # all of them over the tests, two or three in each
        _check_small(backbone, norm, weight, border, pool)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "norm", "weight"), PRODUCT)
def test_small_networks_take_the_whole_product(backbone, norm, weight):
    for border, pool in MAPS:
        _check_small(backbone, norm, weight, border, pool)


FACTORS = (tuple(REAL), NORMS, WEIGHTS, BORDERS[1:], REAL_POOLS)
# Rows of an orthogonal array of 7 levels: any two factors meet in all their levels.
PAIRS = [
    tuple(
        factor[row % 7 % len(factor)]
        for factor, row in zip(FACTORS, (i, j, i + j, i + 2 * j, i + 3 * j), strict=True)
    )
    for i in range(7)
    for j in range(7)
]


def test_pairs_cover_what_they_say():
    for a, b in itertools.combinations(range(5), 2):
        met = {(case[a], case[b]) for case in PAIRS}
        assert met == set(itertools.product(FACTORS[a], FACTORS[b]))


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[] if i % 12 == 5 else [pytest.mark.slow]) for i, c in enumerate(PAIRS)],
)
def test_real_networks_take_each_pair(case):
    """Forward and backward; valid convolutions use up large maps, so without numbers there."""
    backbone, *factors = case
    device, side = ("meta", 1281) if "valid" in case else ("cpu", 65)
    torch.manual_seed(0)
    with torch.device(device):
        network = _backbone(backbone)
        residual = backbone not in ("vgg13", "mobilenet_v2")
        counts = _rewrite(network, *factors, groups=8, residual=residual)
    assert counts.get("weight", REAL[backbone]) == REAL[backbone]
    norms = REAL[backbone] - (backbone == "bagnet33")  # two convolutions before its first
    assert counts.get("norm", norms) == norms
    _step(network, torch.randn(2, 3, side, side, device=device))
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None for g in gradients)
    assert device == "meta" or all(g.isfinite().all() for g in gradients)
