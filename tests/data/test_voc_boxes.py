"""VOC with boxes in its own format: pixels from 1, difficult objects, and broken XML files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from detection_formats import voc_xml, write_voc_boxes

from thesisbench.data.annotation_check import MENDED
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files import voc_boxes as files
from thesisbench.data.voc_boxes import CLASSES, DEVKIT, voc_box_splits

XML = f"{DEVKIT}/VOC2007/Annotations/000001.xml"
LIST = f"{DEVKIT}/VOC2007/ImageSets/Main/test.txt"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc_boxes(tmp_path_factory.mktemp("voc"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "voc"))


def test_training_images_are_of_both_years(whole: Path) -> None:
    splits = voc_box_splits(root=str(whole))
    assert (len(CLASSES), CLASSES[0], CLASSES[-1]) == (20, "aeroplane", "tvmonitor")
    train = splits["train"]
    assert [train.name(i) for i in range(3)] == [
        f"{DEVKIT}/VOC2007/JPEGImages/000001.jpg",
        f"{DEVKIT}/VOC2007/JPEGImages/000002.jpg",
        f"{DEVKIT}/VOC2012/JPEGImages/000004.jpg",
    ]
    assert train.counts.tolist() == [2, 0, 2]
    assert len(splits["test"]) == 1
    held = voc_box_splits(root=str(whole), n_val=1)
    assert [(name, len(split)) for name, split in held.items()] == [
        ("train", 2),
        ("val", 1),
        ("test", 1),
    ]


def test_pixels_are_counted_from_1_and_both_ends_belong_to_a_box(whole: Path) -> None:
    target = voc_box_splits(root=str(whole))["train"].target(0, 32, 40)
    assert target["boxes"].tolist() == [[0, 0, 40, 32], [4, 5, 14, 20]]
    assert [CLASSES[label] for label in target["labels"]] == ["dog", "person"]


def test_difficult_objects_are_tested_but_not_trained_on(whole: Path) -> None:
    splits = voc_box_splits(root=str(whole))
    train = splits["train"]
    assert train.flags["difficult"].tolist() == [False, True, False, False]
    trained = train.trained_on()
    assert trained.counts.tolist() == [1, 0, 2]
    assert not trained.flags["difficult"].any()
    assert splits["test"].target(0, 32, 40)["difficult"].tolist() == [False, True]


OBJECTS = [("dog", (1, 1, 40, 32), 0)]
BROKEN = {
    "unreadable": "<annotation><object>",
    "no_size": voc_xml("a", OBJECTS, (0, 32)),
    "unknown_category": voc_xml("a", [*OBJECTS, ("unicorn", (1, 1, 5, 5), 0)]),
    "not_finite": voc_xml("a", [*OBJECTS, ("cat", ("many", 1, 5, 5), 0)]),
    "no_area": voc_xml("a", [*OBJECTS, ("cat", (9, 1, 5, 5), 0)]),
    "outside": voc_xml("a", [*OBJECTS, ("cat", (90, 1, 99, 5), 0)]),
    "clipped": voc_xml("a", [*OBJECTS, ("cat", (30, 1, 99, 5), 0)]),
    "missing_field": voc_xml("a", OBJECTS).replace(
        "</annotation>", "<object><name>cat</name></object></annotation>"
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_each_kind_of_broken_annotation_is_counted_and_left_out(kind: str, root: Path) -> None:
    (root / XML).write_text(BROKEN[kind])
    train = voc_box_splits(root=str(root))["train"]
    assert train.problems.told() == {kind: 1}
    (line,) = train.problems.lines()
    assert "000001" in line
    gone = kind in ("unreadable", "no_size")
    assert len(train) == 3 - gone
    assert len(train.labels) == 2 + (not gone) + (kind == "clipped")
    checked = files.verify("voc0712", root, decode=False)
    lines = checked.notes if kind in MENDED else checked.problems
    assert f"VOC2007 trainval: {line}" in lines


def test_an_image_or_annotation_that_is_missing_is_counted(root: Path) -> None:
    (root / XML).unlink()
    (root / f"{DEVKIT}/VOC2012/JPEGImages/000004.jpg").unlink()
    train = voc_box_splits(root=str(root))["train"]
    assert train.problems.told() == {"missing_image": 1, "unreadable": 1}
    assert len(train) == 1


@pytest.mark.parametrize("content", [None, "", "\x00\xff", "../../etc/passwd\n"])
def test_a_list_that_is_no_list_is_named(content: str | None, root: Path) -> None:
    path = root / LIST
    path.unlink() if content is None else path.write_bytes(content.encode("latin-1"))
    with pytest.raises(BadFileError, match=r"Main/test\.txt"):
        voc_box_splits(root=str(root))
    assert any(str(path) in line for line in files.verify("x", root, decode=True).problems)


def test_verify_knows_the_published_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = files.verify("x", root, decode=True).problems
    assert problems == [
        "VOC2007 trainval images: 2, not 5,011",
        "VOC2007 test images: 1, not 4,952",
        "VOC2012 trainval images: 1, not 11,540",
    ]
    assert files.COUNTS["VOC2007", "trainval"] + files.COUNTS["VOC2012", "trainval"] == 16_551
    small = dict(zip(files.COUNTS, (2, 1, 1), strict=True))
    monkeypatch.setattr(files, "COUNTS", small)
    assert files.verify("x", root, decode=True).problems == []


def test_prepare_puts_archives_of_a_year_into_one_folder(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {}
    for (year, split), names in {("VOC2007", "trainval"): ("000001", "000002"),
                                 ("VOC2007", "test"): ("000003",),
                                 ("VOC2012", "trainval"): ("000004",)}.items():  # fmt: skip
        inner = tmp_path / f"{year}_{split}" / DEVKIT / year
        for part in [f"ImageSets/Main/{split}.txt",
                     *(f"Annotations/{n}.xml" for n in names),
                     *(f"JPEGImages/{n}.jpg" for n in names)]:  # fmt: skip
            (inner / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole / DEVKIT / year / part, inner / part)
        made = shutil.make_archive(str(inner.parents[1]), "tar", inner.parents[1], DEVKIT)
        digest = hashlib.md5(Path(made).read_bytes()).hexdigest()
        known[year, split] = (Path(made).as_uri(), f"{year}_{split}.tar", digest)
    monkeypatch.setattr(files, "archives", lambda: known)
    home, said = tmp_path / "home", []
    assert files.prepare("x", home, said.append) == []
    assert len(said) == 3
    left = {p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file()}
    assert left == {p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()}
    assert torch.equal(
        voc_box_splits(root=str(home))["train"].boxes,
        voc_box_splits(root=str(whole))["train"].boxes,
    )
    assert files.prepare("x", home, said.append) == []
    assert len(said) == 3, "nothing is fetched twice"


def test_an_archive_that_cannot_be_fetched_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = ((tmp_path / "gone.tar").as_uri(), "gone.tar", "0")
    monkeypatch.setattr(files, "archives", lambda: {("VOC2007", "test"): nowhere})
    (line,) = files.prepare("x", tmp_path / "home", print)
    assert "VOCdevkit/VOC2007, unpacked, belongs in" in line


NEWER = ("VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd")


def test_the_archives_are_torchvisions() -> None:
    names = {split: entry[1:] for split, entry in files.archives().items()}
    old = ("VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64")
    assert names == {
        ("VOC2007", "trainval"): old,
        ("VOC2007", "test"): ("VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
        ("VOC2012", "trainval"): NEWER,
    }
