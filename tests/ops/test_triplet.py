"""The hardest-in-batch triplet loss: a slow reference, a hand-computed batch, safe gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.ops.triplet import hardest_triplet_loss, unit_distances

OFF = 0.001  # the root of what stands under it beside the squared distance


def unit(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=dtype), dim=-1)


def on_circle(*degrees: float) -> torch.Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def chord(degrees: float) -> float:
    """Distance of two points on the unit circle so many degrees apart."""
    return 2 * math.sin(math.radians(degrees) / 2)


def slow_loss(
    a: torch.Tensor, p: torch.Tensor, points: list[int], margin: float, anchor_swap: bool
) -> float:
    """One pair and one negative at a time."""
    total = 0.0
    for i in range(len(points)):
        negatives = []
        for j in range(len(points)):
            if points[j] != points[i]:
                negatives.append(math.dist(a[i], p[j]))
                if anchor_swap:
                    negatives.append(math.dist(a[j], p[i]))
        if negatives:
            total += max(0.0, margin + math.dist(a[i], p[i]) - min(negatives))
    return total / len(points)


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    margin=st.sampled_from([0.2, 1.0, 2.0]),
    anchor_swap=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_loss_equals_a_slow_reference(
    points: list[int], margin: float, anchor_swap: bool, seed: int
) -> None:
    a, p = unit(2, len(points), 4, seed=seed)
    loss = hardest_triplet_loss(a, p, torch.tensor(points), margin=margin, anchor_swap=anchor_swap)
    slow = slow_loss(a, p, points, margin, anchor_swap)
    assert float(loss) == pytest.approx(slow, abs=2 * OFF)


def test_a_batch_computed_by_hand() -> None:
    # The other positive is 50 degrees from anchor 0 and 100 from anchor 1; the other anchor is 100
    # degrees from positive 0 and 50 from positive 1.
    a, p = on_circle(0, 90), on_circle(-10, 50)
    points = torch.tensor([0, 1])
    pulled = [1 + chord(10), 1 + chord(40)]
    swapped = (pulled[0] - chord(50) + pulled[1] - chord(50)) / 2
    plain = (pulled[0] - chord(50) + max(0.0, pulled[1] - chord(100))) / 2
    assert float(hardest_triplet_loss(a, p, points)) == pytest.approx(swapped, abs=1e-5)
    without = hardest_triplet_loss(a, p, points, anchor_swap=False)
    assert float(without) == pytest.approx(plain, abs=1e-5)
    assert plain < swapped - 0.1, "the example shows the swap"


def test_pairs_of_one_point_are_no_negatives() -> None:
    a, p = on_circle(0, 1, 180), on_circle(0, 1, 180)
    apart = hardest_triplet_loss(a, p, torch.tensor([0, 1, 2]))
    together = hardest_triplet_loss(a, p, torch.tensor([0, 0, 2]))
    assert float(apart) == pytest.approx(2 / 3 * (1 - chord(1)), abs=OFF)
    assert float(together) == 0.0


def test_order_and_direction_of_the_pairs_do_not_matter() -> None:
    a, p = unit(2, 7, 5, seed=3)
    points = torch.tensor([0, 1, 2, 3, 1, 5, 6])
    loss = hardest_triplet_loss(a, p, points)
    order = torch.tensor([4, 2, 6, 0, 5, 1, 3])
    torch.testing.assert_close(hardest_triplet_loss(a[order], p[order], points[order]), loss)
    torch.testing.assert_close(hardest_triplet_loss(p, a, points), loss)  # with the swap


@pytest.mark.parametrize("points", [[0], [4, 4, 4]])
def test_a_batch_without_negatives_costs_nothing_and_has_no_gradient(points: list[int]) -> None:
    a = unit(len(points), 3, dtype=torch.float32).requires_grad_()
    loss = hardest_triplet_loss(a, a, torch.tensor(points))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert a.grad is not None
    assert torch.equal(a.grad, torch.zeros_like(a))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_vectors_are_nearly_at_distance_zero_with_a_finite_gradient(
    dtype: torch.dtype,
) -> None:
    a = unit(200, 128, dtype=dtype).requires_grad_()
    distances = unit_distances(a, a.detach())
    distances.diagonal().sum().backward()
    assert float(distances.detach().diagonal().max()) < 2 * OFF
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_distances_are_euclidean() -> None:
    a, p = unit(6, 9), unit(4, 9, seed=1)
    torch.testing.assert_close(unit_distances(a, p), torch.cdist(a, p), rtol=0, atol=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    raw = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    points = torch.tensor([0, 1, 2, 1, 4])

    def loss(x: torch.Tensor) -> torch.Tensor:
        return hardest_triplet_loss(*F.normalize(x, dim=-1), points)

    assert torch.autograd.gradcheck(loss, raw.requires_grad_())
