"""Flip rates of stored sequences: by hand, in shares, as a step; and of a reference network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from thesisbench.data.arrays import Loading
from thesisbench.data.module import ArrayDataModule
from thesisbench.data.shares import Share
from thesisbench.errors import UserError
from thesisbench.tasks import over_images
from thesisbench.tasks.perturbations import PerturbationTest

NAMES = ("gaussian_noise", "translate")


class Shade(nn.Module):
    """The class is the brightness of the first pixel in tenths."""

    def forward(self, images: Tensor) -> Tensor:
        assert images.dim() == 4, "frames come as images"
        shade = (images[:, 0, 0, 0] * 10).floor().long()
        return nn.functional.one_hot(shade, 10).float()


def sequences(n: int, seed: int, frames: int = 6) -> Tensor:
    """Frames whose first pixel says their class."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(0, 3, (n, frames), generator=generator)
    return ((classes + 0.5) / 10)[:, :, None, None, None].expand(-1, -1, 3, 4, 4).clone()


SETS = {name: (sequences(7 + i, i), torch.arange(7 + i) % 4) for i, name in enumerate(NAMES)}


def module(**loading: Any) -> Any:
    data = ArrayDataModule("imagenet_p", lambda: SETS)
    data.loading = Loading(**{"batch_size": 3, **loading})
    return data


def context(**needs: Any) -> Any:
    saved: dict[str, Any] = {}
    return SimpleNamespace(
        config={"kind": "eval", "seed": 5},
        needs=needs,
        result=SimpleNamespace(facts={}),
        fitted=Shade,
        fitted_dataset=module,
        save_predictions=saved.__setitem__,
        saved=saved,
    )


def slow_rate(frames: Tensor, *, to_first: bool) -> float:
    """Flips counted one by one."""
    flips, pairs = 0, 0
    for sequence in frames:
        classes = [int(frame[0, 0, 0] * 10) for frame in sequence]
        for j in range(1, len(classes)):
            flips += classes[j] != classes[0 if to_first else j - 1]
            pairs += 1
    return 100 * flips / pairs


def test_sequences_are_read_from_the_split_of_their_perturbation() -> None:
    where = context()
    metrics = PerturbationTest(perturbations=NAMES, stored=True)(where)
    noise = slow_rate(SETS["gaussian_noise"][0], to_first=True)
    moved = slow_rate(SETS["translate"][0], to_first=False)
    assert metrics == pytest.approx(
        {"fr_gaussian_noise": noise, "fr_translate": moved, "mfr": (noise + moved) / 2}
    )
    assert noise != slow_rate(SETS["gaussian_noise"][0], to_first=False), "the example tells them"
    assert where.result.facts["evaluated"] == {
        "gaussian_noise": {"on": 7, "of": 7},
        "translate": {"on": 8, "of": 8},
    }
    assert where.saved["translate"].shape == (8, 6)
    assert where.saved["translate"].dtype == np.int16


def test_fewer_frames_are_taken_evenly_and_fewer_clips_in_whole_batches() -> None:
    test = PerturbationTest(perturbations=NAMES, stored=True, frames=3, clips=4)
    found = test.measure(Shade(), module(), "translate", seed=0)
    whole = (SETS["translate"][0][:, :, 0, 0, 0] * 10).long()
    assert torch.equal(found, whole[:6][:, [0, 2, 5]])


@pytest.mark.parametrize(("size", "ranks"), [(3, 2), (5, 3)])
def test_processes_share_the_sequences(
    size: int, ranks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(over_images, "gather", lambda rows, *_: rows)
    test = PerturbationTest(perturbations=NAMES, stored=True)
    whole = test.measure(Shade(), module(), "translate", seed=0)
    rows = {}
    for rank in range(ranks):
        data = module(batch_size=size, share=Share(rank, ranks))
        places = data.share("translate").batch_sampler.positions(rank)
        mine = test.measure(Shade(), data, "translate", seed=0)
        rows |= dict(zip(places, mine.tolist(), strict=True))
    assert [rows[i] for i in range(8)] == whole.tolist()


def reference(**rates: float) -> Any:
    """The record of another test, with metrics that are no rates."""
    metrics = {**{f"fr_{name}": rate for name, rate in rates.items()}, "mfr": 1.0}
    return (SimpleNamespace(record={"result": {"metrics": metrics}}),)


def test_rates_are_divided_by_those_of_the_reference() -> None:
    test = PerturbationTest(perturbations=NAMES, stored=True)
    raw = test(context())
    with_rates = reference(gaussian_noise=20.0, translate=50.0, tilt=1.0)
    found = test(context(reference=with_rates))
    by_hand = (raw["fr_gaussian_noise"] / 20 + raw["fr_translate"] / 50) / 2
    assert found["mfr_norm"] == pytest.approx(100 * by_hand)
    assert {name: found[name] for name in raw} == raw
    itself = {name.removeprefix("fr_"): v for name, v in raw.items() if name != "mfr"}
    assert test(context(reference=reference(**itself)))["mfr_norm"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ({"translate": 2.0}, "no flip rate for gaussian_noise"),
        ({"translate": 2.0, "gaussian_noise": 0.0}, "gaussian_noise, which nothing can be divided"),
    ],
)
def test_a_reference_that_cannot_be_divided_by_is_refused(
    rates: dict[str, float], said: str
) -> None:
    test = PerturbationTest(perturbations=NAMES, stored=True)
    with pytest.raises(UserError, match=said):
        test(context(reference=reference(**rates)))
