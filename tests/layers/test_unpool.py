"""Unpooling: by hand, odd sizes, what each is made of, and how a network takes another one."""

import copy
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.instantiate import make
from thesisbench.layers.lift_pool import FixedLift2d, LiftDownPool2d
from thesisbench.layers.unpool import (
    BilinearUp,
    ConcatUp,
    LiftUpPool2d,
    MaxUnpool,
    MaxUnpoolBlur,
    ReplaceUnpooling,
)

CONF = Path(str(files("thesisbench.conf"))) / "unpool"
TRI_3 = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
OPTIONS = {
    "max_indices": MaxUnpool,
    "max_blur": MaxUnpoolBlur,
    "bilinear": BilinearUp,
    "lift_up": LiftUpPool2d,
    "concat": ConcatUp,
}


def _pool():
    pool = nn.MaxPool2d(2, ceil_mode=True)
    pool.channels = 3
    return pool


def _pairs():
    """Every unpool with a pool that it fits."""
    for make_up in (MaxUnpool, MaxUnpoolBlur, BilinearUp, ConcatUp):
        pool = _pool()
        yield pool, make_up(pool)
    pool = LiftDownPool2d(3)
    yield pool, LiftUpPool2d(pool)


@pytest.mark.parametrize("size", [(6, 8), (5, 8), (6, 7), (3, 5), (2, 2)])
def test_every_unpool_goes_back_to_the_size(size):
    for pool, up in _pairs():
        y = torch.randn_like(pool(torch.randn(2, 3, *size)))
        assert y.shape[-2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
        assert up(y).shape == (2, 3, *size), type(up).__name__


def test_values_go_where_the_maxima_were():
    pool = nn.MaxPool2d(2, ceil_mode=True)
    up = MaxUnpool(pool)
    x = torch.tensor([[1.0, 5, 2], [3, 4, 8], [9, 7, 6]])[None, None]
    assert pool(x).flatten().tolist() == [5, 8, 9, 6]
    y = torch.tensor([[10.0, 20], [30, 40]])[None, None]
    assert up(y)[0, 0].tolist() == [[0, 10, 0], [0, 0, 20], [30, 0, 40]]


@pytest.mark.parametrize("window", [{}, {"stride": 1}, {"padding": 1}])
def test_other_windows_are_those_of_torch(window):
    pool = nn.MaxPool2d(2, **window)
    up, x = MaxUnpool(pool), torch.randn(2, 3, 6, 8)
    y, indices = F.max_pool2d(x, 2, **window, return_indices=True)
    assert torch.equal(pool(x), y)
    wanted = nn.MaxUnpool2d(2, **window)(y, indices, output_size=x.shape[-2:])
    assert torch.equal(up(y), wanted)


def test_the_blur_comes_behind_and_keeps_the_size():
    pool = nn.MaxPool2d(2)
    plain, x = MaxUnpool(pool), torch.randn(2, 3, 6, 8)
    y = pool(x)
    sparse = plain(y)
    blurred = MaxUnpoolBlur(pool)
    pool(x)
    kernel = TRI_3.expand(3, 1, 3, 3)
    wanted = F.conv2d(F.pad(sparse, (1,) * 4, mode="reflect"), kernel, groups=3)
    torch.testing.assert_close(blurred(y), wanted)
    assert not list(blurred.parameters())
    assert not blurred.state_dict()


def test_bilinear_by_hand():
    pool = nn.MaxPool2d(2)
    up = BilinearUp(pool)
    pool(torch.zeros(1, 1, 2, 4))
    row = [0.0, 0.25, 0.75, 1.0]  # between centres at 0.5 and 2.5 pixels
    assert up(torch.tensor([[0.0, 1]])[None, None])[0, 0].tolist() == [row, row]


def test_concatenation_is_a_convolution_of_both_maps():
    pool = _pool()
    up, x = ConcatUp(pool), torch.randn(2, 3, 5, 6)
    y = torch.randn_like(pool(x))
    weight = up.mix.weight[:, :, 0, 0]
    both = torch.cat([F.interpolate(y, size=(5, 6), mode="bilinear"), x], dim=1)
    wanted = torch.einsum("oc,bchw->bohw", weight, both) + up.mix.bias[:, None, None]
    torch.testing.assert_close(up(y), wanted)
    assert up.mix.weight.shape == (3, 6, 1, 1)
    with pytest.raises(ValueError, match="MaxPool2d does not know its channels"):
        ConcatUp(nn.MaxPool2d(2))
    assert ConcatUp(nn.MaxPool2d(2), 7).mix.out_channels == 7


@pytest.mark.parametrize("kernel", [2, 5])
@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_lift_up_inverts_the_pooling_of_ll(size, kernel):
    down = LiftDownPool2d(3, kernel=kernel, bands=["LL"]).double()
    up, x = LiftUpPool2d(down), torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(up(down(x)), x, rtol=0, atol=1e-12)


def test_lift_up_puts_back_the_details_of_another_map():
    down = LiftDownPool2d(3).double()
    up, x = LiftUpPool2d(down), torch.randn(2, 3, 6, 8, dtype=torch.float64)
    y = torch.randn_like(down(x))
    every = down.lift(up(y))
    torch.testing.assert_close(every.LL, y, rtol=0, atol=1e-12)
    for a, b in zip(every[1:], down.lift(x)[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_lift_up_has_the_parameters_of_its_pool_and_trains_them():
    down = LiftDownPool2d(3)
    up = LiftUpPool2d(down)
    assert not list(up.parameters())
    down(torch.randn(1, 3, 4, 4))
    up(torch.randn(1, 3, 2, 2)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in down.parameters())


def test_lift_up_inverts_fixed_lifting():
    down = FixedLift2d()
    up, x = LiftUpPool2d(down), torch.randn(1, 2, 5, 4)
    torch.testing.assert_close(up(down(x)), x)


def test_details_are_kept_only_where_they_are_needed():
    down, x = LiftDownPool2d(3), torch.randn(1, 3, 4, 4)
    down(x)
    assert down.last_details is None
    LiftUpPool2d(down)
    down(x)
    assert len(down.last_details) == 3


def test_an_unpool_before_its_pool_says_so():
    for _, up in _pairs():
        with pytest.raises(ValueError, match="its pool has not run"):
            up(torch.zeros(1, 3, 2, 2))


def test_lift_up_refuses_a_map_of_another_shape():
    down = LiftDownPool2d(3)
    up = LiftUpPool2d(down)
    down(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"differ in shape: \(1, 3, 4, 4\) and \(1, 3, 2, 2\)"):
        up(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize(
    ("make_up", "down", "text"),
    [
        (MaxUnpool, nn.AvgPool2d(2), "needs the indices of a max pool; AvgPool2d has none"),
        (MaxUnpoolBlur, LiftDownPool2d(3), "MaxUnpoolBlur needs the indices of a max pool"),
        (LiftUpPool2d, nn.MaxPool2d(2), "MaxPool2d is none: choose pool=lift_down"),
    ],
)
def test_a_pool_of_another_kind_is_refused(make_up, down, text):
    with pytest.raises(ValueError, match=text):
        make_up(down)


def test_a_pool_serves_the_unpool_made_last():
    pool = _pool()
    first, second = MaxUnpool(pool), BilinearUp(pool)
    pool(torch.zeros(1, 3, 4, 4))
    assert second(torch.zeros(1, 3, 2, 2)).shape == (1, 3, 4, 4)
    with pytest.raises(ValueError, match="its pool has not run"):
        first(torch.zeros(1, 3, 2, 2))


class Hourglass(nn.Module):
    """A convolution, a pool, its unpool."""

    def __init__(self, pool):
        super().__init__()
        self.conv, self.pool, self.up = nn.Conv2d(3, 3, 3, padding=1), pool, nn.Identity()

    def set_unpools(self, make_unpool):
        self.up = make_unpool(self.pool)
        return 1

    def forward(self, x):
        return self.up(self.pool(self.conv(x)))


@pytest.mark.parametrize("name", OPTIONS)
def test_options_give_a_network_its_unpooling(name):
    text = (CONF / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package variants.unpool\n")
    variant = make(yaml.safe_load(text))
    network = Hourglass(LiftDownPool2d(3, bands=["LL"]) if name == "lift_up" else _pool())
    assert variant(network) == 1
    assert type(network.up) is OPTIONS[name]
    x = torch.randn(2, 3, 5, 6)
    out = network(x)
    assert out.shape == x.shape
    out.sum().backward()
    assert torch.equal(copy.deepcopy(network)(x), network(x)), "copied after a forward pass"
    assert variant.batch_free
    assert OPTIONS[name].batch_free


def test_a_network_without_unpooling_is_refused():
    with pytest.raises(ValueError, match="no unpooling; choose a SegNet"):
        ReplaceUnpooling(factory=BilinearUp)(nn.Conv2d(1, 1, 3))


def test_a_network_can_be_copied_between_pool_and_unpool():
    for pool, up in _pairs():
        pool(torch.randn(1, 3, 4, 4, requires_grad=True) * 2)
        other_pool, other = copy.deepcopy((pool, up))
        with pytest.raises(ValueError, match="its pool has not run"):
            other(torch.zeros(1, 3, 2, 2))
        other_pool(torch.randn(1, 3, 6, 6))
        assert other(torch.zeros(1, 3, 3, 3)).shape[-2:] == (6, 6)
        assert up(torch.zeros(1, 3, 2, 2)).shape[-2:] == (4, 4)
