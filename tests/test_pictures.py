"""Pictures of a run: names, sizes and colours; only the first process writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from thesisbench.pictures import mask_colours, save_picture
from thesisbench.step import StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.ranks import Rank


def context(path: Path, number: int = 0) -> StepContext:
    rank = Rank(number, 2)
    return StepContext(config={}, folder=RunFolder(path), attempt=path / "attempt", rank=rank)


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def test_numbers_and_bytes_become_the_same_file(tmp_path: Path) -> None:
    image = torch.tensor([0.0, 0.5, 2.0]).view(3, 1, 1).expand(3, 5, 7)
    save_picture(context(tmp_path), "numbers", image)
    as_bytes = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1).expand(3, 5, 7)
    save_picture(context(tmp_path), "bytes", as_bytes)
    found = [pixels_of(tmp_path / f"pictures/{name}.png") for name in ("numbers", "bytes")]
    assert found[0].shape == (5, 7, 3)
    assert found[0][4, 6].tolist() == [0, 128, 255]
    assert np.array_equal(found[0], found[1])


def test_large_pictures_are_made_small(tmp_path: Path) -> None:
    save_picture(context(tmp_path), "large", torch.zeros(3, 400, 1280))
    with Image.open(tmp_path / "pictures/large.png") as picture:
        assert picture.size == (640, 200)


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    save_picture(context(tmp_path, 1), "one", torch.zeros(3, 4, 4))
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("name", ["", "../out", "a/b", "A", "a b", "_a", "a.png"])
def test_other_names_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no picture"):
        save_picture(context(tmp_path), name, torch.zeros(3, 4, 4))


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"picture grey has shape \(1, 4, 4\)"):
        save_picture(context(tmp_path), "grey", torch.zeros(1, 4, 4))


def test_masks_have_the_published_colours() -> None:
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128)}
    published |= {8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128), 255: (224, 224, 192)}
    colours = mask_colours(torch.tensor([list(published)]))
    assert colours.shape == (3, 1, len(published))
    assert [tuple(c) for c in colours[:, 0].T.tolist()] == list(published.values())
    assert mask_colours(torch.zeros(2, 4, 5, dtype=torch.uint8)).shape == (2, 3, 4, 5)
