"""Padded max pools under a border handling.

Kayhan, chapter 2, "F-Conv in residual networks": a padded max pool is another border effect, so the
3x3 pool with padding 1 of the ImageNet stem becomes 2x2 without padding in full convolution
networks (released code; the thesis does not say). Valid convolution networks lose the padding only.

*Deviations*. None. Under the `same` borders a max pool is as it was built: it pads with the least
value, whatever the convolutions pad with.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from thesisbench.ops.border import Border


class PoolForm(NamedTuple):
    """Side of a pool's window and its padding per side."""

    kernel: int
    padding: int


def _as_built(pool: nn.MaxPool2d) -> PoolForm:
    """The form that a pool had before its border was changed."""
    return getattr(pool, "as_built", None) or PoolForm(pool.kernel_size, pool.padding)  # type: ignore[arg-type]


def _form(built: PoolForm, border: Border) -> PoolForm:
    """A pool's form under a border."""
    if border == "same" or built.padding == 0:
        return built
    if border == "valid":
        return PoolForm(built.kernel, 0)
    if built.kernel not in (2, 3):
        raise ValueError(f"a padded {built.kernel}x{built.kernel} max pool has no known full form")
    return PoolForm(2, 0)


def plan_pools(network: nn.Module, border: Border) -> dict[nn.MaxPool2d, PoolForm]:
    """The form of each max pool of images under a border; changes nothing.

    Raises:
        ValueError: a padded pool that has no form under `full`, with its name.
    """
    forms = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.MaxPool2d):
            try:
                forms[module] = _form(_as_built(module), border)
            except ValueError as error:
                raise ValueError(f"max pool {name or 'itself'!r}: {error}") from error
    return forms


def set_pool(pool: nn.MaxPool2d, form: PoolForm, *, as_built: bool = False) -> None:
    """Give a pool another form.

    Args:
        pool: the pool, changed in place.
        form: its window and padding.
        as_built: whether every `same` border gives it this form; else the one it was built with.
    """
    pool.as_built = form if as_built else _as_built(pool)  # type: ignore[assignment]
    pool.kernel_size, pool.padding = form
