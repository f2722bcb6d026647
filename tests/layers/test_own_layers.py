"""Which layers drop-ins speak of, what the classifier is, and what they add to a network."""

import torch
from torch import nn

from thesisbench.backbones.segnet import SegNet
from thesisbench.backbones.small_resnet import SmallResNet
from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.layers.own_layers import (
    classifier_name,
    own_layers,
    tensors_starting_anew,
    weighted_layers,
)
from thesisbench.layers.pool_places import ReplacePooling
from thesisbench.layers.pools.global_guided import GuidedPool
from thesisbench.layers.reparameterize import ReparameterizeWeights
from thesisbench.layers.unpool import ConcatUp


def test_layers_of_pools_and_unpools_are_not_the_networks_own():
    channels = ((4, 4), (8, 8))
    plain = SegNet(channels=channels)
    pooled = SegNet(channels=channels)
    ReplacePooling(factory=GuidedPool)(pooled)
    pooled.set_unpools(ConcatUp)
    assert list(weighted_layers(pooled)) == list(weighted_layers(plain))
    names = [name for name, _ in own_layers(pooled)]
    assert "encoder.0.0" in names
    assert not any(name.startswith(("pools.", "unpools.")) for name in names)


def test_the_classifier_is_the_last_linear_layer_or_else_the_last_convolution():
    assert classifier_name(SmallResNet()) == "fc"
    assert classifier_name(SegNet(channels=((4, 4), (8, 8)), unpool=ConcatUp, pool=_pool)) == "head"
    assert classifier_name(nn.Linear(2, 3)) == ""
    assert classifier_name(nn.ReLU()) is None


def _pool(channels):
    pool = nn.MaxPool2d(2)
    pool.channels = channels
    return pool


def test_what_drop_ins_add_starts_anew_and_nothing_else():
    plain = SmallResNet()
    keys = plain.state_dict().keys()
    assert tensors_starting_anew(plain) == set()
    network = SmallResNet()
    ReplacePooling(factory=LiftDownPool2d)(network)
    ReparameterizeWeights()(network)
    anew = tensors_starting_anew(network)
    assert anew == network.state_dict().keys() - keys
    assert "layer1.0.conv1.gamma" in anew
    assert any("pool" in name or "blur" in name for name in anew)
    network.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(network.conv1.weight, plain.conv1.weight)
