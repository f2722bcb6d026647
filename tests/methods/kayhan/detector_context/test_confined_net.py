"""Crop-FM that ends at the box: no context to the bit, and the features of Crop-Input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from thesisbench.layers.border import ConvertBorder
from thesisbench.methods.kayhan.detector_context.confined_net import ConfinedCropFMNet
from thesisbench.methods.kayhan.detector_context.context_nets import CropFMNet, CropInputNet
from thesisbench.methods.kayhan.detector_context.receptive_field import input_gradient_support

PLACES = [(0, 0), (16, 16), (8, 4)]


def net(cls: type, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return cls(canvas=32, tile=16, **options).eval()


def noise(n: int = 16, seed: int = 1) -> Tensor:
    return torch.randn(n, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


def boxes(x: int, y: int, n: int = 16) -> Tensor:
    return torch.tensor([[x, y, x + 16, y + 16]]).float().repeat(n, 1)


@pytest.mark.parametrize(("x", "y"), PLACES)
@pytest.mark.parametrize("options", [{}, {"aligned": False, "sampling_ratio": 2}])
def test_no_context_changes_a_bit_of_the_logits(x: int, y: int, options: dict[str, int]) -> None:
    confined, plain = net(ConfinedCropFMNet, **options), net(CropFMNet, **options)
    images, where = noise(), boxes(x, y)
    other = 100 * noise(seed=2)
    other[:, :, y : y + 16, x : x + 16] = images[:, :, y : y + 16, x : x + 16]
    assert not torch.equal(images, other)
    with torch.no_grad():
        assert torch.equal(confined(images, where), confined(other, where))
        assert not torch.equal(plain(images, where), plain(other, where))


@pytest.mark.parametrize(("x", "y"), PLACES)
def test_its_gradient_ends_at_the_box_and_reaches_all_of_it(x: int, y: int) -> None:
    support = input_gradient_support(net(ConfinedCropFMNet), noise(64), boxes(x, y, 64)).any(0)
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[y : y + 16, x : x + 16] = True
    assert torch.equal(support, expected)


@pytest.mark.parametrize(("x", "y"), PLACES)
def test_with_the_weights_of_crop_input_it_gives_its_logits(x: int, y: int) -> None:
    confined, crop_input = net(ConfinedCropFMNet), net(CropInputNet)
    for parameter in confined.parameters():
        torch.nn.init.zeros_(parameter)
    confined.load_state_dict(crop_input.state_dict())
    images, where = noise(), boxes(x, y)
    with torch.no_grad():
        torch.testing.assert_close(confined(images, where), crop_input(images, where))
        assert not torch.allclose(confined(images, where), net(CropFMNet)(images, where))


def test_boxes_between_cells_and_maps_that_do_not_fit_are_refused() -> None:
    confined = net(ConfinedCropFMNet)
    with pytest.raises(ValueError, match=r"\[2.0, 0.0, 18.0, 16.0\] does not lie on multiples"):
        confined(noise(), boxes(2, 0))
    ConvertBorder(border="full")(confined)
    with pytest.raises(ValueError, match="keep border=same"):
        confined(noise(), boxes(0, 0))
