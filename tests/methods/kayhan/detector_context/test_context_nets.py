"""What the three toy detectors see, exactly."""

import pytest
import torch

from thesisbench.methods.kayhan.detector_context.context_nets import (
    CropFMNet,
    CropInputNet,
    NoCropNet,
    crop_boxes,
)
from thesisbench.methods.kayhan.detector_context.receptive_field import (
    input_gradient_support,
    receptive_field,
)

NETS = (CropInputNet, CropFMNet, NoCropNet)
BATCH = 64


def _net(cls, **options):
    torch.manual_seed(0)
    return cls(canvas=32, tile=16, **options).eval()


def _boxes(x, y, side=16, n=BATCH):
    return torch.tensor([float(x), float(y), x + side, y + side]).repeat(n, 1)


def _noise(n=BATCH):
    return torch.randn(n, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def _reach(net, x, y):
    """Pixels that matter in any of many random images."""
    return input_gradient_support(net, _noise(), _boxes(x, y)).any(dim=0)


def _region(top, bottom, left, right):
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[max(0, top) : bottom + 1, max(0, left) : right + 1] = True
    return inside


@pytest.mark.parametrize(("cls", "head_inputs"), [*zip(NETS, (784, 784, 3136), strict=True)])
def test_the_head_sizes_are_those_of_the_chapter(cls, head_inputs):
    net = cls()
    assert net.head[1].in_features == head_inputs
    logits = net(torch.zeros(3, 1, 56, 56), _boxes(0, 0, 28, 3))
    assert logits.shape == (3, 2)
    trunk = 6 * 9 + 6 + 16 * 6 * 9 + 16
    head = head_inputs * 128 + 128 + 128 * 2 + 2
    assert sum(p.numel() for p in net.parameters()) == trunk + head


def test_crops_are_the_slices_of_each_image():
    images = _noise(3)
    boxes = torch.tensor([[0.0, 0, 16, 16], [5, 9, 21, 25], [16, 16, 32, 32]])
    crops = crop_boxes(images, boxes, 16)
    for image, box, crop in zip(images, boxes.int().tolist(), crops, strict=True):
        assert torch.equal(crop, image[:, box[1] : box[3], box[0] : box[2]])


@pytest.mark.parametrize(
    "box", [[0.5, 0, 16.5, 16], [0, 0, 15, 16], [20, 0, 36, 16], [-1, 0, 15, 16]]
)
def test_boxes_that_cannot_be_cropped_exactly_are_refused(box):
    with pytest.raises(ValueError, match="16x16 square of whole pixels"):
        crop_boxes(_noise(1), torch.tensor([box], dtype=torch.float), 16)


def test_crop_input_is_exactly_independent_of_pixels_outside_the_box():
    net, images, boxes = _net(CropInputNet), _noise(), _boxes(4, 8)
    outside = ~_region(8, 23, 4, 19)
    with torch.no_grad():
        logits = net(images, boxes)
        assert torch.equal(net(images + 100 * outside, boxes), logits)
        assert not torch.equal(net(images + 0.1 * ~outside, boxes), logits)
    assert torch.equal(_reach(net, 4, 8), ~outside)


@pytest.mark.parametrize("x", [0, 8])
def test_aligned_single_sample_crop_fm_reaches_the_receptive_field_of_its_cells(x):
    net = _net(CropFMNet, aligned=True, sampling_ratio=1)
    size, stride, offset = receptive_field(net.trunk)
    first, last = x // 4, (x + 16) // 4 - 1
    low, high = offset + stride * first, offset + stride * last + size - 1
    assert torch.equal(_reach(net, x, x), _region(low, min(high, 31), low, min(high, 31)))


@pytest.mark.parametrize("x", [0, 8])
def test_crop_fm_as_in_torchvision_reaches_one_cell_further_right_and_below(x):
    net = _net(CropFMNet)
    size, stride, offset = receptive_field(net.trunk)
    first, last = x // 4, min((x + 16) // 4, 7)
    low, high = offset + stride * first, offset + stride * last + size - 1
    support = _reach(net, x, x)
    assert torch.equal(support, _region(low, min(high, 31), low, min(high, 31)))
    assert support.sum() > 16 * 16


def test_crop_fm_logits_change_through_the_margin_only():
    net, images, boxes = _net(CropFMNet), _noise(), _boxes(0, 0)
    margin = _region(0, 22, 0, 22)
    with torch.no_grad():
        logits = net(images, boxes)
        assert torch.equal(net(images + 100 * ~margin, boxes), logits)
        assert not torch.equal(net(images + (margin & ~_region(0, 15, 0, 15)), boxes), logits)


def test_aligned_crop_fm_takes_exactly_the_cells_of_the_box():
    net, images = _net(CropFMNet, aligned=True, sampling_ratio=1), _noise()
    with torch.no_grad():
        features = net.features(images, _boxes(8, 4))
        torch.testing.assert_close(features, net.trunk(images)[:, :, 1:5, 2:6])


def test_torchvision_settings_average_neighbouring_cells():
    net, images = _net(CropFMNet), _noise()
    with torch.no_grad():
        cells = net.trunk(images)[:, :, 1:6, 2:7]
        rows = (cells[:, :, 1:] + cells[:, :, :-1]) / 2
        expected = (rows[..., 1:] + rows[..., :-1]) / 2
        torch.testing.assert_close(net.features(images, _boxes(8, 4)), expected)


def test_two_samples_a_bin_mix_an_eighth_of_each_neighbour_per_axis():
    """Samples a quarter of a cell off the centre: 1/8, 3/4, 1/8 of three cells in a row."""
    net, images = _net(CropFMNet, aligned=True, sampling_ratio=2), _noise()
    with torch.no_grad():
        cells = net.trunk(images)[:, :, 0:6, 1:7]
        rows = cells[:, :, :-2] / 8 + cells[:, :, 1:-1] * 3 / 4 + cells[:, :, 2:] / 8
        expected = rows[..., :-2] / 8 + rows[..., 1:-1] * 3 / 4 + rows[..., 2:] / 8
        torch.testing.assert_close(net.features(images, _boxes(8, 4)), expected)


def test_no_crop_depends_on_every_pixel_and_not_on_the_box():
    net = _net(NoCropNet)
    assert _reach(net, 0, 0).all()
    with torch.no_grad():
        assert torch.equal(net(_noise(), _boxes(0, 0)), net(_noise(), _boxes(16, 16)))


@pytest.mark.parametrize("cls", NETS)
def test_sizes_that_do_not_fit_the_stride_are_refused(cls):
    with pytest.raises(ValueError, match="multiples of 4"):
        cls(canvas=30, tile=16)
    with pytest.raises(ValueError, match="multiples of 4"):
        cls(canvas=16, tile=32)


def test_widths_and_classes_are_free():
    net = CropFMNet(canvas=32, tile=16, classes=5, channels=(3, 7), hidden=11, roi_size=2)
    assert net.head[1].in_features == 7 * 4
    assert net(_noise(2), _boxes(0, 0, n=2)).shape == (2, 5)
