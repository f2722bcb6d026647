"""Composing: the same as plain Hydra, and one clear line for everything that is wrong."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError
from thesisbench.identity import run_id
from thesisbench.schema import register

RED_GREEN = "experiment=kayhan/full_conv/red_green"
SEED = 20
COMMON = """
    seed=3 ++seed=4 split=1 split=null precision=bf16-mixed +note=a memory_format=channels_last
    +trainer.benchmark=true trainer.devices=2 +note={a:[1,2],b:'${seed}'} +extra.deep.key=1e-3
    revision=7 schedule.epochs=many nothing.here=1
"""
FIT_VALUES = """
    optimizer.lr=0.5 optimizer.lr=1 ~optimizer.lr ++optimizer.lr=3e-4 schedule.epochs=7
    schedule.patience=null schedule.gradient_clip=1 schedule.shuffle=true dataset.name=mine
    +backbone.extra=null ~dataset.splits.n_train dataset.splits={n_train:5} optimizer={lr:9}
"""
EVAL_VALUES = "evaluation.splits=[a,b] ~evaluation.splits +evaluation.more=${seed}"
COUNT_VALUES = "compute.n=11 compute.k=2 compute={k:3,n:5} ~compute.pad_mode"
GROUPS = {
    "border": ["valid", "same", "full", "circular", "reflect", "replicate", "none"],
    "optimizer": ["sgd", "adadelta"],
    "backbone": ["corner_net", "red_green_net", "crop_fm", "no_crop"],
    "dataset": ["red_green", "corner_patch", "q_digits"],
    "logger": ["none", "wandb"],
    "launcher": ["local", "inline"],
    "trainer": ["cpu", "default"],
    "scheduler": ["none"],
}
RECIPES: dict[str, tuple[dict[str, list[str]], list[str]]] = {
    "full_conv/red_green": ({**GROUPS, "debug": ["one_batch"]}, FIT_VALUES.split()),
    "full_conv/red_green_test": ({**GROUPS, "evaluation": ["top1"]}, EVAL_VALUES.split()),
    "full_conv/use_count": ({**GROUPS, "compute": ["use_count"]}, COUNT_VALUES.split()),
}


def random_groups(rng: random.Random) -> tuple[list[str], list[str]]:
    """A recipe with some group choices and deletions; and values that go with the recipe."""
    recipe = rng.choice(list(RECIPES))
    groups, values = RECIPES[recipe]
    lines = [f"experiment=kayhan/{recipe}"]
    for group in rng.sample(sorted(groups), rng.randint(0, 3)):
        chosen = f"{group}={rng.choice(groups[group])}"
        lines.append(f"~{group}" if rng.random() < 0.1 else chosen)
    return lines, [*values, *COMMON.split()]


def plain_hydra(overrides: list[str]) -> Composed:
    """What Hydra itself makes of the same overrides."""
    config = compose("train", overrides, return_hydra_config=True)
    choices = {k: str(v) for k, v in config.hydra.runtime.choices.items()}
    with open_dict(config):
        del config["hydra"]
    resolved: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return Composed(resolved, {k: v for k, v in choices.items() if not k.startswith("hydra/")})


@pytest.mark.parametrize("n", [54, pytest.param(216, marks=pytest.mark.slow)])
def test_random_override_lists_give_what_plain_hydra_gives(composer: Composer, n: int) -> None:
    register()
    GlobalHydra.instance().clear()
    rng, equal, refused = random.Random(SEED), 0, 0
    with initialize_config_module("thesisbench.conf", version_base="1.3"):
        for _ in range(n // 9):
            groups, values = random_groups(rng)
            for _ in range(9):
                overrides = [*groups, *rng.sample(values, rng.randint(0, 4))]
                rng.shuffle(overrides)
                try:
                    expected = plain_hydra(overrides)
                except Exception:
                    with pytest.raises(UserError):
                        composer.compose(overrides)
                    refused += 1
                    continue
                made = composer.compose(overrides)
                assert made.config == expected.config, overrides
                assert made.choices == expected.choices, overrides
                equal += 1
    assert equal + refused == n
    assert min(equal, refused) >= n // 20  # both sides of the comparison were exercised


def test_one_composition_of_groups_serves_many_values_and_is_never_changed(
    composer: Composer,
) -> None:
    first = composer.compose([RED_GREEN])
    changed = composer.compose([RED_GREEN, "optimizer.lr=7", "+new=1", "~dataset.name"])
    changed.config["backbone"]["classes"] = 99
    assert changed.config["optimizer"]["lr"] == 7
    assert composer.compose([RED_GREEN]) == first


def test_the_last_choice_of_a_group_and_the_last_value_of_a_key_win(composer: Composer) -> None:
    words = [RED_GREEN, "border=valid", "optimizer.lr=1", "border=full", "optimizer.lr=2"]
    assert composer.compose(words) == composer.compose([RED_GREEN, "border=full", "optimizer.lr=2"])
    assert composer.compose(words[::-1]).choices["border"] == "valid"


def test_a_folder_of_the_user_adds_options_groups_and_recipes(tmp_path: Path) -> None:
    for name, text in {
        "border/mine.yaml": "# @package variants.border\n_target_: toy.Border\nwidth: 3\n",
        "activation/swish.yaml": "# @package variants.activation\n_target_: toy.Swish\n",
        "experiment/toy/one/fit.yaml": "# @package _global_\ndefaults:\n"
        "  - /activation: swish\n  - override /border: mine\nkind: fit\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    composer = Composer((str(tmp_path),))
    made = composer.compose(["experiment=toy/one/fit", "variants.border.width=4"])
    assert made.config["variants"] == {
        "border": {"_target_": "toy.Border", "width": 4},
        "activation": {"_target_": "toy.Swish"},
    }
    assert made.choices["activation"] == "swish"
    assert composer.recipes - Composer().recipes == {"toy/one/fit"}
    assert composer.options("border") == sorted([*Composer().options("border"), "mine"])
    assert composer.compose([RED_GREEN]).config == Composer().compose([RED_GREEN]).config


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--config-dir .*nowhere: no such folder"):
        Composer((str(tmp_path / "nowhere"),)).compose([RED_GREEN])


WRONG = {
    # unknown options, keys and recipes: what is valid, or what is nearest
    "border=fulll": ["'fulll'", "circular, full, none, reflect, replicate, same, valid"],
    "border=null": ["'null'", "circular, full, none"],
    "border=": ["unknown border ''"],
    "border=../train": ["'../train'", "circular"],
    "border=[full,foo]": ["'foo'", "circular"],
    "optimizer=3": ["'3'", "adadelta, none, sgd"],
    "border={a: 1}": ["'border={a: 1}'", "border=NAME"],
    "experiment=kayhan/full_conv/red_gren": ["red_gren'", "kayhan/full_conv/red_green"],
    "optimizer.lrr=1": ["'optimizer.lrr'", "nearest: optimizer.lr"],
    "schedule.epoch=5": ["'schedule.epoch'", "nearest: schedule.epochs"],
    "bordr=full": ["'bordr'", "nearest: border"],
    "~xyz": ["'xyz'", "valid: backbone"],
    "evaluation.splits=[x]": ["'evaluation.splits'", "evaluation"],
    # wrong types and values
    "schedule.epochs=abc": ["'schedule.epochs=abc'", "Integer"],
    "schedule.epochs=5.0": ["'schedule.epochs=5.0'", "Integer"],
    "schedule.epochs=null": ["'schedule.epochs=null'", "not Optional"],
    "seed=1.5": ["'seed=1.5'", "Integer"],
    "seed.x=3": ["'seed.x'"],
    "+seed=3": ["'+seed=3'", "seed=3"],
    "kind=bogus": ["'bogus'", "analytic, eval, fit, prepare"],
    "~kind": ["'~kind'", "every run has the key"],
    "~schedule": ["'~schedule'", "every run has the key"],
    "~optimizer.lr=2.0": ["'~optimizer.lr=2.0'", "1.0"],
    "backbone.classes=???": ["classes"],
    "optimizer.lr=${foo}": ["'foo'"],
    "+border=full": ["+border=full", "Multiple values"],
    # no override at all
    "a b=3": ["'a b=3'", "not an override"],
    "=3": ["'=3'", "not an override"],
    "seed=(1": ["'seed=(1'", "not an override"],
    # several values
    "seed=1,2": ["'seed=1,2'", "-m"],
    "seed=range(3)": ["'seed=range(3)'", "-m"],
    "border=full,same": ["'border=full,same'", "-m"],
    # what Hydra or an id would not see
    "hydra/launcher=joblib": ["'hydra/launcher=joblib'", "launcher=local or launcher=inline"],
    "hydra/sweeper=ax": ["'hydra/sweeper=ax'", "thesisbench train -m"],
    "hydra.job.chdir=true": ["'hydra.job.chdir=true'", "not used here"],
    "optimizer._target_=os.system": ["optimizer._target_", "option file"],
    "++optimizer._target_=os.system": ["optimizer._target_", "option file"],
    "~optimizer._partial_": ["_partial_", "option file"],
    "optimizer={_target_: torch.optim.SGD}": ["optimizer._target_", "option file"],
    "+callbacks={a: {_target_: os.system}}": ["callbacks.a._target_", "option file"],
    "+note=[{_target_: os.system}]": ["note.0._target_", "option file"],
    "variants.border=${optimizer}": ["variants.border._target_", "option file"],
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_override_is_named_in_one_line(composer: Composer, override: str) -> None:
    with pytest.raises(UserError) as caught:
        composer.compose([RED_GREEN, override], "here")
    message = str(caught.value)
    assert message.startswith("here: ")
    assert "\n" not in message
    for part in WRONG[override]:
        assert part in message
    assert "Search path" not in message


def test_a_composition_without_a_recipe_is_refused(composer: Composer) -> None:
    with pytest.raises(UserError, match="no recipe; choose one with experiment="):
        composer.compose(["seed=1", "border=full"])


def test_a_target_may_be_repeated_by_interpolation_in_an_option_file(tmp_path: Path) -> None:
    path = tmp_path / "experiment/toy/one/fit.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\ndefaults:\n  - override /backbone: corner_net\n"
        "kind: fit\ncallbacks:\n  teacher: ${backbone}\n"
    )
    made = Composer((str(tmp_path),)).compose(["experiment=toy/one/fit", "backbone.filters=4"])
    assert made.config["callbacks"]["teacher"] == made.config["backbone"]
    assert made.config["backbone"]["filters"] == 4


def test_the_schema_turns_values_into_its_types(composer: Composer) -> None:
    made = composer.compose([RED_GREEN, "schedule.gradient_clip=1", "schedule.shuffle=1", "seed=7"])
    clip, shuffle = made.config["schedule"]["gradient_clip"], made.config["schedule"]["shuffle"]
    assert (type(clip), clip) == (float, 1.0)
    assert shuffle is True
    assert made.config["seed"] == 7


def test_one_and_one_point_zero_are_one_learning_rate(composer: Composer) -> None:
    ids = set()
    for rate in ("1", "1.0", "1e0", "10e-1"):
        made = composer.compose([RED_GREEN, f"optimizer.lr={rate}"])
        ids.add(run_id(made.config, made.choices, {}))
    assert len(ids) == 1


@pytest.mark.parametrize("path", sorted(Composer().recipes))
def test_every_shipped_recipe_composes_and_names_its_kind(composer: Composer, path: str) -> None:
    made = composer.compose([f"experiment={path}"])
    assert made.config["kind"] in ("fit", "eval", "prepare", "analytic")
    assert made.choices["experiment"] == path
