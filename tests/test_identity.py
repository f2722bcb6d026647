"""Ids: what changes a result changes them, nothing else does, and they stay what they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from thesisbench import identity, target_defaults
from thesisbench.compose import Composed, Composer
from thesisbench.errors import UserError
from thesisbench.identity import run_id, science
from thesisbench.instantiate import ALLOW_VARIABLE, targets

FIT = "experiment=kayhan/full_conv/red_green"
EVAL = "experiment=kayhan/full_conv/red_green_test"
COUNT = "experiment=kayhan/full_conv/use_count"

# Ids of two shipped runs. If these change, every record ever made is of "another run": undo what
# changed them. If it has to be (the science subtree must mean something new), raise
# identity.ID_VERSION knowingly, say so in the changelog, and type the new ids here.
GOLDEN_FIT = "4e7f5aa3673e7dd7"
GOLDEN_EVAL = "87099170f5dcb75d"


def id_of(made: Composed, needs: Mapping[str, tuple[str, ...]] | None = None) -> str:
    return run_id(made.config, made.choices, needs or {})


def test_ids_of_shipped_runs_are_what_they_were(composer: Composer) -> None:
    fit = id_of(composer.compose([FIT]))
    assert fit == GOLDEN_FIT
    assert id_of(composer.compose([EVAL, "seed=3"]), {"weights": (fit,)}) == GOLDEN_EVAL


def test_an_id_is_the_same_in_every_process_whatever_its_hash_seed() -> None:
    program = (
        "from thesisbench.compose import Composer\n"
        "from thesisbench.identity import run_id\n"
        f"made = Composer().compose(['{FIT}', 'border=full'])\n"
        "print(run_id(made.config, made.choices, {'a': ['1'], 'b': ['2', '3']}))\n"
    )
    found = set()
    for seed in ("0", "1", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1


def turned(node: Any) -> Any:
    """The same data with the keys of every mapping in the opposite order."""
    if isinstance(node, dict):
        return {key: turned(node[key]) for key in reversed(node)}
    return [turned(value) for value in node] if isinstance(node, list) else node


def test_the_order_of_keys_and_of_overrides_does_not_matter(composer: Composer) -> None:
    words = ["optimizer.lr=3", "border=full", "+trainer.a=1", "+trainer.b=2"]
    made = composer.compose([FIT, *words])
    again = composer.compose([FIT, *reversed(words)])
    plain = run_id(made.config, made.choices, {"x": ["1"], "y": ["2"]})
    assert list(turned(made.config)) != list(made.config)
    assert run_id(turned(made.config), turned(made.choices), {"y": ["2"], "x": ["1"]}) == plain
    assert id_of(again) == id_of(made)


CHANGES = """
    optimizer.lr=2 optimizer.lr=1.0001 optimizer.weight_decay=0 optimizer=sgd border=full
    border=none schedule.epochs=51 schedule.batch_size=100 schedule.patience=null
    schedule.shuffle=true schedule.gradient_clip=1 schedule.limit_batches=3 schedule.select=last
    seed=1 split=0 precision=16-mixed memory_format=channels_last dataset.splits.protocol=released
    dataset.splits.n_train=1999 dataset.splits.data_seed=null backbone.classes=3 debug=one_batch
    revision=2 +trainer.benchmark=true +trainer.gradient_clip_algorithm=value +backbone.new=[]
    task.label_smoothing=0.1 variants.border.pad_mode=circular +optimizer.foreach=false
    +callbacks.watch={every:3}
"""
SAME = """
    launcher=inline launcher.workers=7 launcher.threads=2 logger=none logger.project=other ~logger
    trainer=cpu trainer.accelerator=gpu trainer.devices=4 trainer.num_nodes=2 trainer.num_workers=3
    +trainer.strategy=ddp +trainer.enable_progress_bar=true scheduler=none ~scheduler ~callbacks
    optimizer.lr=1 optimizer.rho=0.90 optimizer.eps=0.000001 split=null schedule.monitor=val_loss
    +optimizer.foreach=null +optimizer.maximize=false ~optimizer.eps +backbone.node={} seed=0
    evaluation=top1 +note=hello
