"""Videos that lie in files and are decoded when needed, all frames of a sample at once.

As `thesisbench.data.image_files`, for short sequences of one length.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from thesisbench.data.arrays import mix
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.image_files import ImageFiles, ImageList
from thesisbench.data.image_module import ImageFilesModule
from thesisbench.data.video_file import decoder, read_frames


@dataclass(frozen=True, eq=False)
class VideoList(ImageList):
    """Video files and their labels.

    Attributes:
        frames: of each video.
    """

    frames: int

    def take(self, index: npt.NDArray[np.intp]) -> VideoList:
        """The samples with these numbers."""
        chosen = torch.from_numpy(index)
        return replace(self, names=self.names[index], labels=self.labels[chosen])


class VideoFiles(ImageFiles):
    """Video files, fetched a batch at a time: frames (b, t, c, h, w) and labels.

    Args:
        images: a list of videos.
        transform: frame as an image -> tensor of one size for all.
        seed: of the run.
    """

    images: VideoList

    def _load(self, epoch: int, index: int) -> Any:
        torch.default_generator.manual_seed(mix(self.seed, epoch, index))
        path, wanted = self.images.path(index), self.images.frames
        frames = read_frames(path)
        if len(frames) != wanted:
            raise BadFileError(f"{path} has {len(frames)} frames, not {wanted}; fetch it anew")
        return torch.stack([self.transform(Image.fromarray(frame)) for frame in frames])


class VideoFilesModule(ImageFilesModule):
    """As `ImageFilesModule`, with lists of videos; transforms take one frame."""

    files = VideoFiles

    def fingerprint(self) -> dict[str, Any]:
        """Name, and count and checksum of each split, and what decodes, for the record."""
        return {**super().fingerprint(), "decoder": decoder()}
