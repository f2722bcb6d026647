"""Detectors in configurations: composed with backbones and drop-ins, and what ids are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_boxes import CONF, option
from torch import nn

from thesisbench.compose import Composer
from thesisbench.detection.faster_rcnn import TwoStage
from thesisbench.errors import UserError
from thesisbench.identity import run_id, science
from thesisbench.instantiate import make, targets
from thesisbench.step import build_network

COMPOSER = Composer(())


def composed(*words: str) -> Any:
    return COMPOSER.compose(["kind=analytic", *words], "test")


def test_a_detector_composes_with_a_backbone_and_drop_ins() -> None:
    words = ["detector=tiny_faster_rcnn", "backbone=resnet8", "norm=group", "border=full"]
    found = composed(*words, "variants.norm.groups=4", "detector.classes=6")
    network, replaced = build_network(found.config)
    assert isinstance(network, TwoStage)
    assert network.classes == 6
    assert replaced == {"border": 7, "norm": 9}
    assert network.varied.layer1[0].conv1.padding == (2, 2)
    assert isinstance(network.varied.bn1, nn.GroupNorm)


def test_every_option_of_detectors_and_tasks_makes_something() -> None:
    names = sorted(path.stem for path in (CONF / "detector").glob("*.yaml"))
    assert len(names) == 11
    for name in names:
        node = option("detector", name)
        assert (make(node) is None) == (name == "none")
        assert all(target.startswith("thesisbench.detection.") for target in targets(node))


def test_without_a_detector_the_id_is_what_it_was() -> None:
    found = composed("backbone=resnet8", "seed=2")
    before = {k: v for k, v in found.config.items() if k != "detector"}
    choices = {k: v for k, v in found.choices.items() if k != "detector"}
    assert "detector" in found.config
    assert science(found.config, found.choices) == science(before, choices)
    assert run_id(found.config, found.choices, {}) == run_id(before, choices, {})


def test_a_detector_and_its_settings_are_part_of_the_id() -> None:
    words = ("backbone=resnet8", "detector=tiny_yolov3")
    others = [
        composed("backbone=resnet8"),
        composed(*words),
        composed(*words, "detector.overlap=0.6"),
        composed("backbone=resnet8", "detector=yolov3"),
    ]
    assert len({run_id(one.config, one.choices, {}) for one in others}) == 4
    same = composed(*words, "detector.overlap=0.45")
    assert run_id(same.config, same.choices, {}) == run_id(others[1].config, others[1].choices, {})


def test_settings_that_make_no_detector_are_told_in_one_line() -> None:
    config = composed("detector=tiny_yolov3", "backbone=resnet8").config
    with pytest.raises(UserError, match=r"YoloV3 cannot be made: .* argument 'speed'"):
        build_network({**config, "detector": {**config["detector"], "speed": 3}})


def test_a_detector_needs_a_backbone() -> None:
    with pytest.raises(UserError, match="choose one with backbone=NAME"):
        build_network(composed("detector=tiny_yolov3").config)


class Noted:
    """A variant that notes what it is given: the whole network or its backbone.

    Args:
        whole: which of them.
    """

    def __init__(self, *, whole: bool) -> None:
        self.whole_network = whole
        self.given: nn.Module | None = None

    def __call__(self, network: nn.Module) -> int:
        self.given = network
        return 1


@pytest.mark.parametrize("whole", [True, False])
def test_variants_say_what_they_are_for(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    variant = Noted(whole=whole)
    monkeypatch.setattr(
        "thesisbench.step.make", lambda node: variant if node == "variant" else make(node)
    )
    config = composed("detector=tiny_yolov3", "backbone=resnet8").config
    network, _ = build_network({**config, "variants": {"some": "variant"}})
    assert variant.given is (network if whole else network.varied)
    plain, _ = build_network(
        {"backbone": option("backbone", "resnet8"), "variants": {"some": "variant"}}
    )
    assert variant.given is plain, "a network without a detector is its own backbone"


def test_memory_formats_reach_detectors() -> None:
    config = composed("detector=tiny_yolov3", "backbone=resnet8").config
    network, _ = build_network({**config, "memory_format": "channels_last"})
    kernel = next(m.weight for m in network.modules() if isinstance(m, nn.Conv2d))
    assert kernel.is_contiguous(memory_format=torch.channels_last)
