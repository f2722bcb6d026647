"""Downloads that are whole or not there, archives as published, and all that is broken."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from real_formats import (
    truncate,
    write_brown,
    write_cifar,
    write_devkit,
    write_fashion_mnist,
    write_idx,
    write_imagenet,
    write_jpeg,
)
from torchvision.datasets import CIFAR10, FashionMNIST, PhotoTour
from torchvision.datasets import imagenet as tv_imagenet

from thesisbench.data.brown_patches import MATCHES, kept_file
from thesisbench.data.fashion_mnist import RAW
from thesisbench.data.files import brown, cifar, fashion, imagenet
from thesisbench.data.files.fetch import FetchError, download, unpack
from thesisbench.data.files.sources import BY_HAND, MODULES, source_of
from thesisbench.data.imagenet200_classes import CLASSES
from thesisbench.data.imagenet_layout import index_file, listed
from thesisbench.errors import UserError

INNER = "cifar-10-batches-py"


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def quiet(text: str) -> None:
    assert "\n" not in text


def tree(folder: Path) -> set[str]:
    """All files and folders below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture
def server(tmp_path: Path) -> Path:
    (tmp_path / "server").mkdir()
    return tmp_path / "server"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "set"


@pytest.mark.parametrize("name", MODULES)
def test_every_source_can_prepare_and_verify(name: str) -> None:
    assert callable(source_of(name).prepare)
    assert callable(source_of(name).verify)
    assert set(BY_HAND) <= set(MODULES)


def test_the_first_address_that_works_is_taken(server: Path, home: Path) -> None:
    (server / "a").write_text("content")
    urls = [f"{server.as_uri()}/gone", f"{server.as_uri()}/a"]
    checksum = f"md5:{md5(server / 'a')}"
    download(urls, home / "a", checksum)
    assert (home / "a").read_text() == "content"
    (server / "a").unlink()
    download(urls, home / "a", checksum)
    assert tree(home) == {"a"}, "what is there is not fetched again"


@pytest.mark.parametrize(
    ("url", "checksum", "said"),
    [
        ("/gone", None, "cannot download a .*gone.*; try again, or put it at .*home/set/a"),
        ("/a", "md5:0123", "does not have the checksum md5:0123"),
        ("/a", "sha256:0123", "does not have the checksum sha256:0123"),
    ],
)
def test_a_download_that_fails_leaves_nothing(
    url: str, checksum: str | None, said: str, server: Path, home: Path
) -> None:
    (server / "a").write_text("content")
    with pytest.raises(FetchError, match=said) as caught:
        download([server.as_uri() + url], home / "a", checksum)
    assert "\n" not in str(caught.value)
    assert not home.parent.exists()


def test_a_file_of_another_checksum_is_not_taken_for_the_download(home: Path) -> None:
    home.mkdir(parents=True)
    (home / "a").write_text("half")
    with pytest.raises(FetchError, match=r"a is broken: its checksum is not md5:0123; delete it"):
        download(["file:///nowhere"], home / "a", "md5:0123")


def test_a_broken_archive_leaves_nothing(server: Path, home: Path) -> None:
    shutil.make_archive(str(server / "b"), "gztar", write_cifar(server / "files"))
    truncate(server / "b.tar.gz")
    with pytest.raises(FetchError, match=r"cannot unpack .*b.tar.gz: .*; fetch it anew"):
        unpack(server / "b.tar.gz", home / "b")
    (server / "b.zip").write_bytes(b"no zip")
    with pytest.raises(FetchError, match=r"cannot unpack .*b.zip"):
        unpack(server / "b.zip", home / "b")
    with zipfile.ZipFile(server / "b.zip", "w") as zipped:
        zipped.writestr("x/y", "z")
    with pytest.raises(FetchError, match=r"b.zip has no folder wanted"):
        unpack(server / "b.zip", home / "b", inside="wanted")
    assert tree(home) == set()


def test_an_archive_cannot_write_elsewhere(server: Path, home: Path) -> None:
    (server / "x").write_text("harm")
    with tarfile.open(server / "b.tar", "w") as tar:
        tar.add(server / "x", "../../escaped")
    with pytest.raises(FetchError, match="cannot unpack"):
        unpack(server / "b.tar", home / "b")
    assert "escaped" not in {p.name for p in home.parent.parent.rglob("*")}


