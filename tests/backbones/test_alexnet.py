"""AlexNet: torchvision's network and weights."""

import torch
import torchvision

from thesisbench.backbones.alexnet import AlexNet
from thesisbench.weights.published import published


def test_it_has_the_keys_and_numbers_of_torchvision():
    torch.manual_seed(0)
    theirs = torchvision.models.alexnet(num_classes=7)
    torch.manual_seed(0)
    ours = AlexNet(classes=7)
    expected = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected)
    assert all(torch.equal(v, expected[k]) for k, v in ours.state_dict().items())
    x = torch.randn(2, 3, 70, 64)
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_the_full_network_and_grey_images():
    with torch.device("meta"):
        full, grey = AlexNet(), AlexNet(classes=5, in_channels=1)
        assert sum(p.numel() for p in full.parameters()) == 61_100_840
        assert full(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)
        assert grey(torch.zeros(2, 1, 63, 63)).shape == (2, 5)


def test_its_weights_have_a_name():
    assert published("imagenet_alexnet_torchvision").file == "alexnet-owt-7be5be79.pth"
