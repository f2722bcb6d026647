"""Domains of textures: the same scenes and classes, and what each domain does to the values."""

import math

import pytest
import torch

from thesisbench.compose import Composer
from thesisbench.data.stand_ins.texture_cls import texture_cls_splits
from thesisbench.data.stand_ins.texture_domains import (
    DOMAINS,
    GAMMA,
    SIGMA,
    blurred,
    texture_domains_splits,
)
from thesisbench.errors import UserError
from thesisbench.instantiate import make

SMALL = {"data_seed": 1003, "n_train": 40, "n_test": 20}


@pytest.fixture(scope="module")
def domains():
    return {domain: texture_domains_splits(**SMALL, domain=domain) for domain in DOMAINS}


def test_all_domains_have_the_same_labels_and_splits(domains):
    clean = domains["clean"]
    assert list(clean) == ["train", "test"]
    for splits in domains.values():
        for name, (images, labels) in splits.items():
            assert images.shape == clean[name][0].shape
            assert images.dtype == torch.uint8
            assert torch.equal(labels, clean[name][1])
            assert set(labels.tolist()) == set(range(10))


def test_the_clean_domain_is_that_of_the_textures(domains):
    plain = texture_cls_splits(**SMALL, classes=10, reach=0)
    for name in ("train", "test"):
        assert torch.equal(domains["clean"][name][0], plain[name][0])


@pytest.mark.parametrize("name", ["train", "test"])
def test_values_are_those_of_the_same_scene(domains, name):
    clean = domains["clean"][name][0].double() / 255
    dark = domains["gamma"][name][0].double() / 255
    assert (dark - clean**GAMMA).abs().max() < 1.5 * GAMMA / 255  # both are rounded
    negative = domains["inverted"][name][0].int()
    assert (negative + domains["clean"][name][0].int() - 255).abs().max() <= 1


@pytest.mark.parametrize("frequency", [0.15, 0.45])
def test_the_blur_keeps_the_share_of_a_gaussian_and_the_mean(frequency):
    wave = torch.cos(2 * math.pi * frequency * torch.arange(400, dtype=torch.float64))
    seen = blurred(wave.expand(1, 3, 20, 400))[0, 0, 10, 100:300]
    kept = (seen * wave[100:300]).sum() / wave[100:300].square().sum()
    shares = [  # a sampled Gaussian adds up the spectra of all whole shifts
        sum(math.exp(-2 * (math.pi * SIGMA * (f + k)) ** 2) for k in (-2, -1, 0, 1, 2))
        for f in (frequency, 0)
    ]
    assert kept.item() == pytest.approx(shares[0] / shares[1], abs=1e-3)
    flat = torch.full((1, 3, 8, 8), 0.3)
    assert torch.allclose(blurred(flat), flat, atol=1e-6)


def test_training_and_test_images_share_no_scene(domains):
    seen = [image.numpy().tobytes() for images, _ in domains["clean"].values() for image in images]
    assert len(set(seen)) == 60


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_option_takes_the_domain(domain, domains):
    words = ["dataset=texture_domains", f"dataset.splits.domain={domain}", "seed=1003"]
    words += ["dataset.splits.n_train=40", "dataset.splits.n_test=20", "kind=analytic"]
    data = make(Composer().compose(words).config["dataset"])
    assert torch.equal(data.arrays["test"][0], domains[domain]["test"][0])


def test_an_unknown_domain_is_refused():
    with pytest.raises(UserError, match="unknown domain 'dark'; valid: blurred, clean"):
        texture_domains_splits(data_seed=0, domain="dark")
