"""Office-31 in the publisher's layout: splits of a domain, preparing, verifying, bad files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from real_formats import truncate, write_jpeg, write_office31

from thesisbench.compose import Composer
from thesisbench.data.files import office31 as files
from thesisbench.data.image_files import ImageList, read_image
from thesisbench.data.office31 import CLASSES, DOMAINS, HELD_OUT, office31_splits
from thesisbench.errors import UserError
from thesisbench.instantiate import make
from thesisbench.step import NeededRun, StepContext
from thesisbench.store.folder import RunFolder
from thesisbench.training.fit import run_fit


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with two images of each class in each domain; not to be changed."""
    root = tmp_path_factory.mktemp("data")
    write_office31(root / "office31", CLASSES)
    return root


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """One domain of them, to be harmed."""
    shutil.copytree(kept / "office31" / "webcam", tmp_path / "webcam")
    return tmp_path


def splits(root: Path, held_out: int | None = 9, **arguments: object) -> dict[str, ImageList]:
    given = {"domain": "webcam", "held_out": held_out, "root": str(root), **arguments}
    return office31_splits(**given)  # type: ignore[arg-type]


def names(images: ImageList) -> set[bytes]:
    return set(images.names.tolist())


def test_there_are_31_classes_in_alphabetical_order() -> None:
    assert len(set(CLASSES)) == 31
    assert list(CLASSES) == sorted(CLASSES)
    assert sum(files.COUNTS.values()) == 4110


def test_published_accuracies_are_multiples_of_the_held_out_counts() -> None:
    printed = {  # row WA of Table 5.6: targets W, W; A, A; D, D
        "webcam": (34.62, 80.0), "amazon": (42.89, 44.09), "dslr": (52.05, 87.67)
    }  # fmt: skip
    for domain, values in printed.items():
        for value in values:
            count = HELD_OUT[domain]
            assert abs(100 * round(value * count / 100) / count - value) < 0.011


def test_splits_share_no_image_and_leave_none_out(root: Path) -> None:
    found = splits(root)
    assert list(found) == ["train", "test"]
    assert (len(found["train"]), len(found["test"])) == (2 * 31 - 9, 9)
    train, test = names(found["train"]), names(found["test"])
    assert not train & test
    assert len(train | test) == 62
    for images in found.values():
        assert images.names.tolist() == sorted(images.names.tolist())
        for i, label in enumerate(images.labels.tolist()):
            assert images.path(i).parent.name == CLASSES[label]
            assert images.path(i).is_file()


def test_test_images_follow_the_seed_and_nothing_else(root: Path) -> None:
    chosen = [names(splits(root, data_seed=seed)["test"]) for seed in range(4)]
    assert len(set(map(frozenset, chosen))) == 4
    assert names(splits(root, held_out=5)["test"]) < chosen[0]
    write_jpeg(root / "webcam" / "images" / "pen" / "new.jpg", 1)
    assert len(names(splits(root)["test"]) - chosen[0]) <= 1, "a new image replaces at most one"


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_option_loads_images_of_its_size(
    domain: str, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(kept))
    words = ["kind=analytic", "dataset=office31", f"dataset.splits.domain={domain}"]
    words += ["dataset.splits.held_out=9", "dataset.train.resize=36", "dataset.train.size=32"]
    config = Composer().compose([*words, "dataset.test.resize=36", "dataset.test.size=32"]).config
    data = make(config["dataset"])
    assert data.fingerprint()["splits"]["test"]["count"] == 9
    for split in ("train", "test"):
        (images,), labels = data.split(split, train=split == "train").__getitems__([(0, 0), (0, 1)])
        assert images.shape == (2, 3, 32, 32)
        assert images.dtype == torch.float32
        assert labels.max() < 31
    (first,), _ = data.split("train", train=True)[(0, 0)]
    (again,), _ = data.split("train", train=True)[(0, 0)]
    (later,), _ = data.split("train", train=True)[(1, 0)]
    assert torch.equal(first, again)
    assert not torch.equal(first, later), "augmentation changes with the epoch"


def run(root: Path, needs: dict[str, Any], *words: str) -> tuple[StepContext, Any]:
    """A step's context, and its configuration."""
    small = ["dataset.splits.held_out=9", "dataset.train.resize=36", "dataset.train.size=32"]
    small += ["dataset.test.resize=36", "dataset.test.size=32"]
    config = Composer().compose([*words, "dataset=office31", *small]).config
    root.mkdir()
    folder = RunFolder(root)
    return StepContext(config=config, folder=folder, attempt=root / "attempt", needs=needs), config