@pytest.fixture
def small_cifar(server: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CIFAR-10 of 20 images a file, which the published checksums now fit."""
    files = write_cifar(server / "files")
    archive = Path(shutil.make_archive(str(server / "cifar"), "gztar", files))
    monkeypatch.setattr(CIFAR10, "url", archive.as_uri())
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(archive))
    for names in ("train_list", "test_list"):
        known = [[name, md5(files / INNER / name)] for name, _ in getattr(CIFAR10, names)]
        monkeypatch.setattr(CIFAR10, names, known)
    monkeypatch.setattr(cifar, "TRAIN", 100)
    monkeypatch.setattr(cifar, "TEST", 20)
    return files


@pytest.mark.usefixtures("small_cifar")
def test_cifar_is_downloaded_unpacked_and_whole(home: Path) -> None:
    said: list[str] = []
    assert cifar.prepare("cifar10", home, said.append) == []
    assert tree(home) == {INNER, *(f"{INNER}/data_batch_{i}" for i in range(1, 6)),
                          f"{INNER}/test_batch"}  # fmt: skip
    checked = cifar.verify("cifar10", home, decode=True)
    assert checked.problems == []
    assert checked.counts == {
        "train images": 100,
        "train classes": 10,
        "test images": 20,
        "test classes": 10,
    }
    assert cifar.prepare("cifar10", home, said.append) == []
    assert said == [f"{home / INNER} made", f"{home / INNER} is there"]


def test_every_broken_file_of_cifar_is_listed(small_cifar: Path) -> None:
    truncate(small_cifar / INNER / "data_batch_2")
    (small_cifar / INNER / "data_batch_4").unlink()
    whole = (small_cifar / INNER / "data_batch_1").read_bytes()
    (small_cifar / INNER / "test_batch").write_bytes(whole)
    problems = cifar.verify("cifar10", small_cifar, decode=True).problems
    for line, words in zip(
        problems,
        ["data_batch_2: other checksum", "cannot read", "no file", "train images: 60, not 100",
         "test_batch: other checksum"],
        strict=True,
    ):  # fmt: skip
        quiet(line)
        assert words in line
    assert "data_batch_2" in problems[1]
    assert "data_batch_4" in problems[2]


def test_every_broken_file_of_fashion_mnist_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion, "TRAIN", 30)
    monkeypatch.setattr(fashion, "TEST", 20)
    raw = write_fashion_mnist(tmp_path) / RAW
    assert fashion.verify("fashion_mnist", tmp_path, decode=True).problems == []
    (raw / "train-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    problems = fashion.verify("fashion_mnist", tmp_path, decode=True).problems
    assert ["train-labels-idx1-ubyte.gz: other checksum" in problems[0], len(problems)] == [True, 2]
    (raw / "train-images-idx3-ubyte").unlink()
    (raw / "t10k-images-idx3-ubyte").unlink()
    problems = fashion.verify("fashion_mnist", tmp_path, decode=True).problems
    assert sum("no file" in line for line in problems) == 2


def test_fashion_mnist_of_other_classes_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion, "TRAIN", 30)
    monkeypatch.setattr(fashion, "TEST", 20)
    raw = write_fashion_mnist(tmp_path) / RAW
    import numpy as np

    write_idx(raw / "t10k-labels-idx1-ubyte", np.arange(20) % 9)
    problems = fashion.verify("fashion_mnist", tmp_path, decode=True).problems
    assert problems == ["test classes: 9, not 10"]


def test_fashion_mnist_is_downloaded(
    server: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gzip

    raw = write_fashion_mnist(server) / RAW
    known = []
    for file, _ in FashionMNIST.resources:
        (raw / file).write_bytes(gzip.compress((raw / file).with_suffix("").read_bytes()))
        known.append((file, md5(raw / file)))
    monkeypatch.setattr(FashionMNIST, "resources", known)
    monkeypatch.setattr(FashionMNIST, "mirrors", [raw.as_uri() + "/"])
    assert fashion.prepare("fashion_mnist", home, quiet) == []
    checked = fashion.verify("fashion_mnist", home, decode=True)
    assert checked.problems == ["train images: 30, not 60,000", "test images: 20, not 10,000"]


@pytest.fixture
def small_brown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PhotoTour, "lens", dict.fromkeys(PhotoTour.lens, 8))
    monkeypatch.setattr(brown, "PAIRS", 4)


@pytest.mark.usefixtures("small_brown")
def test_brown_patches_are_downloaded_unpacked_and_kept_at_half_their_size(
    server: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, known = write_brown(server / "files"), {}
    for scene in ("liberty", "notredame", "yosemite"):
        archive = Path(shutil.make_archive(str(server / scene), "zip", files / scene))
        known[scene] = [archive.as_uri(), archive.name, md5(archive)]
    known["yosemite"][2] = "0123"
    monkeypatch.setattr(PhotoTour, "urls", known)
    monkeypatch.setattr(brown, "SITE", server.as_uri())
    left = brown.prepare("brown_patches", home, quiet)
    assert len(left) == 1
    assert "yosemite.zip" in left[0]
    assert f"belongs in {home / 'yosemite'}" in left[0]
    known["yosemite"][2] = md5(server / "yosemite.zip")
    assert brown.prepare("brown_patches", home, quiet) == []
    assert {p.name for p in home.iterdir()} == {
        *("liberty", "notredame", "yosemite"),
        *("liberty_32.npy", "notredame_32.npy", "yosemite_32.npy"),
    }
    checked = brown.verify("brown_patches", home, decode=True)
    assert checked.problems == []
    assert checked.counts["liberty patches"] == 8
    assert checked.counts["yosemite test pairs"] == 4


@pytest.mark.usefixtures("small_brown")
def test_every_broken_file_of_brown_patches_is_listed(tmp_path: Path) -> None:
    root = write_brown(tmp_path)
    truncate(root / "liberty" / "patches0000.bmp")
    (root / "liberty" / MATCHES).unlink()
    shutil.rmtree(root / "notredame")
    (root / "yosemite" / "patches0001.bmp").unlink()
    problems = brown.verify("brown_patches", root, decode=True).problems
    expected = [
        f"no file .*liberty/{MATCHES}",
        "cannot read image .*liberty/patches0000.bmp",
        "liberty: the mosaics hold 6 patches, not 8",
        "no folder .*notredame",
        "yosemite: the mosaics hold 6 patches, not 8",
    ]
    import re

    assert len(problems) == len(expected)
    for line, pattern in zip(problems, expected, strict=True):
        assert re.search(pattern, line), line
    assert len(brown.verify("brown_patches", root, decode=False).problems) == 2
    assert not kept_file(root / "liberty").exists()


WNIDS = ("n01", "n02", "n03")


@pytest.fixture
def small_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "N_CLASSES", 3)
    monkeypatch.setattr(imagenet, "COUNTS", {"train": 12, "val": 6})
    monkeypatch.setattr(imagenet, "VAL_PER_CLASS", 2)


def _archives(server: Path, home: Path) -> dict[str, tuple[str, str]]:
    """The three archives as published: one of archives, one of images, the development kit."""
    files = write_imagenet(server / "files", WNIDS, val=0)
    (server / "inner").mkdir()
    for wnid in WNIDS:
        shutil.make_archive(str(server / "inner" / wnid), "tar", files / "train" / wnid)
    for i in range(6):
        write_jpeg(server / "images" / f"ILSVRC2012_val_{i + 1:08}.JPEG", i)
    write_devkit(server / "kit", WNIDS, truth=[3, 1, 2, 2, 1, 3])
    home.mkdir(parents=True)
    made = {
        "train": shutil.make_archive(str(home / "t"), "tar", server / "inner"),
        "val": shutil.make_archive(str(home / "v"), "tar", server / "images"),
        "devkit": shutil.make_archive(str(home / "k"), "gztar", server / "kit"),
    }
    return {part: (Path(path).name, md5(Path(path))) for part, path in made.items()}


@pytest.mark.usefixtures("small_imagenet")
def test_imagenet_is_unpacked_from_its_archives(
    server: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tv_imagenet, "ARCHIVE_META", _archives(server, home))
    assert imagenet.prepare("imagenet", home, quiet) == []
    assert sorted(p.name for p in (home / "train").iterdir()) == list(WNIDS)
    assert not [p for p in home.iterdir() if "partial" in p.name]
    checked = imagenet.verify("imagenet", home, decode=True)
    assert checked.problems == []
    assert checked.counts == {
        "train classes": 3,
        "train images": 12,
        "val classes": 3,
        "val images": 6,
    }
    assert len(listed(home, "train")) == 12
    assert index_file(home, "val").exists()


@pytest.mark.usefixtures("small_imagenet")
def test_a_broken_archive_of_imagenet_is_named_and_nothing_made_of_it(
    server: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = _archives(server, home)
    monkeypatch.setattr(tv_imagenet, "ARCHIVE_META", known)
    truncate(home / known["train"][0])
    with pytest.raises(UserError, match=r"t\.tar is broken"):
        imagenet.prepare("imagenet", home, quiet)
    known["train"] = ("t.tar", md5(home / "t.tar"))  # a broken archive of the right checksum
    with pytest.raises(FetchError, match="cannot unpack"):
        imagenet.prepare("imagenet", home, quiet)
    assert not (home / "train").exists()


def test_what_is_to_be_fetched_by_hand_is_said(home: Path) -> None:
    left = imagenet.prepare("imagenet200", home, quiet)
    assert len(left) == 3
    for line, (file, _) in zip(left, tv_imagenet.ARCHIVE_META.values(), strict=False):
        quiet(line)
        assert "image-net.org" in line
        assert str(home) in line
        assert file.startswith("ILSVRC2012_")
    assert not home.exists()


@pytest.mark.usefixtures("small_imagenet")
def test_class_folders_need_no_development_kit(tmp_path: Path) -> None:
    assert imagenet.prepare("imagenet", write_imagenet(tmp_path, WNIDS), quiet) == []


@pytest.mark.usefixtures("small_imagenet")
def test_every_broken_image_is_listed(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, WNIDS)
    imagenet.prepare("imagenet", root, quiet)
    broken = {truncate(root / "train" / "n01" / "n01_2.JPEG")}
    broken |= {truncate(root / "val" / "n03" / "val_2_0.JPEG")}
    (root / "train" / "n02" / "n02_0.JPEG").write_bytes(b"")
    (root / "val" / "n02" / "val_1_1.JPEG").unlink()
    problems = imagenet.verify("imagenet", root, decode=True).problems
    text = "\n".join(problems)
    for path in (*broken, root / "train" / "n02" / "n02_0.JPEG"):
        assert f"{path}: " in text
    assert "val images: 5, not 6" in problems
    assert f"{root / 'val'}: class n02 has 1 images, not 2" in problems
    assert ".val_files.txt lists other files than are there" in text
    assert len(problems) == 6
    quick = imagenet.verify("imagenet", root, decode=False).problems
    assert len(quick) == 3


@pytest.mark.usefixtures("small_imagenet")
def test_a_wrong_class_count_is_said(tmp_path: Path) -> None:
    root = write_imagenet(tmp_path, WNIDS[:2])
    problems = imagenet.verify("imagenet", root, decode=True).problems
    assert "train classes: 2, not 3" in problems
    assert "val classes: 2, not 3" in problems
    shutil.rmtree(root / "val")
    assert "no folder" in imagenet.verify("imagenet", root, decode=True).problems[-1]


def test_imagenet200_is_verified_by_its_own_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "VAL_PER_CLASS", 1)
    root = write_imagenet(tmp_path, ("n00000001", *CLASSES), train=1, val=1)
    truncate(root / "train" / "n00000001" / "n00000001_0.JPEG")
    checked = imagenet.verify("imagenet200", root, decode=True)
    assert checked.problems == []
    assert checked.counts["val images"] == 200
    shutil.rmtree(root / "val" / CLASSES[3])
    lines: Any = imagenet.verify("imagenet200", root, decode=True).problems
    assert lines == ["val classes: 199, not 200", "val images: 199, not 200"]
