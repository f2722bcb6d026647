"""`thesisbench data` and `thesisbench weights`: what they print, exit codes, nonsense."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from real_formats import truncate, write_brown, write_cifar, write_fashion_mnist, write_imagenet
from torchvision.datasets import CIFAR10, PhotoTour

from thesisbench.cli import main
from thesisbench.data.files import brown, cifar, fashion, imagenet
from thesisbench.data.files.command import data_states, fingerprint
from thesisbench.data.files.fetch import digest_of
from thesisbench.data.files.sources import MODULES

NONSENSE = {
    "data": "Missing command",
    "data frob": "valid: list, prepare, verify",
    "data list extra": "unexpected extra argument",
    "data list --spec-dir /no/such": "no such folder",
    "data prepare": "Missing argument",
    "data prepare cifar11": "unknown data set 'cifar11'; nearest: cifar10",
    "data prepare ''": "unknown data set",
    "data prepare ../cifar10": "unknown data set '../cifar10'",
    "data prepare cifar10 nope": "unknown data set 'nope'",
    "data prepare red_green": "red_green has no files: it is made when it is needed",
    "data verify": "Missing argument",
    "data verify cifar": "nearest: cifar10",
    "data verify coco_stuff": "nearest: coco",
    "data verify cifar10 --fast": "No such option: --fast",
    "weights": "Missing command",
    "weights frob": "valid: list, prepare, verify",
    "weights prepare nope": "unknown weights 'nope'",
    "weights verify imagenet_resnet50": "nearest: ",
    "weights verify flownet --quick": "No such option: --quick",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THESISBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def call(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["thesisbench", *line.split()])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capsys.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_gets_one_clear_line_and_exit_code_2(line: str, call: Any, home: Path) -> None:
    code, out, err = call(line)
    assert (code, out) == (2, "")
    assert err.startswith("thesisbench: ")
    assert err.count("\n") == 1
    assert NONSENSE[line] in err
    assert not home.exists()


def test_states(call: Any, home: Path) -> None:
    write_cifar(home / "cifar10")
    code, out, _ = call("data list --json")
    states = {entry["name"]: entry["state"] for entry in json.loads(out)["data"]}
    assert code == 0
    expected = {
        "cifar10": "present",
        "cifar100": "missing",
        "imagenet": "by hand",
        "imagenet200": "by hand",
        "coco": "by hand",
        "red_green": "procedural",
    }
    assert {name: states[name] for name in expected} == expected
    assert set(MODULES) <= set(states)
    (home / "weights" / "flownet").mkdir(parents=True)
    (home / "weights" / "flownet" / "flownet.pth").write_bytes(b"")
    _, out, _ = call("weights list")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["flownet"].startswith("present")
    assert lines["flownet2"].startswith("by hand")
    assert lines["imagenet_resnet50_torchvision"].startswith("missing")


def test_lists_start_without_anything_heavy() -> None:
    for what in ("data", "weights"):
        code = (
            f"import sys; sys.argv = ['thesisbench', '{what}', 'list']\n"
            "from thesisbench.cli import main\n"
            "try:\n    main()\n"
            "except SystemExit:\n    pass\n"
            "heavy = {'torch', 'torchvision', 'timm', 'numpy', 'hydra', 'omegaconf', 'scipy'}\n"
            "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_is_left_to_do_by_hand(call: Any, home: Path) -> None:
    code, out, _ = call("data prepare imagenet1k coco")
    assert code == 1
    assert f"fetch ILSVRC2012_img_train.tar from https://image-net.org/" in out  # noqa: F541
    assert f"put it in {home / 'imagenet'}" in out
    assert f"put it in {home / 'coco'}" in out
    assert not home.exists()
    code, out, _ = call("weights prepare flownet --json")
    assert code == 1
    (entry,) = json.loads(out)["weights"]
    assert f"put its file in {home / 'weights' / 'flownet'}" in entry["left"][0]


def test_a_download_without_network_fails_in_one_line_and_leaves_nothing(
    call: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CIFAR10, "url", "http://localhost:9/cifar.tar.gz")
    code, out, _ = call("data prepare cifar10")
    assert code == 1
    assert "cannot download cifar-10-python.tar.gz (http://localhost:9/" in out
    assert not home.exists()


def small(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Miniatures of all data sets, which are now whole by their counts."""
    files = write_cifar(home / "cifar10", per_file=1100)
    for names in ("train_list", "test_list"):
        known = [
            [name, digest_of(files / "cifar-10-batches-py" / name, "md5")]
            for name, _ in getattr(CIFAR10, names)
        ]
        monkeypatch.setattr(CIFAR10, names, known)
    for module, train, test in ((cifar, 5500, 1100), (fashion, 10_010, 20)):
        monkeypatch.setattr(module, "TRAIN", train)
        monkeypatch.setattr(module, "TEST", test)
    write_fashion_mnist(home / "fashion_mnist", train=10_010)
    write_brown(home / "brown_patches")
    monkeypatch.setattr(PhotoTour, "lens", dict.fromkeys(PhotoTour.lens, 8))
    monkeypatch.setattr(brown, "PAIRS", 4)


