"""How much more or less a run computes than another, by hand."""

import copy

import pytest

from thesisbench.planning.settings import settings_digest
from thesisbench.planning.work import Known, ratio, work_of

FIT = {
    "kind": "fit",
    "seed": 0,
    "backbone": {"_target_": "torch.nn.Linear", "width": 4},
    "variants": {"border": {"border": "same"}},
    "dataset": {"name": "a", "splits": {"n_train": 100, "n_test": 20, "data_seed": 0}},
    "schedule": {"epochs": 10, "batch_size": 5},
}


def changed(**changes):
    config = copy.deepcopy(FIT)
    for place, value in changes.items():
        node = config
        *outer, last = place.split("__")
        for key in outer:
            node = node[key]
        node[last] = value
    return config


def fit(known=None, metrics=None, **changes):
    return work_of("fit", [changed(**changes)], known or Known(), metrics)


def facts(flops, train=100):
    return {"flops_per_sample": flops, "data": {"splits": {"train": {"count": train}}}}


def test_epochs_times_samples():
    found = ratio(fit(schedule__epochs=50, dataset__splits__n_train=300), fit())
    assert found == (15.0, ("epochs", "samples"))


def test_equal_work_is_scaled_by_nothing():
    assert ratio(fit(seed=3, dataset__splits__data_seed=9), fit()) == (1.0, ())


def test_a_fit_that_stopped_early_counts_the_epochs_it_made():
    assert ratio(fit(), fit(metrics={"epochs": 4.0})) == (2.5, ("epochs",))


def test_limited_batches_limit_the_samples():
    assert ratio(fit(), fit(schedule__limit_batches=4)) == (5.0, ("samples",))
    assert ratio(fit(), fit(schedule__limit_batches=400)) == (1.0, ())


def test_another_network_is_scaled_by_flops_or_not_at_all():
    wide = {"backbone__width": 8}
    assert ratio(fit(**wide), fit()) is None
    known = Known.of([(FIT, facts(10)), (changed(**wide), facts(35))])
    assert ratio(fit(known, **wide), fit(known)) == (3.5, ("FLOPs",))


def test_another_data_set_of_unknown_size_cannot_be_scaled():
    other = {"dataset": {"name": "b"}}
    assert ratio(fit(**other), fit()) is None
    known = Known.of([(FIT, facts(10)), (changed(**other), facts(20, train=50))])
    assert ratio(fit(known, **other), fit(known)) == (1.0, ("samples", "FLOPs"))


def test_an_evaluation_is_scaled_by_what_it_is_evaluated_on():
    test = {"kind": "eval", "evaluation": {"splits": ["test"]}}
    few = work_of("eval", [test, FIT], Known())
    many = work_of("eval", [test, changed(dataset__splits__n_test=60)], Known())
    assert few is not None
    assert many is not None
    assert ratio(many, few) == (3.0, ("samples",))


@pytest.mark.parametrize("kind", ["prepare", "analytic"])
def test_other_kinds_are_not_scaled(kind):
    assert work_of(kind, [FIT], Known()) is None


def test_alike_are_runs_that_differ_in_seeds_only():
    same = settings_digest(FIT, {})
    assert settings_digest(changed(seed=7, dataset__splits__data_seed=7), {}) == same
    assert settings_digest({**FIT, "launcher": {"workers": 3}}, {}) == same
    others = [changed(schedule__epochs=11), changed(variants__border__border="full")]
    others.append(changed(backbone___target_="torch.nn.Bilinear"))
    digests = {settings_digest(config, {}) for config in others}
    digests |= {settings_digest(FIT, {"weights": [d]}) for d in ("a", "b")}
    assert len(digests | {same}) == 6
