"""Reads the frames of a video file with PyAV, which is imported only here.

torchvision no longer reads videos; PyAV (`pip install av`) carries its own FFmpeg.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError


def read_frames(path: Path) -> UInt8[np.ndarray, "t h w 3"]:
    """All frames of a video's first stream of pictures, RGB.

    Args:
        path: of the file.

    Raises:
        UserError: PyAV is not installed.
        BadFileError: the file is not there, cut short or no video.
    """
    av = _pyav()
    if not path.is_file():
        raise BadFileError(f"no file {path}; was it moved? `thesisbench data verify`")
    try:
        with av.open(str(path)) as container:
            streams = container.streams.video
            # PyAV crashes where it decodes a stream of which the file says nothing.
            if not streams or streams[0].codec_context is None:
                raise ValueError("it has no pictures")
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(streams[0])]
            return np.stack(frames)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).replace(f": '{path}'", "")
        raise BadFileError(f"cannot read video {path}: {reason}; fetch it anew") from error


def decoder() -> str:
    """Name and version of what decodes, for records."""
    try:
        return f"PyAV {version('av')}"
    except PackageNotFoundError:
        return "none"


def _pyav() -> Any:
    try:
        return import_module("av")
    except ImportError:
        text = "reading videos needs the package av (PyAV), which is not installed"
        raise UserError(f"{text}; run `pip install av`") from None
