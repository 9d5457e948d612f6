"""What a count of right answers says, and how sure a network should be of them."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hccr_lib.evaluation import fitted_temperature, mcnemar, wilson_interval

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


def drawn(n=4000, classes=12, seed=0):
    """Logits, and labels that are drawn with just the probabilities that they state."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, classes))
    # The largest of logits with Gumbel noise is drawn from their softmax.
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def test_a_calibrated_network_has_a_temperature_of_one():
    assert fitted_temperature(*drawn()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("scale", [0.1, 0.6, 3.0])
def test_the_temperature_undoes_a_scale_and_ignores_what_all_classes_share(scale):
    logits, labels = drawn()
    once = fitted_temperature(logits, labels)
    shifted = scale * logits + np.linspace(-500, 500, len(logits))[:, None]
    assert fitted_temperature(shifted, labels) == pytest.approx(scale * once, rel=1e-3)


def test_no_temperature_beside_it_has_a_lower_cross_entropy():
    logits, labels = drawn(300, 5, seed=3)
    logits[:, 0] += 1.5  # a network that is wrong in more than its scale

    def cross_entropy(temperature):
        p = np.exp(logits / temperature)
        return -np.log(p[np.arange(len(p)), labels] / p.sum(axis=1)).mean()

    best = fitted_temperature(logits, labels)
    for factor in (0.2, 0.9, 0.99, 1.01, 1.1, 5):
        assert cross_entropy(best) < cross_entropy(factor * best)


@pytest.mark.parametrize("margin", [1, 100, 1e5, 1e9])
def test_who_is_always_right_has_the_lowest_temperature_and_who_is_always_wrong_the_highest(margin):
    assert fitted_temperature([[margin, 0], [0, margin]], [0, 1]) == 0.01
    assert fitted_temperature([[margin, 0], [0, margin]], [1, 0]) == 100


@pytest.mark.parametrize(
    "logits, labels",
    [
        (np.zeros((0, 3)), []),
        (np.zeros((2, 0)), [0, 0]),
        (np.zeros(3), [0, 1, 2]),
        (np.zeros((2, 3)), [0]),
        (np.zeros((2, 3)), [0, 3]),
        (np.zeros((2, 3)), [0, -1]),
        (np.zeros((2, 3)), [0, 0.5]),
        ([[0, np.nan]], [0]),
        ([[0, -np.inf]], [0]),
        ([[1e308, -1e308]], [0]),
        ([[1e307, 0]], [0]),
    ],
)
def test_a_temperature_of_anything_else_is_refused(logits, labels):
    with pytest.raises(ValueError, match=r"^(logits|labels) must be"):
        fitted_temperature(logits, labels)
