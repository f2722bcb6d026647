"""Border location: what tells the classes apart, in pixels; photographs read from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F  # noqa: N812  (its usual name)

from thesisbench.compose import Composer
from thesisbench.data.arrays import Loading
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.methods.kayhan.full_conv import border_location as location
from thesisbench.methods.kayhan.full_conv.location_images import MEAN, STD

SIZES = {"n_train": 6, "n_val": 4, "n_test": 8}


def textures(border: int, **arguments: int) -> location.BorderLocationModule:
    def splits() -> dict[str, location.Split]:
        return location.texture_location_splits(**{"data_seed": 3, **SIZES, **arguments})

    return location.BorderLocationModule("textures", splits, border=border)


@pytest.mark.parametrize("border", [0, 1, 64])
def test_each_patch_is_in_both_corners_and_nothing_else_is_there(border: int) -> None:
    data = textures(border)
    (images,), labels = data.split("test").__getitems__([(0, i) for i in range(8)])
    side, far = 28 + 2 * border, border + 14
    assert images.shape == (8, 3, side, side)
    assert labels.tolist() == [0, 1] * 4
    first = images[::2, :, border:far, border:far]
    second = images[1::2, :, far : far + 14, far : far + 14]
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (images != 0).sum() == (first != 0).sum() * 2
    assert first.std() > 0.5


def test_a_wider_border_only_adds_black() -> None:
    narrow, wide = textures(2).split("train"), textures(5).split("train")
    (a,), _ = narrow[(0, 3)]
    (b,), _ = wide[(7, 3)]
    torch.testing.assert_close(F.pad(a, [3] * 4), b, rtol=0, atol=0)


def test_training_batches_have_the_border_too() -> None:
    data = textures(4)
    data.loading = Loading(batch_size=6, shuffle=False)
    (inputs, _), *_ = data.share("train")
    assert inputs[0].shape == (6, 3, 36, 36)
    (images,), _ = data.split("train", train=True)[(0, 0)]
    assert images.shape == (1, 3, 36, 36)


def test_the_released_canvas_has_places_a_multiple_of_the_stride_apart() -> None:
    data = textures(0, canvas=30)
    (images,), _ = data.split("test").__getitems__([(0, 0), (0, 1)])
    torch.testing.assert_close(images[0].roll((16, 16), (1, 2)), images[1], rtol=0, atol=0)


def test_no_texture_is_in_two_splits_and_the_seed_decides() -> None:
    arrays, other = textures(0).arrays, textures(0, data_seed=4).arrays
    patches = torch.cat([arrays[n][0][::2, :, :14, :14] for n in ("train", "val", "test")])
    assert len(patches.flatten(1).unique(dim=0)) == 9
    assert not torch.equal(arrays["train"][0], other["train"][0])
    assert torch.equal(arrays["train"][0], textures(0).arrays["train"][0])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"n_val": 3}, "n_val=3 must be even"), ({"canvas": 13}, "does not fit canvas 13")],
)
def test_sizes_that_do_not_work_are_named(arguments: dict[str, int], text: str) -> None:
    with pytest.raises(UserError, match=text):
        _ = textures(0, **arguments).arrays


def test_a_negative_border_is_refused() -> None:
    with pytest.raises(UserError, match=r"dataset\.border=-1"):
        textures(-1)


def write_images(folder: Path, count: int) -> None:
    """Photographs whose grey level is their number, in two class folders."""
    for i in range(count):
        path = folder / f"n{i % 2:08}" / f"ILSVRC2012_val_{i:08}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((60 + i, 90, 3), 5 * i, dtype=np.uint8)
        Image.fromarray(pixels).save(path, quality=95)


def levels(patches: torch.Tensor) -> list[int]:
    """Number of each photograph, read off its grey level."""
    value = patches[:, 1].mean((1, 2)) * STD[1] + MEAN[1]
    return [round(v * 255 / 5) for v in value.tolist()]


def images(folder: Path, **arguments: object) -> dict[str, location.Split]:
    return location.image_location_splits(
        data_seed=1,
        **SIZES,
        root=str(folder),
        **arguments,  # type: ignore[arg-type]
    )


def test_photographs_are_small_normalised_and_in_one_split_each(tmp_path: Path) -> None:
    write_images(tmp_path, 12)
    splits = images(tmp_path)
    assert splits["train"][0].shape == (6, 3, 112, 112)
    drawn = {n: levels(x[::2, :, :56, :56]) for n, (x, _) in splits.items()}
    assert {n: len(v) for n, v in drawn.items()} == {"train": 3, "val": 2, "test": 4}
    assert len({i for numbers in drawn.values() for i in numbers}) == 9
    assert splits["val"][0][0, :, 56:].abs().max() == 0
    assert type(splits["val"][0]) is torch.Tensor


def test_the_choice_does_not_depend_on_folders(tmp_path: Path) -> None:
    write_images(tmp_path / "classes", 12)
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (tmp_path / "classes").rglob("*.JPEG"):
        (flat / path.name).write_bytes(path.read_bytes())
    a, b = images(tmp_path / "classes"), images(flat)
    assert all(torch.equal(a[n][0], b[n][0]) for n in a)


def test_the_released_protocol_repeats_photographs_and_needs_fewer(tmp_path: Path) -> None:
    write_images(tmp_path, 4)
    splits = images(tmp_path, protocol="released", canvas=120)
    assert splits["test"][0].shape[-1] == 120
    assert torch.equal(splits["train"][0], splits["test"][0][:6])
    with pytest.raises(UserError, match="has 4 images; the border location set needs 9"):
        images(tmp_path)
    with pytest.raises(UserError, match="unknown protocol 'thesis'; valid: held_out, released"):
        images(tmp_path, protocol="thesis")


def test_a_broken_photograph_is_named(tmp_path: Path) -> None:
    write_images(tmp_path, 12)
    for path in tmp_path.rglob("*.JPEG"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cannot read .*ILSVRC2012_val_\d+\.JPEG"):
        images(tmp_path)


def test_missing_photographs_are_looked_for_below_the_data_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    words = ["kind=fit", "dataset=border_location", "dataset.splits.n_train=6"]
    words += ["dataset.splits.n_val=4", "dataset.splits.n_test=8", "dataset.border=16"]
    node = Composer().compose(words).config["dataset"]
    with pytest.raises(UserError, match=r"no folder .*imagenet/val: put ImageNet's"):
        _ = make(node).arrays
    write_images(tmp_path / "imagenet" / "val", 9)
    data = make(node)
    assert data.split("test")[(0, 0)][0][0].shape == (1, 3, 144, 144)
    assert data.fingerprint()["splits"]["test"]["count"] == 8


def test_the_stand_in_is_named_as_one() -> None:
    node = Composer().compose(["kind=fit", "dataset=border_location_textures"]).config["dataset"]
    assert make(node).fingerprint()["stand_in_for"] == "border_location"
