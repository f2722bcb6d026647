"""Streaming images: the same samples whoever loads them, and clear errors of broken files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from real_formats import truncate, write_imagenet
from torchvision.transforms import v2

from thesisbench.data.arrays import Loading, make_loader
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.image_files import ImageFiles, ImageList, read_image
from thesisbench.data.image_module import ImageFilesModule
from thesisbench.data.image_transforms import MEAN, STD, centre_crop, random_crop
from thesisbench.data.imagenet import imagenet_splits
from thesisbench.data.shares import Share
from thesisbench.errors import UserError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_imagenet(tmp_path_factory.mktemp("imagenet"))


@pytest.fixture
def module(root: Path) -> ImageFilesModule:
    made = ImageFilesModule(
        "imagenet",
        lambda: imagenet_splits(n_classes=3, root=str(root)),
        train=random_crop(size=16),
        test=centre_crop(resize=20, size=16),
    )
    made.loading = Loading(batch_size=5, seed=3)
    return made


def epoch_of(module: ImageFilesModule, epoch: int, **loading: Any) -> list[Any]:
    found = replace(module.loading, **loading)
    return list(make_loader(module.split("train", train=True), found, train=True, epoch=epoch))


def test_test_images_are_resized_cut_and_normalised(module: ImageFilesModule) -> None:
    (images,), labels = module.split("val")[(0, 3)]
    assert labels.tolist() == [1]
    path = module.arrays["val"].path(3)  # type: ignore[attr-defined]
    with Image.open(path) as image:  # 40x32: the shorter side becomes 20, the longer 25
        resized = image.resize((25, 20), Image.Resampling.BILINEAR, reducing_gap=None)
    pixels = torch.from_numpy(np.array(resized)[2:18, 4:20].copy()).permute(2, 0, 1) / 255
    expected = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    assert torch.allclose(images[0], expected, atol=1e-5)


def test_training_images_are_torchvisions_drawn_for_each_sample(module: ImageFilesModule) -> None:
    from thesisbench.data.arrays import mix

    (images,), _ = module.split("train", train=True).__getitems__([(2, 7), (2, 1)])
    torch.manual_seed(mix(3, 2, 1))
    usual = v2.Compose([v2.RandomResizedCrop(16), v2.RandomHorizontalFlip(), v2.ToImage()])
    image = read_image(module.arrays["train"].path(1))  # type: ignore[attr-defined]
    number = v2.functional.to_dtype(usual(image), torch.float32, scale=True)
    assert torch.allclose(images[1], v2.functional.normalize(number, list(MEAN), list(STD)))


def test_augmentation_depends_on_seed_epoch_and_index_alone(module: ImageFilesModule) -> None:
    dataset = module.split("train", train=True)
    torch.manual_seed(0)
    (one,), _ = dataset.__getitems__([(1, 4), (1, 5)])
    state = torch.get_rng_state()
    torch.manual_seed(99)
    (other,), _ = dataset.__getitems__([(1, 5), (2, 4), (1, 4)])
    assert torch.equal(one[0], other[2])
    assert torch.equal(one[1], other[0])
    assert not torch.equal(one[0], other[1])
    (elsewhere,), _ = ImageFiles(dataset.images, dataset.transform, seed=4)[(1, 4)]
    assert not torch.equal(one[0], elsewhere[0])
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state()), "the global generator is left alone"


def test_two_loader_processes_load_the_same_as_none(module: ImageFilesModule) -> None:
    for epoch in (0, 1):
        alone, two = (epoch_of(module, epoch, workers=w) for w in (0, 2))
        assert [len(labels) for _, labels in alone] == [5, 5, 2]
        for ((a,), x), ((b,), y) in zip(alone, two, strict=True):
            assert torch.equal(a, b)
            assert torch.equal(x, y)


def test_two_processes_share_the_batches_of_one(module: ImageFilesModule) -> None:
    whole = epoch_of(module, 4)
    parts = [epoch_of(module, 4, share=Share(rank, 2)) for rank in (0, 1)]
    for ((images,), labels), ((a,), x), ((b,), y) in zip(whole, *parts, strict=True):
        assert torch.equal(images, torch.cat([a, b]))
        assert torch.equal(labels, torch.cat([x, y]))


def test_an_interrupted_fit_goes_on_with_the_same_samples(module: ImageFilesModule) -> None:
    loader = make_loader(module.split("train", train=True), module.loading, train=True)
    found = []
    for epoch in (0, 1):
        loader.batch_sampler.sampler.set_epoch(epoch)
        found.append(list(loader))
    for ((a,), _), ((b,), _) in zip(found[1], epoch_of(module, 1), strict=True):
        assert torch.equal(a, b)


def test_the_contract_of_data_modules(module: ImageFilesModule) -> None:
    progress = SimpleNamespace(current=SimpleNamespace(processed=2))
    module.trainer = SimpleNamespace(fit_loop=SimpleNamespace(epoch_progress=progress))  # type: ignore[assignment]
    for ((a,), _), ((b,), _) in zip(module.train_dataloader(), epoch_of(module, 2), strict=True):
        assert torch.equal(a, b)
    assert [len(labels) for _, labels in module.val_dataloader()] == [5, 1]
    assert torch.cat([labels for _, labels in module.loader("val")]).tolist() == [0, 0, 1, 1, 2, 2]
    with pytest.raises(UserError, match="unknown split of imagenet 'test'; valid: train, val"):
        module.split("test")


def test_the_fingerprint_tells_lists_apart(module: ImageFilesModule, root: Path) -> None:
    found = module.fingerprint()
    assert found["name"] == "imagenet"
    assert {n: s["count"] for n, s in found["splits"].items()} == {"train": 12, "val": 6}
    images: ImageList = module.arrays["train"]  # type: ignore[assignment]
    same = ImageList(Path("elsewhere"), images.names.copy(), images.labels.clone())
    assert same.checksum() == images.checksum() == found["splits"]["train"]["sha256"]
    other = ImageList(root, images.names, images.labels.flip(0))
    assert other.checksum() != images.checksum()
    assert images.take(np.arange(11)).checksum() != images.checksum()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_image_is_named_wherever_it_is_loaded(workers: int, tmp_path: Path) -> None:
    images = imagenet_splits(n_classes=3, root=str(write_imagenet(tmp_path)))["val"]
    broken = truncate(images.path(4))
    loader = make_loader(
        ImageFiles(images, centre_crop(resize=20, size=16)),
        Loading(batch_size=2, workers=workers),
        train=False,
    )
    with pytest.raises(UserError) as caught:
        list(loader)
    text = str(caught.value)
    assert text.startswith(f"cannot read image {broken}: ")
    assert "truncated" in text
    assert "\n" not in text


@pytest.mark.parametrize("content", [None, b"", b"no image at all"])
def test_what_is_no_image_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.JPEG"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadFileError, match=str(path)) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_grey_and_other_images_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "CMYK", "RGB"):
        Image.new(mode, (6, 5)).save(tmp_path / f"{mode}.JPEG")
        assert read_image(tmp_path / f"{mode}.JPEG").mode == "RGB"
