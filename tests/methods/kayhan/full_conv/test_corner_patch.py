"""Facts of the corner toy's images."""

import pytest
import torch

from thesisbench.errors import UserError
from thesisbench.methods.kayhan.full_conv.corner_patch import corner_patch_splits

SIZES = {"n_train": 20, "n_val": 10, "n_test": 30}


@pytest.mark.parametrize("margin", [0, 3, 14])
def test_the_same_patch_lies_in_both_corners_and_the_rest_is_black(margin):
    images, labels = corner_patch_splits(data_seed=0, **SIZES, margin=margin)["train"]
    assert images.shape == (20, 1, 28, 28)
    assert images.dtype == torch.float32
    assert labels.tolist() == [0, 1] * 10
    near, far = slice(margin, margin + 14), slice(14 - margin, 28 - margin)
    top_left, bottom_right = images[::2, :, near, near], images[1::2, :, far, far]
    assert torch.equal(top_left, bottom_right)
    assert torch.allclose(images.sum(), top_left.sum() + bottom_right.sum())
    assert images.min() >= 0
    assert images.max() < 1
    assert (top_left.flatten(1).std(dim=1) > 0.2).all()  # uniform noise has 0.29


def test_no_patch_occurs_in_two_splits_and_draws_are_repeatable():
    splits = corner_patch_splits(data_seed=5, **SIZES)
    again = corner_patch_splits(data_seed=5, **SIZES)
    other = corner_patch_splits(data_seed=6, **SIZES)
    assert [len(labels) for _, labels in splits.values()] == [20, 10, 30]
    assert all(torch.equal(splits[name][0], again[name][0]) for name in splits)
    assert not torch.equal(splits["test"][0], other["test"][0])
    everything = torch.cat([images for images, _ in splits.values()]).flatten(1)
    assert len(everything.unique(dim=0)) == 60


def test_impossible_toys_are_refused():
    with pytest.raises(UserError, match="n_val=7 must be even"):
        corner_patch_splits(data_seed=0, n_train=2, n_val=7, n_test=2)
    with pytest.raises(UserError, match="does not fit canvas 28"):
        corner_patch_splits(data_seed=0, **SIZES, margin=15)
