"""The check of stand-ins: a quarter to nine tenths of the way from chance to perfect."""

from types import SimpleNamespace

import pytest

from thesisbench.errors import SpecError
from thesisbench.tables.model import Cell
from thesisbench.tables.spec import StandIn
from thesisbench.tables.stand_in import check_stand_in


def _table(reference="a.x", chance=50, perfect=100):
    stand_in = StandIn(reference=reference, chance=chance, perfect=perfect)
    return SimpleNamespace(id="t.t1", rows={"a": 0}, columns={"x": 0}, stand_in=stand_in)


def _cells(*values):
    return {("t.t1", "a", "x"): Cell("t.t1", "a", "x", "run", "done", dict(enumerate(values)))}


@pytest.mark.parametrize(
    ("values", "share", "fits"),
    [((75, 75), 0.5, True), ((60,), 0.2, False), ((96, 98), 0.94, False), ((62.5,), 0.25, True)],
)
def test_share_is_the_mean_between_chance_and_perfect(values, share, fits):
    check = check_stand_in(_table(), _cells(*values))
    assert check.share == pytest.approx(share)
    assert check.fits is fits


def test_lower_is_better_metrics_go_from_high_chance_to_low_perfect():
    check = check_stand_in(_table(chance=90, perfect=0), _cells(45))
    assert check.share == pytest.approx(0.5)


def test_words_name_the_side_that_is_wrong():
    assert "too easy" in str(check_stand_in(_table(), _cells(99)))
    assert "too hard" in str(check_stand_in(_table(), _cells(51)))


def test_nothing_is_said_without_a_stand_in_or_a_value():
    assert check_stand_in(SimpleNamespace(stand_in=None), {}) is None
    assert check_stand_in(_table(), {}) is None
    assert check_stand_in(_table(), _cells()) is None


def test_a_reference_that_is_no_cell_is_refused():
    with pytest.raises(SpecError, match=r"b\.x is no cell"):
        check_stand_in(_table("b.x"), {})
