"""DelftBikes in its own format: states, likely boxes, and files that are not as expected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from detection_formats import bike, bike_part, write_delftbikes

from thesisbench.data.annotation_check import MENDED
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.delftbikes import PARTS, STATES, delftbikes_splits
from thesisbench.data.files import delftbikes as files

FILE = "train_annotations.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_delftbikes(tmp_path_factory.mktemp("delft"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "delft"))


def change(root: Path, edit: Callable[[Any], object], file: str = FILE) -> None:
    told = json.loads((root / file).read_text())
    edit(told)
    (root / file).write_text(json.dumps(told))


def test_there_are_22_parts_and_four_states() -> None:
    assert len(PARTS) == len(set(PARTS)) == 22
    assert list(PARTS) == sorted(PARTS)
    assert STATES == ("intact", "damaged", "absent", "occluded")


def test_all_parts_are_read_and_present_ones_are_trained_on(whole: Path) -> None:
    splits = delftbikes_splits(root=str(whole))
    assert [(name, len(split)) for name, split in splits.items()] == [("train", 4), ("test", 2)]
    target = splits["train"].target(1, 32, 40)
    names = [PARTS[label] for label in target["labels"]]
    assert names == ["saddle", "bell", "chain", "front_wheel"]
    assert target["state"].tolist() == [0, 2, 3, 1]
    assert target["boxes"].tolist() == [[5, 2, 13, 6], [20, 4, 24, 8], [10, 20, 22, 25],
                                        [22, 12, 38, 28]]  # fmt: skip
    trained = splits["train"].trained_on()
    assert trained.counts.tolist() == [2] * 4
    assert set(trained.flags["state"].tolist()) == {0, 1}


def test_validation_images_are_held_out_by_the_seed(whole: Path) -> None:
    chosen = set()
    for seed in range(6):
        splits = delftbikes_splits(root=str(whole), n_val=2, data_seed=seed)
        names = [[s.name(i) for i in range(len(s))] for s in (splits["train"], splits["val"])]
        assert sorted(names[0] + names[1]) == [f"train/train_{n}.jpg" for n in range(4)]
        chosen.add(tuple(names[1]))
        again = delftbikes_splits(root=str(whole), n_val=1, data_seed=seed)["val"]
        assert again.name(0) in names[1]
    assert len(chosen) > 1


def _part(**changes: Any) -> Any:
    return bike_part("intact", 3, 3, 5, 5) | changes


BROKEN = {
    "unknown_category": ("wing", _part()),
    "unknown_state": ("bell", _part(object_state="stolen")),
    "missing_field": ("bell", {"object_state": "intact"}),
    "no_area": ("bell", bike_part("intact", 3, 3, 0, 5)),
    "outside": ("bell", bike_part("intact", 50, 3, 5, 5)),
    "clipped": ("bell", bike_part("intact", -9, 3, 20, 5)),
    "not_a_box": ("bell", bike_part("intact", "3", 3, 5, 5)),  # type: ignore[arg-type]
    "not_finite": ("bell", bike_part("intact", float("inf"), 3, 5, 5)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_each_kind_of_broken_annotation_is_counted_and_left_out(kind: str, root: Path) -> None:
    name, part = BROKEN[kind]
    change(root, lambda told: told["train_0.jpg"]["parts"].update({name: part}))
    train = delftbikes_splits(root=str(root))["train"]
    assert train.problems.told() == {kind: 1}
    (line,) = train.problems.lines()
    assert f"{name} of train/train_0.jpg" in line
    replaced = name == "bell"  # which was there
    assert len(train.labels) == 16 - replaced + (kind == "clipped")
    checked = files.verify("x", root, decode=False)
    assert f"train: {line}" in (checked.notes if kind in MENDED else checked.problems)


def test_an_image_without_a_part_or_a_file(root: Path) -> None:
    change(root, lambda told: told.update({"train_1.jpg": bike({}), "gone.jpg": bike({})}))
    train = delftbikes_splits(root=str(root))["train"]
    assert train.counts.tolist() == [4, 0, 4, 4]
    assert train.problems.told() == {"missing_image": 1}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda told: told["train_0.jpg"].pop("parts"), "missing required field `parts`"),
        (lambda told: told["train_0.jpg"].pop("image"), "missing required field `image`"),
        (lambda told: told["train_0.jpg"].update(parts=[1]), "Expected `object`, got `array`"),
    ],
)
def test_another_form_is_told_with_what_was_expected(edit: Any, said: str, root: Path) -> None:
    change(root, edit)
    with pytest.raises(BadFileError) as caught:
        delftbikes_splits(root=str(root))
    text = str(caught.value)
    assert said in text
    assert str(root / FILE) in text
    assert "expected: name of an image -> image: {height, width}, parts:" in text
    assert "\n" not in text


def test_other_names_of_fields_are_told_with_what_was_expected(root: Path) -> None:
    def rename(told: Any) -> None:
        for entry in told.values():
            for part in entry["parts"].values():
                part["state"] = part.pop("object_state")

    change(root, rename)
    said = r"has no part that can be read; expected: .*object_state"
    with pytest.raises(BadFileError, match=said):
        delftbikes_splits(root=str(root))


def test_labels_made_for_a_challenge_are_refused(root: Path) -> None:
    (root / "test_annotations.json").rename(root / "fake_test_annotations.json")
    with pytest.raises(BadFileError, match=r"fake_test_annotations\.json has no true labels"):
        delftbikes_splits(root=str(root))


def test_verify_and_prepare(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = files.verify("x", root, decode=True).problems
    assert problems == ["train images: 4, not 8,000", "test images: 2, not 2,000"]
    monkeypatch.setattr(files, "COUNTS", {"train": 4, "test": 2})
    checked = files.verify("x", root, decode=True)
    assert checked.problems == []
    assert checked.counts["train boxes"] == 16
    assert files.prepare("x", root, print) == []
    shutil.rmtree(root / "test")
    (line,) = files.prepare("x", root, print)
    assert line.endswith(f"test belongs in {root}")
