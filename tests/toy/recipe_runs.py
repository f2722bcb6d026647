"""Runs a recipe on miniature data, to its end, and hands back its folder and record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_runs import toy_folder

from thesisbench.compose import Composer
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder


def run_recipe(
    composer: Composer, root: Path, recipe: str, *overrides: str, **needs: list[str]
) -> tuple[RunFolder, dict[str, Any]]:
    """Composes a recipe (experiment=thesis/chapter/name), runs it in a folder of its name."""
    config = composer.compose([recipe, *overrides]).config
    folder: RunFolder = toy_folder(root, recipe.rsplit("/", 1)[-1], config, **needs)
    assert run_folder(folder.path) == DONE, folder.read_state()
    record = folder.read_record()
    assert record is not None
    assert record["result"]["outcome"] == "ok"
    return folder, record
