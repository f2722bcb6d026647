"""`thesisbench probe activations`: runs and backbones, forms of the report, and bad input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy_chapter import Command, Toy
from toy_runs import allowed_parts, toy_folder

from thesisbench.compose import Composer
from thesisbench.launch.jobs import DONE
from thesisbench.run import run_folder

QUICK = ("--images", "8", "--size", "8")
NET = ("random_net", "backbone.width=16", "norm=without")


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(Toy(tmp_path), monkeypatch, capfd)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runs folder with a Red-Green fit of one epoch."""
    root = tmp_path_factory.mktemp("runs")
    words = ["experiment=kayhan/full_conv/red_green", "schedule.epochs=1"]
    words += [f"dataset.splits.n_{n}=20" for n in ("train", "val", "test")]
    with allowed_parts():
        config = Composer().compose([*words, "schedule.batch_size=10"]).config
        assert run_folder(toy_folder(root, "abcd000000000001", config).path) == DONE
        yield root


def test_a_backbone_in_the_terminal(command: Command) -> None:
    code, out, err = command("probe", "activations", *NET, *QUICK)
    assert (code, err) == (0, "")
    assert "activations of random_net backbone.width=16 norm=without: 8 images" in out
    assert "(noise N(0, 1), 8x8)" in out
    assert "random weights; batch normalisations use the statistics of these images" in out
    layers = re.findall(r"^ *(\S+) +(16|10) ", out, re.MULTILINE)
    assert [name for name, _ in layers] == [*(f"features.{3 * i}" for i in range(7)), "classifier"]


def test_json_has_a_row_a_layer_and_alignment_takes_the_drift_away(command: Command) -> None:
    told = []
    for words in ((), ("weight=align",)):
        code, out, err = command("probe", "activations", *NET, *words, "--json", *QUICK)
        assert (code, err) == (0, "")
        told.append(json.loads(out))
    plain, aligned = told
    assert (plain["trained"], plain["count"], len(plain["layers"])) == (False, 8, 8)
    drifts = [sum(layer["drift"] for layer in t["layers"][1:7]) for t in told]
    assert drifts[1] < 0.5 * drifts[0]
    assert set(aligned["layers"][0]) == {
        *("name", "channels", "drift", "std", "dominant", "skewness"),
        *("symmetry", "weight_symmetry", "constant"),
    }


def test_the_images_are_as_many_and_as_large_as_in_the_thesis(command: Command) -> None:
    words = ("random_net", "backbone.width=2", "backbone.depth=1", "--json")
    told = json.loads(command("probe", "activations", *words).out)
    assert (told["count"], told["images"]) == (128, "noise N(0, 1), 32x32")


def test_a_fit_is_probed_with_its_own_images_and_kept_statistics(
    command: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_RUNS", str(fitted))
    code, out, err = command("probe", "activations", "abcd", "--images", "7", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["trained"], told["count"], told["images"]) == (True, 7, "val split, 32x32")
    assert [layer["channels"] for layer in told["layers"]] == [32, 32, 64, 64, 2]
    assert "random weights" not in command("probe", "activations", "abcd").out


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("html", b"<!DOCTYPE")])
def test_a_picture_or_a_page_can_be_written(
    ending: str, start: bytes, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / f"report.{ending}"
    code, _, err = command("probe", "activations", *NET, "--out", str(path), *QUICK)
    assert (code, err) == (0, f"wrote {path}\n")
    assert path.read_bytes().startswith(start)
    if ending == "html":
        page = path.read_text()
        assert page.count("<tr>") == 1 + 8
        assert "<h1>Activations</h1>" in page
        assert "<svg" in page


BAD = {
    "activations": "Missing argument",
    "activations resnet19": r"unknown run or backbone 'resnet19'; .*resnet18",
    "activations random_net --shifts 3": "--shifts is of `probe equivariance`",
    "activations random_net --mode cyclic": "--mode is of `probe equivariance`",
    "activations random_net weight=aligned": "valid: align",
    "activations random_net --split test": "--split is of a run's data set",
    "activations random_net --images 0": "'0'",
    "activations random_net --out report.pdf": "unknown ending of --out '.pdf'",
    "activations no_crop": "no_crop does not take such images: .*boxes",
    "activations resnet_mini --images 1 --size 4": "resnet_mini does not take .* more than 1 value",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_exit_code_2(line: str, command: Command) -> None:
    code, _, err = command("probe", *line.split())
    assert code == 2
    assert re.search(BAD[line], err), err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
