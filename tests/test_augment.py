import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hccr_lib.datasets.augment import augment, on_paper


def _dot(n, side=96):
    images = np.zeros((n, side, side), np.uint8)
    images[:, side // 2 - 4 : side // 2 + 4, side // 2 - 4 : side // 2 + 4] = 255
    return images


@given(n=st.integers(1, 4), side=st.sampled_from([16, 48, 96]), seed=st.integers(0, 10**6))
def test_shape_dtype_and_what_is_blank_stays_blank(n, side, seed):
    changed = augment(np.zeros((n, side, side), np.uint8), np.random.default_rng(seed))
    assert changed.shape == (n, side, side)
    assert changed.dtype == np.uint8
    assert not changed.any()


def test_the_same_generator_changes_images_in_the_same_way_and_another_otherwise():
    images = _dot(3)
    same = augment(images, np.random.default_rng(1))
    assert (same == augment(images, np.random.default_rng(1))).all()
    assert (same != augment(images, np.random.default_rng(2))).any()
    assert (same[0] != same[1]).any()


def test_the_images_given_are_not_touched():
    images = _dot(2)
    before = images.copy()
    augment(images, np.random.default_rng(0))
    assert (images == before).all()


def test_ink_moves_little_and_its_amount_changes_little():
    changed = augment(_dot(400), np.random.default_rng(0)).astype(np.float64)
    mass = changed.sum(axis=(1, 2)) / _dot(1).sum()
    assert 0.5 < mass.min() < 0.9
    assert 1.1 < mass.max() < 3
    at = (
        np.stack([(changed.sum(axis=axis) * np.arange(96)).sum(axis=1) for axis in (1, 2)], axis=1)
        / changed.sum(axis=(1, 2))[:, None]
    )
    assert np.abs(at.mean(axis=0) - 47.5).max() < 0.6
    assert 2 < at.std() < 5


def test_nothing_is_mirrored():
    """Ink in the upper right corner stays nearer to it than to the other three."""
    images = np.zeros((300, 96, 96), np.uint8)
    images[:, 24:36, 60:72] = 255
    for image in augment(images, np.random.default_rng(0)):
        rows, columns = np.nonzero(image)
        assert rows.mean() < 48 < columns.mean()


def test_straight_lines_bend_and_neighbours_stay_neighbours():
    """A line is still one line, but not straight: it leaves its best straight fit."""
    images = np.zeros((200, 96, 96), np.uint8)
    images[:, 46:50, 16:80] = 255
    departures = []
    for image in augment(images, np.random.default_rng(0)):
        columns = np.flatnonzero(image.max(axis=0) > 60)
        assert (np.diff(columns) == 1).all(), "the line is broken"
        ink = image[:, columns].astype(float)
        heights = (ink * np.arange(96)[:, None]).sum(axis=0) / ink.sum(axis=0)
        fit = np.polyval(np.polyfit(columns, heights, 1), columns)
        departures.append(np.abs(heights - fit).max())
    assert 0.7 < np.median(departures) < 4


@given(n=st.integers(0, 40), side=st.sampled_from([16, 96]), seed=st.integers(0, 10**6))
def test_paper_changes_some_images_and_leaves_those_given_alone(n, side, seed):
    images = _dot(n, side)
    before = images.copy()
    changed = on_paper(images, np.random.default_rng(seed))
    assert (images == before).all()
    assert changed.shape == images.shape and changed.dtype == np.uint8
    assert (changed == on_paper(images, np.random.default_rng(seed))).all()


def test_paper_keeps_the_ink_where_it_is_brighter_than_what_is_around_it():
    images = _dot(2000)
    changed = on_paper(images, np.random.default_rng(0)).astype(float)
    ink = images[0] > 0
    around = np.zeros_like(ink)
    around[36:60, 36:60] = True
    around &= ~ink
    assert (changed[:, ink].mean(axis=1) > changed[:, around].mean(axis=1) + 50).all()
    # Those left as they are, 1/2 by 3/4 by 6/7, within four standard deviations.
    same = (changed == images).all(axis=(1, 2)).mean()
    assert abs(same - 9 / 28) < 4 * np.sqrt(9 / 28 * 19 / 28 / 2000)
    blank = on_paper(np.zeros((2000, 96, 96), np.uint8), np.random.default_rng(1))
    assert 0.3 < (blank.max(axis=(1, 2)) > 0).mean() < 0.42, "noise or light on a third of them"
    assert blank.max() < 130
    # Light is a slope: without noise it grows all the way, from black in one place alone.
    steps = [np.diff(blank.astype(int), axis=axis) for axis in (1, 2)]
    one_way = [((s >= 0).all((1, 2)) | (s <= 0).all((1, 2))) for s in steps]
    light = (blank.max(axis=(1, 2)) > 0) & one_way[0] & one_way[1]
    black = (blank[light] == 0).mean(axis=(1, 2))
    assert light.sum() > 100 and np.median(black) < 0.02
