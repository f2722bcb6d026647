"""A fit that is killed anywhere and resumed ends in the result of an uninterrupted one, bit by bit.

A kill is a SIGKILL that the child sends itself before or after a chosen call.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import Children, Kill, toy_config, toy_folder

SELECTION, FIT = "thesisbench.training.selection", "thesisbench.training.fit"
BATCH = "thesisbench.training.randomness:SeedEachEpoch.on_train_batch_start"
JOURNAL = "thesisbench.training.journal:Journal.on_train_epoch_end"
KEEP = f"{SELECTION}:KeepBest.on_train_epoch_end"
WEIGHTS = f"{SELECTION}:_save"
COPY = "shutil:copyfile"
PUBLISH = "thesisbench.store.folder:RunFolder.publish_record"
SIGKILLED = -9

CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stops_early": {"schedule": {"patience": 2, "epochs": 30}, "blobs": {"noise": 3.0}},
    "last": {"schedule": {"select": "last"}, "blobs": {"noise": 3.0}},
    "without_validation": {"schedule": {"select": "last", "epochs": 4}, "blobs": {"val": False}},
    "accumulates": {"schedule": {"accumulate": 2, "gradient_clip": 0.5, "shuffle": False}},
    "schedule": {
        "scheduler": {
            "_target_": "torch.optim.lr_scheduler.ExponentialLR", "_partial_": True, "gamma": 0.5
        }
    },
}  # fmt: skip
KILLS: dict[str, Kill] = {
    "in_the_first_batch": Kill(BATCH, 1),
    "in_mid_epoch": Kill(BATCH, 11),
    "at_the_begin_of_an_epoch": Kill(BATCH, 13, after=False),
    "before_the_line": Kill(JOURNAL, 3, after=False),
    "after_the_line": Kill(JOURNAL, 3),
    "before_the_weights": Kill(WEIGHTS, 2, after=False),
    "after_the_weights": Kill(WEIGHTS, 2),
    "before_the_checkpoint": Kill("pytorch_lightning:Trainer.save_checkpoint", 3, after=False),
    "half_way_through_the_checkpoint": Kill("pytorch_lightning:Trainer.save_checkpoint", 3),
    "after_the_epoch": Kill(KEEP, 3),
    "when_training_is_over": Kill("pytorch_lightning:Trainer.fit", 1),
    "before_the_record": Kill(PUBLISH, 1, after=False),
    "after_the_record": Kill(PUBLISH, 1),
}


@pytest.fixture(scope="module")
def children() -> Children:
    return Children()


@pytest.fixture(scope="module")
def results(
    children: Children, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """Result of the uninterrupted fit of each configuration."""
    root = tmp_path_factory.mktemp("uninterrupted")
    found = {}
    for name, changes in CONFIGS.items():
        folder = toy_folder(root, name, toy_config(**changes))
        assert children.execute(folder.path) == 0, folder.log_file.read_text()
        record = folder.read_record()
        assert record is not None
        found[name] = {**record["result"], "lines": lines(folder.path)}
    return found


def lines(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def finish(children: Children, folder: Any, *kills: Kill) -> dict[str, Any]:
    """Kills attempts one after another, lets the last one finish, and gives the result."""
    for kill in kills:
        assert children.execute(folder.path, kill) == SIGKILLED, folder.log_file.read_text()
    assert children.execute(folder.path) == 0, folder.log_file.read_text()
    record = folder.read_record()
    return {**record["result"], "lines": lines(folder.path)}


def test_the_reference_fits_do_what_their_names_say(results: dict[str, dict[str, Any]]) -> None:
    early = results["stops_early"]["metrics"]
    assert 3 <= early["epochs"] == early["kept_epoch"] + 3 < 30  # patience 2, epochs count from 0
    assert results["plain"]["metrics"]["epochs"] == 6
    assert results["last"]["metrics"]["kept_epoch"] == 5
    assert "val_loss" not in results["without_validation"]["metrics"]
    digests = [result["digests"]["weights"] for result in results.values()]
    assert len(set(digests)) == len(CONFIGS), "some configurations do not differ"
    for result in results.values():
        epochs = [line["epoch"] for line in result["lines"]]
        assert epochs == list(range(int(result["metrics"]["epochs"])))


@pytest.mark.parametrize("point", KILLS)
def test_a_killed_fit_resumes_bit_by_bit(
    point: str, children: Children, results: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    folder = toy_folder(tmp_path, "plain", toy_config())
    assert finish(children, folder, KILLS[point]) == results["plain"]


@pytest.mark.parametrize("config", [name for name in CONFIGS if name != "plain"])
@pytest.mark.parametrize("point", ["in_mid_epoch", "after_the_epoch", "before_the_record"])
def test_it_does_under_every_schedule(
    point: str,
    config: str,
    children: Children,
    results: dict[str, dict[str, Any]],
    tmp_path: Path,
) -> None:
    folder = toy_folder(tmp_path, config, toy_config(**CONFIGS[config]))
    assert finish(children, folder, KILLS[point]) == results[config]


@pytest.mark.parametrize("before_the_end", [0, 1, 2])
@pytest.mark.parametrize("after", [True, False])
def test_a_kill_just_before_early_stopping_trains_not_one_epoch_more(
    before_the_end: int,
    after: bool,
    children: Children,
    results: dict[str, dict[str, Any]],
    tmp_path: Path,
) -> None:
    epochs = int(results["stops_early"]["metrics"]["epochs"])
    folder = toy_folder(tmp_path, "early", toy_config(**CONFIGS["stops_early"]))
    kill = Kill(KEEP, epochs - before_the_end, after=after)
    assert finish(children, folder, kill) == results["stops_early"]


def test_many_kills_in_a_row_and_one_while_the_checkpoint_is_carried_over(
    children: Children, results: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    folder = toy_folder(tmp_path, "often", toy_config())
    kills = [
        Kill(KEEP, 2),
        Kill(COPY, 1, after=False, half=True),
        Kill(COPY, 2, after=False, half=True),
        Kill(BATCH, 2),
        Kill(f"{FIT}:_resume", 1),
        Kill(WEIGHTS, 1),
        Kill(KEEP, 1),
        Kill(f"{FIT}:_finish", 1),
    ]
    assert finish(children, folder, *kills) == results["plain"]
    assert (folder.path / f"lease.{len(kills) + 1}").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_workers_change_nothing_and_resume_alike(
    workers: int, children: Children, results: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    config = toy_config(trainer={"num_workers": workers})
    folder = toy_folder(tmp_path, "loaders", config)
    assert finish(children, folder, KILLS["in_mid_epoch"]) == results["plain"]


def test_a_result_depends_on_what_is_random(
    children: Children, results: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 4},
        "order": {"schedule": {"shuffle": False}},
        "dropout": {"backbone": {"_target_": "toy_parts.ToyNet", "dropout": 0.0}},
        "augmentation": {"dataset": {**toy_config()["dataset"], "transform": None}},
    }
    digests = {results["plain"]["digests"]["weights"]}
    for name, change in changes.items():
        result = finish(children, toy_folder(tmp_path, name, toy_config(**change)))
        digests.add(result["digests"]["weights"])
    assert len(digests) == 5


def test_a_checkpoint_holds_plain_data_only(children: Children, tmp_path: Path) -> None:
    folder = toy_folder(tmp_path, "plain", toy_config())
    assert children.execute(folder.path, KILLS["before_the_record"]) == SIGKILLED
    (last,) = folder.path.glob("attempts/1/checkpoints/last.ckpt")
    loaded = torch.load(last, weights_only=True)  # refuses OmegaConf's classes, and any other
    assert set(modules_of(loaded)) <= {"builtins", "torch", "collections"}
    assert modules_of({"a": [Path("x")]}) == {"builtins", "pathlib"}


def modules_of(node: Any) -> set[str]:
    """Modules of the types in nested data."""
    found = {type(node).__module__}
    if isinstance(node, dict):
        inner = [*node.keys(), *node.values()]
    else:
        inner = list(node) if isinstance(node, list | tuple | set) else []
    return found.union(*(modules_of(item) for item in inner))


def test_only_the_kept_weights_stay_once_the_record_is_there(
    children: Children, tmp_path: Path
) -> None:
    folder = toy_folder(tmp_path, "plain", toy_config())
    result = finish(children, folder, KILLS["after_the_epoch"])
    files = [p for p in folder.path.rglob("*") if p.is_file() and "attempts" in p.parts]
    kept = int(result["metrics"]["kept_epoch"])
    assert [p.relative_to(folder.path).as_posix() for p in files] == [
        f"attempts/2/checkpoints/weights-{kept}.pt"
    ]
