"""What holds for every shipped pool: sizes, gradients, and which of them mix samples."""

from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from thesisbench.instantiate import make, targets
from thesisbench.training.batch_free import says_so

CONF = Path(str(files("thesisbench.conf"))) / "pool"
OPTIONS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in CONF.glob("*.yaml")
}
POOLS = sorted(name for name, option in OPTIONS.items() if "factory" in option)
MIXING = {"gauss", "gfgp"}  # batch normalisation
RANDOM = {"s3", "gauss"}  # draw in training


def _pool(name, channels=4):
    torch.manual_seed(0)
    return make(OPTIONS[name]).factory(channels).double()


def _x(*size):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_the_rows_of_table_3_4_have_an_option():
    lifted = {"lift_down", "fixed_lift"}
    plain = {"max", "avg", "haar", "spectral", "s3", "mixed", "gated", "dpp", "gauss", "gfgp"}
    assert set(POOLS) == plain | lifted
    assert {"blur", "strided", "skip"} <= set(OPTIONS)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("size", [(6, 8), (7, 8), (6, 5), (7, 9), (1, 1), (2, 1), (3, 3)])
@pytest.mark.parametrize("name", POOLS)
def test_sides_are_halved_and_odd_ones_rounded_up(name, size, mode):
    pool = _pool(name).train(mode == "train")
    x = _x(2, 4, *size)
    y = pool(x)
    assert y.shape == (2, 4, (size[0] + 1) // 2, (size[1] + 1) // 2)
    assert y.dtype == x.dtype
    assert torch.isfinite(y).all()


@pytest.mark.parametrize("name", POOLS)
@torch.no_grad()
def test_odd_sides_are_as_if_their_end_were_repeated(name):
    pool = _pool(name).eval()
    x = _x(2, 4, 7, 9)
    if name in MIXING:  # a global mean has no repeated end
        pool.hidden[0] = torch.nn.AdaptiveMaxPool2d(1)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1), mode="replicate")
    torch.testing.assert_close(pool(x), pool(padded))


@pytest.mark.parametrize("size", [(4, 6), (3, 5)])
@pytest.mark.parametrize("name", POOLS)
def test_gradients_are_those_of_the_values(name, size):
    pool = _pool(name, channels=2).eval()
    x = _x(2, 2, *size).requires_grad_()
    for parameter in pool.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.5)
    inputs = (x, *pool.parameters())

    def run(x, *parameters):
        names = [key for key, _ in pool.named_parameters()]
        return torch.func.functional_call(pool, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("name", POOLS)
def test_all_parameters_get_a_gradient_in_training(name):
    pool = _pool(name)
    x = _x(3, 4, 6, 6).requires_grad_()
    loss = pool(x).square().sum()
    (loss + sum(getattr(pool, "extra_losses", dict)().values())).backward()
    assert (x.grad != 0).any()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in pool.parameters())


@pytest.mark.parametrize("name", POOLS)
@torch.no_grad()
def test_pools_that_say_so_mix_no_samples(name):
    (factory,) = [t for t in targets(OPTIONS[name]) if not t.endswith("ReplacePooling")]
    assert says_so(factory) == (name not in MIXING | RANDOM)
    pool = _pool(name)
    x = _x(4, 4, 6, 7)
    torch.manual_seed(3)
    together = pool(x)[:2]
    torch.manual_seed(3)
    apart = pool(x[:2])
    same = torch.allclose(together, apart, rtol=0, atol=1e-12)
    assert same == (name not in MIXING)


@pytest.mark.parametrize("name", POOLS)
@torch.no_grad()
def test_memory_layout_and_constants(name):
    pool = _pool(name).eval()
    x = _x(2, 4, 8, 6)
    apart = pool(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(apart, pool(x))
    flat = pool(torch.full((1, 4, 8, 8), 3.0, dtype=torch.float64))
    kept = {"haar": 6.0}.get(name, 3.0)
    if name != "lift_down":  # its predictor is learned
        torch.testing.assert_close(flat, torch.full_like(flat, kept), rtol=0, atol=0.01)
