"""How benchmarks/averages.py counts."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from averages import beside, read


def test_the_first_and_the_first_five_are_counted():
    said = np.tile(np.arange(8.0), (4, 1))  # the last class is the likeliest, the first the least
    found = read(said, np.array([7, 3, 2, 7]))
    assert (found["top1"]["hits"], found["top5"]["hits"]) == (2, 3)


def test_together_is_held_against_the_best_member():
    labels = np.array([0, 1, 2, 0])
    one = np.eye(3)[[0, 1, 2, 2]]  # misreads the last one
    other = np.eye(3)[[1, 2, 2, 0]]  # misreads the first two
    found = beside(2 * one + 3 * other, {"one": one, "other": other}, labels)
    assert found["best_alone"] == "one"
    assert (found["hits"], found["only_together"], found["only_alone"]) == (2, 1, 2)
    assert found["top1"]["hits"] == found["hits"]
    same = beside(one, {"one": one}, labels)
    assert (same["only_together"], same["only_alone"]) == (0, 0)