def test_a_fit_on_one_domain_is_tested_on_another(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THESISBENCH_DATA", str(kept))
    words = ["experiment=zhao/lift_pool/cifar100", "backbone=vgg_mini", "backbone.classes=31"]
    words += ["dataset.splits.domain=webcam", "schedule.epochs=1", "schedule.batch_size=8"]
    words += ["schedule.limit_batches=2", "trainer.accelerator=cpu", "~dataset.splits.n_val"]
    fitted, plan = run(tmp_path / "fit", {}, *words)
    result = run_fit(fitted)
    assert result.facts["data"]["splits"]["train"]["count"] == 62 - 9
    record = {"provenance": {"facts": result.facts}}
    needs = {"weights": (NeededRun(fitted.folder, {"config": plan}, record),)}
    words = ["kind=eval", "evaluation=top1", "dataset.splits.domain=dslr"]
    context, plan = run(tmp_path / "test", needs, *words)
    metrics = make(plan["evaluation"])(context)
    assert 0 <= metrics["top1_test"] <= 100
    assert context.result.facts["evaluated"] == {"test": {"on": 9, "of": 9}}
    names = context.dataset().split("test").images
    assert names.root == kept / "office31" / "dslr" / "images"


def test_a_broken_image_is_named_when_it_is_read(root: Path) -> None:
    path = truncate(root / "webcam" / "images" / "bike" / "frame_0002.jpg")
    with pytest.raises(UserError, match=f"cannot read image {path}: "):
        read_image(path)


Harm = Callable[[Path], object]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (shutil.rmtree, "no folder .*webcam/images: `thesisbench data prepare office31`"),
        (lambda r: (r / "images" / "pens").mkdir(), "images/pens: no class of Office-31"),
        (lambda r: shutil.rmtree(r / "images" / "pen"), "images lacks 1 of 31 classes: pen"),
        (
            lambda r: [p.unlink() for p in (r / "images" / "pen").iterdir()],
            "no images in .*images/pen",
        ),
        (lambda r: write_jpeg(r / "images" / "a.jpg", 0), "images/a.jpg is in no class folder"),
    ],
)
def test_what_is_amiss_is_named(harm: Harm, said: str, root: Path) -> None:
    harm(root / "webcam")
    with pytest.raises(UserError, match=said) as caught:
        splits(root)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"domain": "web"}, "unknown domain 'web'; valid: amazon, dslr, webcam"),
        ({"held_out": 62}, "held_out=62 must be between 0 and the 62 of webcam"),
        ({"held_out": 0}, "held_out=0"),
        ({"held_out": None}, "held_out=130"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments: dict[str, object], said: str, root: Path) -> None:
    with pytest.raises(UserError, match=said):
        splits(root, **arguments)  # type: ignore[arg-type]


def test_what_to_fetch_is_said(tmp_path: Path) -> None:
    (line,) = files.prepare("office31", tmp_path / "home", lambda _: None)
    assert "fetch domain_adaptation_images.tar.gz from" in line
    assert str(tmp_path / "home" / "dslr" / "images") in line
    assert "\n" not in line
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("inner", [files.INSIDE, "."])
def test_the_archive_is_unpacked_with_and_without_its_outer_folder(
    inner: str, tmp_path: Path
) -> None:
    write_office31(tmp_path / "files" / inner, CLASSES[:2], per_class=1)
    home = tmp_path / "home"
    home.mkdir()
    shutil.make_archive(str(home / files.INSIDE), "gztar", tmp_path / "files")
    said: list[str] = []
    assert files.prepare("office31", home, said.append) == []
    assert said == [f"{home / domain} made" for domain in DOMAINS]
    assert (home / "dslr" / "images" / "bike" / "frame_0001.jpg").is_file()
    assert not [path for path in home.iterdir() if "partial" in path.name]
    assert files.prepare("office31", home, said.append) == []
    assert len(said) == 3, "what is there is not unpacked again"


def test_a_broken_archive_leaves_nothing(tmp_path: Path) -> None:
    write_office31(tmp_path / "files", CLASSES[:2], per_class=1)
    shutil.make_archive(str(tmp_path / files.INSIDE), "gztar", tmp_path / "files")
    truncate(tmp_path / files.ARCHIVE)
    with pytest.raises(UserError, match=r"cannot unpack .*fetch it anew"):
        files.prepare("office31", tmp_path, lambda _: None)
    assert not (tmp_path / "amazon").exists()


def test_every_broken_image_is_listed(kept: Path, tmp_path: Path) -> None:
    root = tmp_path / "office31"
    shutil.copytree(kept / "office31", root)
    broken = truncate(root / "amazon" / "images" / "mug" / "frame_0001.jpg")
    shutil.rmtree(root / "webcam" / "images" / "ruler")
    checked = files.verify("office31", root, decode=True)
    assert checked.counts == {
        **{"amazon classes": 31, "amazon images": 62},
        **{"dslr classes": 31, "dslr images": 62},
    }
    assert checked.problems[0] == "amazon images: 62, not 2,817"
    assert checked.problems[1].startswith(f"{broken}: ")
    assert checked.problems[2] == "dslr images: 62, not 498"
    assert checked.problems[3].endswith("lacks 1 of 31 classes: ruler")
    assert len(checked.problems) == 4
    assert len(files.verify("office31", root, decode=False).problems) == 3
