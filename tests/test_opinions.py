"""What benchmarks/opinions.py shows networks, and how it counts."""

import sys
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from opinions import compared, seen, voted

PAIRS = hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 40)))


def test_a_view_leans_and_widens_about_the_middle():
    upright = np.zeros((1, 41, 41), np.uint8)
    upright[0, 5:36, 19:22] = 200
    np.testing.assert_array_equal(seen(upright, 0.0, 1.0), upright)

    def centre(rows):
        ink = rows.sum(axis=0).astype(float)
        return (ink * np.arange(41)).sum() / ink.sum()

    leaning = seen(upright, 0.2, 1.0)[0]
    assert abs(centre(leaning) - 20) < 0.2
    assert abs(centre(leaning[5:10]) - centre(leaning[31:36]) - 0.2 * 26) < 0.3
    wide, narrow = (seen(upright, 0.0, width)[0].sum() for width in (1.5, 0.7))
    assert narrow < 0.8 * upright.sum() < 1.3 * upright.sum() < wide


@given(PAIRS)
def test_the_counts_add_up(pairs):
    together, alone = pairs
    found = compared(together, alone)
    assert found["hits"] == alone.sum() + found["only_together"] - found["only_alone"]
    assert compared(alone, alone) == {"hits": alone.sum(), "only_together": 0, "only_alone": 0}


def test_the_mean_of_logits_votes_and_is_held_against_the_best():
    labels = np.array([0, 1, 2, 0])
    good, poor = np.zeros((2, 4, 3))
    good[range(4), [0, 1, 2, 1]] = 2  # misreads the last one
    poor[range(4), [0, 2, 2, 0]] = 3  # misreads the second, and outvotes the other
    both = {"hits": 3, "only_together": 1, "only_alone": 1, "best_alone": "good"}
    assert voted({"good": good, "poor": poor}, labels) == both
    worse = np.roll(np.eye(3)[labels], 1, axis=1)  # misreads all, and is heard by nobody
    assert voted({"worse": worse, "good": good}, labels) == {
        "hits": 3,
        "only_together": 0,
        "only_alone": 0,
        "best_alone": "good",
    }
