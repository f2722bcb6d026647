"""Pairs of patches: which patches a batch holds, how they are turned, and on which randomness."""

from __future__ import annotations

import pytest
import torch

from thesisbench.data.arrays import Loading, make_loader
from thesisbench.data.patch_pairs import PatchPairs, PatchPairsModule, flip_and_turn
from thesisbench.data.shares import Share
from thesisbench.errors import UserError

PATCHES = torch.rand(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
PAIRS = torch.tensor([[0, 1, 7], [4, 5, 9], [2, 0, 7], [3, 3, 1]])


def module(**loading: object) -> PatchPairsModule:
    made = PatchPairsModule("p", lambda: {"train": (PATCHES, PAIRS)}, transform=flip_and_turn)
    made.loading = Loading(**{"batch_size": 3, **loading})  # type: ignore[arg-type]
    return made


def test_a_batch_holds_the_two_patches_of_each_pair_and_its_target() -> None:
    (patches,), targets = PatchPairs(PATCHES, PAIRS).__getitems__([(0, 2), (0, 1)])
    assert torch.equal(patches, PATCHES[[2, 0, 4, 5]])
    assert targets.tolist() == [7, 9]
    (one,), target = PatchPairs(PATCHES, PAIRS)[(0, 3)]
    assert one.shape == (2, 1, 3, 3)
    assert target.tolist() == [1]
    assert len(PatchPairs(PATCHES, PAIRS)) == 4


def test_bytes_become_numbers_from_0_to_1() -> None:
    whole = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1)
    (patches,), _ = PatchPairs(whole, torch.tensor([[0, 1, 0], [2, 2, 0]])).__getitems__(
        [(0, 0), (0, 1)]
    )
    torch.testing.assert_close(patches.flatten(), torch.tensor([0.0, 0.2, 1.0, 1.0]))


def dihedral(patch: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "same": patch,
        "transposed": patch.transpose(-2, -1),
        "mirrored": patch.flip(-1),
        "turned": torch.rot90(patch, -1, (-2, -1)),
    }


def how(before: torch.Tensor, after: torch.Tensor) -> str:
    (found,) = [name for name, patch in dihedral(before).items() if torch.equal(patch, after)]
    return found


def test_both_patches_of_a_pair_are_turned_alike_and_each_way_is_as_likely() -> None:
    pairs = PAIRS.repeat(200, 1)
    keys = [(3, i) for i in range(800)]
    (plain,), _ = PatchPairs(PATCHES, pairs).__getitems__(keys)
    (turned,), targets = PatchPairs(PATCHES, pairs, transform=flip_and_turn, seed=5).__getitems__(
        keys
    )
    ways = [how(a, b) for a, b in zip(plain, turned, strict=True)]
    assert ways[::2] == ways[1::2]
    assert torch.equal(targets, pairs[:, 2])
    counts = {name: ways[::2].count(name) for name in dihedral(PATCHES)}
    assert sum(counts.values()) == 800
    assert all(140 < count < 260 for count in counts.values()), counts  # 200 +- 5 deviations


def test_the_turn_of_a_pair_is_a_function_of_seed_epoch_and_index() -> None:
    def turned(seed: int, keys: list[tuple[int, int]]) -> torch.Tensor:
        pairs = PAIRS[[1]].expand(64, 3)
        return PatchPairs(PATCHES, pairs, transform=flip_and_turn, seed=seed).__getitems__(keys)[0][
            0
        ]

    keys = [(1, i) for i in range(64)]
    assert torch.equal(turned(2, keys), turned(2, keys))
    alone = torch.cat([turned(2, [key]) for key in keys])
    assert torch.equal(turned(2, keys), alone), "other pairs of the batch do not matter"
    assert not torch.equal(turned(2, keys), turned(3, keys))
    assert not torch.equal(turned(2, keys), turned(2, [(4, i) for _, i in keys]))


def test_only_training_turns_patches() -> None:
    keys = [(0, i) for i in range(4)]
    data = module(seed=1)
    still = data.split("train").__getitems__(keys)[0][0]
    assert torch.equal(still, PATCHES[PAIRS[:, :2].flatten()])
    assert not torch.equal(data.split("train", train=True).__getitems__(keys)[0][0], still)


def test_shares_of_a_batch_are_its_pairs_and_workers_change_nothing() -> None:
    def batches(rank: int, ranks: int, workers: int = 0) -> list[torch.Tensor]:
        data = module(seed=1, share=Share(rank, ranks), workers=workers)
        loader = make_loader(data.split("train", train=True), data.loading, train=True, epoch=2)
        return [patches for (patches,), _ in loader]

    whole = batches(0, 1)
    assert [len(x) for x in whole] == [6, 2]
    parts = list(zip(batches(0, 2), batches(1, 2), strict=True))
    assert torch.equal(torch.cat(parts[0]), whole[0])
    assert all(torch.equal(a, b) for a, b in zip(whole, batches(0, 1, workers=1), strict=True))


def test_fingerprint_and_unknown_splits() -> None:
    assert module().fingerprint()["splits"]["train"]["count"] == 4
    with pytest.raises(UserError, match="unknown split of p 'tset'; valid: train"):
        module().split("tset")
