"""Our wrappings of torchvision's detectors: the same networks, the same numbers, other labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_boxes import option, squares, target, tiny
from torch import Tensor, nn
from torchvision.models import detection, get_weight
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from thesisbench.detection.coco_ids import COCO_IDS
from thesisbench.errors import UserError
from thesisbench.instantiate import make

KINDS = {
    "faster_rcnn": (detection.fasterrcnn_resnet50_fpn, 41_755_286),
    "mask_rcnn": (detection.maskrcnn_resnet50_fpn, 44_401_393),
    "retinanet": (detection.retinanet_resnet50_fpn, 34_014_999),
}


def full_size(kind: str, backbone: str = "resnet50", **changes: Any) -> Any:
    return make(option("detector", kind, **changes))(make(option("backbone", backbone)))


@pytest.mark.parametrize("kind", KINDS)
def test_names_shapes_and_counts_are_torchvisions(kind: str) -> None:
    builder, count = KINDS[kind]
    with torch.device("meta"):
        ours = full_size(kind, coco_ids=True)
        theirs = builder(weights=None, weights_backbone=None)
        frozen = full_size(kind, coco_ids=True, frozen_eps=0.0, trainable=3)
    shapes = [
        {name: value.shape for name, value in net.state_dict().items()} for net in (ours, theirs)
    ]
    assert shapes[0] == shapes[1]
    assert sum(p.numel() for p in frozen.parameters()) == count
    still = {n.split(".")[2] for n, p in frozen.named_parameters() if not p.requires_grad}
    assert still == {"conv1", "layer1"}, "as torchvision trains three layers"


def test_numbers_of_coco_are_those_of_torchvisions_categories() -> None:
    weights: Any = get_weight("FasterRCNN_ResNet50_FPN_Weights.COCO_V1")
    names = weights.meta["categories"]
    real = [n for n, name in enumerate(names) if name not in ("__background__", "N/A")]
    assert list(COCO_IDS) == real
    assert len(names) == 91


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """Our detector on a ResNet-18 and torchvision's, with the same weights."""
    torch.manual_seed(0)
    sizes = {"short_side": 64, "long_side": 90, "proposals": [50, 50]}
    ours = full_size("faster_rcnn", "resnet18", coco_ids=True, score_threshold=0.05, **sizes)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    most = {"rpn_post_nms_top_n_train": 50, "rpn_post_nms_top_n_test": 50}
    theirs = detection.FasterRCNN(backbone, 91, min_size=64, max_size=90, **most)
    state = ours.state_dict()
    state["roi_heads.box_predictor.cls_score.bias"][[12, 13, 90]] += 4  # 12 is a gap
    theirs.load_state_dict(state)
    return ours, theirs


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, 80, 70, generator=generator), torch.rand(3, 64, 100, generator=generator)]


def test_detections_are_torchvisions_with_dense_labels(pair: tuple[Any, Any]) -> None:
    ours, theirs = pair
    with torch.no_grad():
        wanted = theirs.eval()(images())
    for mine, one in zip(ours.detect(images()), wanted, strict=True):
        real = torch.isin(one["labels"], torch.tensor(COCO_IDS))
        assert 0 < int(real.sum()) < len(real), "some detections are of numbers without a class"
        assert [COCO_IDS[k] for k in mine["labels"].tolist()] == one["labels"][real].tolist()
        assert torch.equal(mine["boxes"], one["boxes"][real])
        assert torch.equal(mine["scores"], one["scores"][real])
        assert (mine["scores"].diff() <= 0).all()


