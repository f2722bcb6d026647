"""Brown patches in the format of PhotoTour: patches, test pairs, training pairs, broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_formats import brown_patch, truncate, write_brown
from torchvision.datasets.phototour import read_image_file, read_matches_files

from thesisbench.data.brown_patches import (
    INFO,
    MATCHES,
    brown_patches_splits,
    keep_patches,
    kept_file,
    read_patches,
    read_test_pairs,
    training_pairs,
)
from thesisbench.errors import UserError

N = 8  # patches of a scene


@pytest.mark.filterwarnings("ignore:Image.Image.getdata:DeprecationWarning")  # by torchvision
def test_patches_are_those_of_torchvision_at_half_their_size(tmp_path: Path) -> None:
    scene = write_brown(tmp_path) / "liberty"
    whole = read_image_file(str(scene), "bmp", N)
    small = read_patches(scene)
    assert small.shape == (N, 1, 32, 32)
    means = whole.float().view(N, 32, 2, 32, 2).mean((2, 4))
    assert torch.equal(small[:, 0].float(), means), "the means of 2x2 pixels are whole here"
    assert small[:, 0, 5, 7].tolist() == [brown_patch(i)[:2, :2].mean() for i in range(N)]


def test_halving_is_bilinear_interpolation_rounded(tmp_path: Path) -> None:
    scene = write_brown(tmp_path) / "liberty"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(np.tile(noise, (2, 3))).save(scene / "patches0000.bmp")
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(noise)[None, None].float(), scale_factor=0.5, mode="bilinear"
    )
    found = read_patches(scene)[0].float()
    assert (found - expected[0]).abs().max() <= 0.5


def test_test_pairs_are_those_of_torchvision(tmp_path: Path) -> None:
    scene = write_brown(tmp_path) / "liberty"
    pairs = read_test_pairs(scene)
    assert torch.equal(pairs, read_matches_files(str(scene), MATCHES))
    assert pairs.tolist() == [[0, 1, 1], [3, 5, 0], [6, 7, 1], [2, 6, 0]]


def test_kept_patches_are_the_patches(tmp_path: Path) -> None:
    scene = write_brown(tmp_path) / "liberty"
    before = read_patches(scene).clone()
    assert keep_patches(scene) == kept_file(scene)
    for path in scene.glob("*.bmp"):
        path.unlink()
    assert torch.equal(read_patches(scene), before)


def test_training_pairs_match_and_are_two_patches() -> None:
    points = torch.tensor([5, 3, 5, 9, 3, 5, 1])
    pairs = training_pairs(points, 4000, data_seed=0)
    one, other, point = pairs.T
    assert (one != other).all()
    assert torch.equal(points[one], point)
    assert torch.equal(points[other], point)
    assert set(point.tolist()) == {3, 5}, "points with one patch have no pairs"
    share = (point == 5).float().mean()
    assert abs(share - 0.5) < 0.04, "points are equally likely, however many patches they have"
    ordered = {tuple(pair) for pair in pairs[:, :2].tolist()}
    assert ordered == {(0, 2), (2, 0), (0, 5), (5, 0), (2, 5), (5, 2), (1, 4), (4, 1)}


def test_fewer_pairs_are_the_first_and_follow_the_seed() -> None:
    points = torch.arange(40) // 4
    many = training_pairs(points, 300, data_seed=1)
    assert torch.equal(training_pairs(points, 50, data_seed=1), many[:50])
    assert not torch.equal(training_pairs(points, 50, data_seed=2), many[:50])


def test_one_scene_is_trained_on_and_the_others_tested(tmp_path: Path) -> None:
    root = write_brown(tmp_path)
    (root / "notredame" / MATCHES).write_text("4 9 0 3 9 0 0\n")
    found = brown_patches_splits(train_set=3, n_triplets=10, root=str(root))
    assert list(found) == ["train", "test_a", "test_b"]
    assert [len(pairs) for _, pairs in found.values()] == [10, 4, 1]
    assert found["test_b"][1].tolist() == [[4, 3, 1]]
    shorter = brown_patches_splits(train_set=3, n_triplets=10, n_test=2, root=str(root))
    assert len(shorter["test_a"][1]) == 2


def _small_mosaic(scene: Path) -> None:
    Image.new("L", (100, 64)).save(scene / "patches0000.bmp")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda s: truncate(s / "patches0001.bmp"), "cannot read image .*patches0001.bmp: "),
        (_small_mosaic, "patches0000.bmp is 100x64, not made of 64x64 patches"),
        (lambda s: (s / "patches0001.bmp").unlink(), "has 6 patches, but info.txt lists 8"),
        (lambda s: (s / INFO).unlink(), "no file .*info.txt: run `thesisbench data prepare"),
        (lambda s: (s / MATCHES).unlink(), "no file .*m50_100000_100000_0.txt"),
        (lambda s: (s / INFO).write_text("x 0\n"), "cannot read .*info.txt"),
        (lambda s: (s / MATCHES).write_text("0 7 0 8 7 0 0\n"), "beyond the 8 of info.txt"),
    ],
)
def test_a_broken_file_is_named(harm: object, said: str, tmp_path: Path) -> None:
    root = write_brown(tmp_path)
    harm(root / "notredame")  # type: ignore[operator]
    with pytest.raises(UserError, match=said) as caught:
        brown_patches_splits(train_set=1, n_triplets=4, root=str(root))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"train_set": 4}, "train_set=4 must be 1, 2 or 3"),
        ({"train_set": None}, "train_set=None must be 1, 2 or 3"),
        ({"n_triplets": 0}, "n_triplets=0 must be at least 1"),
    ],
)
def test_bad_input_gets_one_clear_line(
    arguments: dict[str, object], said: str, tmp_path: Path
) -> None:
    given = {"train_set": 1, "n_triplets": 4, **arguments}
    with pytest.raises(UserError, match=said):
        brown_patches_splits(root=str(write_brown(tmp_path)), **given)  # type: ignore[arg-type]


def test_points_of_one_patch_make_no_pairs() -> None:
    with pytest.raises(UserError, match="no point has two patches"):
        training_pairs(torch.arange(5), 3, data_seed=0)
