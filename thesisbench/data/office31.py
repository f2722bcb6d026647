"""Office-31: photographs of 31 office objects in three domains; the files as published.

Liu, chapter 5 (Table 5.6); Saenko et al., ECCV 2010. A domain is a folder `amazon`, `dslr` or
`webcam` that holds `images/<class>/*.jpg`.

*Deviations*. The thesis does not say what it tests on: its values are multiples of 1/415 (amazon),
1/73 (dslr) and 1/130 (webcam), so a held-out part of so many images is taken (`held_out`: of
another size). Which ones: the first in the order of a digest of seed, class and file name, so that
the choice needs no list and is the same on every machine. Training images are the others.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.image_files import ImageList
from thesisbench.data.imagenet_layout import scanned
from thesisbench.errors import UserError, unknown
from thesisbench.store.runs import data_root

FOLDER = "office31"
HELD_OUT = {"amazon": 415, "dslr": 73, "webcam": 130}
DOMAINS = tuple(HELD_OUT)
CLASSES = (
    *("back_pack", "bike", "bike_helmet", "bookcase", "bottle", "calculator", "desk_chair"),
    *("desk_lamp", "desktop_computer", "file_cabinet", "headphones", "keyboard"),
    *("laptop_computer", "letter_tray", "mobile_phone", "monitor", "mouse", "mug"),
    *("paper_notebook", "pen", "phone", "printer", "projector", "punchers", "ring_binder"),
    *("ruler", "scissors", "speaker", "stapler", "tape_dispenser", "trash_can"),
)


def office31_splits(
    *, domain: str, held_out: int | None = None, data_seed: int = 0, root: str | None = None
) -> dict[str, ImageList]:
    """The splits train and test of a domain.

    Args:
        domain: amazon, dslr or webcam.
        held_out: test images; None for as many as the thesis has.
        data_seed: of the choice of test images.
        root: folder that holds the domains; default `office31` below the data root.

    Raises:
        UserError: unknown domain; a class folder that is missing or not known; too few images.
    """
    place = data_root() / FOLDER if root is None else Path(root)
    images = domain_images(place, domain)
    count = HELD_OUT[domain] if held_out is None else held_out
    if not 0 < count < len(images):
        raise UserError(f"held_out={count} must be between 0 and the {len(images)} of {domain}")
    order = np.argsort([_digest(data_seed, name) for name in images.names.tolist()])
    test, train = np.sort(order[:count]), np.sort(order[count:])
    return {"train": images.take(train), "test": images.take(test)}


def domain_images(root: Path, domain: str) -> ImageList:
    """All images of a domain in the order of their names.

    Raises:
        UserError: unknown domain.
        BadFileError: a class folder that is missing or not known.
    """
    if domain not in DOMAINS:
        raise UserError(unknown("domain", domain, DOMAINS))
    folder = root / domain / "images"
    if not folder.is_dir():
        hint = f"`thesisbench data prepare {FOLDER}` says what to put there"
        raise BadFileError(f"no folder {folder}: {hint}")
    _check_classes(folder)
    names = scanned(root / domain, "images")
    of = [name.partition(b"/")[0].decode() for name in names.tolist()]
    if missing := sorted(set(CLASSES) - set(of)):
        raise BadFileError(f"no images in {folder / missing[0]}")
    if odd := sorted(set(of) - set(CLASSES)):
        raise BadFileError(f"{folder / odd[0]} is in no class folder")
    return ImageList(folder, names, torch.tensor([CLASSES.index(name) for name in of]))


def _check_classes(folder: Path) -> None:
    """Raises BadFileError for class folders that are missing or not known."""
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    if odd := sorted(found - set(CLASSES)):
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        raise BadFileError(f"{folder / odd[0]}{more}: no class of Office-31; move it away")
    if missing := sorted(set(CLASSES) - found):
        text = f"{folder} lacks {len(missing)} of {len(CLASSES)} classes"
        raise BadFileError(f"{text}: {', '.join(missing[:3])}")


def _digest(seed: int, name: bytes) -> str:
    """What orders the images of a domain."""
    return hashlib.sha256(f"{seed}/".encode() + name).hexdigest()
