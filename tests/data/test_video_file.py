"""Reading videos: through a stand-in for PyAV, and through PyAV itself where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.video_file import decoder, read_frames
from thesisbench.errors import UserError


class FFmpegError(Exception):
    """PyAV's errors are no errors of the system."""


class Container:
    """An open file: its frames, of which one may be broken."""

    def __init__(self, frames: list[Any], *, known: bool = True) -> None:
        stream = SimpleNamespace(codec_context=object() if known else None)
        self.frames = frames
        self.streams = SimpleNamespace(video=[stream] if frames else [])

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.frames = []

    def decode(self, stream: Any) -> Any:
        assert stream is self.streams.video[0]
        for frame in self.frames:
            if isinstance(frame, Exception):
                raise frame
            yield SimpleNamespace(to_ndarray=lambda format, frame=frame: {"rgb24": frame}[format])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(b"video")
    return tmp_path / "a.mp4"


def install(monkeypatch: pytest.MonkeyPatch, container: Container) -> None:
    module: Any = ModuleType("av")
    module.open = lambda name: container
    module.error = SimpleNamespace(FFmpegError=FFmpegError)
    monkeypatch.setitem(sys.modules, "av", module)


FRAMES = [np.full((4, 6, 3), i, dtype=np.uint8) for i in range(3)]


def test_all_frames_are_read_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Container(list(FRAMES)))
    found = read_frames(path)
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.stack(FRAMES))


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container([FRAMES[0], FFmpegError("Invalid data\nfound")]), "Invalid data found"),
        (Container([]), "it has no pictures"),
        (Container([FRAMES[0]], known=False), "it has no pictures"),
        (Container([FRAMES[0], FRAMES[1][:2]]), "same shape"),
    ],
)
def test_a_broken_video_is_named_in_one_line(
    container: Container, said: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, container)
    with pytest.raises(BadFileError, match=rf"cannot read video .*a\.mp4: .*{said}.*; fetch") as e:
        read_frames(path)
    assert "\n" not in str(e.value)


def test_a_video_that_is_gone_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Container(list(FRAMES)))
    with pytest.raises(BadFileError, match=r"no file .*b\.mp4"):
        read_frames(path.with_name("b.mp4"))


def test_what_to_install_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"needs the package av .*run `pip install av`"):
        read_frames(path)


def test_pyav_reads_what_it_wrote(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "real.mp4"
    shades = [20, 120, 220]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for shade in shades:
            picture = np.full((16, 32, 3), shade, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    found = read_frames(path)
    assert found.shape == (3, 16, 32, 3)
    assert np.abs(found.mean((1, 2, 3)) - shades).max() < 6
    assert decoder().startswith("PyAV ")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadFileError, match="cannot read video"):
        read_frames(path)