@pytest.mark.parametrize("coco_ids", [True, False])
def test_losses_are_torchvisions_whose_labels_are_others(
    pair: tuple[Any, Any], coco_ids: bool
) -> None:
    if coco_ids:
        ours, theirs = pair
        targets = [target([[5, 5, 40, 60]], [11]), target([[20, 10, 90, 50]], [79])]
        numbers = [[13], [90]]
    else:
        ours = tiny("tiny_faster_rcnn").eval()
        theirs, numbers = None, [[3], [1]]
        targets = [target([[5, 5, 40, 60]], [2]), target([[20, 10, 60, 50]], [0])]
    given = [
        {"boxes": one["boxes"], "labels": torch.tensor(n)}
        for one, n in zip(targets, numbers, strict=True)
    ]
    torch.manual_seed(7)
    mine = ours.train().losses(images(), targets)
    torch.manual_seed(7)
    if theirs is None:
        wanted = detection.FasterRCNN.forward(ours, images(), given)
    else:
        wanted = theirs.train()(images(), given)
    assert set(mine) == {
        "loss_classifier",
        "loss_box_reg",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    for name, value in wanted.items():
        torch.testing.assert_close(mine[name], value)


def test_retinanet_has_no_background() -> None:
    ours = tiny("tiny_retinanet", score_threshold=0.0).train()
    given = [{k: one[k] for k in ("boxes", "labels")} for one in squares()[1]]
    wanted = detection.RetinaNet.forward(ours, squares()[0], given)
    for name, value in ours.losses(*squares()).items():
        torch.testing.assert_close(value, wanted[name])
    labels = ours.detect(squares()[0])[0]["labels"]
    assert set(labels.tolist()) <= {0, 1, 2}


def test_proposals_come_with_their_scores() -> None:
    network = tiny("rpn").eval()
    found = network.detect(squares()[0])
    for one in found:
        assert 0 < len(one["boxes"]) <= 50
        assert not one["labels"].any()
        assert (one["scores"].diff() <= 0).all()
    middle = float(found[0]["scores"].median())
    some = network.detect(squares()[0], score_threshold=middle)[0]
    assert torch.equal(some["scores"], found[0]["scores"][found[0]["scores"] >= middle])
    other = [{**one, "labels": one["labels"].flip(0)} for one in squares()[1]]
    first, second = network.losses(*squares()), network.losses(squares()[0], other)
    assert first == second, "classes do not matter"


def test_masks_are_found_and_trained() -> None:
    network = tiny("mask_rcnn", score_threshold=0.0, limit=5)
    losses = network.losses(*squares())
    assert float(losses["loss_mask"].detach()) > 0
    found = network.detect(squares()[0])[0]
    assert found["masks"].shape == (5, 64, 64)
    assert found["masks"].dtype == torch.bool
    without = [{k: v for k, v in one.items() if k != "masks"} for one in squares()[1]]
    with pytest.raises(UserError, match="trains on masks"):
        network.losses(squares()[0], without)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("faster_rcnn", {"classes": 22, "coco_ids": True}, "coco_ids=true is for classes=80"),
        ("faster_rcnn", {"proposals": [5]}, r"proposals must be two numbers .* got \[5\]"),
        ("rpn", {"proposals": [5, 0]}, r"proposals must be two numbers .* got \[5, 0\]"),
        ("retinanet", {"classes": 0}, "classes=0 must be at least 1"),
        ("faster_rcnn", {"levels": 3}, "anchor_sizes has 5 lists of sizes, the pyramid has 4"),
        ("retinanet", {"anchor_sizes": [[8], [16, 20], [3], [4], [5]]}, "as many sizes for each"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    with torch.device("meta"), pytest.raises(UserError, match=message):
        full_size(kind, **changes)


def test_images_are_resized_only_where_that_is_asked_for() -> None:
    kept = tiny("tiny_faster_rcnn")
    sizes: list[tuple[int, ...]] = []
    kept.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[2:]))
    kept.detect([torch.rand(3, 40, 50)])
    resized = tiny("tiny_faster_rcnn", short_side=80)
    resized.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[2:]))
    resized.detect([torch.rand(3, 40, 50)])
    assert sizes == [(64, 64), (96, 128)], "padded to multiples of 32"
