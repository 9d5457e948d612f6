"""Whether a picture holds one character: lines are told, single ones with gaps are let pass."""

import os

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_onnx import row

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import PictureError, bitmap_of_photo, read_gnt
from hccr_lib.datasets.normalize import read_bitmap
from hccr_lib.datasets.several import SeveralCharacters, check_single, how_many
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.synthesis import random_writer, write

needs_data = pytest.mark.skipif("HCCR_DATA_DIR" not in os.environ, reason="needs HCCR_DATA_DIR")

WITH_GAPS = "八川小心儿北从以水兆非竹门三二立意言音昌吕品晶器点然"


def single(character, seed):
    return bitmap_of_photo(
        np.pad(write(character, random_writer(seed)).bitmap, 9, constant_values=255)
    )


@pytest.mark.parametrize("character", WITH_GAPS)
def test_a_character_with_gaps_is_one(character):
    counts = [how_many(single(character, seed)) for seed in range(25)]
    # Of writers who draw all characters far too wide or too high there are a few.
    assert sum(count > 1 for count in counts) <= 1


def test_hardly_any_single_character_is_taken_for_several():
    rng = np.random.default_rng(0)
    characters = rng.choice(list(LEVEL1), 200, replace=False)
    assert sum(how_many(single(c, n)) > 1 for n, c in enumerate(characters)) <= 3


@pytest.mark.parametrize("length, found", [(2, 0.5), (3, 0.9), (5, 0.99)])
def test_rows_of_characters_are_told(length, found):
    rng = np.random.default_rng(1)
    counts = []
    for seed in range(40):
        text = "".join(rng.choice(list(LEVEL1), length))
        counts.append(how_many(bitmap_of_photo(row(text, seed, gap=rng.uniform(0.1, 0.4)))))
    assert np.mean(np.array(counts) > 1) >= found
    assert abs(np.median([count for count in counts if count > 1]) - length) <= 1


@pytest.mark.parametrize("length, found", [(3, 0.75), (5, 0.97)])
def test_columns_of_characters_are_told(length, found):
    rng = np.random.default_rng(2)
    columns = []
    for seed in range(40):
        bitmaps = [single(c, seed) for c in rng.choice(list(LEVEL1), length)]
        width = max(bitmap.shape[1] for bitmap in bitmaps)
        parts = [
            np.pad(b, ((0, 20), (0, width - b.shape[1])), constant_values=255) for b in bitmaps
        ]
        columns.append(bitmap_of_photo(np.pad(np.concatenate(parts), 9, constant_values=255)))
    assert np.mean([how_many(column) > 1 for column in columns]) >= found


def test_a_page_is_told():
    lines = [row("春眠不觉晓", seed=5) for _ in range(6)]
    page = np.concatenate([np.pad(line, ((0, 20), (0, 0)), constant_values=255) for line in lines])
    assert how_many(bitmap_of_photo(page)) >= 12
    with pytest.raises(SeveralCharacters, match="cut them apart"):
        check_single(bitmap_of_photo(page))


def test_size_does_not_matter():
    text = bitmap_of_photo(row("大木山"))
    for scale in (0.5, 2, 4):
        scaled = cv2.resize(text, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        assert how_many(scaled) == how_many(text) == 3


def drawn(draw, side=60):
    canvas = np.full((side, side), 255, np.uint8)
    draw(canvas)
    return bitmap_of_photo(canvas)


BLOTS = {
    "dot": lambda c: cv2.circle(c, (30, 30), 9, 0, -1),
    "ellipse": lambda c: cv2.ellipse(c, (30, 30), (20, 10), 30, 0, 360, 0, -1, cv2.LINE_AA),
    "square": lambda c: cv2.rectangle(c, (20, 20), (40, 38), 0, -1),
    "single pixel": lambda c: c.__setitem__((30, 30), 0),
    "speck": lambda c: cv2.rectangle(c, (30, 30), (33, 32), 0, -1),
}


@pytest.mark.parametrize("draw", BLOTS.values(), ids=BLOTS)
def test_a_dot_is_no_character(draw):
    with pytest.raises(PictureError, match=r"blot|too small"):
        check_single(drawn(draw))


@pytest.mark.parametrize("thickness", [2, 5, 9])
def test_one_stroke_is_a_character(thickness):
    check_single(drawn(lambda c: cv2.line(c, (8, 31), (52, 29), 0, thickness, cv2.LINE_AA)))


def test_the_thickest_pen_makes_no_blots():
    for character in "口日田国黑墨鼻":
        for seed in range(8):
            bitmap = single(character, seed)
            check_single(cv2.erode(bitmap, np.ones((3, 3), np.uint8)))


@settings(max_examples=200)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=60)))
def test_any_bitmap_is_judged(bitmap):
    assert how_many(bitmap) >= 1
    try:
        check_single(bitmap)
    except PictureError as error:
        assert isinstance(error, SeveralCharacters) is (
            max(bitmap.shape) >= 8 and how_many(bitmap) > 1
        )


@given(st.integers(2, 30))
def test_the_error_says_how_many(count):
    assert f"about {count} characters" in str(SeveralCharacters(count))
    assert SeveralCharacters(count).characters == count


@needs_data
def test_real_single_characters_are_one():
    bitmaps = [read_bitmap(file) for file in sorted(find("icdar2013-sample", None).glob("*.png"))]
    assert [how_many(bitmap) for bitmap in bitmaps] == [1] * 500
    for split in ("train", "test"):
        folder = find("hwdb-sample", split)
        files = [folder] if folder.is_file() else sorted(folder.glob("*.gnt"))
        bitmaps += [bitmap_of_photo(sample.bitmap) for f in files for sample in read_gnt(f)]
    faults = 0
    for bitmap in bitmaps:
        try:
            check_single(bitmap)
        except PictureError:
            faults += 1
    assert len(bitmaps) >= 3700
    assert faults <= 1
