"""Broken annotations: each kind is found, counted and left out or mended; files are named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thesisbench.data.annotation_check import (
    BOX_KINDS,
    KINDS,
    SHOWN,
    SLACK,
    Problems,
    check_boxes,
    four_numbers,
    read_json,
)
from thesisbench.data.bad_file import BadFileError

INF, NAN = float("inf"), float("nan")
CASES = [
    ((2, 3, 10, 12), "", (2, 3, 10, 12)),
    ((0, 0, 40, 30), "", (0, 0, 40, 30)),
    ((-0.5, 0, 40.9, 30), "", (0, 0, 40, 30)),  # rounding
    ((-4, 3, 10, 12), "clipped", (0, 3, 10, 12)),
    ((30, 20, 60, 50), "clipped", (30, 20, 40, 30)),
    ((40, 3, 50, 12), "outside", None),
    ((-9, 3, 0, 12), "outside", None),
    ((2, -9, 10, -2), "outside", None),
    ((5, 5, 5, 12), "no_area", None),
    ((5, 5, 9, 2), "no_area", None),
    ((60, 50, 60, 50), "no_area", None),
    ((NAN, 5, 9, 9), "not_finite", None),
    ((2, 5, INF, 9), "not_finite", None),
]


@pytest.mark.parametrize(("box", "kind", "left"), CASES)
def test_a_box_is_cut_off_or_left_out(box, kind, left) -> None:
    cut, wrong = check_boxes(torch.tensor([box], dtype=torch.float64), torch.tensor([[30, 40]]))
    assert BOX_KINDS[int(wrong)] == kind
    if left is not None:
        assert cut[0].tolist() == list(left)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-30, 60, width=32)] * 4), min_size=1, max_size=6))
def test_boxes_that_are_kept_lie_in_the_image_and_hold_the_same_pixels(rows) -> None:
    boxes = torch.tensor(rows, dtype=torch.float64)
    cut, wrong = check_boxes(boxes, torch.tensor([[30, 40]]).expand(len(rows), 2))
    for row, box, kind in zip(rows, cut.tolist(), wrong.tolist(), strict=True):
        if BOX_KINDS[kind] in ("", "clipped"):
            assert 0 <= box[0] < box[2] <= 40
            assert 0 <= box[1] < box[3] <= 30
            assert box == [max(row[0], 0), max(row[1], 0), min(row[2], 40), min(row[3], 30)]
            beyond = max(-row[0], -row[1], row[2] - 40, row[3] - 30)
            assert (kind != 0) == (beyond > SLACK)
        else:
            inside = row[0] < row[2] and row[1] < row[3]
            assert not inside or not (row[0] < 40 and row[2] > 0 and row[1] < 30 and row[3] > 0)


def test_no_box_is_no_problem() -> None:
    cut, wrong = check_boxes(torch.zeros(0, 4), torch.zeros(0, 2, dtype=torch.long))
    assert cut.shape == (0, 4)
    assert len(wrong) == 0


def test_a_report_counts_everything_and_names_the_first() -> None:
    found = Problems()
    for n in range(SHOWN + 3):
        found.add("outside", f"box {n}")
    found.add("missing_image", "a.jpg")
    assert found.told() == {"missing_image": 1, "outside": SHOWN + 3}
    first, second = found.lines()
    assert first == "1 images without a file, left out: a.jpg"
    assert second.endswith("box 0, box 1, box 2, box 3, box 4 and 3 more")
    assert second.startswith("8 boxes outside their image")
    assert Problems().lines() == []
    assert {kind for kind in BOX_KINDS if kind} <= set(KINDS)


@pytest.mark.parametrize(
    ("box", "good"),
    [
        ([1, 2.5, 3, 4], True),
        ([1, 2, 3], False),
        ([1, 2, 3, 4, 5], False),
        ([1, 2, 3, None], False),
        (["1", 2, 3, 4], False),
        ([True, 2, 3, 4], False),
    ],
)
def test_four_numbers_are_four_numbers(box, good: bool) -> None:
    assert four_numbers(box) is good


class Thing(msgspec.Struct):
    a: list[float]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": [1, 2', r"is no JSON: .*line 1 column"),
        ('{"a": [1,\n 2} ', r"is no JSON: .*line 2 column"),
        ("", "is no JSON: .*line 1 column 1"),
        ('{"b": 3}', r"is not as expected: .*missing required field `a`"),
        ('{"a": [1, "x"]}', r"is not as expected: .*\$\.a\[1\]"),
        ('{"a": [NaN, "x"]}', r"is not as expected: .*\$\.a\[1\]"),
        ("[]", "is not as expected: "),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(BadFileError, match=said) as caught:
        read_json(path, Thing, "fetch it")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadFileError, match=r"no file .*gone\.json; do this"):
        read_json(tmp_path / "gone.json", Thing, "do this")
    with pytest.raises(BadFileError, match="cannot read"):
        read_json(tmp_path, Thing, "do this")
    (tmp_path / "bytes").write_bytes(b'\xff{"a": [1]}')
    with pytest.raises(BadFileError, match="is no JSON"):
        read_json(tmp_path / "bytes", Thing, "do this")


def test_nan_as_python_writes_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": [NaN, -Infinity, 2]}')
    found = read_json(path, Thing, "")
    assert found.a[0] != found.a[0]
    assert found.a[1:] == [-INF, 2]
