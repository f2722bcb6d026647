"""He's initialisation: its standard deviations, what it leaves, and computed kernels."""

import math

import pytest
import torch
from torch import nn

from thesisbench.backbones.vgg import VGG
from thesisbench.layers.inits import KaimingInit, he_std
from thesisbench.layers.reparameterize import ReparameterizeWeights


def _vgg():
    torch.manual_seed(0)
    return VGG(widths=((64,), (128, 128)), classes=4)


def test_n_counts_the_weights_of_a_filter_or_of_an_input_channel():
    conv = nn.Conv2d(6, 12, 3, groups=2)
    assert he_std(conv) == pytest.approx(math.sqrt(2 / 27))
    assert he_std(conv, "out") == pytest.approx(math.sqrt(2 / 108))
    assert he_std(nn.Linear(8, 5)) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="unknown fan 'both'; valid: in, out"):
        KaimingInit(fan="both")


@pytest.mark.parametrize("fan", ["in", "out"])
def test_weights_are_drawn_biases_zero_and_the_classifier_stays(fan):
    network = _vgg()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 3.0)
    assert KaimingInit(fan=fan)(network) == 3
    convs = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for conv in convs:
        assert conv.weight.std().item() == pytest.approx(he_std(conv, fan), rel=0.1)
        assert abs(conv.weight.mean().item()) < he_std(conv, fan) / 10
        assert torch.equal(conv.bias, torch.zeros_like(conv.bias))
    assert (network.classifier.weight == 3).all()
    assert (network.classifier.bias == 0).all()


@pytest.mark.parametrize("kind", ["align", "weight_norm", "standardised"])
def test_gamma_starts_from_the_weights_that_were_drawn(kind):
    network = _vgg()
    ReparameterizeWeights(kind=kind)(network)
    conv = network.features[3 + 1]
    if conv.gamma is not None:
        nn.init.constant_(conv.gamma, 9.0)
    KaimingInit()(network)
    if kind == "align":
        assert torch.equal(conv.gamma, torch.ones(128))
    if kind == "weight_norm":
        assert torch.allclose(conv.kernel(), conv.weight)
