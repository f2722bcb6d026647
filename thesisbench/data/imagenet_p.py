"""ImageNet-P as published: sequences of one validation image of ImageNet, as videos.

    imagenet_p/<perturbation>/<wnid>/*.mp4

(Hendrycks and Dietterich, ICLR 2019; the archives blur, digital, noise and weather, unpacked into
one folder.) A split is a perturbation; labels number the sorted WordNet ids. Frames have 224x224
pixels; a video has 31 of them, that of translations 41. Stronger noise is `<noise>_2` and `_3`.

*Deviations*. The authors read videos with OpenCV, we with PyAV: both decode with FFmpeg and may
round colours differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.class_folders import files_below, labels_of
from thesisbench.data.corruptions.sequences import PERTURBATIONS, STANDARD, frame_count
from thesisbench.data.imagenet_layout import Names
from thesisbench.data.video_files import VideoList
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

N_CLASSES = 1000
SIDE = 224


def imagenet_p_splits(
    *,
    perturbations: Sequence[str] | None = None,
    n_classes: int = N_CLASSES,
    root: str | None = None,
) -> dict[str, VideoList]:
    """The splits, each named after its perturbation.

    Args:
        perturbations: names; the 10 standard ones when None.
        n_classes: class folders that there must be in each.
        root: folder of the perturbations; default `imagenet_p` below the data root.

    Raises:
        UserError: an unknown perturbation; folders, classes or videos that are missing.
    """
    place = data_root() / "imagenet_p" if root is None else Path(root)
    splits = {}
    for name in perturbations or STANDARD:
        if name not in PERTURBATIONS:
            raise UserError(unknown("perturbation", name, PERTURBATIONS))
        videos = listed_videos(place, name)
        labels = labels_of(place / name, videos, n_classes)
        splits[name] = VideoList(place / name, videos, labels, frames_of(name))
    return splits


def frames_of(name: str) -> int:
    """Frames of each video of a perturbation."""
    return frame_count(name, SIDE)


def listed_videos(root: Path, name: str) -> Names:
    """The videos of a perturbation, `<wnid>/<file>`, sorted.

    Raises:
        BadFileError: there is no such folder, or no video in it.
    """
    folder = root / name
    if not folder.is_dir():
        text = f"no folder {folder}: run `thesisbench data prepare imagenet_p`"
        raise BadFileError(f"{text}, or choose fewer with dataset.splits.perturbations")
    names = files_below(folder, _is_video)
    if not len(names):
        raise BadFileError(f"no videos in the class folders of {folder}")
    return names


def _is_video(name: str) -> bool:
    return name.endswith(".mp4") and not name.startswith(".")
