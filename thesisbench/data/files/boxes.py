"""Checks a split of images with boxes: counts, everything that is broken, and sizes of images."""

from __future__ import annotations

from collections.abc import Callable

from thesisbench.data.annotation_check import Problems
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.detection_files import BoxSplit
from thesisbench.data.files.each import problems_of
from thesisbench.data.files.sources import Checked


def check_split(
    checked: Checked,
    name: str,
    read: Callable[[], BoxSplit],
    wanted: int | None,
    *,
    decode: bool,
) -> None:
    """Notes what there is of a split and what is wrong with it.

    Args:
        checked: where it is noted.
        name: of the split.
        read: reads its annotations.
        wanted: published number of images, those without an object included.
        decode: whether every image is read, too.
    """
    try:
        split = read()
    except BadFileError as error:
        checked.problems.append(str(error))
        return
    checked.expect(f"{name} images", len(split), wanted)
    checked.counts[f"{name} boxes"] = len(split.labels)
    checked.counts[f"{name} images without a box"] = int((split.counts == 0).sum())
    checked.problems += [f"{name}: {line}" for line in split.problems.lines(mended=False)]
    checked.notes += [f"{name}: {line}" for line in split.problems.lines(mended=True)]
    if decode:
        checked.problems += broken_images(split, name)


def broken_images(split: BoxSplit, title: str) -> list[str]:
    """One line for each image that cannot be read, and one for all of other sizes than annotated.

    Args:
        split: images in files.
        title: of the bar that shows how far it is.
    """
    unlike = Problems()

    def look(index: int) -> list[str]:
        try:
            height, width = split.image(index).shape[-2:]
        except BadFileError as error:
            return [str(error)]
        annotated = split.sizes[index].tolist()
        if annotated == [height, width]:
            return []
        return [f"size {split.name(index)} ({width}x{height}, not {annotated[1]}x{annotated[0]})"]

    lines = problems_of(look, range(len(split)), title)
    for line in lines:
        if line.startswith("size "):
            unlike.add("size", line.removeprefix("size "))
    broken = [line for line in lines if not line.startswith("size ")]
    return broken + [f"{title}: {line}" for line in unlike.lines()]