"""


@pytest.mark.parametrize("override", CHANGES.split())
def test_what_changes_a_result_changes_the_id(composer: Composer, override: str) -> None:
    assert id_of(composer.compose([FIT, override])) != GOLDEN_FIT


def test_different_changes_give_different_ids(composer: Composer) -> None:
    ids = [id_of(composer.compose([FIT, override])) for override in CHANGES.split()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("override", SAME.split())
def test_what_does_not_change_a_result_keeps_the_id(composer: Composer, override: str) -> None:
    assert id_of(composer.compose([FIT, override])) == GOLDEN_FIT


def test_an_evaluation_setting_keeps_the_fit_and_changes_the_evaluation(
    composer: Composer,
) -> None:
    fit = composer.compose([FIT, "evaluation=top1", "evaluation.splits=[x]"])
    assert fit.config["evaluation"]["splits"] == ["x"]
    assert id_of(fit) == GOLDEN_FIT
    needs = {"weights": (GOLDEN_FIT,)}
    measured = {
        id_of(composer.compose([EVAL, f"evaluation.splits=[{names}]"]), needs)
        for names in ("similar", "dissimilar", "similar,dissimilar")
    }
    assert len(measured) == 3


def test_an_evaluation_is_named_by_what_it_needs_and_in_which_order(composer: Composer) -> None:
    made = composer.compose([EVAL])
    needs: list[dict[str, tuple[str, ...]]] = [
        {},
        {"weights": ("a",)},
        {"weights": ("b",)},
        {"weights": ("a", "b")},
        {"weights": ("b", "a")},
        {"teacher": ("a",)},
    ]
    assert len({id_of(made, need) for need in needs}) == len(needs)


def test_a_revision_changes_the_id_and_not_the_lineage(composer: Composer) -> None:
    old, new = (composer.compose([FIT, f"revision={n}"]) for n in (1, 2))
    lineages = {run_id(m.config, m.choices, {}, with_revision=False) for m in (old, new)}
    other = composer.compose([FIT, "seed=1"])
    assert id_of(old) != id_of(new)
    assert len(lineages) == 1
    assert run_id(other.config, other.choices, {}, with_revision=False) not in lineages


def test_the_id_version_is_part_of_every_id(
    composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "ID_VERSION", identity.ID_VERSION + 1)
    assert id_of(composer.compose([FIT])) != GOLDEN_FIT


def test_absent_drop_ins_leave_no_trace(composer: Composer) -> None:
    made = composer.compose([FIT, "border=none"])
    seen = science(made.config, made.choices)
    assert "variants" not in seen["values"]
    assert set(seen["choices"]) == {"task", "backbone", "dataset", "optimizer"}
    grown = {**made.choices, "invented": "none", "absent": "None"}
    assert run_id(made.config, grown, {}) == id_of(made)
    assert run_id(made.config, {**grown, "invented": "thing"}, {}) != id_of(made)


def test_no_path_of_a_class_enters_an_id(composer: Composer) -> None:
    made = composer.compose([FIT, "+trainer.plugin=null"])
    text = json.dumps(science(made.config, made.choices))
    assert "_target_" not in text
    assert "thesisbench." not in text
    assert "_partial_" not in text


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_value_without_identity_is_named(composer: Composer, value: str) -> None:
    made = composer.compose([FIT, f"optimizer.lr={value}"])
    with pytest.raises(UserError, match=r"optimizer\.lr is -?(nan|inf): only finite"):
        id_of(made)


# Classes of the user: renamed, and given new arguments.

CODE = """
class Net:
    def __init__(self, *, width, depth=3, name=None, sizes=(1, 2)): ...

class Renamed:
    def __init__(self, *, width, depth=3, name=None, sizes=(1, 2)): ...

class Grown:
    def __init__(self, *, width, depth=3, name=None, sizes=(1, 2), dropout=0.0, extra=True): ...

class Other:
    def __init__(self, *, width, depth=4, name=None, sizes=(1, 2)): ...

