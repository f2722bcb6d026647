"""Files of Office-31, which its publishers share through a web drive; nothing is downloaded.

`prepare` unpacks the published archive, of which no checksum is known; `verify` counts and decodes.
"""

from __future__ import annotations

from pathlib import Path

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files.fetch import FetchError, unpack
from thesisbench.data.files.imagenet import broken_images
from thesisbench.data.files.sources import Checked, Say
from thesisbench.data.office31 import CLASSES, DOMAINS, domain_images

SITE = "the page of Saenko et al., Adapting Visual Category Models to New Domains (UC Berkeley)"
ARCHIVE, INSIDE = "domain_adaptation_images.tar.gz", "domain_adaptation_images"
COUNTS = {"amazon": 2817, "dslr": 498, "webcam": 795}


def prepare(name: str, folder: Path, say: Say) -> list[str]:
    """Unpacks the archive where it is there and domains are not; else says what to fetch."""
    del name
    missing = [domain for domain in DOMAINS if not (folder / domain).is_dir()]
    if not missing:
        return []
    archive = folder / ARCHIVE
    if not archive.exists():
        places = ", ".join(str(folder / domain / "images") for domain in missing)
        return [f"fetch {ARCHIVE} from {SITE} and put it in {folder}, or its images in {places}"]
    for domain in missing:
        _unpack(archive, folder / domain)
        say(f"{folder / domain} made")
    return []


def _unpack(archive: Path, place: Path) -> None:
    """A domain of the archive, where all of them lie at the top or in one folder.

    Raises:
        FetchError: a broken archive, or one without the domain.
    """
    try:
        unpack(archive, place, inside=f"{INSIDE}/{place.name}")
    except FetchError as error:
        if "has no folder" not in str(error):
            raise
        unpack(archive, place, inside=place.name)


def verify(name: str, folder: Path, *, decode: bool) -> Checked:
    """Counts classes and images of each domain; with `decode`, reads every image."""
    del name
    checked = Checked()
    for domain in DOMAINS:
        try:
            images = domain_images(folder, domain)
        except BadFileError as error:
            checked.problems.append(str(error))
            continue
        checked.expect(f"{domain} classes", len(set(images.labels.tolist())), len(CLASSES))
        checked.expect(f"{domain} images", len(images), COUNTS[domain])
        if decode:
            checked.problems += broken_images(images.root, images.names)
    return checked
