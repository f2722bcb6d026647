"""ImageNet in the publisher's layouts, its 200 classes, few images a class; what may be amiss."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from real_formats import write_devkit, write_imagenet, write_jpeg

from thesisbench.data.image_files import ImageList
from thesisbench.data.imagenet import few, imagenet_splits
from thesisbench.data.imagenet200_classes import CLASSES
from thesisbench.data.imagenet_layout import index_file
from thesisbench.errors import UserError

WNIDS = ("n01", "n02", "n03")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_imagenet(tmp_path, WNIDS)


def splits(root: Path, **arguments: object) -> dict[str, ImageList]:
    given = {"n_classes": 3, "root": str(root), **arguments}
    return imagenet_splits(**given)  # type: ignore[arg-type]


def test_labels_number_the_sorted_class_folders(root: Path) -> None:
    found = splits(root)
    assert list(found) == ["train", "val"]
    assert found["train"].labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    for images in found.values():
        for i, label in enumerate(images.labels.tolist()):
            assert images.path(i).parent.name == WNIDS[label]
            assert images.path(i).exists()


def test_other_files_are_no_images(root: Path) -> None:
    before = splits(root)["train"].checksum()
    (root / "train" / "n01" / "notes.txt").write_text("x")
    (root / "train" / ".hidden.JPEG").write_text("x")
    (root / "train" / "n01" / ".n01_9.JPEG").write_text("x")
    (root / "train" / "LICENSE").write_text("x")
    assert splits(root)["train"].checksum() == before


def test_flat_validation_images_get_classes_from_the_development_kit(root: Path) -> None:
    shutil.rmtree(root / "val")
    for i in range(6):
        write_jpeg(root / "val" / f"ILSVRC2012_val_{i + 1:08}.JPEG", i)
    write_devkit(root, ("n03", "n01", "n02"), truth=[1, 2, 3, 3, 2, 1])
    val = splits(root)["val"]
    assert val.labels.tolist() == [2, 0, 1, 1, 0, 2]
    assert val.path(1).name == "ILSVRC2012_val_00000002.JPEG"


def test_a_kept_list_is_used_instead_of_looking(root: Path) -> None:
    names = [b"n01/a.JPEG", b"n02/b.JPEG", b"n03/c.JPEG"]
    index_file(root, "train").write_bytes(b"".join(n + b"\n" for n in names))
    assert splits(root)["train"].names.tolist() == names


def test_the_200_classes_of_imagenet_a() -> None:
    timm = find_spec("timm")
    assert timm is not None
    assert timm.origin is not None
    kept = Path(timm.origin).parent / "data" / "_info" / "imagenet_a_synsets.txt"
    assert list(CLASSES) == kept.read_text().split()
    assert list(CLASSES) == sorted(set(CLASSES))


def test_imagenet200_leaves_other_classes_out(tmp_path: Path) -> None:
    others = ("n00000001", "n15075141")
    write_imagenet(tmp_path, (*others[:1], *CLASSES, *others[1:]), train=1, val=1)
    found = imagenet_splits(classes="imagenet200", root=str(tmp_path))
    for images in found.values():
        assert images.labels.tolist() == list(range(200))
        assert [images.path(i).parent.name for i in range(200)] == list(CLASSES)


def chosen(root: Path, **arguments: object) -> set[bytes]:
    return set(splits(root, **arguments)["train"].names.tolist())


def test_few_images_are_equally_many_of_each_class(root: Path) -> None:
    images = splits(root, per_class=3)["train"]
    assert torch.bincount(images.labels).tolist() == [3, 3, 3]
    assert len(set(images.names.tolist())) == 9
    assert len(splits(root, per_class=3)["val"]) == 6


def test_a_smaller_choice_is_part_of_a_larger_one_and_follows_the_seed(root: Path) -> None:
    for seed in range(4):
        nested = [chosen(root, per_class=n, data_seed=seed) for n in (1, 2, 3)]
        assert nested[0] < nested[1] < nested[2] < chosen(root)
    assert len({frozenset(chosen(root, per_class=2, data_seed=s)) for s in range(8)}) > 2
    assert chosen(root, per_class=2) == chosen(root, per_class=2)


def test_the_first_images_by_name(root: Path) -> None:
    expected = {f"{w}/{w}_{i}.JPEG".encode() for w in WNIDS for i in (0, 1)}
    assert chosen(root, per_class=2, choice="first") == expected


def test_every_image_is_equally_likely_to_be_chosen() -> None:
    labels = torch.arange(20) // 10
    images = ImageList(Path(), np.array([b"x"] * 20), labels)
    counts = np.zeros(20)
    for seed in range(400):
        counts[few(images, ("a", "b"), 3, "seeded", seed)] += 1
    assert counts.sum() == 400 * 6
    assert np.abs(counts / 400 - 0.3).max() < 0.1


def _one_less(root: Path) -> None:
    shutil.rmtree(root / "train" / "n02")


def _val_less(root: Path) -> None:
    shutil.rmtree(root / "val" / "n03")


def _flat(root: Path) -> None:
    shutil.rmtree(root / "val")
    write_jpeg(root / "val" / "ILSVRC2012_val_00000001.JPEG", 0)


def _flat_of_two(root: Path) -> None:
    _flat(root)
    write_devkit(root, WNIDS, truth=[1, 2])


def _broken_kit(root: Path) -> None:
    _flat_of_two(root)
    (root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").write_bytes(b"MATLAB")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda root: shutil.rmtree(root), "no folder .*train: `thesisbench data prepare imagenet"),
        (_one_less, "train has 2 classes, not 3"),
        (_val_less, "val lacks 1 of 3 classes: n03"),
        (_flat, "no .*meta.mat to tell classes; unpack ILSVRC2012_devkit_t12.tar.gz"),
        (_flat_of_two, "val has 1 images, but .*ground_truth.txt has the classes of 2"),
        (_broken_kit, "cannot read .*ILSVRC2012_devkit_t12/data"),
    ],
)
def test_what_is_amiss_is_named(harm: object, said: str, root: Path) -> None:
    harm(root)  # type: ignore[operator]
    with pytest.raises(UserError, match=said) as caught:
        splits(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"classes": "imagenet100"}, "unknown classes 'imagenet100'; valid: all, imagenet200"),
        ({"choice": "best"}, "unknown choice 'best'; valid: first, seeded"),
        ({"per_class": 5}, "n01 has 4 images in .*train, fewer than per_class=5"),
        ({"per_class": 0}, "per_class=0 must be at least 1"),
        ({"classes": "imagenet200"}, "train lacks 200 of 200 classes: n01498041"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments: dict[str, object], said: str, root: Path) -> None:
    with pytest.raises(UserError, match=said):
        splits(root, **arguments)
