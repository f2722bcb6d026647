"""ImageNet-C in its published folders, in miniature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from real_formats import truncate, write_jpeg

from thesisbench.compose import Composer
from thesisbench.data.imagenet_c import imagenet_c_splits
from thesisbench.errors import UserError
from thesisbench.instantiate import make

WNIDS = ("n01", "n02", "n03")


def write_imagenet_c(
    folder: Path, names: tuple[str, ...] = ("fog", "snow"), per_class: int = 2
) -> Path:
    """Class folders of JPEG files for each corruption and severity."""
    for name in names:
        for severity in range(1, 6):
            for label, wnid in enumerate(WNIDS):
                for i in range(per_class):
                    place = folder / name / str(severity) / wnid / f"ILSVRC2012_val_{label}{i}.JPEG"
                    write_jpeg(place, 10 * label + i, size=(224, 224))
    return folder


def splits(root: Path, **more: Any) -> Any:
    return imagenet_c_splits(
        **{"root": str(root), "n_classes": 3, "corruptions": ["fog", "snow"], **more}
    )


def test_a_split_is_a_corruption_at_a_severity(tmp_path: Path) -> None:
    found = splits(write_imagenet_c(tmp_path))
    assert list(found) == [
        f"{name}_{severity}" for name in ("fog", "snow") for severity in range(1, 6)
    ]
    assert found["snow_4"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found["snow_4"].path(2) == tmp_path / "snow" / "4" / "n02" / "ILSVRC2012_val_10.JPEG"
    assert list(splits(tmp_path, severities=[5], corruptions=["fog"])) == ["fog_5"]


def test_the_option_loads_images_of_224(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_imagenet_c(tmp_path / "imagenet_c", ("fog",))
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    words = ("dataset.splits.corruptions=[fog]", "dataset.splits.n_classes=3")
    recipe = "experiment=zhao/lift_pool/corruption_test"
    module = make(Composer().compose([recipe, *words]).config["dataset"])
    (images,), labels = module.split("fog_2").__getitems__([(0, 5), (0, 0)])
    assert images.shape == (2, 3, 224, 224)
    assert labels.tolist() == [2, 0]
    assert module.fingerprint()["splits"]["fog_2"]["count"] == 6


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    root = write_imagenet_c(tmp_path, ("fog",))
    with pytest.raises(UserError, match=r"no folder .*snow/1: run `thesisbench data prepare"):
        splits(root)
    with pytest.raises(UserError, match="fog/1 has 3 classes, not 1000"):
        splits(root, corruptions=["fog"], n_classes=1000)
    with pytest.raises(UserError, match="unknown corruption 'mist'"):
        splits(root, corruptions=["mist"])
    flat = tmp_path / "flat" / "fog" / "1"
    write_jpeg(flat / "a.JPEG", 0)
    with pytest.raises(UserError, match="has files but no class folders"):
        splits(tmp_path / "flat", corruptions=["fog"], severities=[1])
    (tmp_path / "none" / "fog" / "1").mkdir(parents=True)
    with pytest.raises(UserError, match="no images in"):
        splits(tmp_path / "none", corruptions=["fog"], severities=[1])


def test_a_broken_image_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_imagenet_c(tmp_path / "imagenet_c", ("fog",))
    bad = truncate(root / "fog" / "2" / "n02" / "ILSVRC2012_val_11.JPEG")
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    words = ("dataset.splits.corruptions=[fog]", "dataset.splits.n_classes=3")
    recipe = "experiment=zhao/lift_pool/corruption_test"
    module = make(Composer().compose([recipe, *words]).config["dataset"])
    with pytest.raises(UserError, match=f"cannot read image .*{bad.name}"):
        module.split("fog_2").__getitems__([(0, 3)])
