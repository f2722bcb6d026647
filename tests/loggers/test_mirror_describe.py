from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from thesisbench.loggers.describe import describe, shorten, tags
from thesisbench.tables.model import PlannedRun

MakeRun = Callable[..., PlannedRun]


def test_a_run_is_grouped_by_recipe_and_named_by_levels_and_seed(make_run: MakeRun) -> None:
    entry = describe(make_run("0123456789abcdef", levels={"border": "full", "bias": "no_bias"}))
    assert entry["id"] == "0123456789abcdef"
    assert entry["group"] == "kayhan/full_conv/red_green"
    assert entry["job_type"] == "fit"
    assert entry["name"] == "border=full bias=no_bias seed=3"


def test_the_tags_say_table_thesis_chapter_variant_dataset_and_scale(make_run: MakeRun) -> None:
    run = make_run(tables=("kayhan.t2.1", "kayhan.t2_1_held_out"))
    found = ["kayhan.t2.1", "kayhan.t2_1_held_out", "kayhan", "kayhan/full_conv"]
    assert tags(run) == [*found, "border=full", "red_green", "small"]


def test_an_ad_hoc_run_is_tagged_with_its_drop_ins(make_run: MakeRun) -> None:
    nodes = {"border": {"_target_": "x.Convert", "border": "full"}, "pool": {"_target_": "x.Lift"}}
    run = make_run(levels={}, tables=(), config={"kind": "fit", "variants": nodes})
    assert tags(run) == ["kayhan", "kayhan/full_conv", "border=full", "pool", "small"]


def test_no_tag_is_longer_than_wandb_takes_and_long_ones_stay_apart(make_run: MakeRun) -> None:
    levels = {"scales": "x" * 80 + "one", "neg_chips": "y" * 80}
    other = {**levels, "scales": "x" * 80 + "two"}
    found = [tags(make_run(levels=each)) for each in (levels, other)]
    assert all(0 < len(tag) <= 64 for each in found for tag in each)
    assert len(set(found[0]) ^ set(found[1])) == 2
    assert shorten("z" * 64, 64) == "z" * 64
    assert len(shorten("z" * 65, 64)) == 64


def test_the_config_holds_what_changes_the_result_and_no_infrastructure(make_run: MakeRun) -> None:
    config: dict[str, Any] = describe(make_run())["config"]
    assert config["optimizer"] == {"lr": 0.5}
    assert config["seed"] == 3
    assert config["levels"] == {"border": "full"}
    assert config["trainer"] == {"max_epochs": 4}
    assert "logger" not in config
    json.dumps(config, allow_nan=False)


def test_a_run_without_levels_and_replicates_is_named_by_its_step(make_run: MakeRun) -> None:
    assert describe(make_run(levels={}, replicate={}, step="count"))["name"] == "count"
