"""Receptive fields by rule against measured gradients."""

import pytest
import torch
from torch import nn

from thesisbench.layers.border import conv_nd
from thesisbench.methods.kayhan.detector_context.receptive_field import (
    ReceptiveField,
    input_gradient_support,
    receptive_field,
)

STACKS = {
    "one": nn.Conv1d(1, 1, 5),
    "trunk": nn.Sequential(
        conv_nd(1, 1, 3, dims=1),
        nn.AvgPool1d(2),
        nn.Sequential(conv_nd(1, 1, 3, dims=1)),
        nn.Identity(),
        nn.AvgPool1d(2),
    ),
    "dilated": nn.Sequential(
        nn.Conv1d(1, 1, 3, stride=3, dilation=2, padding=2),
        nn.Conv1d(1, 1, 2),
    ),
    "full": nn.Sequential(conv_nd(1, 1, 3, border="full", stride=2, dims=1), nn.AvgPool1d(3, 2, 1)),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_rule_says_which_inputs_an_output_sees(name):
    stack = STACKS[name]
    for parameter in stack.parameters():
        nn.init.constant_(parameter, 1.0)
    field = receptive_field(stack)
    x = torch.ones(1, 1, 40, requires_grad=True)
    y = stack(x).flatten()
    for t in range(len(y)):
        (gradient,) = torch.autograd.grad(y[t], x, retain_graph=True)
        first = field.offset + field.stride * t
        seen = torch.nonzero(gradient.flatten()).flatten()
        assert int(seen.min()) == max(0, first)
        assert int(seen.max()) == min(39, first + field.size - 1)


def test_the_field_of_the_chapters_trunk_by_hand():
    """3 -> 4 -> 4+2*2=8 -> 8+2=10 pixels, 4 apart, the first at -1-2 = -3."""
    assert receptive_field(STACKS["trunk"]) == ReceptiveField(size=10, stride=4, offset=-3)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Flatten(), "does not know Flatten"),
        (nn.Sequential(nn.Conv2d(1, 1, (3, 1))), "one number for all axes, kernel_size"),
        (nn.Conv2d(1, 1, 3, padding="same"), "padding"),
    ],
)
def test_unknown_data_flow_is_refused(module, message):
    with pytest.raises(ValueError, match=message):
        receptive_field(module)


class _Difference(nn.Module):
    """Logits that cancel in their sum, and one that needs the first pixel."""

    def forward(self, images, boxes):
        first, second = images[:, 0, 0, 0], images[:, 0, 1, 1]
        return torch.stack([first, -first, 0 * second], dim=1)


def test_support_marks_the_pixels_of_any_logit_even_if_they_cancel():
    support = input_gradient_support(_Difference(), torch.ones(2, 1, 3, 3), torch.zeros(2, 4))
    expected = torch.zeros(2, 3, 3, dtype=torch.bool)
    expected[:, 0, 0] = True
    assert torch.equal(support, expected)
