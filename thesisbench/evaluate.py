"""Evaluates a fit again, or repeats an evaluation, without training."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.execute import folder_config
from thesisbench.identity import ID_LENGTH, run_id
from thesisbench.launch.inline import torch_threads
from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.store.folder import RunFolder
from thesisbench.store.runs import RunStore
from thesisbench.tables.model import PlannedRun


def evaluate(
    place: str, overrides: Sequence[str], config_dirs: tuple[str, ...] = ()
) -> tuple[dict[str, Any], int]:
    """Evaluates the run at a place.

    Args:
        place: run id, run folder, or a weights file inside one.
        overrides: `experiment=RECIPE` of an evaluation, and more; empty repeats an evaluation run.
        config_dirs: the user's config groups.

    Returns:
        What to show, and the exit code: 1 when a repetition differs or the evaluation failed.

    Raises:
        UserError: no such run, no recipe, or a recipe that is no evaluation.
    """
    folder = find_run(place)
    record = folder.read_record()
    if record is None:
        raise UserError(f"run {folder.id} is not done; `thesisbench status` says how far it is")
    if not overrides:
        return _repeat(folder, record)
    if record["kind"] != "fit" and not record["provenance"]["facts"].get("weights"):
        raise UserError(f"run {folder.id} is of kind {record['kind']}; evaluations need a fit")
    return _new(folder, record, list(overrides), Composer(config_dirs))


def find_run(place: str) -> RunFolder:
    """The run folder a user means.

    Raises:
        UserError: there is none, or the beginning of an id fits several.
    """
    store, path = RunStore(), Path(place)
    if place and path.exists():
        for candidate in (path, *path.resolve().parents):
            if RunFolder(candidate).exists():
                return RunFolder(candidate)
        raise UserError(f"{place} is not in a run folder")
    found = (
        [i for i in store.ids() if i.startswith(place)] if re.fullmatch(r"[0-9a-f]+", place) else []
    )
    if len(found) == 1:
        return store.folder(found[0])
    what = f"{len(found)} runs begin with it" if found else "no such run"
    raise UserError(
        f"{place!r}: {what} in {store.root}; give a run id ({ID_LENGTH} hex digits) or a path"
    )


def _new(
    fit: RunFolder, record: dict[str, Any], overrides: list[str], composer: Composer
) -> tuple[dict[str, Any], int]:
    composed = composer.compose(overrides, "evaluate")
    config, recipe = composed.config, composed.choices.get("experiment", "none")
    if config["kind"] != "eval":
        raise UserError(
            f"{recipe} is of kind {config['kind']}; give experiment=RECIPE of an evaluation"
        )
    needs = {"weights": (fit.id,)}
    lineage = {"weights": (str(record["lineage"]),)}
    run = PlannedRun(
        id=run_id(config, composed.choices, needs),
        lineage=run_id(config, composed.choices, lineage, with_revision=False),
        chapter=recipe.rpartition("/")[0],
        step=recipe.rpartition("/")[2],
        kind="eval",
        recipe=recipe,
        scale="ad hoc",
        levels={},
        replicate={"seed": config["seed"]},
        config=config,
        needs=needs,
    )
    folder = RunFolder(fit.path.parent / run.id)
    folder.write_config(folder_config(run))
    with torch_threads(_threads(record)):
        code = run_folder(folder.path)
    done = folder.read_record()
    if done is None:
        return {
            "run": run.id,
            "state": folder.state().name,
            "message": folder.state().message,
        }, FAILED
    return {"run": run.id, **done["result"]["metrics"]}, code


def _repeat(folder: RunFolder, record: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Executes a finished evaluation once more beside its run, and compares bit for bit."""
    if record["kind"] == "fit":
        raise UserError(f"run {folder.id} is a fit; give experiment=RECIPE of an evaluation")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for ids in (record.get("needs") or {}).values():
            for needed in ids:
                (root / needed).symlink_to((folder.path.parent / needed).resolve())
        again = RunFolder(root / folder.id)
        again.write_config(folder.read_config())
        with torch_threads(_threads(record)):
            code = run_folder(again.path)
        repeated = again.read_record()
        if repeated is None:
            return {"run": folder.id, "message": again.state().message}, code
    same = repeated["result"] == record["result"]
    shown = {"run": folder.id, "same": same, **repeated["result"]["metrics"]}
    return shown, DONE if same else FAILED


def _threads(record: dict[str, Any]) -> int:
    """Threads of a recorded run; a repetition with others would differ in its last bits."""
    return int(record["provenance"].get("threads") or 0)
