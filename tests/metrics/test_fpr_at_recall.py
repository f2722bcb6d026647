"""FPR at a recall: a hand-computed case, ties, scikit-learn's curve, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from thesisbench.errors import UserError
from thesisbench.metrics.fpr_at_recall import fpr_at_recall

# Distances from a few values, so that many are tied; at least one pair of each kind.
PAIRS = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=60).map(
    lambda pairs: [(3, True), (5, False), *pairs]
)
RECALLS = st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0])


def tensors(pairs: list[tuple[int, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    dist = torch.tensor([d for d, _ in pairs]) / 10
    return dist, torch.tensor([int(label) for _, label in pairs])


def slow(pairs: list[tuple[int, bool]], percent: int) -> float:
    """Tries every threshold from below, in whole numbers."""
    matching = [d for d, label in pairs if label]
    other = [d for d, label in pairs if not label]
    for threshold in range(13):
        if 100 * sum(d <= threshold for d in matching) >= percent * len(matching):
            return sum(d <= threshold for d in other) / len(other)
    raise AssertionError


@settings(deadline=None)
@given(pairs=PAIRS, recall=RECALLS)
def test_it_equals_a_slow_reference(pairs: list[tuple[int, bool]], recall: float) -> None:
    assert fpr_at_recall(*tensors(pairs), recall=recall) == slow(pairs, round(100 * recall))


@settings(deadline=None)
@given(pairs=PAIRS, recall=RECALLS)
def test_it_is_the_first_point_of_the_roc_curve_with_that_recall(
    pairs: list[tuple[int, bool]], recall: float
) -> None:
    dist, label = tensors(pairs)
    fpr, tpr, _ = roc_curve(label.numpy(), -dist.numpy(), drop_intermediate=False)
    expected = fpr[np.argmax(tpr >= recall - 1e-9)]
    assert fpr_at_recall(dist, label, recall=recall) == pytest.approx(expected)


def test_twenty_matching_pairs_by_hand() -> None:
    # 19 of 20 are 95%: the threshold is 1.9, which 3 of the 4 others meet.
    dist = torch.cat([torch.arange(1, 21) / 10, torch.tensor([0.05, 1.0, 1.9, 1.95])])
    label = torch.cat([torch.ones(20, dtype=torch.long), torch.zeros(4, dtype=torch.long)])
    assert fpr_at_recall(dist, label) == 0.75
    assert fpr_at_recall(dist, label, recall=0.951) == 1.0
    assert fpr_at_recall(dist, label, recall=0.9) == 0.5


@pytest.mark.parametrize("count", [20, 60, 100, 140, 220, 1000, 50_000])
def test_the_last_bit_of_the_recall_asks_for_no_pair_more(count: int) -> None:
    dist = torch.cat([torch.arange(count), torch.arange(count)]).double()
    label = torch.arange(2 * count) // count
    assert fpr_at_recall(dist, label) == pytest.approx(0.95)


def test_the_order_of_the_pairs_does_not_matter_and_a_perfect_descriptor_has_none() -> None:
    dist, label = torch.tensor([0.3, 0.3, 0.3, 0.9]), torch.tensor([1, 0, 1, 0])
    assert fpr_at_recall(dist, label) == fpr_at_recall(dist.flip(0), label.flip(0)) == 0.5
    assert fpr_at_recall(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1, 1, 0])) == 0.0


@pytest.mark.parametrize(
    ("dist", "label", "recall", "text"),
    [
        ([0.1, 0.2], [1, 0], 0.0, "recall=0.0 must be above 0"),
        ([0.1, 0.2], [1, 0], 1.5, "recall=1.5 must be above 0"),
        ([0.1, 0.2], [1, 1], 0.95, "2 matching and 0 other pairs"),
        ([0.1, float("nan")], [1, 0], 0.95, "not finite"),
    ],
)
def test_what_has_no_rate_is_refused(
    dist: list[float], label: list[int], recall: float, text: str
) -> None:
    with pytest.raises(UserError, match=text):
        fpr_at_recall(torch.tensor(dist), torch.tensor(label), recall=recall)