def make(*, width, depth=3, name=None, sizes=(1, 2)): ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user that configurations may call into; its name."""
    name = f"user_nets_{abs(hash(str(tmp_path))) % 10**9}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(ALLOW_VARIABLE, name)
    return name


def user_id(tmp_path: Path, target: str, arguments: str = "width: 8", more: str = "") -> str:
    """Id of a fit whose backbone is an option file of the user."""
    option = tmp_path / "conf/backbone/mine.yaml"
    option.parent.mkdir(parents=True, exist_ok=True)
    option.write_text(f"_target_: {target}\n" + arguments.replace("; ", "\n") + "\n")
    words = [FIT, "backbone=mine", *more.split()]
    return id_of(Composer((str(tmp_path / "conf"),)).compose(words))


@pytest.mark.parametrize("new", ["Renamed", "make", "Grown"])
def test_renaming_a_class_or_giving_it_defaulted_arguments_keeps_ids(
    tmp_path: Path, package: str, new: str
) -> None:
    old = user_id(tmp_path, f"{package}.Net")
    assert user_id(tmp_path, f"{package}.{new}") == old
    assert user_id(tmp_path, f"{package}.{new}", "width: 8; depth: 5") != old


@pytest.mark.parametrize("written", ["depth: 3", "depth: 3.0", "name: null", "sizes: [1, 2]"])
def test_writing_a_default_out_keeps_ids(tmp_path: Path, package: str, written: str) -> None:
    plain = user_id(tmp_path, f"{package}.Net")
    assert user_id(tmp_path, f"{package}.Net", f"width: 8; {written}") == plain


@pytest.mark.parametrize(
    "written", ["depth: null", "depth: 4", "name: x", "sizes: [2, 1]", "sizes: null"]
)
def test_anything_but_the_default_changes_ids(tmp_path: Path, package: str, written: str) -> None:
    plain = user_id(tmp_path, f"{package}.Net")
    assert user_id(tmp_path, f"{package}.Net", f"width: 8; {written}") != plain


def test_a_null_where_the_default_is_no_null_differs_from_leaving_it_out(
    tmp_path: Path, package: str
) -> None:
    ids = [
        user_id(tmp_path, f"{package}.Net", f"width: 8{depth}")
        for depth in ("", "; depth: null", "; depth: 0")
    ]
    assert len(set(ids)) == 3


def test_the_name_of_an_option_stands_for_its_class(tmp_path: Path, package: str) -> None:
    (tmp_path / "conf/backbone").mkdir(parents=True)
    text = f"_target_: {package}.Net\nwidth: 8\n"
    (tmp_path / "conf/backbone/other.yaml").write_text(text)
    mine = user_id(tmp_path, f"{package}.Net")
    other = Composer((str(tmp_path / "conf"),)).compose([FIT, "backbone=other"])
    assert id_of(other) != mine


def test_planning_imports_nothing_that_is_not_allowed(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ALLOW_VARIABLE, "")
    sys.modules.pop(package, None)
    with pytest.raises(UserError, match=rf"--allow-targets {package}"):
        user_id(tmp_path, f"{package}.Net")
    assert package not in sys.modules


@pytest.mark.parametrize("gone", ["Nothing", "deeper.Net"])
def test_a_target_that_is_not_there_is_named(tmp_path: Path, package: str, gone: str) -> None:
    with pytest.raises(UserError, match=rf"{package}\.{gone}' cannot be imported"):
        user_id(tmp_path, f"{package}.{gone}")


# What ships.


def test_the_kept_defaults_are_those_of_the_code() -> None:
    kept = json.loads((files("thesisbench") / "target_defaults.json").read_text())
    current = json.loads(json.dumps(target_defaults.current()))
    assert kept == current, (
        "a default changed or a target came: raise the revision of the recipes whose results "
        "change, then run python -m thesisbench.target_defaults"
    )


def test_the_kept_word_on_batch_statistics_is_that_of_the_code() -> None:
    kept = json.loads((files("thesisbench") / "batch_free.json").read_text())
    assert kept == target_defaults.current_batch_free(), "run python -m thesisbench.target_defaults"
    assert set(kept.values()) == {True, False}


def test_every_shipped_target_is_allowed() -> None:
    from thesisbench.instantiate import check_targets

    shipped = target_defaults.shipped_targets()
    assert len(shipped) > 10
    for target in shipped:
        check_targets({"_target_": target})


def test_no_recipe_holds_a_target() -> None:
    recipes = sorted(Path(str(files("thesisbench.conf"))).glob("experiment/**/*.yaml"))
    assert len(recipes) >= 7
    for path in recipes:
        assert not list(targets(yaml.safe_load(path.read_text()))), path


def test_every_option_called_none_is_empty() -> None:
    """Such a choice is left out of ids, so it may say nothing; `logger` never enters one."""
    options = sorted(Path(str(files("thesisbench.conf"))).glob("**/none.yaml"))
    assert len(options) > 5
    for path in options:
        content = yaml.safe_load(path.read_text())
        assert path.parent.name == "logger" or not content, path