def test_verify_prints_counts_and_the_fingerprint_of_records(
    call: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, home)
    code, out, _ = call("data verify cifar10 fashion_mnist brown_patches")
    assert code == 0
    assert f"cifar10 in {home / 'cifar10'}: whole" in out
    assert "train images: 5,500" in out
    code, out, _ = call("data verify cifar10 --json")
    (told,) = json.loads(out)["data"]
    assert told["fingerprint"] == fingerprint("cifar10")
    assert told["fingerprint"]["splits"]["train"]["count"] == 500
    assert told["problems"] == []


def test_verify_lists_every_broken_file(
    call: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(monkeypatch, home)
    for number in (2, 4):
        truncate(home / "cifar10" / "cifar-10-batches-py" / f"data_batch_{number}")
    code, out, err = call("data verify cifar10 cifar100 fashion_mnist")
    assert (code, err) == (1, "")
    assert "data_batch_2: other checksum" in out
    assert "data_batch_4: other checksum" in out
    assert "run `thesisbench data prepare cifar100`" in out
    assert "fashion_mnist" in out


def test_images_are_read_unless_it_is_to_be_quick(
    call: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagenet, "N_CLASSES", 3)
    monkeypatch.setattr(imagenet, "COUNTS", {"train": 12, "val": 6})
    monkeypatch.setattr(imagenet, "VAL_PER_CLASS", 2)
    write_imagenet(home / "imagenet")
    broken = truncate(home / "imagenet" / "train" / "n01" / "n01_0.JPEG")
    code, out, _ = call("data verify imagenet --json")
    (told,) = json.loads(out)["data"]
    assert code == 1
    assert [line.partition(":")[0] for line in told["problems"]] == [str(broken)]
    monkeypatch.setattr("thesisbench.data.files.command.fingerprint", lambda _: None)
    assert call("data verify imagenet --quick")[0] == 0


def test_weights_are_verified(call: Any, home: Path) -> None:
    folder = home / "weights" / "flownet"
    folder.mkdir(parents=True)
    torch.save({"a": torch.ones(3), "b": torch.zeros(2, 2)}, folder / "x.pth")
    code, out, _ = call("weights verify flownet --json")
    (told,) = json.loads(out)["weights"]
    assert code == 0
    assert told["counts"] == {"tensors": 2, "numbers": 7}
    digest = digest_of(folder / "x.pth", "sha256")
    assert told["fingerprint"] == {"file": "x.pth", "sha256": digest}
    torch.save({"a": torch.tensor([1.0, torch.nan])}, folder / "x.pth")
    code, out, _ = call("weights verify flownet flownet2")
    assert code == 1
    assert "a is not finite" in out
    assert "no weights in" in out


def test_the_registry_names_all_sources() -> None:
    from thesisbench.browse.library import Library

    found = {e["name"]: e for e in data_states(Library.at().registry)}
    assert all(found[name]["verifiable"] for name in MODULES)
    assert found["imagenet1k"]["verifiable"], "another name of imagenet"
    assert not found["coco_stuff"]["verifiable"]
