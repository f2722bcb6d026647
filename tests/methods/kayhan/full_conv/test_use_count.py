"""The analytic supplement of figures 2.2 and 2.3."""

import pytest

from thesisbench.methods.kayhan.full_conv.use_count import UseCountTable


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"border": "valid", "k": 2}, [1, 2, 3, 4, 5, 4, 3, 2, 1]),
        ({"border": "same", "k": 1}, [2, 3, 3, 3, 3, 3, 3, 3, 2]),
        ({"border": "same", "pad_mode": "circular", "k": 3}, [7] * 9),
        ({"border": "full", "k": 3}, [7] * 9),
    ],
)
def test_counts_come_by_position(options, expected):
    counts = UseCountTable(**options)()
    assert counts == {f"c{a}": float(c) for a, c in enumerate(expected, start=1)}
    assert all(isinstance(count, float) for count in counts.values())


def test_the_number_of_positions_is_free():
    assert list(UseCountTable(border="same", n=3)()) == ["c1", "c2", "c3"]
