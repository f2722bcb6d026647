"""Evaluations compute where they ask to, and see main memory only."""

from typing import Any

import pytest
import torch
from torch import nn

from thesisbench.errors import UserError
from thesisbench.training import placement
from thesisbench.training.placement import evaluation_device, moved, placed

ELSEWHERE = torch.device("meta")  # a device that every machine has


class Twice(nn.Module):
    """Keeps where its input was, and gives two tensors of it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.seen: list[str] = []

    def forward(self, x: torch.Tensor, *, factor: torch.Tensor, name: str = "") -> dict[str, Any]:
        self.seen += [x.device.type, factor.device.type]
        return {"out": (self.linear(x) * factor, x), "name": name}


@pytest.mark.parametrize("word", ["auto", "cpu", None])
@pytest.mark.parametrize("gpus", [False, True])
def test_an_evaluation_stays_on_the_cpu_unless_it_asks(word, gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus)
    assert evaluation_device({"trainer": {"accelerator": word}}).type == "cpu"
    assert evaluation_device({}).type == "cpu"


@pytest.mark.parametrize("word", ["gpu", "cuda"])
def test_a_gpu_that_is_asked_for_is_taken_or_missed_in_words(word, monkeypatch):
    config = {"trainer": {"accelerator": word}}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert evaluation_device(config) == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"trainer.accelerator={word}: this machine has no GPU"):
        evaluation_device(config)


def test_on_the_cpu_the_network_is_left_as_it_is():
    network = Twice()
    assert placed(network, torch.device("cpu")) is network
    assert not network._forward_hooks
    assert not network._forward_pre_hooks


def test_inputs_go_to_the_device_and_outputs_come_back(monkeypatch):
    back: list[Any] = []

    def watched(value: Any, device: torch.device) -> Any:
        if device.type == "cpu":  # what is on the device meta has no values to bring back
            back.append(value)
            return "in main memory"
        return moved(value, device)

    monkeypatch.setattr(placement, "moved", watched)
    network = Twice()
    keys = list(network.state_dict())
    assert placed(network, ELSEWHERE) is network
    answer = network(torch.ones(4, 3), factor=torch.tensor(2.0), name="a")
    assert answer == "in main memory"
    assert network.seen == ["meta", "meta"]
    assert back[0]["name"] == "a"
    assert [x.device.type for x in back[0]["out"]] == ["meta", "meta"]
    assert list(network.state_dict()) == keys
    assert {p.device.type for p in network.parameters()} == {"meta"}


def test_structures_are_moved_whole():
    given = {"a": [torch.ones(2), 3], "b": (torch.zeros(1),)}
    found = moved(given, ELSEWHERE)
    assert (found["a"][0].device.type, found["a"][1]) == ("meta", 3)
    assert found["b"][0].device.type == "meta"
