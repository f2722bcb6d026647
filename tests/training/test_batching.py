"""How a global batch is shared out, and what of that enters the id of a run."""

from __future__ import annotations

from typing import Any

import pytest

from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError
from thesisbench.identity import run_id
from thesisbench.training import batching
from thesisbench.training.batching import Batching, check_batching, lr_factor, norm_batch

FIT = "experiment=kayhan/full_conv/red_green"  # batch 200


@pytest.fixture
def mixing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets every network count as one that may mix the samples of a batch."""
    monkeypatch.setattr(batching, "is_batch_free", lambda config: False)


def config(batch: int, accumulate: int = 1, **trainer: Any) -> dict[str, Any]:
    schedule = {"batch_size": batch, "accumulate": accumulate}
    return {"kind": "fit", "schedule": schedule, "trainer": trainer}


def id_of(made: Composed) -> str:
    return run_id(made.config, made.choices, {})


@pytest.mark.parametrize(
    ("given", "accumulate", "per_device"),
    [
        (config(48), 1, 48),
        (config(48, 4), 4, 12),
        (config(48, devices=2), 1, 24),
        (config(48, 2, devices=2, num_nodes=3), 2, 4),
        (config(48, devices=2, max_per_device_batch=24), 1, 24),
        (config(48, devices=2, max_per_device_batch=23), 2, 12),
        (config(48, devices=2, max_per_device_batch=7), 4, 6),
        (config(48, max_per_device_batch=100), 1, 48),
        (config(48, devices="auto"), 1, 48),
        (config(48, devices="0,1"), 1, 24),
    ],
)
def test_the_parts_make_up_the_batch(
    given: dict[str, Any], accumulate: int, per_device: int
) -> None:
    made = Batching.of(given)
    assert (made.accumulate, made.per_device) == (accumulate, per_device)
    assert made.per_device * made.parts == 48


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (config(50, devices=4), r"50 has no 4 equal parts .* nearest that have: 48 or 52"),
        (config(3, devices=4), "nearest that have: 4"),
        (config(48, 5), r"\(1 devices x 5 in turn\)"),
        (config(48, 2, max_per_device_batch=8), "leaves 24 samples a device"),
        (config(509, max_per_device_batch=256), "no equal parts of nearly 256; next: 1"),
        (config(48, devices=0), "trainer.devices must be a whole number of at least 1; got 0"),
        (config(48, devices=-2), "got -2"),
        (config(48, devices=True), "got True"),
        (config(48, devices=1.5), "got 1.5"),
        (config(48, devices="two"), "got 'two'"),
        (config(48, devices="0,0"), "names a device twice"),
        (config(48, devices=[]), r"got \[\]"),
        (config(48, num_nodes=0), "trainer.num_nodes must be"),
        (config(48, max_per_device_batch=0), "trainer.max_per_device_batch must be"),
        (config(48, devices=2, strategy="ddp_spawn"), "unknown trainer.strategy for several"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_out_is_one_line(given: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text) as raised:
        check_batching(given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (config(48), None),
        (config(48, devices=2), 24),
        (config(48, 3, devices=2), 8),
        (config(48, devices=2, sync_batchnorm=True), None),
        (config(48, 3, devices=2, sync_batchnorm=True), 16),
        ({"kind": "eval", "trainer": {"devices": 2}}, None),
    ],
)
@pytest.mark.usefixtures("mixing")
def test_the_batch_that_a_normalisation_sees(given: dict[str, Any], seen: int | None) -> None:
    assert norm_batch(given) == seen


PARTS = ("trainer.devices=2", "schedule.accumulate=2", "trainer.max_per_device_batch=100")


@pytest.mark.parametrize("override", PARTS)
def test_parts_leave_the_id_of_a_network_without_batch_statistics(
    override: str, composer: Composer
) -> None:
    assert id_of(composer.compose([FIT, override])) == id_of(composer.compose([FIT]))


@pytest.mark.usefixtures("mixing")
def test_equal_parts_give_one_id_whoever_makes_them(composer: Composer) -> None:
    ids = {id_of(composer.compose([FIT, override])) for override in PARTS}
    assert len(ids) == 1
    assert id_of(composer.compose([FIT])) not in ids
    finer = id_of(composer.compose([FIT, "trainer.devices=5"]))
    assert finer not in ids


def test_one_unknown_class_is_enough_to_doubt() -> None:
    free = "thesisbench.methods.kayhan.full_conv.red_green_net.RedGreenNet"
    border = "thesisbench.layers.border.ConvertBorder"
    known = {"backbone": {"_target_": free}, "variants": {"border": {"_target_": border}}}
    assert batching.is_batch_free(known)
    assert not batching.is_batch_free({**known, "backbone": {"_target_": "torch.nn.BatchNorm2d"}})
    assert not batching.is_batch_free({"backbone": {"width": 3}})


def test_precision_is_one_setting_under_two_names(composer: Composer) -> None:
    ids = [
        id_of(composer.compose([FIT, word]))
        for word in ("precision=bf16-mixed", "trainer.precision=bf16-mixed")
    ]
    assert ids[0] == ids[1] != id_of(composer.compose([FIT]))
    same = composer.compose([FIT, "trainer.precision=32-true"])
    assert id_of(same) == id_of(composer.compose([FIT]))
    with pytest.raises(UserError, match=r"unknown trainer\.precision 'half'"):
        composer.compose([FIT, "trainer.precision=half"])


def test_compiling_and_the_ddp_option_leave_the_id(composer: Composer) -> None:
    plain = id_of(composer.compose([FIT]))
    one = [["trainer.compile=true"], ["trainer.channels_last=true"]]
    for words in (*one, ["trainer=ddp", "trainer.devices=5"]):
        assert id_of(composer.compose([FIT, *words])) == plain


@pytest.mark.parametrize(("rule", "factor"), [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)])
def test_the_learning_rate_follows_the_rule(rule: str, factor: float) -> None:
    assert lr_factor({"lr_rule": rule, "base_batch": 25}, 100) == factor


def test_the_rule_enters_the_id_only_when_there_is_one(composer: Composer) -> None:
    plain = id_of(composer.compose([FIT]))
    assert id_of(composer.compose([FIT, "optimizer.base_batch=25"])) == plain
    words = ["optimizer.lr_rule=linear", "optimizer.base_batch=25"]
    linear = id_of(composer.compose([FIT, *words]))
    root = id_of(composer.compose([FIT, "optimizer.lr_rule=sqrt", words[1]]))
    assert len({plain, linear, root}) == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["optimizer.lr_rule=cubic"], "unknown optimizer.lr_rule 'cubic'; valid: linear"),
        (["optimizer.lr_rule=linear"], "needs optimizer.base_batch"),
        (["optimizer.lr_rule=sqrt", "optimizer.base_batch=0"], "got 0"),
    ],
)
def test_a_rule_that_says_too_little_is_one_line(
    words: list[str], text: str, composer: Composer
) -> None:
    with pytest.raises(UserError, match=text):
        composer.compose([FIT, *words])
