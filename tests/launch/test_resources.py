"""What runs ask for, and which GPUs there are: by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from thesisbench.errors import UserError
from thesisbench.launch.inventory import present, visible
from thesisbench.launch.resources import Resources


def asked(kind: str = "fit", **trainer: object) -> Resources:
    return Resources.of({"trainer": trainer}, kind)


@pytest.mark.parametrize(
    ("trainer", "gpus_of_0", "gpus_of_4"),
    [
        ({}, 0, 1),
        ({"accelerator": "auto", "devices": 2}, 0, 2),
        ({"accelerator": "auto", "devices": "2"}, 0, 2),
        ({"accelerator": "cpu", "devices": 2}, 0, 0),
        ({"accelerator": "gpu"}, 1, 1),
        ({"accelerator": "cuda", "devices": 8}, 8, 8),
        ({"accelerator": "gpu", "devices": "auto"}, 1, 4),
        ({"accelerator": "auto", "devices": -1}, 0, 4),
    ],
)
def test_gpus_of_a_fit_on_machines_without_and_with_four(
    trainer: dict[str, object], gpus_of_0: int, gpus_of_4: int
) -> None:
    wanted = asked(**trainer)
    assert (wanted.gpus(0), wanted.gpus(4)) == (gpus_of_0, gpus_of_4)


def test_other_steps_take_a_gpu_only_when_told_and_never_two() -> None:
    assert asked("eval", accelerator="auto", devices=4).gpus(4) == 0
    assert asked("prepare", accelerator="gpu", devices=4).gpus(4) == 1
    assert asked("eval", devices=4).processes(0) == 1


def test_what_is_forked_is_one_process_on_the_cpu() -> None:
    assert not asked().own_tree(0)
    assert not asked(accelerator="cpu").own_tree(4)
    assert asked().own_tree(4)
    assert asked(accelerator="cpu", devices=2).own_tree(0)
    assert asked(accelerator="mps").own_tree(0)


@pytest.mark.parametrize("devices", [[0, 1], "0,1", 0, -2, True, "two"])
def test_devices_that_are_no_number_are_refused(devices: object) -> None:
    with pytest.raises(UserError, match=r"trainer\.devices=.*CUDA_VISIBLE_DEVICES"):
        asked(devices=devices)


FOUR = ("0", "1", "2", "3")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, FOUR),
        ("", ()),
        (" ", ()),
        ("-1", ()),
        ("2,0", ("2", "0")),
        ("1, 3", ("1", "3")),
        ("0,7,1", ("0",)),
        ("0,-1,1", ("0",)),
        ("GPU-8f,GPU-9a", ("GPU-8f", "GPU-9a")),
        ("MIG-a1,MIG-b2", ("MIG-a1", "MIG-b2")),
    ],
)
def test_visible_devices_count_as_cuda_counts_them(
    given: str | None, found: tuple[str, ...]
) -> None:
    environment = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    assert visible(environment, lambda: FOUR) == found


def test_names_of_gpus_that_are_not_there_are_none() -> None:
    assert visible({"CUDA_VISIBLE_DEVICES": "0,1"}, lambda: ()) == ()


LISTING = """GPU 0: NVIDIA H100 (UUID: GPU-5c)
  MIG 3g.40gb     Device  0: (UUID: MIG-aa)
  MIG 3g.40gb     Device  1: (UUID: MIG-bb)
GPU 1: NVIDIA H100 (UUID: GPU-7d)
"""


def test_slices_stand_for_the_gpu_they_are_of() -> None:
    assert present(LISTING, Path("/no")) == ("MIG-aa", "MIG-bb", "1")


def test_without_nvidia_smi_the_driver_is_asked(tmp_path: Path) -> None:
    assert present(None, tmp_path) == ()
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    assert present(None, tmp_path) == ("0", "1")
