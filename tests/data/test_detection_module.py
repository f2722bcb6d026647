"""Batches of images with boxes: functions of (seed, epoch, index), shared, empty ones kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detection_formats import coco_2017, write_delftbikes
from pytorch_lightning import LightningModule, Trainer
from real_formats import truncate

from thesisbench.data.arrays import Loading, make_loader
from thesisbench.data.bad_file import BadFileError
from thesisbench.data.box_transforms import as_it_is, to_square
from thesisbench.data.coco import coco_splits
from thesisbench.data.delftbikes import delftbikes_splits
from thesisbench.data.detection_files import BoxSplit, hold_out, split_in_memory
from thesisbench.data.detection_module import DetectionDataModule
from thesisbench.data.shares import Share
from thesisbench.errors import UserError


def small_split(n: int = 6, k: int = 3) -> BoxSplit:
    """Image i is filled with i and has i modulo 4 boxes, of which the last is missing."""
    images = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(n, 3, 12, 10).clone()
    boxes = torch.tensor([0.0, 0, 4, 5]).expand(n, k, 4) + torch.arange(k).view(1, -1, 1)
    there = torch.arange(k) < (torch.arange(n) % 4)[:, None]
    last = torch.arange(k) == (torch.arange(n) % 4 - 1)[:, None]
    labels = torch.arange(k).expand(n, k)
    return split_in_memory(images, boxes, labels, there, ("a", "b", "c"), state=2 * last.long())


def module(split: BoxSplit | None = None, **settings) -> DetectionDataModule:
    splits = {"train": split or small_split(), "val": small_split(5)}
    plain = {"train": as_it_is(flip=0.5), "test": as_it_is()} | settings
    made = DetectionDataModule("small", lambda: splits, **plain)
    made.loading = Loading(batch_size=4, seed=3)
    return made


def test_a_batch_is_a_list_of_images_and_a_list_of_targets() -> None:
    images, targets = next(iter(module().loader("train")))
    assert [x.shape for x in images] == [(3, 12, 10)] * 4
    assert [int(x.max() * 255) for x in images] == [0, 1, 2, 3]
    assert [int(t["number"]) for t in targets] == [0, 1, 2, 3]
    assert [len(t["boxes"]) for t in targets] == [0, 1, 2, 3]
    assert targets[3]["labels"].tolist() == [0, 1, 2]
    assert targets[3]["boxes"][1].tolist() == [1, 1, 5, 6]
    assert targets[3]["state"].tolist() == [0, 0, 2]


def test_training_hands_over_present_parts_only_and_keeps_empty_images() -> None:
    made = module(train=as_it_is())
    images, targets = made.split("train", train=True).__getitems__([(0, i) for i in range(6)])
    assert len(images) == 6
    assert [len(t["labels"]) for t in targets] == [0, 0, 1, 2, 0, 0]
    assert all((t["state"] < 2).all() for t in targets)
    fewer = module(keep_empty=False).split("train", train=True)
    assert len(fewer) == 2
    assert [int(t["number"]) for t in fewer.__getitems__([(0, 0), (0, 1)])[1]] == [0, 1]
    assert len(module(keep_empty=False).split("train")) == 6


def test_a_fit_validates_on_what_it_would_train_on() -> None:
    made = module()
    targets = [t for _, some in made.val_dataloader() for t in some]
    assert [len(t["labels"]) for t in targets] == [0, 0, 1, 2, 0]
    assert [len(t["labels"]) for _, some in made.share("val") for t in some] == [0, 1, 2, 3, 0]
    del made.arrays["val"]
    assert made.val_dataloader() == []


def test_samples_are_functions_of_seed_epoch_and_index() -> None:
    made = module()
    split = made.split("train", train=True)
    keys = [(epoch, 3) for epoch in range(24)]
    _, targets = split.__getitems__(keys)
    lefts = [float(t["boxes"][0, 0]) for t in targets]
    assert set(lefts) == {0.0, 6.0}, "mirrored half of the time"
    assert 5 < lefts.count(0.0) < 19
    for key, left in zip(keys, lefts, strict=True):
        assert float(split[key][1][0]["boxes"][0, 0]) == left
    made.loading = Loading(batch_size=4, seed=4)
    _, others = made.split("train", train=True).__getitems__(keys)
    assert [float(t["boxes"][0, 0]) for t in others] != lefts


@pytest.mark.parametrize("ranks", [2, 3])
def test_shares_together_are_the_batch_of_one_process(ranks: int) -> None:
    made = module()
    whole = list(make_loader(made.split("train", train=True), made.loading, train=True, epoch=2))
    parts = []
    for rank in range(ranks):
        loading = replace(made.loading, share=Share(rank, ranks))
        split = made.split("train", train=True)
        loader = make_loader(split, loading, train=True, epoch=2)
        parts.append([
            (images[: loader.batch_sampler.count(i)], targets[: loader.batch_sampler.count(i)])
            for i, (images, targets) in enumerate(loader)
        ])  # fmt: skip
    for step, (images, targets) in enumerate(whole):
        assert len(targets) == len(images)
        shared = [x for part in parts for x in part[step][0]]
        assert all(torch.equal(a, b) for a, b in zip(shared, images, strict=True))
        numbers = [int(t["number"]) for part in parts for t in part[step][1]]
        assert numbers == [int(t["number"]) for t in targets]


def test_the_record_tells_counts_empty_images_and_what_is_broken() -> None:
    split = small_split()
    split.problems.add("no_area", "one")
    found = module(split).fingerprint()
    train = found["splits"]["train"]
    assert (found["name"], found["stand_in_for"]) == ("small", None)
    assert (train["count"], train["boxes"], train["empty"]) == (6, 7, 2)
    assert train["broken"] == {"no_area": 1}
    assert "broken" not in found["splits"]["val"]
    other = small_split()
    other.boxes[0] += 1
    assert module(other).fingerprint()["splits"]["train"]["sha256"] != train["sha256"]
    other = small_split()
    other.images[0, 0, 0, 0] = 9
    assert module(other).fingerprint()["splits"]["train"]["sha256"] != train["sha256"]


def test_images_are_taken_with_their_boxes() -> None:
    split = small_split(8)
    some = split.take(torch.tensor([7, 2, 0]))
    assert some.counts.tolist() == [3, 2, 0]
    assert some.labels.tolist() == [0, 1, 2, 0, 1]
    assert [int(some.image(i).max()) for i in range(3)] == [7, 2, 0]
    kept = split.keep(split.labels == 1)
    assert kept.counts.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert (kept.boxes[:, 0] == 1).all()


def test_held_out_images_are_neither_lost_nor_there_twice() -> None:
    split = small_split(8)
    parts = hold_out(split, 3, 5)
    numbers = [sorted(int(p.image(i).max()) for i in range(len(p))) for p in parts.values()]
    assert sorted(numbers[0] + numbers[1]) == list(range(8))
    assert hold_out(split, 0, 5) == {"train": split}


def test_unknown_splits_and_sets_without_a_box_are_refused() -> None:
    with pytest.raises(UserError, match="unknown split of small 'tst'"):
        module().split("tst")
    empty = small_split(1)
    with pytest.raises(UserError, match=r"no image of small .train. has a box to train on"):
        module(empty, keep_empty=False).split("train", train=True)
    assert module().classes == ("a", "b", "c")


def files_module(root: Path) -> DetectionDataModule:
    transforms = {"train": to_square(side=16, flip=0.5), "test": to_square(side=24)}
    splits = lambda: coco_splits(root=str(root), masks=True)  # noqa: E731
    made = DetectionDataModule("coco", splits, **transforms)
    made.loading = Loading(batch_size=2, seed=3, workers=1)
    return made


def test_files_are_decoded_by_other_processes_too(tmp_path: Path) -> None:
    made = files_module(coco_2017(tmp_path))
    batches = list(made.loader("train"))
    assert [len(images) for images, _ in batches] == [2, 1]
    alone = made.split("train").__getitems__([(0, 0), (0, 1), (0, 2)])
    for index, (image, target) in enumerate(
        (x, t) for images, targets in batches for x, t in zip(images, targets, strict=True)
    ):
        assert image.shape == (3, 24, 24)
        assert torch.equal(image, alone[0][index])
        assert torch.equal(target["boxes"], alone[1][index]["boxes"])
        assert target["masks"].shape == (len(target["labels"]), 24, 24)
    across, down = 24 / 40, 19 / 32  # 40x32 becomes 24x19 and is filled up
    expected = [3 * across, 1 * down, 13 * across, 21 * down]
    assert batches[0][1][0]["boxes"][0].tolist() == pytest.approx(expected)
    found = made.fingerprint()["splits"]["train"]
    assert (found["of"], found["count"], found["empty"]) == ("names and boxes", 3, 1)


def test_a_broken_image_is_named_in_one_line(tmp_path: Path) -> None:
    made = files_module(coco_2017(tmp_path))
    path = truncate(tmp_path / "val2017" / f"{2:012}.jpg")
    with pytest.raises(BadFileError, match="cannot read image") as caught:
        list(made.loader("val"))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


class Counting(LightningModule):
    """Notes what it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[int] = []
        self.validated = 0

    def training_step(self, batch, index):
        images, targets = batch
        assert all(t["boxes"].device == x.device for x, t in zip(images, targets, strict=True))
        self.seen += [int(t["number"]) for t in targets]
        return self.weight * len(targets)

    def validation_step(self, batch, index):
        self.validated += len(batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:.*many workers.*", "ignore:.*logging interval.*")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*", "ignore:.*isinstance.treespec.*")
def test_lightning_trains_on_it(tmp_path: Path) -> None:
    write_delftbikes(tmp_path)
    made = DetectionDataModule(
        "bikes",
        lambda: delftbikes_splits(root=str(tmp_path), n_val=1),
        train=as_it_is(flip=0.5),
        test=as_it_is(),
    )
    made.loading = Loading(batch_size=2, seed=3)
    task = Counting()
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        enable_checkpointing=False,
        default_root_dir=tmp_path,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **quiet,
    )
    trainer.fit(task, datamodule=made)
    assert sorted(task.seen) == sorted(2 * list(range(3)))
    assert task.validated == 2
