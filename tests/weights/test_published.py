"""Names of the registry and what torchvision and timm publish under them."""

from __future__ import annotations

import pytest

from thesisbench.browse.library import Library
from thesisbench.errors import UserError
from thesisbench.weights.published import AUTHORS, TIMM, TORCHVISION, may_be_downloaded, published


@pytest.fixture(scope="module")
def registered() -> dict[str, str]:
    return {name: entry.folder for name, entry in Library.at().registry.weights.items()}


def test_every_registered_name_that_may_be_downloaded_can_be(registered: dict[str, str]) -> None:
    names = [name for name in registered if may_be_downloaded(name)]
    assert {*TORCHVISION, *TIMM, *AUTHORS} <= set(names), "the tables have no other names"
    assert len(names) > 15
    for name in names:
        (url,) = published(name).urls
        assert url.startswith("https://")


def test_weights_lie_where_they_are_looked_for(registered: dict[str, str]) -> None:
    assert all(folder == f"weights/{name}" for name, folder in registered.items())


def test_resnet50_is_the_first_version() -> None:
    found = published("imagenet_resnet50_torchvision")
    assert found.file == "resnet50-0676ba61.pth"
    assert found.checksum == "sha256:0676ba61"
    assert found.urls == ("https://download.pytorch.org/models/resnet50-0676ba61.pth",)


def test_weights_of_timm() -> None:
    assert published("imagenet_mobilenetv2_timm").checksum == "sha256:b33bc2c4"
    hub = published("imagenet_dpn92_timm")
    assert hub.file == "dpn92.mx_in1k.safetensors"
    assert hub.checksum is None
    assert hub.urls == ("https://huggingface.co/timm/dpn92.mx_in1k/resolve/main/model.safetensors",)
    assert published("imagenet_resnet18_timm").urls


def test_weights_that_only_their_authors_publish() -> None:
    found = published("imagenet_bagnet33")
    assert found.file == "bagnet32-2ddd53ed.pth.tar"
    assert found.checksum is None


@pytest.mark.parametrize("name", ["flownet", "imagenet_hrnet_w32", "kinetics400_x3d_m", "x"])
def test_others_are_fetched_by_hand(name: str) -> None:
    assert not may_be_downloaded(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("imagenet_resnet19_torchvision", "torchvision has no ImageNet weights of 'resnet19'"),
        ("imagenet_raft_large_torchvision", "torchvision has no ImageNet weights of 'raft_large'"),
        ("imagenet_resnet19_timm", "timm has no weights of 'resnet19'"),
    ],
)
def test_a_model_that_nobody_has(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        published(name)
