"""Ranges and words, by hand."""

import pytest

from thesisbench.planning.spread import Spread, bytes_text, range_text, seconds_text


def test_a_spread_is_the_median_between_the_outer_tenths():
    spread = Spread.of([float(n) for n in range(1, 12)])
    assert (spread.low, spread.middle, spread.high) == (2.0, 6.0, 10.0)
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    between = Spread.of([10.0, 20.0])
    assert (between.low, between.middle, between.high) == pytest.approx((11, 15, 19))
    assert Spread(1.0, 2.0, 3.0).times(2) == Spread(2.0, 4.0, 6.0)


WORDS = {0.0123: "0.012 s", 9.44: "9.4 s", 67.4: "67 s", 300: "5 min", 5400: "90 min"}
WORDS |= {9000: "2.5 h", 180000: "2.1 days", 10_000_000: "116 days"}


@pytest.mark.parametrize("seconds", WORDS)
def test_times_are_said_in_the_unit_that_suits(seconds):
    assert seconds_text(seconds) == WORDS[seconds]


def test_a_range_is_only_said_when_it_shows():
    assert range_text(Spread(60.0, 60.1, 60.2)) == "60 s"
    assert range_text(Spread(50.0, 60.0, 150.0)) == "60 s (50 s to 2.5 min)"


def test_sizes():
    sizes = [bytes_text(n) for n in (900, 2_500_000, 31e9)]
    assert sizes == ["900 bytes", "2.5 MB", "31 GB"]
