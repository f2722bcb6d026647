"""The archives of ImageNet-C and ImageNet-P: fetched, unpacked, counted."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from real_formats import truncate, write_jpeg

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.corruptions import sequences, severities
from thesisbench.data.files import robustness
from thesisbench.data.files.robustness import PUBLISHED, prepare, verify
from thesisbench.errors import UserError

CLASSES = ("n01", "n02", "n03")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "N_CLASSES", 3)
    monkeypatch.setattr(robustness, "PER_SPLIT", 6)


def write(folder: Path, name: str) -> None:
    """One folder of an archive, of three classes with two files each."""
    for wnid in CLASSES:
        for i in range(2):
            if folder.name.startswith("imagenet_c"):
                for severity in range(1, 6):
                    write_jpeg(folder / name / str(severity) / wnid / f"{i}.JPEG", i)
            else:
                path = folder / name / wnid / f"{i}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path.with_suffix(".npy"), np.zeros((31, 2, 2, 3), dtype=np.uint8))
                path.with_suffix(".npy").rename(path)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server of both sets' archives, whose checksums are the published ones now."""
    for name, known in PUBLISHED.items():
        place, sums = tmp_path / "server" / name, {}
        for archive, inner in known.holds.items():
            inside = tmp_path / "files" / f"{name}_{archive}"
            for each in inner:
                write(inside, each)
            made = shutil.make_archive(str(place / archive), "tar", inside)
            sums[archive] = hashlib.md5(Path(made).read_bytes()).hexdigest()
        changed = replace(known, url=place.as_uri(), md5=sums)
        monkeypatch.setitem(PUBLISHED, name, changed)
    return tmp_path / "server"


def test_what_is_published_is_what_is_read() -> None:
    held = {n: [e for inner in p.holds.values() for e in inner] for n, p in PUBLISHED.items()}
    assert sorted(held["imagenet_c"]) == sorted((*severities.STANDARD, *severities.EXTRA))
    assert sorted(held["imagenet_p"]) == sorted(sequences.STANDARD)
    for known in PUBLISHED.values():
        assert known.md5.keys() == known.holds.keys() >= set(known.optional)
        assert all(len(bytes.fromhex(digest)) == 16 for digest in known.md5.values())


def test_imagenet_c_is_fetched_but_for_the_extra_ones(served: Path, tmp_path: Path) -> None:
    home, said = tmp_path / "home", list[str]()
    assert prepare("imagenet_c", home, said.append) == []
    assert {p.name for p in home.iterdir()} == set(severities.STANDARD)
    assert said[0] == f"gaussian_noise, impulse_noise, shot_noise made in {home}"
    checked = verify("imagenet_c", home, decode=True)
    assert checked.problems == []
    assert checked.counts == dict.fromkeys(checked.counts, 30)
    assert len(checked.counts) == 15
    shutil.copy(served / "imagenet_c" / "extra.tar", home)
    assert prepare("imagenet_c", home, said.append) == []
    assert len(verify("imagenet_c", home, decode=False).counts) == 19
    assert len(said) == 5, "what is there is not fetched again"


@pytest.mark.usefixtures("served")
def test_imagenet_p_is_fetched_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    assert prepare("imagenet_p", home, lambda _: None) == []
    assert {p.name for p in home.iterdir()} == set(sequences.STANDARD)
    assert verify("imagenet_p", home, decode=False).problems == []
    (home / "tilt" / "n02" / "1.mp4").write_bytes(b"")

    def read(path: Path) -> np.ndarray:
        if not path.stat().st_size:
            raise BadFileError(f"cannot read video {path}: empty; fetch it anew")
        return np.load(path)

    monkeypatch.setattr(robustness, "read_frames", read)
    problems = verify("imagenet_p", home, decode=True).problems
    longer = [p for p in problems if "translate" in p]
    assert len(longer) == 6
    assert longer[0].endswith("translate/n01/0.mp4: 31 frames, not 41")
    rest = [p for p in problems if p not in longer]
    assert len(rest) == 1
    assert rest[0].startswith(f"cannot read video {home}/tilt/n02/1.mp4")


