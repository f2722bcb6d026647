"""Weights are loaded whole, or an error says what does not fit; on miniature files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import densenet121, resnet18

from thesisbench.data.bad_file import BadFileError
from thesisbench.errors import UserError
from thesisbench.weights import files
from thesisbench.weights.load import Pretrained, load_weights, loaded_weights
from thesisbench.weights.published import Published

NAME = "imagenet_tiny_torchvision"


class Tiny(nn.Module):
    def __init__(self, classes: int = 5, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.bn(self.conv(x)).mean((2, 3)))
        return out


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(
        files, "published", lambda _: Published((), "tiny-01234567.pth", "sha256:0")
    )
    folder = tmp_path / "weights" / NAME
    folder.mkdir(parents=True)
    return folder


def keep(folder: Path, state: object, file: str = "tiny.pth") -> Path:
    torch.save(state, folder / file)
    return folder / file


def test_all_tensors_are_loaded_and_noted(place: Path) -> None:
    source = Tiny()
    path = keep(place, source.state_dict())
    network = Tiny()
    assert load_weights(network, NAME) == len(source.state_dict())
    for key, value in network.state_dict().items():
        assert torch.equal(value, source.state_dict()[key]), key
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded_weights(network) == [
        {"name": NAME, "file": "tiny.pth", "sha256": digest, "left": []}
    ]
    assert loaded_weights(Tiny()) == []


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_and_parallel_files_are_read(wrapper: str, place: Path) -> None:
    source = Tiny()
    state = {f"module.{k}": v for k, v in source.state_dict().items()}
    keep(place, {wrapper: state, "epoch": 3})
    network = Tiny()
    load_weights(network, NAME)
    assert torch.equal(network.conv.weight, source.conv.weight)


def test_files_that_are_named_as_old_archives_are_read(place: Path) -> None:
    state = Tiny().state_dict()
    torch.save(state, place / "tiny.pth.tar", _use_new_zipfile_serialization=False)
    network = Tiny()
    load_weights(network, NAME)
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in state.items())


def test_safetensors_are_read(place: Path) -> None:
    from safetensors.torch import save_file

    source, network = Tiny(), Tiny()
    save_file(source.state_dict(), place / "tiny.safetensors")
    load_weights(network, NAME)
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_a_classifier_of_other_classes_is_refused_or_started_anew(place: Path) -> None:
    source = Tiny(classes=7)
    keep(place, source.state_dict())
    network = Tiny()
    own = network.fc.weight.clone()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(UserError, match="are of 7 classes, Tiny has 5; head=new starts"):
        load_weights(network, NAME)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert load_weights(network, NAME, head="new") == len(before) - 2
    assert torch.equal(network.fc.weight, own)
    assert torch.equal(network.conv.weight, source.conv.weight)
    assert loaded_weights(network)[0]["left"] == ["fc.bias", "fc.weight"]


def test_head_new_keeps_a_classifier_that_fits(place: Path) -> None:
    source, network = Tiny(), Tiny()
    keep(place, source.state_dict())
    load_weights(network, NAME, head="new")
    assert torch.equal(network.fc.weight, source.fc.weight)


def test_counters_of_batches_may_be_absent(place: Path) -> None:
    state = Tiny().state_dict()
    del state["bn.num_batches_tracked"]
    keep(place, state)
    assert load_weights(Tiny(), NAME) == len(state)


@pytest.mark.parametrize("head", ["same", "new"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("conv.weight"), "they lack Tiny's conv.weight$"),
        (lambda s: (s.pop("fc.bias"), s.pop("fc.weight")), "they lack Tiny's fc.bias and 1 more"),
        (lambda s: s.update(extra=torch.zeros(1)), "Tiny has no extra$"),
        (lambda s: s.update({"bn.bias": torch.zeros(3)}), r"bn.bias is \(3,\), not \(4,\)"),
        (lambda s: s.update({"fc.weight": torch.zeros(5, 9)}), r"fc.weight is \(5, 9\), not"),
    ],
)
def test_what_does_not_fit_is_named(change: object, said: str, head: str, place: Path) -> None:
    state = Tiny().state_dict()
    change(state)  # type: ignore[operator]
    keep(place, state)
    with pytest.raises(UserError, match=said) as caught:
        load_weights(Tiny(), NAME, head=head)
    assert NAME in str(caught.value)
    assert "\n" not in str(caught.value)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-600])


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_file_cut_short_is_named(ending: str, place: Path) -> None:
    from safetensors.torch import save_file

    path = place / f"tiny{ending}"
    (torch.save if ending == ".pth" else save_file)(Tiny().state_dict(), path)
    _cut(path)
    with pytest.raises(BadFileError, match=f"cannot read weights {path}: .*; fetch them anew"):
        load_weights(Tiny(), NAME)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ([1, 2], "holds no weights by name"),
        ({}, "holds no weights by name"),
        ({"conv.weight": 3}, "holds something else than weights: conv.weight"),
        (print, "cannot read weights"),
    ],
)
def test_what_is_no_weights_is_refused(state: object, said: str, place: Path) -> None:
    keep(place, state)
    with pytest.raises(BadFileError, match=said):
        load_weights(Tiny(), NAME)


def test_missing_and_ambiguous_files(place: Path) -> None:
    with pytest.raises(UserError, match=f"thesisbench weights prepare {NAME}"):
        load_weights(Tiny(), NAME)
    for file in ("a.pth", "b.pt"):
        keep(place, Tiny().state_dict(), file)
    with pytest.raises(UserError, match=r"has several files \(a.pth, b.pt\); keep one"):
        load_weights(Tiny(), NAME)


def test_the_published_file_must_have_its_checksum(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(place, Tiny().state_dict(), "tiny-01234567.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = Published((), path.name, f"sha256:{digest[:8]}")
    monkeypatch.setattr(files, "published", lambda _: known)
    load_weights(Tiny(), NAME)
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(BadFileError, match=f"its sha256 begins with .*, not {digest[:8]}; delete"):
        load_weights(Tiny(), NAME)


def test_a_file_of_ones_own_may_have_any_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_has_it(name: str) -> Published:
        raise UserError(f"no model {name}")

    monkeypatch.setattr(files, "published", nobody_has_it)
    keep(place, Tiny().state_dict())
    assert load_weights(Tiny(), NAME) == 9


def test_a_choice_that_does_not_exist(place: Path) -> None:
    keep(place, Tiny().state_dict())
    with pytest.raises(UserError, match="unknown head 'old'; valid: new, same"):
        load_weights(Tiny(), NAME, head="old")


def test_the_drop_in_loads_and_counts(place: Path) -> None:
    keep(place, Tiny().state_dict())
    assert Pretrained(name=NAME)(Tiny()) == 9
    assert Pretrained.batch_free


def test_old_files_of_densenet_load(place: Path) -> None:
    """torchvision's file names layers `norm.1` where the network has `norm1`."""
    import re

    with torch.device("meta"):
        names = densenet121().state_dict()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", k): v for k, v in names.items()
    }
    assert old.keys() != names.keys()
    small = {k: torch.zeros(v.shape, dtype=v.dtype) for k, v in old.items()}
    keep(place, small)
    assert load_weights(densenet121(), NAME) == len(names)


def test_a_network_of_torchvision(place: Path) -> None:
    source = resnet18(num_classes=10)
    keep(place, source.state_dict())
    network = resnet18(num_classes=3)
    with pytest.raises(UserError, match="are of 10 classes, ResNet has 3"):
        load_weights(network, NAME)
    load_weights(network, NAME, head="new")
    assert torch.equal(network.layer4[1].conv2.weight, source.layer4[1].conv2.weight)


def test_layers_that_a_variant_put_in_may_be_missing_and_no_others(place: Path) -> None:
    source, network = Tiny(), Tiny()
    keep(place, source.state_dict())
    network.pool = nn.Conv2d(4, 4, 1)
    with pytest.raises(UserError, match=r"they lack Tiny's pool\.bias and 1 more"):
        load_weights(network, NAME)
    network.pool.starts_anew = True
    own = network.pool.weight.clone()
    assert load_weights(network, NAME) == len(source.state_dict())
    assert torch.equal(network.conv.weight, source.conv.weight)
    assert torch.equal(network.pool.weight, own)
