"""Borders and pools on the shipped backbones: all of the small ones, pairs of the real ones."""

from importlib.resources import files
from pathlib import Path

import pytest
import timm
import torch
import yaml

from thesisbench.errors import UserError
from thesisbench.instantiate import make

CONF = Path(str(files("thesisbench.conf")))
SMALL = {
    "resnet8": 3,
    "tiny_resnet": 3,
    "tiny_bagnet": 3,
    "hardnet_small": 1,
    "red_green_net": 3,
    "corner_net": 1,
}
BORDERS = ["none", "same", "circular", "reflect", "replicate", "full", "valid"]
POOLS = ["strided", "blur"]
COUNTS = {"hardnet_small": 2, "red_green_net": 3, "corner_net": 0}  # strided layers; others 4


def _option(group, name):
    """An option file, made; None where it has nothing to make."""
    return make(yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8")))


def _keys_and_parameters(network):
    return {k: v.shape for k, v in network.state_dict().items()}, list(network.parameters())


def _rewritten(network, variants):
    """Applies variants; the state_dict and the parameters must come out as they went in."""
    keys, parameters = _keys_and_parameters(network)
    replaced = [variant(network) for variant in variants if variant is not None]
    keys_after, parameters_after = _keys_and_parameters(network)
    assert list(keys_after.items()) == list(keys.items())
    assert all(a is b for a, b in zip(parameters_after, parameters, strict=True))
    return replaced


@pytest.mark.parametrize("variants", ["strided", "border, blur", "blur, border"])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("backbone", SMALL)
def test_small_networks_take_every_border_and_pool(backbone, border, variants):
    with torch.device("meta"):
        network = _option("backbone", backbone)
    pool = "strided" if variants == "strided" else "blur"
    options = [_option("border", border), _option("pool", pool)]
    replaced = _rewritten(network, options[::-1] if variants == "blur, border" else options)
    assert len(replaced) == (border != "none") + (pool == "blur")
    if pool == "blur":
        assert COUNTS.get(backbone, 4) in replaced
    x = torch.zeros(2, SMALL[backbone], 97, 100, device="meta")
    if (backbone, border) == ("hardnet_small", "valid"):
        x = torch.zeros(2, 1, 32, 32, device="meta")
        with pytest.raises(UserError, match="use border same or full"):
            network(x)
        return
    y = network(x)
    assert y.shape[0] == 2
    y.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


REAL = {  # sides of small images whose maps last to the end
    "resnet18": 33,
    "resnet50": 33,
    "bagnet33": 36,
    "hardnet": 32,
    "densenet121": 64,
    "timm": 33,
}
# Each network with each border, and both pools with each of the two.
PAIRS = [
    (backbone, border, POOLS[(i + j) % 2])
    for i, backbone in enumerate(REAL)
    for j, border in enumerate(BORDERS[1:])
]


def _real(backbone):
    if backbone == "timm":
        return timm.create_model("resnet26", num_classes=3)
    return _option("backbone", backbone)


def test_pairs_cover_what_they_say():
    assert len(PAIRS) == 36
    assert len({(backbone, pool) for backbone, _, pool in PAIRS}) == 12
    assert len({(border, pool) for _, border, pool in PAIRS}) == 12


def _step(backbone, border, pool, device, size):
    """Forward and backward of a rewritten network; its output and gradients."""
    torch.manual_seed(0)
    with torch.device(device):
        network = _real(backbone)
    _rewritten(network, [_option("border", border), _option("pool", pool)])
    y = network(torch.randn(2, 1 if backbone == "hardnet" else 3, size, size, device=device))
    (y**2).sum().backward()
    return y, [p.grad for p in network.parameters()]


def _is_refused(backbone, border):
    return backbone == "densenet121" and border in ("full", "valid")


@pytest.mark.parametrize(("backbone", "border", "pool"), PAIRS)
def test_real_networks_fit_together(backbone, border, pool):
    """On large images, since valid convolutions use up the map."""
    if _is_refused(backbone, border):
        with pytest.raises(ValueError, match="concatenates"):
            _step(backbone, border, pool, "meta", 640)
        return
    _, gradients = _step(backbone, border, pool, "meta", 640)
    assert all(g is not None for g in gradients)


def _is_daily(backbone, border, pool):
    return border == ("circular" if backbone == "densenet121" else "full")


@pytest.mark.parametrize(
    ("backbone", "border", "pool"),
    [
        pytest.param(*pair, marks=[] if _is_daily(*pair) else [pytest.mark.slow])
        for pair in PAIRS
        if not _is_refused(*pair[:2]) and pair[1] != "valid"
    ],
)
def test_real_networks_compute_finite_gradients(backbone, border, pool):
    y, gradients = _step(backbone, border, pool, "cpu", REAL[backbone])
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(g).all() for g in gradients)
    assert sum(g.abs().sum() for g in gradients) > 0