@pytest.mark.usefixtures("served")
def test_an_archive_with_a_folder_around_is_unpacked_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, around = tmp_path / "home", tmp_path / "around"
    for each in ("motion_blur", "zoom_blur", "spatter"):
        write(around / "blur", each)
    home.mkdir()
    made = Path(shutil.make_archive(str(home / "blur"), "tar", around))
    known = PUBLISHED["imagenet_p"]
    sums = {**known.md5, "blur": hashlib.md5(made.read_bytes()).hexdigest()}
    monkeypatch.setitem(PUBLISHED, "imagenet_p", replace(known, md5=sums))
    (home / "zoom_blur" / "mine").mkdir(parents=True)
    assert prepare("imagenet_p", home, lambda _: None) == []
    assert (home / "motion_blur" / "n01").is_dir()
    assert (home / "spatter").is_dir(), "what tables do not read is kept"
    assert [p.name for p in (home / "zoom_blur").iterdir()] == ["mine"], "nothing is overwritten"
    assert not list(home.glob("*unpacked*")), "nothing is left over"


def test_what_cannot_be_fetched_is_left_to_do(served: Path, tmp_path: Path) -> None:
    (served / "imagenet_p" / "blur.tar").unlink()
    truncate(served / "imagenet_p" / "noise.tar")
    home = tmp_path / "home"
    left = prepare("imagenet_p", home, lambda _: None)
    assert len(left) == 2
    assert "does not have the checksum" in left[0]
    assert "cannot download blur.tar" in left[1]
    for line in left:
        assert "\n" not in line
        assert line.endswith(f"unpacked, belong in {home}")
    assert {p.name for p in home.iterdir()} == {
        *("snow", "brightness", "translate", "rotate", "tilt", "scale")
    }


@pytest.mark.usefixtures("served")
def test_another_archive_of_that_name_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    write(tmp_path / "odd", "hail")
    odd = Path(shutil.make_archive(str(home / "noise"), "tar", tmp_path / "odd"))
    left = prepare("imagenet_p", home, lambda _: None)
    assert len(left) == 1
    assert f"{odd} is broken" in left[0]
    sums = {**PUBLISHED["imagenet_p"].md5, "noise": hashlib.md5(odd.read_bytes()).hexdigest()}
    monkeypatch.setitem(PUBLISHED, "imagenet_p", replace(PUBLISHED["imagenet_p"], md5=sums))
    left = prepare("imagenet_p", home, lambda _: None)
    assert "noise.tar has none of the folders that are known" in left[0]
    assert not list(home.glob("*unpacked*"))


@pytest.mark.usefixtures("served")
def test_what_is_missing_or_broken_is_listed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    prepare("imagenet_c", home, lambda _: None)
    bad = truncate(home / "fog" / "2" / "n03" / "1.JPEG")
    (home / "snow" / "5" / "n01" / "0.JPEG").unlink()
    shutil.rmtree(home / "frost" / "1" / "n02")
    shutil.rmtree(home / "contrast" / "4")
    checked = verify("imagenet_c", home, decode=True)
    quick = verify("imagenet_c", home, decode=False).problems
    assert quick == [
        f"{home}/snow/5: 5 files, not 6",
        f"{home}/frost/1: 2 classes, not 3",
        f"{home}/frost/1: 4 files, not 6",
        f"no folder {home}/contrast/4: run `thesisbench data prepare imagenet_c`",
    ]
    (broken,) = set(checked.problems) - set(quick)
    assert broken.startswith(f"{bad}: ")
    assert checked.counts["contrast"] == 24


def test_without_a_reader_of_videos_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    write(tmp_path, "gaussian_noise")
    with pytest.raises(UserError, match="pip install av"):
        verify("imagenet_p", tmp_path, decode=True)
