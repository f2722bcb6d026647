"""Making objects from configurations: only what is allowed, and by no detour."""

from __future__ import annotations

import os
from typing import Any

import pytest
from torch import nn

from thesisbench.errors import UserError
from thesisbench.instantiate import ALLOW_VARIABLE, check_targets, make, targets


def node(target: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": target, **arguments}


def test_an_allowed_class_is_made_with_its_arguments() -> None:
    layer = make(node("torch.nn.Linear", in_features=2, out_features=3))
    assert isinstance(layer, nn.Linear)
    assert layer.weight.shape == (3, 2)


@pytest.mark.parametrize("absent", [None, {}])
def test_an_absent_node_makes_nothing(absent: Any) -> None:
    assert make(absent) is None


@pytest.mark.parametrize("wrong", [{"width": 3}, 5, "torch.nn.ReLU", [node("torch.nn.ReLU")]])
def test_a_node_without_a_target_describes_no_object(wrong: Any) -> None:
    with pytest.raises(UserError, match="describes no object"):
        make(wrong)


FOREIGN = [
    "os.system",
    "builtins.eval",
    "subprocess.run",
    "torch.load",
    "thesisbench.store.files.write_text",
    "torch.nnx.Linear",
    "system",
    "torch.nn.__builtins__.eval",
    "thesisbench.data._secret.f",
]


@pytest.mark.parametrize("target", FOREIGN)
def test_a_target_outside_the_allowed_packages_is_refused(target: str) -> None:
    with pytest.raises(UserError, match="outside the allowed packages") as caught:
        check_targets({"a": [{"b": node(target)}]})
    assert "\n" not in str(caught.value)
    assert "--allow-targets" in str(caught.value)


DETOURS = [
    "thesisbench.tasks.evaluate.torch.os.system",
    "thesisbench.tasks.evaluate.torch.load",
    "thesisbench.data.module.hashlib.sha256",
    "torch.nn.modules.container.operator.methodcaller",
]


@pytest.mark.parametrize("target", DETOURS)
def test_what_an_allowed_module_merely_imports_is_refused(target: str) -> None:
    with pytest.raises(UserError, match="outside the allowed packages"):
        make(node(target))


def test_an_inner_target_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("was called"))
    inner = node("thesisbench.tasks.evaluate.torch.os.system", command="true")
    with pytest.raises(UserError, match=r"torch\.os\.system"):
        make(node("torch.nn.Sequential", _args_=[inner]))


def test_users_may_allow_a_package_of_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW_VARIABLE, "collections,fractions")
    assert make(node("fractions.Fraction", numerator=1, denominator=2)) * 2 == 1
    with pytest.raises(UserError, match="outside the allowed packages"):
        check_targets(node("fractionsx.Fraction"))


def test_a_target_that_is_not_there_and_one_that_does_not_fit_are_named() -> None:
    with pytest.raises(UserError, match=r"'torch\.nn\.Linnear' cannot be imported"):
        make(node("torch.nn.Linnear"))
    with pytest.raises(UserError, match=r"torch\.nn\.Linear cannot be made: .*widht"):
        make(node("torch.nn.Linear", widht=3))


def test_all_targets_are_found_however_deep() -> None:
    tree = {"_target_": "a.B", "x": [{"y": {"_target_": "c.D"}}, 3], "z": {"_target_": "e.F"}}
    assert list(targets(tree)) == ["a.B", "c.D", "e.F"]
