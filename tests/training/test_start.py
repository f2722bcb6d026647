"""A fit that starts from another one's weights: which layers it takes, and that it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy_parts import ToyNet
from toy_runs import allowed_parts, toy_config, toy_folder

from thesisbench.errors import UserError
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder
from thesisbench.step import NeededRun, StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.start import start_from


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("start")
    first = toy_folder(root, "first", toy_config(schedule={"epochs": 2}))
    with allowed_parts():
        assert run_folder(first.path) == DONE
    return root


def context(root: Path) -> StepContext:
    folder = RunFolder(root / "first")
    record = folder.read_record()
    assert record is not None
    needed = NeededRun(folder, folder.read_config(), record)
    return StepContext(config={}, folder=folder, attempt=root, needs={"start": (needed,)})


def kept(root: Path) -> dict[str, torch.Tensor]:
    state: dict[str, Any] = torch.load(context(root).needs["start"][0].weights, weights_only=True)
    return {name.removeprefix("network."): value for name, value in state.items()}


def test_everything_is_taken_over_but_layers_of_another_size(root: Path) -> None:
    network = ToyNet()
    network.head = nn.Linear(8, 5)
    own, weights, told = network.state_dict()["head.bias"].clone(), kept(root), context(root)
    start_from(told, network)
    state = network.state_dict()
    assert torch.equal(state.pop("head.bias"), own)
    assert state.pop("head.weight").shape == (5, 8)
    assert all(torch.equal(state[name], weights[name]) for name in state)
    assert len(state) == len(weights) - 2
    assert told.result.facts["start"] == {"run": "first", "left": ["head.bias", "head.weight"]}


def test_what_a_variant_put_in_may_be_missing_and_nothing_else(root: Path) -> None:
    network, weights, told = ToyNet(), kept(root), context(root)
    network.head.register_parameter("gamma", nn.Parameter(torch.full((1,), 3.0)))
    with pytest.raises(UserError, match=r"only one of the two has head\.gamma"):
        start_from(told, network)
    network.head.starts_anew = ("gamma",)  # type: ignore[assignment]
    start_from(told, network)
    state = network.state_dict()
    assert state.pop("head.gamma") == 3
    assert all(torch.equal(state[name], weights[name]) for name in weights)
    assert told.result.facts["start"]["left"] == ["head.gamma"]


def test_a_step_without_such_an_input_changes_nothing(root: Path) -> None:
    network = ToyNet()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    start_from(StepContext(config={}, folder=RunFolder(root), attempt=root), network)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_another_network_is_refused(root: Path) -> None:
    with pytest.raises(UserError, match="run first does not fit Linear: only one of the two"):
        start_from(context(root), nn.Linear(4, 2))
    with pytest.raises(UserError, match="no layer of the size"):
        start_from(context(root), _Scaled())


class _Scaled(ToyNet):
    """The names of ToyNet, and no size of it."""

    def __init__(self) -> None:
        super().__init__(width=5)
        self.head = nn.Linear(5, 3)
        self.body[1].num_batches_tracked = torch.zeros(1)  # type: ignore[assignment]


def test_a_fit_of_no_epoch_more_ends_near_where_the_first_ended(root: Path) -> None:
    """With a learning rate of 0 the kept parameters are those it started from."""
    config = toy_config(schedule={"epochs": 1})
    config["optimizer"] = {**config["optimizer"], "lr": 0.0}
    folder = toy_folder(root, "second", config, start=["first"])
    assert run_folder(folder.path) == DONE, folder.state().message
    record = folder.read_record()
    assert record is not None
    assert record["provenance"]["facts"]["start"]["run"] == "first"
    name = record["provenance"]["facts"]["weights"]
    state = torch.load(folder.path / name, weights_only=True)
    for key, value in kept(root).items():
        if "running" not in key and "num_batches" not in key:
            assert torch.equal(state[f"network.{key}"], value)


class WithEncoder(nn.Module):
    """Takes a whole classifier as its encoder, as DeepLab does."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ToyNet()
        self.decoder = nn.Linear(2, 2)

    def take_classifier(self, state: dict[str, torch.Tensor]) -> list[str]:
        self.encoder.load_state_dict(state)
        return ["what it left"]


def test_a_network_that_takes_a_classifier_says_what_it_left(root: Path) -> None:
    network, told = WithEncoder(), context(root)
    own = network.decoder.weight.clone()
    start_from(told, network)
    assert all(torch.equal(network.encoder.state_dict()[k], v) for k, v in kept(root).items())
    assert torch.equal(network.decoder.weight, own)
    assert told.result.facts["start"] == {"run": "first", "left": ["what it left"]}


def test_a_network_of_its_own_kind_starts_as_any_other(root: Path) -> None:
    class Same(ToyNet):
        def take_classifier(self, state: dict[str, torch.Tensor]) -> list[str]:
            raise AssertionError("all names are its own")

    network = Same()
    start_from(context(root), network)
    assert all(torch.equal(network.state_dict()[k], v) for k, v in kept(root).items())
