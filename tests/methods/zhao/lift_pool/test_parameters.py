"""Parameters of ResNet-50 with each pool, against the text of the thesis."""

from types import SimpleNamespace

import pytest

from thesisbench.compose import Composer
from thesisbench.methods.zhao.lift_pool.parameters import ParameterCount


def count(*words):
    config = Composer().compose(["experiment=zhao/lift_pool/lift_params", *words]).config
    context = SimpleNamespace(config=config, result=SimpleNamespace(facts={}))
    return ParameterCount()(context), context.result.facts["replaced"]


PRINTED = [
    ("lift_down", "block_input", 25.58),
    ("gfgp", "block_output", 31.08),
    ("gauss", "block_output", 33.85),
]


@pytest.mark.parametrize(("pool", "places", "printed"), PRINTED)
def test_the_counts_of_the_thesis(pool, places, printed):
    metrics, replaced = count(f"pool={pool}", f"variants.pool.places={places}")
    assert round(metrics["parameters_m"], 2) == printed
    assert replaced == {"pool": 7}
    assert metrics["added_k"] == pytest.approx(1e3 * metrics["parameters_m"] - 25557.032)


def test_a_pool_without_parameters_adds_none():
    metrics, _ = count("pool=max")
    assert metrics == {"parameters": 25_557_032.0, "parameters_m": 25.557032, "added_k": 0.0}


def test_without_a_pool_nothing_is_replaced():
    metrics, replaced = count("pool=strided")
    assert metrics["added_k"] == 0
    assert replaced == {}
