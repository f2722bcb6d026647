"""What a fit makes of its configuration, and whose files it clears away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import allowed_parts, toy_config, toy_folder

from thesisbench.errors import UserError
from thesisbench.launch.jobs import DONE, FAILED
from thesisbench.run import run_folder
from thesisbench.step import build_network
from thesisbench.store.folder import RunFolder
from thesisbench.store.lease import Lease


@pytest.fixture(autouse=True, scope="module")
def _allowed() -> Iterator[None]:
    with allowed_parts():
        yield


def outcome(root: Path, **changes: Any) -> tuple[int, str, Any]:
    folder = toy_folder(root, "fit", toy_config(**changes))
    return run_folder(folder.path), folder.state().message, folder.read_record()


def test_any_flag_of_the_trainer_works(tmp_path: Path) -> None:
    code, message, record = outcome(tmp_path, trainer={"max_steps": 5})
    assert code == DONE, message
    assert record["result"]["metrics"]["epochs"] == 2, "four steps an epoch"


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ({"max_epochs": 3}, "trainer.max_epochs is not yours to set"),
        ({"fastness": 3}, "Lightning's Trainer does not take"),
        ({"accelerator": "abacus"}, "abacus"),
    ],
)
def test_flags_that_do_not_work_fail_with_one_line(
    flag: dict[str, Any], text: str, tmp_path: Path
) -> None:
    code, message, _ = outcome(tmp_path, trainer=flag)
    assert code == FAILED
    assert text in message
    assert not message.startswith(("TypeError", "ValueError"))


def test_callbacks_of_the_configuration_are_used(tmp_path: Path) -> None:
    node = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "train_loss"}
    node |= {"divergence_threshold": -1.0, "check_on_train_epoch_end": True}
    code, message, record = outcome(tmp_path, callbacks={"stop": node})
    assert code == DONE, message
    assert record["result"]["metrics"]["epochs"] == 1


def test_the_memory_format_is_that_of_the_configuration() -> None:
    conv = {"_target_": "torch.nn.Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3}
    plain, _ = build_network({"backbone": conv})
    last, _ = build_network({"backbone": conv, "memory_format": "channels_last"})
    (weight,) = (p for p in last.parameters() if p.dim() == 4)
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    assert next(p for p in plain.parameters() if p.dim() == 4).is_contiguous()
    volume = {**conv, "_target_": "torch.nn.Conv3d"}
    deep, _ = build_network({"backbone": volume, "memory_format": "channels_last"})
    assert any(p.is_contiguous(memory_format=torch.channels_last_3d) for p in deep.parameters()
               if p.dim() == 5)  # fmt: skip
    with pytest.raises(UserError, match="unknown memory_format 'rows'; valid: channels_last"):
        build_network({"backbone": conv, "memory_format": "rows"})


def test_an_owner_that_comes_second_leaves_the_winners_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = toy_folder(tmp_path, "fit", toy_config(schedule={"epochs": 1}))
    theirs = folder.attempt_dir(2) / "weights-0.pt"

    def somebody_was_faster(self: RunFolder, record: Any, lease: Lease) -> bool:
        theirs.parent.mkdir(parents=True)
        theirs.write_text("theirs")
        self.record_file.write_text('{"result": {"outcome": "ok", "metrics": {"theirs": 1}}}')
        return False

    monkeypatch.setattr(RunFolder, "publish_record", somebody_was_faster)
    assert run_folder(folder.path) == DONE
    assert theirs.read_text() == "theirs"
    record = folder.read_record()
    assert record is not None
    assert record["result"]["metrics"] == {"theirs": 1}
