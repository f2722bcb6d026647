"""What `thesisbench weights list|prepare|verify` do; nothing heavy is imported to list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thesisbench.browse.registry import Registry, has_files
from thesisbench.data.files.sources import Say
from thesisbench.errors import UserError, unknown
from thesisbench.weights.published import may_be_downloaded, published


def weights_states(registry: Registry) -> list[dict[str, Any]]:
    """All weights: name, state, folder, title.

    States: present, missing (`prepare` downloads them), by hand (missing; they cannot be downloaded
    by this program).
    """
    found = []
    for name, entry in sorted(registry.weights.items()):
        place = registry.weights_place(name)
        missing = "missing" if may_be_downloaded(name) else "by hand"
        found.append(
            {
                "name": name,
                "state": "present" if has_files(place) else missing,
                "folder": str(place),
                "title": entry.title,
                "source": " ".join(entry.source.split()),
            }
        )
    return found


def _place(registry: Registry, name: str) -> Path:
    if name not in registry.weights:
        hint = "`thesisbench weights list` shows them"
        raise UserError(unknown("weights", name, registry.weights, hint))
    return registry.weights_place(name)


def prepare_weights(registry: Registry, name: str, say: Say) -> list[str]:
    """Downloads weights where that may be; else one line that says what to do.

    Raises:
        UserError: unknown, or a download that failed.
    """
    place = _place(registry, name)
    if has_files(place):
        say(f"{place} is there")
        return []
    if not may_be_downloaded(name):
        source = " ".join(registry.weights[name].source.split())
        return [f"{name} is not downloaded by this program: {source}; put its file in {place}"]
    from thesisbench.data.files.fetch import download

    known = published(name)
    download(known.urls, place / known.file, known.checksum)
    say(f"{place / known.file} made")
    return []


def verify_weights(registry: Registry, name: str) -> dict[str, Any]:
    """Counts, problems and checksum of weights; the checksum is that of records.

    Raises:
        UserError: unknown.
    """
    place = _place(registry, name)
    told: dict[str, Any] = {"name": name, "folder": str(place), "counts": {}, "problems": []}
    told["fingerprint"] = None
    from thesisbench.weights.files import checked_digest, read_weights, weights_file

    try:
        path = weights_file(name)
        told["fingerprint"] = {"file": path.name, "sha256": checked_digest(name, path)}
        state = read_weights(path)
    except UserError as error:
        told["problems"].append(str(error))
        return told
    told["counts"] = {"tensors": len(state), "numbers": sum(v.numel() for v in state.values())}
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            told["problems"].append(f"{path}: {key} is not finite")
    return told
