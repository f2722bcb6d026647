"""Brown patches: 64x64 grey patches of 3D points in three scenes (Winder and Brown 2007).

Kayhan, chapter 2 (Figure 2.7, right): a descriptor is trained on one scene, tested on the others. A
scene is a folder of bmp mosaics of 16x16 patches, row by row, `info.txt` (a line a patch, which
begins with its point) and `m50_100000_100000_0.txt` (100,000 test pairs: patch, point, ... of one,
then of the other; of one point: matching).

*Deviations*. The released script resizes to 32x32 with OpenCV's bilinear interpolation; at a factor
of two that is the mean of 2x2 pixels, which we take, rounded to bytes. It draws pairs by a global
generator and no point twice within a batch of its own order; here pairs follow `data_seed`, those
of a smaller number are the first of those of a larger, and the loss is told the points.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from thesisbench.data.arrays import mix
from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError
from thesisbench.store.files import written_whole
from thesisbench.store.runs import data_root

SCENES = ("liberty", "notredame", "yosemite")
MATCHES, INFO = "m50_100000_100000_0.txt", "info.txt"
SIDE, SMALL = 64, 32  # pixels: of a patch in the files, and of what networks see
Split = tuple[Tensor, Tensor]


def read_mosaic(path: Path) -> npt.NDArray[np.uint8]:
    """The patches of one bmp file, row by row, at half their size, [n, 32, 32].

    Raises:
        BadFileError: unreadable, or not made of whole patches.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"), dtype=np.uint16)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFileError(f"cannot read image {path}: {error}; fetch it anew") from error
    height, width = pixels.shape
    if height % SIDE or width % SIDE:
        raise BadFileError(f"{path} is {width}x{height}, not made of {SIDE}x{SIDE} patches")
    halved = pixels.reshape(height // 2, 2, width // 2, 2).sum((1, 3))
    small = ((halved + 2) // 4).astype(np.uint8)
    rows = small.reshape(height // SIDE, SMALL, width // SIDE, SMALL)
    return rows.swapaxes(1, 2).reshape(-1, SMALL, SMALL)


def kept_file(folder: Path) -> Path:
    """Where `thesisbench data prepare brown_patches` keeps a scene's patches at half their size."""
    return folder.with_name(f"{folder.name}_{SMALL}.npy")


def read_patches(folder: Path) -> UInt8[Tensor, "p 1 32 32"]:
    """All patches of a scene; memory-mapped where they were prepared.

    Raises:
        BadFileError: missing or broken files.
    """
    count = len(read_points(folder))
    kept = kept_file(folder)
    if kept.exists():
        patches = np.load(kept, mmap_mode="c")
    else:
        patches = np.concatenate([read_mosaic(path) for path in mosaics(folder)])
    if len(patches) < count:
        text = f"{folder} has {len(patches)} patches, but {INFO} lists {count}"
        raise BadFileError(f"{text}; fetch the scene anew")
    return torch.from_numpy(patches[:count]).unsqueeze(1)


def keep_patches(folder: Path) -> Path:
    """Writes the patches of a scene to one file, which loads at once."""
    patches = np.concatenate([read_mosaic(path) for path in mosaics(folder)])
    with written_whole(kept_file(folder)) as temporary, temporary.open("wb") as file:
        np.save(file, patches)
    return kept_file(folder)


def mosaics(folder: Path) -> list[Path]:
    """The bmp files of a scene in order.

    Raises:
        BadFileError: there are none.
    """
    found = sorted(folder.glob("*.bmp"))
    if not found:
        text = f"no bmp files in {folder}"
        raise BadFileError(f"{text}: run `thesisbench data prepare brown_patches`")
    return found


def read_points(folder: Path) -> Int[Tensor, " p"]:
    """The 3D point that each patch shows.

    Raises:
        BadFileError: no such list, or not of numbers.
    """
    return torch.from_numpy(_numbers(folder / INFO, (0,))[:, 0])


def read_test_pairs(folder: Path) -> Int[Tensor, "n 3"]:
    """Test pairs: patch, other patch, 1 where both show one point, else 0.

    Raises:
        BadFileError: no such list, or one that names patches that are not there.
    """
    rows = _numbers(folder / MATCHES, (0, 1, 3, 4))
    count = len(read_points(folder))
    if len(rows) and int(rows[:, [0, 2]].max()) >= count:
        raise BadFileError(f"{folder / MATCHES} names patches beyond the {count} of {INFO}")
    same = (rows[:, 1] == rows[:, 3]).astype(np.int64)
    return torch.from_numpy(np.stack([rows[:, 0], rows[:, 2], same], axis=1))


def _numbers(path: Path, columns: tuple[int, ...]) -> npt.NDArray[np.int64]:
    try:
        with path.open(encoding="ascii") as lines:
            return np.loadtxt(lines, dtype=np.int64, usecols=columns, ndmin=2)
    except FileNotFoundError:
        text = f"no file {path}"
        raise BadFileError(f"{text}: run `thesisbench data prepare brown_patches`") from None
    except ValueError as error:
        raise BadFileError(f"cannot read {path}: {error}; fetch it anew") from error


def training_pairs(points: Int[Tensor, " p"], n: int, *, data_seed: int) -> Int[Tensor, "n 3"]:
    """Two different patches of a random point, and the point; all points are equally likely.

    Args:
        points: that each patch shows.
        n: number of pairs.
        data_seed: of the choice.

    Raises:
        UserError: no point has two patches.
    """
    order = torch.argsort(points, stable=True)
    names, counts = torch.unique_consecutive(points[order], return_counts=True)
    starts = counts.cumsum(0) - counts
    (usable,) = torch.nonzero(counts > 1, as_tuple=True)
    if not len(usable):
        raise UserError("no point has two patches, so there are no matching pairs")
    generator = torch.Generator().manual_seed(mix(data_seed, 1))
    drawn = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    point = usable[(drawn[:, 0] * len(usable)).long()]
    many = counts[point]
    one = (drawn[:, 1] * many).long()
    other = (one + 1 + (drawn[:, 2] * (many - 1)).long()) % many
    patches = order[starts[point] + one], order[starts[point] + other]
    return torch.stack([*patches, names[point]], dim=1)


def brown_patches_splits(
    *,
    train_set: int,
    n_triplets: int,
    data_seed: int = 0,
    n_test: int | None = None,
    root: str | None = None,
) -> dict[str, Split]:
    """The splits of patch matching: one scene to train on, the two others to test on.

    Args:
        train_set: 1 Liberty, 2 Notre Dame, 3 Yosemite.
        n_triplets: matching pairs to train on; negatives come from the batch.
        data_seed: of the choice of pairs.
        n_test: test pairs of each scene, the first of its list; None for all.
        root: folder that holds the scenes; default `brown_patches` below the data root.

    Returns:
        train, test_a and test_b (the other scenes in order), each patches (bytes) and pairs (patch,
        patch, point or label), as `PatchPairsModule` takes them.

    Raises:
        UserError: no such scene; files that are missing or broken.
    """
    if train_set not in (1, 2, 3):
        raise UserError(f"train_set={train_set} must be 1, 2 or 3 (it follows split=1)")
    if n_triplets < 1:
        raise UserError(f"n_triplets={n_triplets} must be at least 1")
    place = data_root() / "brown_patches" if root is None else Path(root)
    own = place / SCENES[train_set - 1]
    pairs = training_pairs(read_points(own), n_triplets, data_seed=data_seed)
    splits = {"train": (read_patches(own), pairs)}
    others = [place / scene for scene in SCENES if scene != own.name]
    for name, folder in zip(("test_a", "test_b"), others, strict=True):
        splits[name] = read_patches(folder), read_test_pairs(folder)[:n_test]
    return splits
