"""Values that no run can have are refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from thesisbench.compose import Composer
from thesisbench.errors import UserError
from thesisbench.value_checks import check_kinds, check_values

RECIPE = "experiment=kayhan/full_conv/red_green"


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ({"epochs": 0}, "schedule.epochs must be at least 1; got 0"),
        ({"batch_size": -4}, "schedule.batch_size must be at least 1; got -4"),
        ({"patience": -1}, "schedule.patience must be at least 0; got -1"),
        ({"mode": "up"}, "unknown schedule.mode 'up'; valid: max, min"),
        ({"select": "worst"}, "unknown schedule.select 'worst'; valid: best, last"),
    ],
)
def test_a_value_out_of_range_is_named(schedule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=f"here: {complaint}"):
        check_values({"seed": 0, "schedule": schedule}, "here")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_must_be_one_that_generators_take(seed: int) -> None:
    with pytest.raises(UserError, match=rf"seed must be at (least 0|most 4294967295); got {seed}"):
        check_values({"seed": seed}, "here")


def test_values_at_the_edge_and_absent_ones_pass() -> None:
    least = {"epochs": 1, "batch_size": 1, "patience": None, "limit_batches": None}
    check_values({"seed": 2**32 - 1, "schedule": least, "precision": "bf16-mixed"}, "here")
    check_values({"seed": 0, "schedule": None}, "here")


@pytest.mark.parametrize("value", ["fast", "", True])
def test_what_stands_in_place_of_a_number_must_be_one(value: Any) -> None:
    with pytest.raises(UserError, match=r"optimizer\.lr is a number \(0\.1\); got "):
        check_kinds({"optimizer": {"lr": 0.1}}, {"optimizer": {"lr": value}}, "here")


@pytest.mark.parametrize("value", [1, 0.5, None, [3, 3], {"a": 1}])
def test_other_values_may(value: Any) -> None:
    check_kinds({"a": {"b": 0.1, "c": "x"}}, {"a": {"b": value, "c": 3}, "d": "new"}, "here")


@pytest.mark.parametrize("word", ["trainer.devices=auto", "trainer.devices='0,1'", "+task.x=1"])
def test_what_lightning_and_classes_take_is_left(composer: Composer, word: str) -> None:
    composer.compose([RECIPE, word])


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("trainer.devices=many", "trainer.devices must be a whole number"),
        ("optimizer.lr=nought", "optimizer.lr is a number"),
        ("schedule.epochs=-1", "schedule.epochs must be at least 1"),
    ],
)
def test_a_command_line_is_checked(composer: Composer, word: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        composer.compose([RECIPE, word])
