"""COCO in its own format: labels, crowds, masks, minival, and each kind of broken entry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from detection_formats import (
    coco_2014,
    coco_2017,
    coco_box,
    coco_boxes,
    coco_file,
    coco_image,
    write_coco_file,
)
from real_formats import truncate, write_jpeg

from thesisbench.data.annotation_check import MENDED
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.coco import coco_splits, read_split
from thesisbench.data.files import coco as files
from thesisbench.errors import UserError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coco_2017(tmp_path_factory.mktemp("coco"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "coco"))


def test_images_come_by_name_and_labels_without_gaps(whole: Path) -> None:
    splits = coco_splits(root=str(whole))
    assert list(splits) == ["train", "val"]
    train = splits["train"]
    assert train.classes == ("person", "stop sign", "toothbrush")
    assert [train.name(i) for i in range(3)] == [f"train2017/{n:012}.jpg" for n in (3, 5, 7)]
    assert train.counts.tolist() == [3, 0, 3]
    assert train.labels.tolist() == [1, 2, 0] * 2
    assert train.flags["crowd"].tolist() == [False, False, True] * 2
    assert train.boxes[:2].tolist() == [[3, 1, 13, 21], [20.5, 4, 28.5, 10.25]]
    assert train.sizes.tolist() == [[32, 40]] * 3
    assert train.problems.lines() == []


def test_a_target_has_what_the_interface_says(whole: Path) -> None:
    target = coco_splits(root=str(whole))["val"].target(1, 32, 40)
    assert set(target) == {"boxes", "labels", "crowd", "size", "scale", "number"}
    assert target["boxes"].dtype == target["scale"].dtype == torch.float32
    assert target["labels"].dtype == torch.int64
    assert target["crowd"].dtype == torch.bool
    assert (target["size"].tolist(), int(target["number"])) == ([32, 40], 1)


def test_an_image_without_an_object_is_kept_and_counted(whole: Path) -> None:
    train = coco_splits(root=str(whole))["train"]
    target = train.target(1, 32, 40)
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == (0,)
    assert train.facts()["empty"] == 1
    assert len(train.trained_on()) == 3
    fewer = train.trained_on(keep_empty=False)
    assert [fewer.name(i)[-6:] for i in range(2)] == ["03.jpg", "07.jpg"]
    assert torch.equal(fewer.boxes, train.boxes)


def test_masks_of_polygons_and_run_lengths(whole: Path) -> None:
    split = coco_splits(root=str(whole), masks=True)["train"]
    masks = split.target(0, 32, 40)["masks"]
    assert masks.shape == (3, 32, 40)
    assert masks.dtype == torch.bool
    expected = torch.zeros(2, 32, 40, dtype=torch.bool)
    expected[0, 1:21, 3:13] = True
    expected[1, :, :10] = True  # run lengths go down columns
    assert torch.equal(masks[[0, 2]], expected)
    top, left = masks[1].nonzero().min(0).values.tolist()
    assert top == 4
    assert left in (20, 21), "half a pixel goes either way"
    assert split.target(1, 32, 40)["masks"].shape == (0, 32, 40)
    smaller = split.target(0, 16, 20)
    assert smaller["masks"].shape == (2, 16, 20), "one object lies beyond what there is"
    assert smaller["boxes"].max() <= 20


def test_compressed_run_lengths_are_read(whole: Path, root: Path) -> None:
    from pycocotools import mask as coco

    drawn = np.zeros((32, 40), dtype=np.uint8, order="F")
    drawn[5:9, 7:30] = 1
    packed = coco.encode(drawn)
    entry = {"size": packed["size"], "counts": packed["counts"].decode()}
    box = coco_box(1, 2, (7, 5, 23, 4), segmentation=entry)
    content = coco_file([coco_image(2, f"{2:012}.jpg")], [box])
    write_coco_file(root, "val2017", content)
    target = coco_splits(root=str(root), masks=True)["val"].target(0, 32, 40)
    assert np.array_equal(target["masks"][0].numpy(), drawn.astype(bool))


@pytest.mark.parametrize("lists", ["minival2014", "val2017"])
def test_minival_has_the_same_images_under_either_year(
    lists: str, whole: Path, tmp_path: Path
) -> None:
    old = coco_2014(tmp_path / "old")
    if lists == "val2017":
        (old / "annotations" / "instances_minival2014.json").unlink()
        place = "annotations/instances_val2017.json"
        shutil.copy(whole / place, old / place)
    splits, new = coco_splits(root=str(old)), coco_splits(root=str(whole))
    names = [splits["val"].name(i) for i in range(2)]
    assert names == [f"val2014/COCO_val2014_{n:012}.jpg" for n in (2, 9)]
    assert [splits["train"].name(i) for i in range(3)] == [
        *(f"train2014/COCO_train2014_{n:012}.jpg" for n in (3, 5)),
        "val2014/COCO_val2014_000000000007.jpg",
    ]
    for name in ("train", "val"):
        assert torch.equal(splits[name].boxes, new[name].boxes)
        assert torch.equal(splits[name].labels, new[name].labels)
    assert splits["train"].problems.lines() == []


def test_without_a_list_of_minival_a_line_says_what_to_do(tmp_path: Path) -> None:
    old = coco_2014(tmp_path)
    (old / "annotations" / "instances_minival2014.json").unlink()
    with pytest.raises(BadFileError, match=r"neither .*instances_val2017.json nor inst.*prepare"):
        coco_splits(root=str(old))
    assert any("lists minival" in line for line in files.prepare("x", old, print))


def test_validation_images_may_be_held_out(whole: Path) -> None:
    splits = coco_splits(root=str(whole), n_val=1, data_seed=4)
    assert [(name, len(s)) for name, s in splits.items()] == [("train", 2), ("val", 1), ("test", 2)]
    names = {s.name(i) for s in (splits["train"], splits["val"]) for i in range(len(s))}
    assert len(names) == 3
    with pytest.raises(UserError, match="unknown layout '2015'"):
        coco_splits(root=str(whole), layout="2015")


BROKEN: dict[str, dict[str, Any]] = {
    "no_area": coco_box(1000, 2, (5, 5, 0, 4)),
    "outside": coco_box(1000, 2, (50, 5, 5, 4)),
    "clipped": coco_box(1000, 2, (30, 5, 20, 4)),
    "unknown_category": coco_box(1000, 2, (3, 5, 5, 4), category_id=2),
    "unknown_image": coco_box(1000, 77, (3, 5, 5, 4)),
    "duplicate_annotation": coco_box(20, 2, (3, 5, 5, 4)),
    "not_a_box": coco_box(1000, 2, (3, 5, 5, 4), bbox=[3, 5, 5]),
    "not_finite": coco_box(1000, 2, (float("nan"), 5, 5, 4)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_each_kind_of_broken_annotation_is_counted_and_left_out(kind: str, root: Path) -> None:
    images = [coco_image(n, f"{n:012}.jpg") for n in (2, 9)]
    content = coco_file(images, [*coco_boxes((2, 9)), BROKEN[kind]])
    write_coco_file(root, "val2017", content)
    split = coco_splits(root=str(root))["val"]
    assert split.problems.told() == {kind: 1}
    assert split.facts()["broken"] == {kind: 1}
    assert len(split.labels) == 6 + (kind == "clipped")
    if kind == "clipped":
        assert split.boxes[3].tolist() == [30, 5, 40, 9]
    (line,) = split.problems.lines()
    assert ("annotation 20" if "duplicate" in kind else "annotation 1000") in line
    checked = files.verify("coco", root, decode=False)
    lines = checked.notes if kind in MENDED else checked.problems
    assert f"val2017: {line}" in lines


def test_masks_that_are_none_are_left_out_where_masks_are_read(root: Path) -> None:
    images = [coco_image(2, f"{2:012}.jpg")]
    bad = [[[1, 2, 3]], [], None, {"counts": [3]}, [[1, 2, 3, 4, 5, "6"]]]
    boxes = [coco_box(n, 2, (3, 5, 5, 4), segmentation=mask) for n, mask in enumerate(bad)]
    write_coco_file(root, "val2017", coco_file(images, [*boxes, coco_box(99, 2, (3, 5, 5, 4))]))
    assert coco_splits(root=str(root), masks=True)["val"].problems.told() == {"bad_mask": 5}
    assert coco_splits(root=str(root))["val"].problems.told() == {}


def test_images_that_are_missing_or_there_twice(root: Path) -> None:
    images = [coco_image(n, f"{n:012}.jpg") for n in (2, 9, 9, 11)]
    images.append(coco_image(12, f"{2:012}.jpg"))
    images.append(coco_image(13, f"{2:012}.jpg") | {"file_name": f"{9:012}.jpg", "width": 0})
    write_jpeg(root / "val2017" / "odd.jpg", 1)
    images.append(coco_image(14, "odd.jpg", (0, 0)))
    boxes = [*coco_boxes((2, 9)), coco_box(500, 11, (3, 5, 5, 4)), coco_box(501, 9, (1, 1, 2, 2))]
    write_coco_file(root, "val2017", coco_file(images, boxes))
    split = coco_splits(root=str(root))["val"]
    assert split.problems.told() == {"missing_image": 1, "no_size": 1, "duplicate_image": 3}
    assert split.counts.tolist() == [3, 4]


def test_when_no_image_is_there_the_line_says_why(root: Path) -> None:
    shutil.rmtree(root / "val2017")
    with pytest.raises(BadFileError, match=r"val2017.* has no image to use: 2 images without"):
        coco_splits(root=str(root), layout="2017")


def test_a_file_that_is_no_json_is_one_line(root: Path) -> None:
    path = truncate(root / "annotations" / "instances_train2017.json")
    with pytest.raises(BadFileError, match=r"instances_train2017\.json is no JSON: .* column"):
        coco_splits(root=str(root))
    checked = files.verify("coco", root, decode=False)
    assert sum(str(path) in line for line in checked.problems) == 1
    assert checked.counts["val2017 images"] == 2
    path.write_text(json.dumps(coco_file([], []) | {"images": [{"id": "a", "file_name": "b"}]}))
    with pytest.raises(BadFileError, match=r"is not as expected: .*\$\.images\[0\]\.id"):
        coco_splits(root=str(root))


def test_files_of_other_categories_are_not_mixed(root: Path) -> None:
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text())
    content["categories"] = content["categories"][:2]
    path.write_text(json.dumps(content))
    with pytest.raises(BadFileError, match="other categories"):
        coco_splits(root=str(root))


def test_verify_counts_and_finds_broken_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = files.verify("coco", root, decode=True)
    assert checked.problems == ["train2017 images: 3, not 118,287", "val2017 images: 2, not 5,000"]
    monkeypatch.setitem(files.COUNTS, "train2017", 3)
    monkeypatch.setitem(files.COUNTS, "val2017", 2)
    checked = files.verify("coco", root, decode=True)
    assert checked.problems == []
    assert checked.counts["train2017 images without a box"] == 1
    assert checked.counts["val2017 boxes"] == 6
    write_jpeg(root / "val2017" / f"{2:012}.jpg", 2, (30, 32))
    broken = truncate(root / "val2017" / f"{9:012}.jpg")
    image, size = files.verify("coco", root, decode=True).problems
    assert f"cannot read image {broken}" in image
    assert "val2017: 1 images of another size" in size
    assert "(30x32, not 40x32)" in size


def test_an_image_smaller_than_annotated_has_its_boxes_cut(root: Path) -> None:
    write_jpeg(root / "val2017" / f"{2:012}.jpg", 2, (24, 32))
    split = coco_splits(root=str(root))["val"]
    height, width = split.image(0).shape[-2:]
    target = split.target(0, height, width)
    assert target["boxes"].tolist() == [[2, 1, 12, 21], [20.5, 4, 24, 10.25], [0, 0, 10, 32]]
    gone = split.target(0, 32, 20)
    assert gone["labels"].tolist() == [1, 0]


def test_prepare_unpacks_archives_and_names_the_others(whole: Path, tmp_path: Path) -> None:
    home, said = tmp_path / "home", []
    left = files.prepare("coco", home, said.append)
    assert len(left) == 3
    assert "http://images.cocodataset.org/zips/train2017.zip" in left[0]
    assert "annotations/annotations_trainval2017.zip" in left[2]
    home.mkdir()
    shutil.make_archive(str(home / "val2017"), "zip", whole, "val2017")
    shutil.make_archive(str(home / "annotations_trainval2017"), "zip", whole, "annotations")
    assert len(files.prepare("coco", home, said.append)) == 1
    assert said == [f"{home / inner} made" for inner in ("val2017", "annotations")]
    assert len(read_split(home, ["val2017"])) == 2


def test_minival_is_verified_with_its_own_count(tmp_path: Path) -> None:
    old = coco_2014(tmp_path)
    checked = files.verify("coco2014_minival", old, decode=False)
    assert checked.counts["minival images"] == 2
    assert "minival images: 2, not 5,000" in checked.problems
    assert "train2014 images: 2, not 82,783" in checked.problems
    assert "val2014 images: 3, not 40,504" in checked.problems


@pytest.mark.parametrize("masks", [False, True])
def test_a_split_without_any_box_is_loaded(masks: bool, root: Path) -> None:
    images = [coco_image(n, f"{n:012}.jpg") for n in (2, 9)]
    write_coco_file(root, "val2017", coco_file(images, []))
    split = read_split(root, ["val2017"], masks=masks)
    assert split.counts.tolist() == [0, 0]
    assert split.boxes.shape == (0, 4)
    assert split.target(1, 32, 40)["boxes"].shape == (0, 4)
    assert ("masks" in split.target(1, 32, 40)) == masks
    assert len(split.trained_on()) == 2
    assert len(split.trained_on(keep_empty=False)) == 0
    assert split.facts()["empty"] == 2
