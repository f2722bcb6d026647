"""Files of weights below the data root: found, read and checked.

A name has a folder of its own, `weights/<name>`, with one file: the one that is published under
that name, or another that was put there by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thesisbench.data.bad_file import BadFileError
from thesisbench.data.files.fetch import digest_of
from thesisbench.errors import UserError
from thesisbench.store.runs import data_root
from thesisbench.weights.darknet import ENDING, KEY, read_darknet
from thesisbench.weights.published import Published, may_be_downloaded, published

ENDINGS = (".pth", ".pt", ".pth.tar", ".safetensors", ENDING)
WRAPPERS = ("state_dict", "model")  # keys under which files keep the weights themselves


def weights_folder(name: str) -> Path:
    """Where weights are looked for."""
    return data_root() / "weights" / name


def weights_file(name: str) -> Path:
    """The file of weights.

    Raises:
        UserError: there is none, or more than one that may be meant.
    """
    folder = weights_folder(name)
    found = sorted(p for p in folder.glob("*") if p.name.endswith(ENDINGS) and p.name[0] != ".")
    if not found:
        raise UserError(f"no weights in {folder}: run `thesisbench weights prepare {name}`")
    if len(found) > 1:
        several = ", ".join(path.name for path in found)
        raise UserError(f"{folder} has several files ({several}); keep one of them")
    return found[0]


def checked_digest(name: str, path: Path) -> str:
    """sha256 of a file of weights.

    Raises:
        BadFileError: it has the name of the published file, but is another.
    """
    digest = digest_of(path, "sha256")
    known = _published(name)
    wanted = (known.checksum or "").partition(":")[2] if known else ""
    if known and path.name == known.file and not digest.startswith(wanted):
        text = f"{path} is broken: its sha256 begins with {digest[:8]}, not {wanted}"
        raise BadFileError(f"{text}; delete it and run `thesisbench weights prepare {name}`")
    return digest


def _published(name: str) -> Published | None:
    """What is published under a name; a user may give a file of their own any name."""
    try:
        return published(name) if may_be_downloaded(name) else None
    except UserError:
        return None


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name; no code in it is run.

    Those of a file of darknet have no names (`thesisbench.weights.darknet`).

    Raises:
        BadFileError: cut short, no weights, or not tensors by name.
    """
    if path.suffix == ENDING:
        return {KEY: read_darknet(path)}
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadFileError(f"cannot read weights {path}: {reason}; fetch them anew") from error
    for key in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state:
        raise BadFileError(f"{path} holds no weights by name")
    if odd := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise BadFileError(f"{path} holds something else than weights: {odd[0]}")
    return {str(key).removeprefix("module."): value for key, value in state.items()}
