"""`thesisbench probe equivariance`: runs and backbones, forms of the report, and bad input."""

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

QUICK = ("--images", "2", "--size", "16")


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    return Command(Toy(tmp_path), monkeypatch, capfd)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A runs folder with a Red-Green fit of one epoch, and one of a network of blobs."""
    root = tmp_path_factory.mktemp("runs")
    words = ["experiment=kayhan/full_conv/red_green", "border=full", "schedule.epochs=1"]
    words += [f"dataset.splits.n_{n}=20" for n in ("train", "val", "test")]
    with allowed_parts():
        config = Composer().compose([*words, "schedule.batch_size=10"]).config
        assert run_folder(toy_folder(root, "abcd000000000001", config).path) == DONE
        yield root


def test_a_backbone_with_a_border_in_the_terminal(command: Command) -> None:
    code, out, err = command("probe", "equivariance", "red_green_net", "border=full", *QUICK)
    assert (code, err) == (0, "")
    assert "equivariance of red_green_net border=full: 2 images (noise, 16x16)" in out
    assert "total stride 8 px" in out
    assert "random weights, in evaluation mode" in out
    rows = re.findall(r"│ (\d+) +│ (yes|no) +│ (\S+)", out)
    assert [int(shift) for shift, *_ in rows] == list(range(1, 17)), "two strides by default"
    assert {shift for shift, word, _ in rows if word == "yes"} == {"8", "16"}
    assert {change for _, word, change in rows if word == "yes"} == {"0.00e+00"}


def test_json_says_what_the_table_says(command: Command) -> None:
    words = ("red_green_net", "border=circular", "--mode", "cyclic", "--shifts", "8", "--json")
    code, out, err = command("probe", "equivariance", *words, *QUICK)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["stride"], told["mode"], told["trained"], told["count"]) == (8, "cyclic", False, 2)
    assert [change["shift"] for change in told["changes"]] == list(range(1, 9))
    assert told["mean"]["multiples"] == {"logits": 0.0, "features": 0.0, "agreement": 100.0}
    others = [change["logits"] for change in told["changes"][:-1]]
    assert told["mean"]["others"]["logits"] == pytest.approx(sum(others) / 7)


def test_the_same_seed_gives_the_same_report_and_another_does_not(command: Command) -> None:
    words = ("probe", "equivariance", "red_green_net", "--shifts", "2", "--json", *QUICK)
    assert command(*words).out == command(*words, "seed=0").out.replace(" seed=0", "")
    assert command(*words).out != command(*words, "seed=1").out.replace(" seed=1", "")


def test_a_fit_is_probed_with_its_own_images(
    command: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_RUNS", str(fitted))
    words = ("probe", "equivariance", "abcd", "--shifts", "8", "--images", "7", "--json")
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert (told["trained"], told["count"]) == (True, 7)
    assert told["images"] == "val split, 32x32", "Red-Green has no split of the name test"
    assert told["mean"]["multiples"]["logits"] == 0.0
    similar = json.loads(command(*words, "--split", "similar").out)
    assert similar["images"].startswith("similar split")
    assert command("probe", "equivariance", str(fitted / "abcd000000000001")).code == 0


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_picture_can_be_written(
    ending: str, start: bytes, command: Command, tmp_path: Path
) -> None:
    path = tmp_path / f"report.{ending}"
    words = ("red_green_net", "--shifts", "2", "--out", str(path), *QUICK)
    code, _, err = command("probe", "equivariance", *words)
    assert (code, err) == (0, f"wrote {path}\n")
    assert path.read_bytes().startswith(start)


def test_a_page_holds_picture_and_table_and_escapes_names(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    words = ("red_green_net", "border=same", "--shifts", "2", "--out", str(path), *QUICK)
    assert command("probe", "equivariance", *words).code == 0
    page = path.read_text()
    assert "<svg" in page
    assert page.count("<tr>") == 1 + 2 + 1  # head, shifts, mean of others
    assert "<?xml" not in page


BAD = {
    "equivariance": "Missing argument",
    "equivariances red_green_net": "unknown probe 'equivariances'; valid: activations, equi",
    "equivariance resnet19": r"unknown run or backbone 'resnet19'; .*resnet18",
    "equivariance 0123abcd": "unknown run or backbone '0123abcd'",
    "equivariance none": "unknown run or backbone 'none'",
    "equivariance ''": "unknown run or backbone ''",
    "equivariance .": "not in a run folder",
    "equivariance red_green_net border=fulll": "valid: circular, full",
    "equivariance red_green_net borderr=full": "'borderr=full' changes no network",
    "equivariance red_green_net backbone.clases=3": "clases",
    "equivariance red_green_net backbone=resnet18": "'backbone=resnet18' changes no network",
    "equivariance red_green_net dataset=red_green": "'dataset=red_green' changes no network",
    "equivariance red_green_net optimizer.lr=1": "'optimizer.lr=1' changes no network",
    "equivariance red_green_net border=full,same": "several values",
    "equivariance red_green_net backbone._target_=os.system": "_target_",
    "equivariance red_green_net --mode sideways": "unknown --mode 'sideways'; valid: canvas",
    "equivariance red_green_net --shifts 0": "'0'",
    "equivariance red_green_net --size 16 --shifts 16 --mode cyclic": "below 16",
    "equivariance red_green_net --split test": "--split is of a run's data set",
    "equivariance red_green_net --out report.pdf": r"unknown ending of --out '.pdf'; valid: .html",
    "equivariance red_green_net --out /no/such/x.png --shifts 1": "cannot write /no/such/x.png",
    "equivariance no_crop": "no_crop does not take such images: .*boxes",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_exit_code_2(line: str, command: Command, tmp_path: Path) -> None:
    words = [word.replace("''", "") for word in line.split()]
    code, _, err = command("probe", *words)
    assert code == 2
    assert re.search(BAD[line], err), err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_what_is_asked_of_a_run_must_be_there(
    command: Command, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_RUNS", str(fitted))
    for words, text in (
        (("abcd", "border=full"), "'border=full' is for a backbone"),
        (("abcd", "--split", "tset"), "unknown split of red_green 'tset'"),
        (("abce",), "unknown run or backbone 'abce'"),
    ):
        code, _, err = command("probe", "equivariance", *words)
        assert code == 2
        assert text in err
