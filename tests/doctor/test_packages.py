"""Versions against ranges."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from thesisbench.doctor import packages
from thesisbench.doctor.packages import (
    extra_check,
    package_checks,
    python_check,
    requirement_check,
    torchvision_check,
)

TORCH = "torch>=2.9,!=2.13.*"
FITS = [("2.9.0", "ok"), ("2.15.1+cu132", "ok"), ("2.8.1", "missing"), ("2.13.1", "missing")]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Packages that are said to be here; the test fills them in."""
    found: dict[str, str] = {}
    monkeypatch.setattr(packages, "_installed", found.get)
    return found


@pytest.mark.parametrize(("version", "state"), FITS)
def test_a_package_outside_the_supported_range_is_missing(
    version: str, state: str, installed: dict[str, str]
) -> None:
    installed["torch"] = version
    check = requirement_check(Requirement(TORCH))
    assert check.state == state
    assert check.breaks == (state == "missing")
    assert version in check.text


def test_a_package_that_is_not_there_is_named_with_what_to_do(installed: dict[str, str]) -> None:
    check = requirement_check(Requirement(TORCH))
    assert check.line == "missing torch: not installed; pip install 'torch!=2.13.*,>=2.9'"
    assert check.breaks


def test_python_outside_the_supported_range() -> None:
    assert python_check("3.12.4", ">=3.11,<3.14").state == "ok"
    assert python_check("3.14.0", ">=3.11,<3.14").breaks
    assert python_check("3.10.9", ">=3.11,<3.14").breaks


def test_a_torchvision_for_another_torch_is_told(
    installed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed |= {"torch": "2.14.0", "torchvision": "0.29.2"}
    monkeypatch.setattr(packages, "_requires", lambda _: ["numpy", "torch==2.15.0"])
    check = torchvision_check()
    assert check.breaks
    assert check.text == "torchvision 0.29.2 is for torch==2.15.0, not 2.14.0"
    installed["torch"] = "2.15.0+cu132"
    assert torchvision_check().state == "ok"
    del installed["torch"]
    assert not torchvision_check().breaks


def test_extras_say_how_they_are_installed(installed: dict[str, str]) -> None:
    wanted = [Requirement('wandb>=0.20; extra == "wandb"')]
    check = extra_check("wandb", wanted)
    assert (check.state, check.breaks) == ("warn", False)
    assert check.todo == "pip install 'thesisbench[wandb]'"
    installed["wandb"] = "0.19.1"
    assert extra_check("wandb", wanted).state == "warn"
    installed["wandb"] = "0.31.0"
    assert extra_check("wandb", wanted).state == "ok"


def test_every_declared_package_and_extra_has_a_line() -> None:
    names = [check.name for check in package_checks()]
    assert {"python", "torch", "pytorch-lightning", "hydra-core", "numpy"} <= set(names)
    assert {"extra wandb", "extra test"} <= set(names)
    assert len(set(names)) == len(names)
