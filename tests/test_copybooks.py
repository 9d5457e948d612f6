"""Handwriting from copybooks: the right characters, and never the same twice."""

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import normalize
from hccr_lib.datasets.copybooks import copybook, copybook_page, copybooks
from hccr_lib.datasets.pen import copied_path
from hccr_lib.datasets.stream import _whom, fresh, fresh_epochs
from hccr_lib.datasets.synthesis import Writer, copy, random_writer, write

# A character and a copybook that holds it.
pages = st.sampled_from(LEVEL1).flatmap(
    lambda character: st.tuples(st.just(character), st.sampled_from(copybooks(character)))
)
seeds = st.integers(0, 2**62)
COMPLETE = ("long-cang", "ma-shan-zheng", "zhi-mang-xing")


def test_three_copybooks_have_every_character_and_the_others_most():
    held = {book: [c for c in LEVEL1 if book in copybooks(c)] for book in copybooks()}
    assert sum(len(those) == len(LEVEL1) for those in held.values()) == 3
    assert len(held) == len(COMPLETE) + 8 and min(map(len, held.values())) > 1500
    assert all(set(COMPLETE) <= set(copybooks(character)) for character in LEVEL1)


def test_pages_are_lines_in_a_square():
    for book in copybooks():
        for character in (c for c in LEVEL1 if book in copybooks(c)):
            page = copybook_page(character, book)
            assert page.points.shape == (len(page.half_width), 2) and page.drawn.any()
            assert page.points.min() >= 0 and page.points.max() <= 1
            assert np.ptp(page.points, axis=0).max() > 0.7, "a glyph that fills no side"
            assert page.half_width.min() > 0 and page.half_width.max() < 0.2
            # Where ink is left, steps are short; longer ones lead from line to line.
            steps = np.hypot(*np.diff(page.points, axis=0).T)
            assert steps[page.drawn].max() < 0.08


@given(page=pages, seed=seeds, sample=st.integers(0, 1000))
def test_the_same_copy_is_the_same_and_any_other_is_not(page, seed, sample):
    character, book = page
    writer = random_writer(seed)
    one = copy(character, writer, book, sample)
    assert one.character == character and one.masks is None
    assert one.bitmap.dtype == np.uint8 and one.bitmap.ndim == 2 and one.bitmap.min() < 230
    np.testing.assert_array_equal(one.bitmap, copy(character, writer, book, sample).bitmap)
    others = [
        copy(character, writer, book, sample + 1),
        copy(character, random_writer(seed + 1), book, sample),
        *(copy(character, writer, each, sample) for each in copybooks(character) if each != book),
    ]
    assert all(other.bitmap.tobytes() != one.bitmap.tobytes() for other in others)


