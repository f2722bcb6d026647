"""ImageNet-P in its published folders, in miniature; its videos are arrays of frames here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thesisbench.compose import Composer
from thesisbench.data import video_files
from thesisbench.data.image_transforms import MEAN, STD
from thesisbench.data.imagenet_p import imagenet_p_splits
from thesisbench.errors import UserError
from thesisbench.instantiate import make

WNIDS = ("n01", "n02", "n03")


def write_videos(folder: Path, name: str, frames: int, *, per_class: int = 2) -> Path:
    """Class folders of files that hold frames; pixels of frame t of the ith one are 40 i + t."""
    for label, wnid in enumerate(WNIDS):
        for i in range(per_class):
            path = folder / name / wnid / f"ILSVRC2012_val_{i}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            shades = 40 * (per_class * label + i) + np.arange(frames)
            grey = np.broadcast_to(shades[:, None, None, None], (frames, 8, 8, 3))
            with path.open("wb") as file:
                np.save(file, grey.astype(np.uint8))
    return folder


@pytest.fixture(autouse=True)
def _arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_files, "read_frames", np.load)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    write_videos(tmp_path / "imagenet_p", "tilt", 31)
    return write_videos(tmp_path / "imagenet_p", "translate", 41)


def test_a_split_is_a_perturbation(root: Path) -> None:
    names = ["tilt", "translate"]
    found = imagenet_p_splits(perturbations=names, n_classes=3, root=str(root))
    assert list(found) == names
    assert found["tilt"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found["tilt"].path(3) == root / "tilt" / "n02" / "ILSVRC2012_val_1.mp4"
    assert (found["tilt"].frames, found["translate"].frames) == (31, 41)
    few = found["translate"].take(np.array([4, 1]))
    assert (few.frames, few.labels.tolist(), len(few)) == (41, [2, 0], 2)


def option(*words: str) -> Any:
    recipe = ["experiment=zhao/lift_pool/perturbation_test", "dataset=imagenet_p"]
    small = ["dataset.splits.n_classes=3", "dataset.test.resize=8", "dataset.test.size=8"]
    return make(Composer().compose([*recipe, *small, *words]).config["dataset"])


def test_the_option_loads_whole_sequences(root: Path) -> None:
    module = option("dataset.splits.perturbations=[tilt,translate]")
    (frames,), labels = module.split("translate").__getitems__([(0, 5), (0, 0)])
    assert frames.shape == (2, 41, 3, 8, 8)
    assert labels.tolist() == [2, 0]
    shades = (200 + torch.arange(41.0)) / 255
    for channel in range(3):
        expected = (shades - MEAN[channel]) / STD[channel]
        assert torch.allclose(frames[0, :, channel, 2, 3], expected, atol=1e-6)
    print_ = module.fingerprint()
    assert print_["splits"]["tilt"]["count"] == 6
    assert print_["decoder"] == "none" or print_["decoder"].startswith("PyAV ")


def test_all_ten_are_read_by_default(root: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*gaussian_noise: run `thesisbench data prep"):
        option().split("tilt")


def test_what_is_missing_is_said(root: Path) -> None:
    def splits(name: str, n_classes: int = 3) -> Any:
        return imagenet_p_splits(perturbations=[name], n_classes=n_classes, root=str(root))

    with pytest.raises(UserError, match="unknown perturbation 'fall'"):
        splits("fall")
    with pytest.raises(UserError, match="tilt has 3 classes, not 1000"):
        splits("tilt", 1000)
    (root / "scale" / "n01").mkdir(parents=True)
    (root / "scale" / "stray.mp4").touch()
    (root / "scale" / "n01" / "readme.txt").touch()
    with pytest.raises(UserError, match=r"no videos in the class folders of .*scale"):
        splits("scale")


def test_a_video_of_another_length_is_named(root: Path) -> None:
    write_videos(root, "tilt", 30)
    module = option("dataset.splits.perturbations=[tilt]")
    with pytest.raises(UserError, match=r"n02/ILSVRC2012_val_0\.mp4 has 30 frames, not 31"):
        module.split("tilt").__getitems__([(0, 2)])
