"""VOC and SBD in their own formats: which images, which labels, and every kind of broken file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from real_formats import truncate, write_jpeg
from scipy.io import savemat
from voc_format import SBD, VOC, mask_of, name_of, write_mat_mask, write_png_mask, write_voc

from thesisbench.data.arrays import Loading, make_loader
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files import voc as files
from thesisbench.data.mask_files import read_mask, read_pair
from thesisbench.data.mask_module import MaskFilesModule
from thesisbench.data.pair_transforms import fill_up, scale_crop_flip
from thesisbench.data.voc import CLASSES, voc_splits
from thesisbench.errors import UserError

PNG = f"{VOC}/SegmentationClass/{name_of(1)}.png"
MAT = f"{SBD}/cls/{name_of(5)}.mat"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "voc"))


def module(root: Path) -> MaskFilesModule:
    transforms: dict[str, Any] = {"train": scale_crop_flip(size=24), "test": fill_up(size=48)}
    made = MaskFilesModule("voc", lambda: voc_splits(root=str(root)), **transforms)
    made.loading = Loading(batch_size=4, seed=3)
    return made


def names(pairs: Any) -> list[tuple[str, str]]:
    return [(a.decode(), b.decode()) for a, b in zip(pairs.images, pairs.masks, strict=True)]


def test_there_are_21_classes() -> None:
    assert len(CLASSES) == len(set(CLASSES)) == 21
    assert CLASSES[0] == "background"
    assert CLASSES[15] == "person"


def test_training_images_are_those_of_sbd_and_voc_without_vocs_validation(whole: Path) -> None:
    splits = voc_splits(root=str(whole))
    val = [(f"{VOC}/JPEGImages/{n}.jpg", f"{VOC}/SegmentationClass/{n}.png")
           for n in map(name_of, (3, 4))]  # fmt: skip
    assert names(splits["val"]) == val
    own = [(f"{VOC}/JPEGImages/{n}.jpg", f"{VOC}/SegmentationClass/{n}.png")
           for n in map(name_of, (0, 1, 2))]  # fmt: skip
    more = [(f"{SBD}/img/{n}.jpg", f"{SBD}/cls/{n}.mat") for n in map(name_of, (5, 6, 7))]
    assert names(splits["train"]) == own + more
    assert names(voc_splits(root=str(whole), training="voc")["train"]) == own
    with pytest.raises(UserError, match="unknown training 'all'"):
        voc_splits(root=str(whole), training="all")


def test_published_counts_give_the_augmented_list() -> None:
    lists = files.LISTS
    every = lists[SBD, "train"] + lists[SBD, "val"]
    assert every == 11_355
    segmented = lists[VOC, "train"] + lists[VOC, "val"]
    both = every + segmented - 12_031  # images that have labels in SBD, VOC or both
    assert 0 < both < segmented
    assert 12_031 - lists[VOC, "val"] == files.COUNTS["train"] == 10_582


def test_masks_of_both_formats_are_read_as_labels(whole: Path) -> None:
    png, mat = read_mask(whole / PNG, 21), read_mask(whole / MAT, 21)
    assert np.array_equal(png, mask_of(1, (41, 32)))
    assert 255 in png
    expected = mask_of(5, (45, 32))
    assert np.array_equal(mat, np.where(expected == 255, 0, expected))


def test_grey_masks_are_read_too(tmp_path: Path) -> None:
    mask = mask_of(4, (9, 12))
    Image.fromarray(mask).save(tmp_path / "grey.png")
    assert np.array_equal(read_mask(tmp_path / "grey.png", 21), mask)


def test_batches_hold_images_and_masks_alike(whole: Path) -> None:
    made = module(whole)
    (images,), masks = next(iter(made.loader("val")))
    assert images.shape == (2, 3, 48, 48)
    assert masks.shape == (2, 48, 48)
    assert masks.dtype == torch.uint8
    assert np.array_equal(masks[0, :32, :43].numpy(), mask_of(3, (43, 32)))
    assert (masks[0, 32:] == 255).all()
    assert (masks[0, :, 43:] == 255).all()
    assert images[0, :, 32:].abs().max() < 0.02, "what is added is the mean colour"
    assert images[0, :, :32, :43].abs().max() > 0.5


def test_training_samples_are_functions_of_seed_epoch_and_index(whole: Path) -> None:
    made = module(whole)
    split = made.split("train", train=True)
    (images,), masks = split.__getitems__([(1, 0), (1, 5), (2, 0)])
    assert images.shape == (3, 3, 24, 24)
    (alone,), mask = split[(1, 5)]
    assert torch.equal(alone[0], images[1])
    assert torch.equal(mask[0], masks[1])
    assert not torch.equal(images[0], images[2])
    loader = make_loader(split, made.loading, train=True, epoch=1)
    order = [index for batch in loader.batch_sampler for _, index in batch]
    loaded = torch.cat([batch[0][0] for batch in loader])
    assert torch.equal(loaded[order.index(0)], images[0])


AS_BYTES: dict[str, Any] = {"scales": (1.0, 1.0), "mean": (0.0,) * 3, "std": (1.0,) * 3}


def _shown(labels: np.ndarray) -> Image.Image:
    """An image whose three channels are its mask."""
    return Image.fromarray(np.repeat(labels[..., None], 3, 2))


def test_an_image_and_its_mask_are_cut_alike() -> None:
    labels = np.random.default_rng(0).integers(0, 21, (30, 40), dtype=np.uint8)
    seen = set()
    for seed in range(8):
        torch.manual_seed(seed)
        picture, mask = scale_crop_flip(size=24, **AS_BYTES)(_shown(labels), labels)
        assert torch.allclose(picture * 255, mask.float().expand(3, -1, -1), atol=1e-3)
        seen.add(mask.numpy().tobytes())
    assert len(seen) == 8


def test_half_of_the_images_are_mirrored() -> None:
    labels = np.repeat(np.arange(20, dtype=np.uint8)[None], 20, 0)
    mirrored = 0
    for seed in range(40):
        torch.manual_seed(seed)
        _, mask = scale_crop_flip(size=20, **AS_BYTES)(_shown(labels), labels)
        assert np.array_equal(np.sort(mask), labels)
        mirrored += not np.array_equal(mask, labels)
    assert 10 < mirrored < 30


def test_scaling_makes_objects_larger_and_smaller(whole: Path) -> None:
    picture, labels = read_pair(*voc_splits(root=str(whole))["train"].paths(0), 21)
    for factor in (0.5, 2.0):
        _, mask = scale_crop_flip(size=120, scales=(factor, factor))(picture, labels)
        shown = int((mask == 1).sum())  # the crop holds all of the image
        assert shown == pytest.approx(int((labels == 1).sum()) * factor**2, rel=0.1)
        assert int((mask != 255).sum()) <= labels.size * factor**2


def test_images_that_do_not_fit_the_test_size_are_refused(whole: Path) -> None:
    pair = read_pair(*voc_splits(root=str(whole))["train"].paths(0), 21)
    with pytest.raises(UserError, match=r"40x32 is larger than dataset.test.size=36"):
        fill_up(size=36)(*pair)
    with pytest.raises(UserError, match="scales"):
        scale_crop_flip(scales=(2.0, 1.0))


def _wrong_label(root: Path) -> Path:
    mask = mask_of(1, (41, 32))
    mask[0, 0] = 21
    write_png_mask(root / PNG, mask)
    return root / PNG


def _rgb(root: Path) -> Path:
    Image.new("RGB", (41, 32)).save(root / PNG)
    return root / PNG


def _not_png(root: Path) -> Path:
    (root / PNG).write_bytes(b"no picture")
    return root / PNG


def _other_size(root: Path) -> Path:
    write_png_mask(root / PNG, mask_of(1, (40, 32)))
    return root / PNG


def _gone(root: Path) -> Path:
    (root / PNG).unlink()
    return root / PNG


def _other_struct(root: Path) -> Path:
    savemat(root / MAT, {"GTinst": {"Segmentation": mask_of(5, (45, 32))}})
    return root / MAT


def _floats(root: Path) -> Path:
    write_mat_mask(root / MAT, mask_of(5, (45, 32)).astype(float))
    return root / MAT


def _wrong_label_mat(root: Path) -> Path:
    write_mat_mask(root / MAT, np.full((32, 45), 77, dtype=np.uint8))
    return root / MAT


def _empty_mat(root: Path) -> Path:
    (root / MAT).write_bytes(b"")
    return root / MAT


def _half_jpeg(root: Path) -> Path:
    return truncate(root / VOC / f"JPEGImages/{name_of(1)}.jpg")


BREAKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "unknown label": (_wrong_label, "has label 21; valid: 0 to 20, and 255 for void"),
    "colours": (_rgb, "is of mode RGB: labels need an indexed PNG"),
    "half": (lambda root: truncate(root / PNG), "cannot read mask"),
    "no png": (_not_png, "cannot read mask"),
    "size": (_other_size, "is 40x32, but its image"),
    "gone": (_gone, "no file"),
    "struct": (_other_struct, "cannot read mask"),
    "floats": (_floats, "is float64 of 2 axes, not uint8 of 2"),
    "label in mat": (_wrong_label_mat, "has label 77"),
    "half mat": (lambda root: truncate(root / MAT), "cannot read mask"),
    "empty mat": (_empty_mat, "cannot read mask"),
    "half image": (_half_jpeg, "cannot read image"),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_file_is_named_in_one_line(kind: str, root: Path) -> None:
    breaks, said = BREAKS[kind]
    path = breaks(root)
    with pytest.raises(BadFileError) as caught:
        module(root).split("train").__getitems__([(0, i) for i in range(6)])
    text = str(caught.value)
    assert str(path) in text
    assert said in text
    assert "\n" not in text


@pytest.fixture
def small_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    lists = {(VOC, "train"): 3, (VOC, "val"): 2, (SBD, "train"): 3, (SBD, "val"): 2}
    monkeypatch.setattr(files, "LISTS", lists)
    monkeypatch.setattr(files, "COUNTS", {"train": 6, "val": 2})


@pytest.mark.usefixtures("small_counts")
def test_verify_counts_what_is_whole(root: Path) -> None:
    for decode in (False, True):
        checked = files.verify("pascal_voc2012_seg", root, decode=decode)
        assert checked.problems == []
        assert checked.counts["train images"] == 6
        assert checked.counts["val images"] == 2
        assert checked.counts["VOCdevkit train list"] == 3


@pytest.mark.usefixtures("small_counts")
def test_verify_lists_everything_that_is_broken(root: Path) -> None:
    broken = {_wrong_label(root), _half_jpeg(root), _other_struct(root)}
    _gone_too = root / VOC / f"JPEGImages/{name_of(4)}.jpg"
    _gone_too.unlink()
    unlike = root / VOC / f"SegmentationClass/{name_of(2)}.png"
    write_png_mask(unlike, mask_of(2, (41, 32)))
    broken |= {_gone_too, unlike}
    problems = files.verify("x", root, decode=True).problems
    assert len(problems) == 5
    for path in broken:
        assert sum(str(path) in problem for problem in problems) == 1
    quick = files.verify("x", root, decode=False).problems
    assert quick == [f"no file {_gone_too}"]


def test_verify_says_which_counts_are_not_the_published_ones(root: Path) -> None:
    problems = files.verify("x", root, decode=False).problems
    assert "train images: 6, not 10,582" in problems
    assert "benchmark_RELEASE train list: 3, not 8,498" in problems


@pytest.mark.parametrize("content", [None, "", "\x00\xff", "../../etc/passwd\n"])
def test_a_list_that_is_no_list_is_named(content: str | None, root: Path) -> None:
    path = root / SBD / "train.txt"
    path.unlink() if content is None else path.write_bytes(content.encode("latin-1"))
    with pytest.raises(BadFileError, match=r"benchmark_RELEASE/dataset/train\.txt"):
        voc_splits(root=str(root))
    assert any(str(path) in p for p in files.verify("x", root, decode=True).problems)


def test_prepare_unpacks_both_archives_and_says_what_it_cannot_get(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    known = {}
    for inner in ("VOCdevkit", "benchmark_RELEASE"):
        made = shutil.make_archive(str(tmp_path / inner), "gztar", whole, inner)
        digest = hashlib.md5(Path(made).read_bytes()).hexdigest()
        known[inner] = (Path(made).as_uri(), f"{inner}.tgz", digest)
    monkeypatch.setattr(files, "archives", lambda: known)
    home, said = tmp_path / "home", []
    assert files.prepare("x", home, said.append) == []
    assert said == [f"{home / inner} made" for inner in known]
    assert len(voc_splits(root=str(home))["train"]) == 6
    assert sorted(p.name for p in home.iterdir()) == sorted(known)
    assert files.prepare("x", home, said.append) == []
    assert len(said) == 2, "nothing is made twice"
    shutil.rmtree(home / "VOCdevkit")
    known["VOCdevkit"] = ((tmp_path / "nowhere").as_uri(), "VOCdevkit.tgz", "0")
    (left,) = files.prepare("x", home, said.append)
    assert "its folder VOCdevkit, unpacked, belongs in" in left


def test_the_archives_are_torchvisions() -> None:
    found = files.archives()
    assert found["VOCdevkit"][1:] == (
        "VOCtrainval_11-May-2012.tar",
        "6cd6e144f989b92b3379bac3b3de84fd",
    )
    assert found["benchmark_RELEASE"][1:] == ("benchmark.tgz", "82b4d87ceb2ed10f6038a1cba92111cb")


def test_a_broken_mask_ends_a_loader_process_with_its_name(root: Path) -> None:
    path = _wrong_label(root)
    write_jpeg(root / "unused.jpg", 0)
    made = module(root)
    made.loading = Loading(batch_size=4, workers=1)
    with pytest.raises(BadFileError, match="has label 21") as caught:
        list(made.loader("train"))
    assert str(path) in str(caught.value)
