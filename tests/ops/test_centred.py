"""The middle of maps against rows counted by hand."""

from __future__ import annotations

import pytest
import torch

from thesisbench.ops.centred import centred


@pytest.mark.parametrize(
    ("size", "row"),
    [
        (5, [0, 1, 2, 3, 4]),
        (3, [1, 2, 3]),
        (2, [1, 2]),
        (7, [9, 0, 1, 2, 3, 4, 9]),
        (6, [0, 1, 2, 3, 4, 9]),
    ],
)
def test_positions_go_and_come_equally_on_both_sides(size: int, row: list[int]) -> None:
    maps = torch.arange(5.0).expand(2, 3, 1, 5)
    wanted = torch.tensor([0.0 if value == 9 else float(value) for value in row])
    assert torch.equal(centred(maps, (1, size))[1, 2, 0], wanted)
    assert torch.equal(centred(maps.transpose(2, 3), (size, 1))[1, 2, :, 0], wanted)


def test_a_map_of_the_size_is_not_copied() -> None:
    maps = torch.zeros(1, 1, 4, 4)
    assert centred(maps, (4, 4)) is maps
