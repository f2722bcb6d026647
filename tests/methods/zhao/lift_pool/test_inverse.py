"""The measured error of the inverse is rounding, and the measure sees an inverse that is wrong."""

import pytest

from thesisbench.layers.lift_pool import LiftDownPool2d
from thesisbench.methods.zhao.lift_pool.inverse import InverseError


@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize("kernel", [2, 5])
def test_the_inverse_is_exact_to_rounding(kernel, depthwise):
    found = InverseError(kernel=kernel, depthwise=depthwise, sides=(5, 8), draws=2)()
    assert set(found) == {"error", "details"}
    assert 0 <= found["error"] < 1000
    assert 0 <= found["details"] < 1000


def test_an_inverse_that_forgets_the_update_is_seen(monkeypatch):
    def wrong(self, s, d, dim):
        del dim
        return self.step.inverse(s, 0.999 * d, 2)

    monkeypatch.setattr(LiftDownPool2d, "_inverse_step", wrong)
    found = InverseError(sides=(8,), draws=1)()
    assert found["error"] > 1e9
    assert found["details"] > 1e9
