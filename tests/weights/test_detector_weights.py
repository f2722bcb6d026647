"""Weights of detectors: older names, other classes, backbones, and darknet's format."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_boxes import option, tiny
from torch import Tensor, nn

from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.step import build_network
from thesisbench.weights.darknet import named_darknet, read_darknet
from thesisbench.weights.load import load_weights, loaded_weights

NAME = "tiny_weights"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    folder = tmp_path / "weights" / NAME
    folder.mkdir(parents=True)
    return folder


def older(name: str) -> str:
    """The names of torchvision's published files, which are older than its layers'."""
    name = re.sub(r"((?:inner|layer)_blocks\.\d+)\.0\.", r"\1.", name)
    name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
    name = re.sub(
        r"(_head\.conv)\.(\d)\.0\.", lambda found: f"{found[1]}.{2 * int(found[2])}.", name
    )
    return re.sub(
        r"mask_head\.(\d)\.0\.", lambda found: f"mask_head.mask_fcn{int(found[1]) + 1}.", name
    )


@pytest.mark.parametrize("kind", ["tiny_faster_rcnn", "tiny_retinanet", "mask_rcnn"])
def test_files_with_older_names_are_loaded(place: Path, kind: str) -> None:
    source, network = tiny(kind, seed=1), tiny(kind, seed=2)
    state = {older(n): v for n, v in source.state_dict().items() if "num_batches" not in n}
    assert len(state.keys() - source.state_dict().keys()) >= 9, "names that no longer exist"
    torch.save(state, place / "file.pth")
    assert load_weights(network, NAME) == len(state)
    for name, value in network.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]) or "num_batches" in name, name


OF_CLASSES = {
    "tiny_faster_rcnn": ("roi_heads.box_predictor.cls_score", "roi_heads.box_predictor.bbox_pred"),
    "mask_rcnn": (
        "roi_heads.box_predictor.cls_score",
        "roi_heads.box_predictor.bbox_pred",
        "roi_heads.mask_predictor.mask_fcn_logits",
    ),
    "tiny_retinanet": ("head.classification_head.cls_logits",),
    "tiny_yolov3": ("scales.0.output", "scales.1.output"),
}


@pytest.mark.parametrize("kind", OF_CLASSES)
def test_for_other_classes_just_their_layers_start_anew(place: Path, kind: str) -> None:
    source, network = tiny(kind, seed=1, classes=5), tiny(kind, seed=2)
    torch.save(source.state_dict(), place / "file.pth")
    before = {n: v.clone() for n, v in network.state_dict().items()}
    with pytest.raises(UserError, match=r"outputs of .*head=new starts the classifier anew"):
        load_weights(network, NAME)
    load_weights(network, NAME, head="new")
    anew = {f"{n}.{part}" for n in OF_CLASSES[kind] for part in ("weight", "bias")}
    assert set(loaded_weights(network)[0]["left"]) == anew
    for name, value in network.state_dict().items():
        wanted = before[name] if name in anew else source.state_dict()[name]
        assert torch.equal(value, wanted), name


@pytest.mark.parametrize(
    ("kind", "backbone", "left"),
    [
        ("tiny_faster_rcnn", "resnet8", "fc."),
        ("tiny_yolov3", "vgg_mini", "classifier."),
        ("tiny_yolov3", "tiny_darknet", "fc."),
    ],
)
def test_a_classifier_gives_a_detector_its_backbone(
    place: Path, kind: str, backbone: str, left: str
) -> None:
    torch.manual_seed(1)
    source = make(option("backbone", backbone))
    torch.save(source.state_dict(), place / "file.pth")
    config = {
        "backbone": option("backbone", backbone),
        "detector": option("detector", kind),
        "variants": {"weights": {**option("weights", "pretrained"), "name": NAME}},
    }
    network, replaced = build_network(config)
    prefix = "features." if backbone == "vgg_mini" else ""
    own = network.varied.state_dict()
    wanted = {n.removeprefix(prefix): v for n, v in source.state_dict().items()}
    assert replaced["weights"] == len([n for n in wanted if not n.startswith(left)])
    assert len(own) == replaced["weights"]
    assert all(torch.equal(value, wanted[name]) for name, value in own.items())


@pytest.mark.parametrize("kind", ["crop_classifier", "multi_label"])
def test_a_classifier_gives_its_weights_to_one_of_other_classes(place: Path, kind: str) -> None:
    torch.manual_seed(1)
    source = make(option("backbone", "resnet8", classes=7))
    torch.save(source.state_dict(), place / "file.pth")
    weights = {**option("weights", "pretrained"), "name": NAME, "head": "new"}
    network, _ = build_network(
        {
            "backbone": option("backbone", "resnet8", classes=3),
            "detector": option("detector", kind, classes=3),
            "variants": {"weights": weights},
        }
    )
    assert loaded_weights(network)[0]["left"] == ["fc.bias", "fc.weight"]
    assert torch.equal(network.varied.layer3[0].conv1.weight, source.layer3[0].conv1.weight)
    assert network.varied.fc.out_features == 3


def test_weights_of_another_network_are_refused(place: Path) -> None:
    torch.save(tiny("tiny_retinanet").state_dict(), place / "file.pth")
    with pytest.raises(UserError, match="weights tiny_weights do not fit"):
        load_weights(tiny("tiny_faster_rcnn"), NAME)


def darknet_file(network: nn.Module, path: Path, *, minor: int = 2) -> Path:
    """Writes a network as darknet would: layer by layer, statistics before kernels."""
    header = struct.pack("<3i", 0, minor, 0) + (b"\0" * (8 if minor >= 2 else 4))
    numbers: list[Tensor] = []
    convs = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    state = network.state_dict()
    for name, conv in convs:
        norm = name.removesuffix("conv") + "norm"
        if conv.bias is None:
            parts = ("bias", "weight", "running_mean", "running_var")
            numbers += [state[f"{norm}.{part}"] for part in parts]
        else:
            numbers.append(conv.bias)
        numbers.append(conv.weight)
    flat = torch.cat([value.detach().flatten() for value in numbers])
    path.write_bytes(header + flat.numpy().astype("<f4").tobytes())
    return path


def yolo(seed: int, **changes: Any) -> nn.Module:
    network: nn.Module = tiny("tiny_yolov3", seed=seed, **changes)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network


@pytest.mark.parametrize("minor", [1, 2])
def test_a_file_of_darknet_is_read_in_the_order_of_the_layers(place: Path, minor: int) -> None:
    source, network = yolo(1), yolo(2)
    darknet_file(source, place / "yolov3.weights", minor=minor)
    load_weights(network, NAME)
    for name, value in network.state_dict().items():
        assert torch.equal(value, source.state_dict()[name]) or "num_batches" in name, name
    assert loaded_weights(network)[0]["file"] == "yolov3.weights"


def test_the_layers_come_in_the_authors_order() -> None:
    """Backbone, then the coarsest scale; the convolution that joins comes before a finer scale."""
    convs = [n for n, m in yolo(0).named_modules() if isinstance(m, nn.Conv2d)]
    first = convs.index("scales.0.reduce.0.conv")
    assert all(name.startswith("backbone.") for name in convs[:first])
    assert convs[first + 5 : first + 9] == [
        *("scales.0.widen.conv", "scales.0.output", "scales.1.lateral.conv"),
        "scales.1.reduce.0.conv",
    ]


def test_a_file_for_other_classes_is_told_from_one_of_another_network(place: Path) -> None:
    path = darknet_file(yolo(1, classes=80), place / "yolov3.weights")
    network = yolo(2)
    numbers = read_darknet(path)
    assert named_darknet(network, numbers)["scales.0.output.bias"].shape == (3 * 85,)
    with pytest.raises(UserError, match=r"255 outputs of scales.0.output.bias, YoloV3 has 24"):
        load_weights(network, NAME)
    load_weights(network, NAME, head="new")
    assert len(loaded_weights(network)[0]["left"]) == 4
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"the file has .* numbers, YoloV3 takes"):
        load_weights(network, NAME)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BadFileError, match="cut short"):
        load_weights(network, NAME)
    path.write_bytes(b"")
    with pytest.raises(BadFileError, match="cannot read weights"):
        load_weights(network, NAME)


def test_the_whole_file_of_yolov3_has_62001757_numbers() -> None:
    """As the authors' file has: 248,007,048 bytes with a header of 20."""
    with torch.device("meta"):
        network = make(option("detector", "yolov3"))(make(option("backbone", "darknet53")))
    count = (248_007_048 - 20) // 4
    state = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    assert sum(int(np.prod(v.shape)) for v in state.values()) == count
    named = named_darknet(network, torch.zeros(count, device="meta"))
    assert {n: v.shape for n, v in named.items()} == {n: v.shape for n, v in state.items()}
