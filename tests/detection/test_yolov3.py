"""YOLOv3: its size, its boxes and back, which prior answers, its loss by hand, its cells."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tiny_boxes import option, squares, target, tiny
from torch import Tensor, nn
from torchvision.ops import box_iou

from thesisbench.detection.detector import evaluating
from thesisbench.detection.yolo_boxes import (
    YoloLoss,
    decode,
    encode,
    form_overlap,
    grid_of,
    responsible,
)
from thesisbench.detection.yolov3 import PRIORS, YoloV3
from thesisbench.errors import UserError
from thesisbench.instantiate import make

SIZES = [(8, 8), (4, 4)]
STRIDES = (8, 16)
TWO = torch.tensor([[[6.0, 6], [12, 8], [8, 14]], [[16, 16], [40, 20], [24, 44]]])


def random_boxes(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    sides = 2 + 40 * torch.rand(n, 2, generator=generator)
    corners = torch.rand(n, 2, generator=generator) * (64 - sides).clamp(min=0)
    return torch.cat([corners, (corners + sides).clamp(max=64)], dim=1)


def test_the_full_network_has_75_convolutions_and_61949149_parameters() -> None:
    with torch.device("meta"):
        network = make(option("detector", "yolov3"))(make(option("backbone", "darknet53")))
        predicted, sizes = network._predict(torch.zeros(1, 3, 416, 416))
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 75
    assert sum(p.numel() for p in network.parameters()) == 61_949_149
    assert network.strides == (8, 16, 32)
    assert sizes == [(52, 52), (26, 26), (13, 13)]
    assert predicted.shape == (1, 10_647, 85)


def test_the_grid_lists_cells_row_by_row_and_every_prior_of_each() -> None:
    grid = grid_of(SIZES, STRIDES, TWO)
    assert len(grid.cells) == 3 * (64 + 16)
    assert grid.cells[[0, 2, 3, 24, 192]].tolist() == [
        *([0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0])
    ]
    assert grid.priors[[0, 1, 2, 3]].tolist() == [[6, 6], [12, 8], [8, 14], [6, 6]]
    assert grid.corners[-1].tolist() == [48, 48]
    assert grid.strides[[0, -1]].tolist() == [8, 16]


def test_predictions_of_zero_are_the_priors_in_the_middle_of_their_cells() -> None:
    grid = grid_of(SIZES, STRIDES, TWO)
    boxes = decode(torch.zeros(len(grid.cells), 4), grid)
    assert boxes[3].tolist() == [8 + 4 - 3, 4 - 3, 8 + 4 + 3, 4 + 3]


@pytest.mark.parametrize("seed", range(3))
def test_boxes_come_back_from_their_code(seed: int) -> None:
    boxes = random_boxes(40, seed).double()
    priors = TWO.double()
    grid = grid_of(SIZES, STRIDES, priors)
    answers = responsible(boxes, SIZES, grid, priors)
    own = type(grid)(*(part[answers] for part in grid))
    torch.testing.assert_close(decode(encode(boxes, own), own), boxes, rtol=0, atol=2e-3)
    inside = (boxes[:, :2] + boxes[:, 2:]) / 2 / own.strides[:, None] % 1
    free = ((inside > 1e-3) & (inside < 1 - 1e-3)).all(1)
    exact = decode(encode(boxes, own), own)[free]
    torch.testing.assert_close(exact, boxes[free], rtol=0, atol=1e-9)
    t = torch.randn(len(grid.cells), 4, generator=torch.Generator().manual_seed(seed)).double()
    torch.testing.assert_close(encode(decode(t, grid), grid), t)


def test_the_prior_of_the_nearest_form_in_the_cell_of_the_centre_answers() -> None:
    boxes = random_boxes(60)
    grid = grid_of(SIZES, STRIDES, TWO)
    found = responsible(boxes, SIZES, grid, TWO)
    for box, answer in zip(boxes.tolist(), found.tolist(), strict=True):
        width, height = box[2] - box[0], box[3] - box[1]
        best, wanted = -1.0, ()
        for scale, priors in enumerate(TWO.tolist()):
            for p_w, p_h in priors:
                common = min(width, p_w) * min(height, p_h)
                overlap = common / (width * height + p_w * p_h - common)
                if overlap > best:
                    best, wanted = overlap, (scale, p_w, p_h)
        stride = STRIDES[wanted[0]]
        row, column = (box[1] + box[3]) / 2 // stride, (box[0] + box[2]) / 2 // stride
        assert grid.cells[answer].tolist() == [wanted[0], row, column]
        assert grid.priors[answer].tolist() == list(wanted[1:])


def test_a_centre_on_the_last_edge_belongs_to_the_last_cell() -> None:
    grid = grid_of(SIZES, STRIDES, TWO)
    (answer,) = responsible(torch.tensor([[61.0, 61, 67, 67]]), SIZES, grid, TWO)
    assert grid.cells[answer].tolist() == [0, 7, 7]


def test_overlaps_of_forms_are_those_of_boxes_with_one_centre() -> None:
    sides = torch.tensor([[4.0, 8], [10, 2]])
    priors = TWO.flatten(0, 1)
    wanted = box_iou(torch.cat([-sides, sides], 1), torch.cat([-priors, priors], 1))
    torch.testing.assert_close(form_overlap(sides, priors), wanted)


def cross_entropy(logit: float, truth: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -truth * math.log(p) - (1 - truth) * math.log(1 - p)


ONE = torch.tensor([[[16.0, 16], [32, 16]]])
OBJECT = torch.tensor([[10.0, 18, 30, 34]])  # centre (20, 26): row 1, column 1; 20 x 16


def one_object(**settings: Any) -> dict[str, float]:
    """The loss of an object of class 1 on a 64x64 image, one grid of 4x4 cells."""
    grid = grid_of([(4, 4)], (16,), ONE)
    (answer,) = answers = responsible(OBJECT, [(4, 4)], grid, ONE)
    assert int(answer) == (1 * 4 + 1) * 2, "the first prior overlaps 0.8, the second 0.625"
    predicted = torch.zeros(32, 7)
    predicted[answer] = torch.tensor([0.2, -0.3, 0.1, 0.4, 1.5, 0.7, -1.1])
    found = YoloLoss(**settings)(predicted, OBJECT, torch.tensor([1]), grid, answers, 64.0 * 64)
    return {name: float(value) for name, value in found.items()}


def test_the_loss_of_one_object_by_hand() -> None:
    weight = 2 - 20 * 16 / 64**2
    forms = (0.1 - math.log(20 / 16)) ** 2 / 2 + 0.4**2 / 2
    offsets = cross_entropy(0.2, 20 / 16 - 1) + cross_entropy(-0.3, 26 / 16 - 1)
    # The second prior of the cell, (8, 16, 40, 32), overlaps 280 / 552: it is ignored.
    objectness = cross_entropy(1.5, 1) + 30 * math.log(2)
    wanted = {
        "loss_box": weight * (offsets + forms),
        "loss_objectness": objectness,
        "loss_class": cross_entropy(0.7, 0) + cross_entropy(-1.1, 1),
    }
    assert one_object() == pytest.approx(wanted, rel=1e-5)
    strict = one_object(threshold=0.51)["loss_objectness"]
    assert strict == pytest.approx(objectness + math.log(2), rel=1e-5), "no longer ignored"
    logit = math.log(0.25 / 0.75), math.log(0.625 / 0.375)
    squared = (0.2 - logit[0]) ** 2 / 2 + (-0.3 - logit[1]) ** 2 / 2
    paper = one_object(offset_loss="squared")["loss_box"]
    assert paper == pytest.approx(weight * (squared + forms), rel=1e-4)


def test_predicted_boxes_may_decide_what_is_ignored() -> None:
    grid = grid_of([(4, 4)], (16,), ONE)
    answers = responsible(OBJECT, [(4, 4)], grid, ONE)
    predicted = torch.zeros(32, 7)
    far = 2 * 15  # a prior in the last corner that predicts the very box of the object
    own = type(grid)(*(part[[far]] for part in grid))
    predicted[far, :4] = encode(OBJECT, own)
    predicted[far, :2] = torch.tensor([-30.0, -30.0])  # as far back as its cell reaches
    shifted = decode(predicted[:, :4], grid)[far]
    priors = decode(torch.zeros(32, 4), grid)
    near = int((box_iou(priors, shifted[None]) > 0.5).sum())
    assert near == 0, "no prior is like the predicted box"
    for ignored, count in (("priors", 32), ("predictions", 31)):
        loss = YoloLoss(ignored=ignored)  # type: ignore[arg-type]
        found = loss(predicted, shifted[None], torch.tensor([0]), grid, answers, 64.0 * 64)
        assert float(found["loss_objectness"]) == pytest.approx(count * math.log(2))


def test_losses_are_means_over_images() -> None:
    images, targets = squares()
    network = tiny("tiny_yolov3").eval()
    together = network.losses(images, targets)
    alone = [network.losses([i], [t]) for i, t in zip(images, targets, strict=True)]
    for name, value in together.items():
        torch.testing.assert_close(value, torch.stack([one[name] for one in alone]).mean())


def test_cells_of_detections_hold_their_centres_in_resized_images_too() -> None:
    network = tiny("tiny_yolov3", side=48, score_threshold=0.0)
    image = torch.rand(3, 60, 90)
    found = network.detect([image])[0]
    assert len(found["boxes"]) == 100
    assert set(found["cells"][:, 0].tolist()) <= {0, 1}
    whole = (found["boxes"][:, :2] > 0).all(1) & (found["boxes"][:, 2] < 90)
    whole &= found["boxes"][:, 3] < 60  # those that were not cut off
    assert int(whole.sum()) > 20
    cells = network.cells_of(found["boxes"], (60, 90), found["cells"][:, 0])
    assert torch.equal(cells[whole], found["cells"][whole, 1:])
    # 90 becomes 48, 60 becomes 32 with 8 rows of grey above; strides are 4 and 8.
    middle = torch.tensor([[44.0, 29, 46, 31]]).repeat(2, 1)
    assert network.cells_of(middle, (60, 90), torch.tensor([0, 1])).tolist() == [[6, 6], [3, 3]]


def test_boxes_in_resized_images_are_those_of_the_image() -> None:
    """Twice as large an image gives twice as large boxes, when both are resized to one side."""
    network = tiny("tiny_yolov3", side=64, score_threshold=0.001)
    small = torch.rand(3, 32, 64)
    large = small.repeat_interleave(2, 1).repeat_interleave(2, 2)
    first, second = network.detect([small])[0], network.detect([large])[0]
    assert len(first["boxes"]) > 10
    with evaluating(network):
        batch, placings = network._batch([small, large])
    assert [(p.rows, p.columns, p.top, p.left) for p in placings] == [(32, 64, 16, 0)] * 2
    torch.testing.assert_close(batch[0], batch[1])
    torch.testing.assert_close(first["boxes"] * 2, second["boxes"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 0}, "classes=0"),
        ({"first_objectness": 1.0}, "first_objectness=1.0"),
        ({"priors": [[[1, 2]], [[1, 2], [3, 4]]]}, r"as many priors; got \[1, 2\]"),
        ({"priors": [[[1], [2]]]}, "a width and a height"),
        ({"priors": [[[1, 2], [3, 0]]]}, "a width and a height"),
        ({"sides": [320, 0]}, r"at least 1; got \[320, 0\]"),
        ({"priors": PRIORS * 2}, "levels=6: Darknet has stages"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    backbone = make(option("backbone", "tiny_darknet"))
    with pytest.raises(UserError, match=message):
        YoloV3(backbone, **{"classes": 3, **changes})


def test_in_training_each_batch_takes_one_of_the_sides() -> None:
    images, targets = squares()
    network = tiny("tiny_yolov3", side=48, sides=[32, 64])
    torch.manual_seed(0)
    seen = {network.train()._batch(images)[0].shape[-1] for _ in range(20)}
    assert seen == {32, 64}
    assert {network.eval()._batch(images)[0].shape[-1] for _ in range(20)} == {48}
    torch.manual_seed(1)
    first = network.train().losses(images, targets)
    torch.manual_seed(1)
    assert network.losses(images, targets) == first, "the seed decides"


def test_at_first_every_prior_gives_the_asked_probability() -> None:
    network = tiny("tiny_yolov3", first_objectness=0.2)
    with torch.no_grad():
        for scale in network.scales:
            scale.output.weight.zero_()
        predicted, _ = network._predict(torch.rand(1, 3, 64, 64))
    torch.testing.assert_close(predicted[..., 4].sigmoid(), torch.full((1, 960), 0.2))


def test_two_objects_in_one_cell_are_both_trained() -> None:
    network = tiny("tiny_yolov3").eval()
    image = [torch.rand(3, 64, 64)]
    one = target([[10, 10, 20, 20]], [0])
    two = target([[10, 10, 20, 20], [10, 10, 20, 20]], [0, 2])
    with torch.no_grad():
        first, second = network.losses(image, [one]), network.losses(image, [two])
    torch.testing.assert_close(second["loss_box"], 2 * first["loss_box"])
    assert float(second["loss_objectness"]) == float(first["loss_objectness"])
    assert float(second["loss_class"]) > float(first["loss_class"])
