"""What a count of right answers says: Wilson's interval and McNemar's test."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hccr_lib.evaluation import mcnemar, wilson_interval

COUNTS = [(0, 1), (1, 1), (0, 500), (480, 500), (500, 500), (731, 800), (219_000, 224_419)]


@pytest.mark.parametrize("hits, n", COUNTS)
def test_at_the_ends_of_the_interval_the_share_is_z_deviations_away(hits, n):
    low, high = wilson_interval(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    for end, is_inner in ((low, hits > 0), (high, hits < n)):
        if is_inner:
            deviations = abs(hits / n - end) / math.sqrt(end * (1 - end) / n)
            assert deviations == pytest.approx(1.96, rel=1e-9)


@pytest.mark.parametrize("hits, n", COUNTS)
def test_errors_have_the_mirrored_interval(hits, n):
    low, high = wilson_interval(n - hits, n)
    assert (1 - high, 1 - low) == pytest.approx(wilson_interval(hits, n), abs=1e-12)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    for accuracy in (0.5, 0.9, 0.97):
        hits = np.random.default_rng(0).binomial(500, accuracy, 4000)
        ends = np.array([wilson_interval(int(each), 500) for each in hits])
        held = ((ends[:, 0] <= accuracy) & (accuracy <= ends[:, 1])).mean()
        assert 0.93 < held < 0.975


def test_more_images_and_less_certainty_narrow_it():
    def width(*args):
        low, high = wilson_interval(*args)
        return high - low

    assert width(950, 1000) < width(95, 100)
    assert width(95, 100, 1) < width(95, 100)


def by_enumeration(a, b):
    """The sum over all outcomes that are no likelier than the one seen, as exact fractions."""
    n = a + b
    chances = [Fraction(math.comb(n, k), 2**n) for k in range(n + 1)]
    return float(sum(chance for chance in chances if chance <= chances[a]))


@pytest.mark.parametrize("n", range(13))
def test_mcnemar_is_the_sum_over_all_outcomes_as_uneven(n):
    for a in range(n + 1):
        assert mcnemar(a, n - a) == by_enumeration(a, n - a) == mcnemar(n - a, a)


def test_mcnemar_of_thousands():
    # The normal approximation with continuity correction is good there.
    z = (abs(2100 - 1900) - 1) / math.sqrt(4000)
    assert mcnemar(2100, 1900) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=5e-3)
    assert 0 <= mcnemar(0, 5000) < 1e-300


@pytest.mark.parametrize("hits, n", [(-1, 5), (6, 5), (0, 0)])
def test_impossible_counts(hits, n):
    with pytest.raises(ValueError, match=f"received {hits} of {n}"):
        wilson_interval(hits, n)


def test_negative_counts():
    with pytest.raises(ValueError, match="received 3 and -1"):
        mcnemar(3, -1)