@given(page=pages, seed=seeds)
def test_lines_that_meet_still_meet(page, seed):
    """What moves a point depends on its place alone, but for the hand's tremor."""
    page = copybook_page(*page)
    steady = replace(random_writer(seed), tremor=0.0)
    path = copied_path(page, steady, np.random.default_rng(seed))
    _, first, which = np.unique(page.points, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_allclose(path, path[first][which.ravel()], atol=1e-6)
    assert not np.allclose(path, page.points, atol=1e-3)


COUNT = ("size", "aspect", "slant", "rise", "pen", "ink", "texture", "proportion", "warp", "tremor")


@pytest.mark.parametrize("trait", [each.name for each in fields(Writer) if each.metadata])
def test_a_writer_gives_a_copy_what_does_not_need_strokes(trait):
    style = next(each.metadata for each in fields(Writer) if each.name == trait)
    hand = random_writer(4, size=90.0, pen=3.0, texture=0.2, warp=0.03, proportion=0.1)
    low, high = (
        copy("永", replace(hand, **{trait: style[end]}), copybooks()[0]).bitmap
        for end in ("low", "high")
    )
    same = low.shape == high.shape and (low == high).all()
    assert same == (trait not in COUNT)


def test_slant_leans_to_the_right_and_rise_climbs_there():
    page = copybook_page("永", copybooks()[0])
    still = replace(random_writer(0), proportion=0.0, warp=0.0, tremor=0.0, slant=0.0, rise=0.0)

    def moved(**style):
        paths = (
            copied_path(page, hand, np.random.default_rng(1))
            for hand in (replace(still, **style), still)
        )
        return np.subtract(*paths) / 0.2

    x, y = (page.points - 0.5).T
    across, down = moved(slant=0.2).T
    np.testing.assert_allclose(across, -0.6 * y, atol=1e-5)
    np.testing.assert_allclose(down, 0, atol=1e-6)
    across, down = moved(rise=0.2).T
    np.testing.assert_allclose(down, -0.3 * x, atol=1e-5)
    np.testing.assert_allclose(across, 0, atol=1e-6)


def test_a_copy_shows_its_character():
    """Among 60, the character nearest to a copy, as it is made from strokes, is often its own."""
    some = [c for c in LEVEL1 if copybooks(c) == copybooks()][::24][:60]
    assert len(some) == 60
    calm = {"warp": 0.0, "slant": 0.0, "rise": 0.1, "proportion": 0.0, "pen": 2.5, "aspect": 0.9}

    def blurred(bitmap):
        image = cv2.GaussianBlur(normalize(bitmap).astype(np.float32), (0, 0), 2)
        return np.sqrt(cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA)).ravel()

    def nearest(images):
        away = images - written.mean(axis=0)
        return (away @ directions.T).argmax(axis=1)

    hands = [random_writer(seed, **calm) for seed in range(8)]
    written = np.stack(
        [np.mean([blurred(write(c, hand).bitmap) for hand in hands], axis=0) for c in some]
    )
    directions = written - written.mean(axis=0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for book in copybooks():
        found = nearest(np.stack([blurred(copy(c, hands[0], book).bitmap) for c in some]))
        right = (found == np.arange(len(some))).mean()
        assert right > 0.15, f"{book}: {right:.0%}, where chance finds one in sixty"


@pytest.mark.parametrize(
    ("character", "book"), [("A", "long-cang"), ("大", "no-such-book"), ("说", "kouzan")]
)
def test_what_no_copybook_has_is_said(character, book):
    with pytest.raises(ValueError, match="level 1" if character == "A" else "long-cang"):
        copy(character, random_writer(0), book)
    if character == "A":
        with pytest.raises(ValueError, match="level 1"):
            copybooks(character)


def test_half_of_the_copies_are_from_books_of_every_character_and_in_each_half_all_alike():
    labels, _, copied = _whom("永说", 8000, seed=1, epoch=0, copied=0.5)
    for label, character in enumerate("永说"):
        of = [book for book, k in zip(copied, labels, strict=True) if k == label]
        assert set(of) == {None, *copybooks(character)}
        others = [book for book in copybooks(character) if book not in COMPLETE]
        for half in filter(None, (COMPLETE, others)):
            expected = 2000 / len(half) / (2 if others else 1)
            counts = np.array([of.count(book) for book in half])
            assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


@given(character=st.sampled_from(LEVEL1), at=st.floats(0, 1, exclude_max=True))
def test_every_place_has_a_copybook_that_holds_the_character(character, at):
    assert copybook(character, at) in copybooks(character)


# In a stream of new images


def test_without_copies_the_images_are_what_they_were():
    plain, labels = fresh("己已巳", 30, seed=3, epoch=1)
    same, same_labels = fresh("己已巳", 30, seed=3, epoch=1, copied=0.0)
    np.testing.assert_array_equal(plain, same)
    np.testing.assert_array_equal(labels, same_labels)


def test_the_share_of_copies_is_the_one_asked_for():
    plain, labels = fresh("永国", 400, seed=5)
    mixed, same_labels = fresh("永国", 400, seed=5, copied=0.3)
    np.testing.assert_array_equal(labels, same_labels)
    share = (plain != mixed).any(axis=(1, 2)).mean()
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)
    every, _ = fresh("永国", 40, seed=5, copied=1.0)
    assert (every != fresh("永国", 40, seed=5)[0]).any(axis=(1, 2)).all()


def test_any_number_of_processes_makes_the_same_copies():
    with fresh_epochs("永国", 600, seed=2, copied=0.5, processes=2) as images_of:
        images, labels = images_of(1)
    again, labels_again = fresh("永国", 600, seed=2, epoch=1, copied=0.5)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, labels_again)


@pytest.mark.parametrize("copied", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_said(copied):
    with pytest.raises(ValueError, match="0 to 1"):
        fresh("永", 1, copied=copied)
