"""Borders, pools, norms and weights on detectors: the backbone is rewritten, nothing else."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from tiny_boxes import CHANGES, KINDS, option, squares
from torch import nn

from thesisbench.errors import UserError
from thesisbench.layers.conv_border import spatial_convs
from thesisbench.step import build_network

BORDERS = ["none", "full", "valid", "circular"]
POOLS = ["none", "blur", "lift_down"]
NORMS = ["none", "group", "without"]
WEIGHTS = ["none", "align", "standardised"]
OPTIONS = {"border": BORDERS, "pool": POOLS, "norm": NORMS, "weight": WEIGHTS}
# Every border with every pool, norm and weight, and every pool with every norm and weight.
CHOSEN = [
    (BORDERS[b], POOLS[p], NORMS[(b + p) % 3], WEIGHTS[(b + 2 * p) % 3])
    for b, p in product(range(4), range(3))
]


def built(kind: str, chosen: dict[str, str], backbone: str | None = None) -> Any:
    torch.manual_seed(0)
    variants = {group: option(group, name) for group, name in chosen.items() if name != "none"}
    if "norm" in variants and chosen["norm"] == "group":
        variants["norm"]["groups"] = 8
    classes = {} if kind == "rpn" else {"classes": 3}
    node = option("detector", kind, **classes, **CHANGES.get(kind, {}))
    config = {"backbone": option("backbone", backbone or KINDS[kind]), "detector": node}
    return build_network({**config, "variants": variants})


def test_the_chosen_ones_have_every_pair_of_border_pool_and_most_others() -> None:
    assert len({(b, p) for b, p, _, _ in CHOSEN}) == 12
    assert len({(b, n) for b, _, n, _ in CHOSEN}) == 12
    assert len({(b, w) for b, _, _, w in CHOSEN}) == 12
    assert len({(p, n) for _, p, n, _ in CHOSEN}) == 9
    assert len({(p, w) for _, p, _, w in CHOSEN}) == 9


@pytest.mark.parametrize(("border", "pool", "norm", "weight"), CHOSEN)
def test_a_small_faster_rcnn_trains_and_detects_with_drop_ins(
    border: str, pool: str, norm: str, weight: str
) -> None:
    chosen = {"border": border, "pool": pool, "norm": norm, "weight": weight}
    network, replaced = built("tiny_faster_rcnn", chosen)
    assert set(replaced) == {group for group, name in chosen.items() if name != "none"}
    losses = network.losses(*squares())
    torch.stack(list(losses.values())).sum().backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in gradients)
    for one in network.detect(squares()[0], score_threshold=0.0):
        assert len(one["boxes"]) > 0
        assert torch.isfinite(one["boxes"]).all()


@pytest.mark.parametrize("kind", ["tiny_retinanet", "tiny_yolov3", "rpn"])
@pytest.mark.parametrize("border", ["full", "valid"])
def test_other_kinds_take_them_too(kind: str, border: str) -> None:
    chosen = {"border": border, "pool": "blur", "norm": "group", "weight": "align"}
    network, replaced = built(kind, chosen)
    assert set(replaced) == set(chosen)
    losses = network.losses(*squares())
    assert all(torch.isfinite(value.detach()) for value in losses.values())


@pytest.mark.parametrize("kind", ["tiny_faster_rcnn", "tiny_retinanet", "tiny_yolov3"])
def test_the_rest_of_a_detector_stays_as_it_is(kind: str) -> None:
    plain, _ = built(kind, {})
    varied, replaced = built(
        kind, {"border": "full", "pool": "blur", "norm": "without", "weight": "align"}
    )
    inside = {id(module) for module in varied.varied.modules()}
    others = {n: m for n, m in varied.named_modules() if id(m) not in inside and n}
    shown = {n: repr(m) for n, m in plain.named_modules()}
    heads = [n for n in others if not n.startswith("backbone.body") and n != "backbone"]
    assert len(heads) > 5
    assert all(repr(others[n]) == shown[n] for n in heads)
    convs = [m for m in varied.varied.modules() if isinstance(m, nn.Conv2d)]
    assert replaced["weight"] == len(convs), "the last convolution is no classifier"
    assert replaced["border"] == len([c for c in convs if max(c.kernel_size) > 1])
    assert set(spatial_convs(varied)) <= {
        n for n, m in varied.named_modules() if id(m) in inside
    }, "heads and pyramids keep their border"


@pytest.mark.parametrize(
    ("kind", "backbone", "border", "pool"),
    [("faster_rcnn", "resnet50", "full", "lift_down"), ("yolov3", "darknet53", "valid", "blur")],
)
def test_maps_of_full_size_detectors_keep_their_sizes(
    kind: str, backbone: str, border: str, pool: str
) -> None:
    with torch.device("meta"):
        network, _ = built(kind, {"border": border, "pool": pool}, backbone)
        maps = network.backbone(torch.zeros(1, 3, 1024, 1056))
    for one, stride in zip(maps.values(), network.varied.strides, strict=False):
        assert one.shape[-2:] == (1024 // stride, 1056 // stride)


def test_frozen_normalisations_cannot_be_replaced() -> None:
    node = option("detector", "tiny_faster_rcnn", frozen_eps=0.0)
    config = {"backbone": option("backbone", "resnet8"), "detector": node}
    with pytest.raises(UserError, match="norm does not fit TwoStage: it has no normalisation"):
        build_network({**config, "variants": {"norm": option("norm", "layer")}})
