"""The measure of equivariance, on networks whose answer to a shift is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.layers.border import convert_border
from thesisbench.methods.kayhan.full_conv.red_green_net import RedGreenNet
from thesisbench.probe.equivariance import MODES, measure, shifted, total_stride


class Pixel(nn.Module):
    """Logits are two pixels of the image."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 0, 0, 0], images[:, 0, 1, 1]], dim=1)


def red_green(border: str, pad_mode: str = "zeros") -> nn.Module:
    torch.manual_seed(0)
    network = RedGreenNet()
    convert_border(network, border=border, pad_mode=pad_mode)  # type: ignore[arg-type]
    return network


def noise(side: int = 24) -> Tensor:
    return torch.rand(5, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_shifts_by_hand() -> None:
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert shifted(image, 1, mode="cyclic", room=9)[0, 0].tolist() == [[4, 3], [2, 1]]
    moved = shifted(image, 1, mode="canvas", room=2)[0, 0]
    assert moved.tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]]


def test_change_and_agreement_by_hand() -> None:
    """Images [[3, 4], [., .]]-like: logits (3, 4) become (0, 3) on a canvas shifted by one."""
    images = torch.zeros(2, 1, 2, 2)
    images[0, 0, 0, 0], images[0, 0, 1, 1] = 3.0, 4.0
    images[1, 0, 0, 0], images[1, 0, 1, 1] = 12.0, 5.0
    (change,) = measure(Pixel(), images, [1], mode="canvas", stride=None)
    # first: |(0,3) - (3,4)| = sqrt(10); second: |(0,12) - (12,5)| = sqrt(193); sizes 5 and 13
    assert change.logits == pytest.approx((10**0.5 + 193**0.5) / 18)
    assert change.agreement == 50.0  # class 1 stays 1; class 0 becomes 1
    assert (change.features, change.aligned, change.shift) == (None, None, 1)


def test_full_convolutions_do_not_change_under_multiples_of_the_stride_anywhere() -> None:
    shifts = range(1, 17)
    changes = measure(red_green("full"), noise(), shifts, mode="canvas", stride=8)
    for change in changes:
        if change.shift % 8 == 0:
            assert (change.logits, change.features, change.agreement) == (0.0, 0.0, 100.0)
        else:
            assert change.logits > 1e-3
        assert change.aligned is (change.shift % 8 == 0)


def test_circular_convolutions_do_so_under_cyclic_shifts() -> None:
    network = red_green("same", "circular")
    eight, three = measure(network, noise(), [8, 3], mode="cyclic", stride=8)
    assert eight.logits == 0.0
    assert three.logits > 1e-3


def test_zero_padding_changes_with_the_place() -> None:
    (change,) = measure(red_green("same"), noise(), [8], mode="canvas", stride=8)
    assert change.logits > 1e-3
    assert change.features is not None
    assert change.features > 1e-3


def test_features_are_what_the_last_linear_layer_takes_in() -> None:
    network, images = red_green("same"), noise()
    (change,) = measure(network, images, [5], mode="cyclic", stride=8)
    with torch.no_grad():
        pools = [
            F.adaptive_max_pool2d(network.features(x), 1).flatten(1)  # type: ignore[operator]
            for x in (images, images.roll((5, 5), (2, 3)))
        ]
    wanted = (pools[1] - pools[0]).norm(dim=1).sum() / pools[0].norm(dim=1).sum()
    assert change.features == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_network_is_left_as_it_was_but_for_its_mode(mode: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    measure(network, noise(), [1, 2], mode=mode, stride=1)  # type: ignore[arg-type]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def stack(*strides: int, border: str = "same") -> nn.Module:
    layers = [nn.Conv2d(3, 3, 3, stride=s, padding=1) for s in strides]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    convert_border(network, border=border)  # type: ignore[arg-type]
    return network


@pytest.mark.parametrize("border", ["valid", "same", "full"])
@pytest.mark.parametrize("strides", [(1,), (2,), (1, 2, 2), (2, 4, 2), (2, 2, 2, 2, 2)])
def test_the_total_stride_is_the_product_of_strides(strides: tuple[int, ...], border: str) -> None:
    product = int(torch.tensor(strides).prod())
    assert total_stride(stack(*strides, border=border), noise(33)) == product


def test_a_network_of_one_size_has_no_known_stride() -> None:
    network = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Linear(22 * 22, 2))
    assert network(noise()).shape == (5, 2)
    assert total_stride(network, noise()) is None
