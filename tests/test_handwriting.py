"""The experiment on the traits of synthetic handwriting: what its rows write, and its record."""

import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from hccr_lib.datasets import normalize
from hccr_lib.datasets.copybooks import copybooks
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import Writer, copy, random_writer, write

ROOT = Path(__file__).parents[1]
# The scripts of the benchmarks import one another by their names.
sys.path.insert(0, str(ROOT / "benchmarks"))

import handwriting  # noqa: E402
from handwriting import BOOKS, RESULTS, ROWS, TABLES, Row, as_read, images_of, written  # noqa: E402

CHARACTERS = list("永海照鲍室门国道灯型")


class HereAndNow:
    """Stands in for a pool of processes."""

    map = staticmethod(map)


def by_row(row, characters=CHARACTERS, first_seed=0):
    return written(row, characters, range(first_seed, first_seed + len(characters)))


def test_the_plain_row_is_what_random_writers_write():
    for image, character, seed in zip(by_row(Row()), CHARACTERS, range(99), strict=False):
        np.testing.assert_array_equal(
            image, normalize(write(character, random_writer(seed)).bitmap)
        )


def test_a_trait_is_multiplied_and_nothing_else_changes():
    images = by_row(Row({"join": 0.0, "slant": 0.5}))
    for image, character, seed in zip(images, CHARACTERS, range(99), strict=False):
        writer = random_writer(seed)
        writer = replace(writer, join=0.0, slant=0.5 * writer.slant)
        np.testing.assert_array_equal(image, normalize(write(character, writer).bitmap))


def test_what_is_copied_comes_from_the_books_of_the_row():
    book = "ma-shan-zheng"
    for image, character, seed in zip(
        by_row(Row(copied=1.0, books=(book,))), CHARACTERS, range(99), strict=False
    ):
        expected = copy(character, random_writer(seed), book).bitmap
        np.testing.assert_array_equal(image, normalize(expected))


def test_a_row_copies_from_those_of_its_books_that_hold_the_character():
    assert "kouzan" not in copybooks("说")
    row, seeds = Row(copied=1.0, books=("kouzan", "long-cang")), range(40)
    of_one = [normalize(copy("说", random_writer(seed), "long-cang").bitmap) for seed in seeds]
    np.testing.assert_array_equal(written(row, ["说"] * len(seeds), seeds), of_one)
    held = {book for row in BOOKS.values() for book in row.books}
    assert held == set(copybooks())


def test_one_stroke_is_left_out_of_characters_that_can_spare_it():
    for seed, character in enumerate("永太门"):
        (image,) = written(Row(left_out=1.0), [character], [seed])
        writer, strokes = random_writer(seed), len(stroke_template(character))
        whole = normalize(write(character, writer).bitmap)
        if strokes < 5:
            np.testing.assert_array_equal(image, whole)
            continue
        without = [normalize(write(character, writer, without=(k,)).bitmap) for k in range(strokes)]
        assert sum((image == other).all() for other in without) == 1
        assert (image != whole).any()


def test_shares_are_kept():
    row = Row(copied=0.6, left_out=0.5)
    seeds = range(300)
    images = written(row, ["永"] * len(seeds), seeds)
    plain = [normalize(write("永", random_writer(seed)).bitmap) for seed in seeds]
    same = np.mean([(a == b).all() for a, b in zip(images, plain, strict=True)])
    assert same == pytest.approx(0.4 * 0.5, abs=4 * np.sqrt(0.2 * 0.8 / len(seeds)))


@pytest.mark.parametrize("name", [name for name in ROWS if name != "strokes"])
def test_every_row_is_another_handwriting(name):
    row = ROWS[name]
    assert set(row.style) <= {field.name for field in fields(Writer)}
    rng = np.random.default_rng
    ours, plain = (
        as_read(each, by_row(each, CHARACTERS * 3), rng(0)) for each in (row, ROWS["strokes"])
    )
    assert (ours != plain).any(axis=(1, 2)).sum() >= 2
    # Only what is learnt from is on paper; what is read stays as it is.
    np.testing.assert_array_equal(
        as_read(row, by_row(Row()), None), as_read(Row(), by_row(Row()), None)
    )


def test_rows_of_a_seed_ask_the_same_hands_for_the_same_characters():
    asked = "永海国"
    images, labels = images_of(Row(), asked, 12, 5, HereAndNow, 1)
    again, same = images_of(Row(copied=1e-12), asked, 12, 5, HereAndNow, 1)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, same)
    assert np.bincount(labels).tolist() == [4, 4, 4]
    for seed, epoch in ((6, 1), (5, 2)):
        assert (images_of(Row(), asked, 12, seed, HereAndNow, epoch)[0] != images).any()


@pytest.mark.parametrize("table", TABLES)
def test_the_record_holds_every_row_three_times_on_the_same_images(table):
    table, file, images = TABLES[table]
    record = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    assert list(record["rows"]) == list(table)
    assert not record["git_commit"].endswith("+changes")
    assert record["budget"]["images"] == images
    rows = {name: {**asdict(row), "books": list(row.books)} for name, row in table.items()}
    assert record["budget"]["rows"] == rows
    assert record["budget"]["side"] == handwriting.SIDE
    seeds = {frozenset(by_seed) for by_seed in record["rows"].values()}
    assert len(seeds) == 1 and len(*seeds) >= 3
    sizes = {
        tuple((name, each["n"]) for name, each in one["sets"].items())
        for by_seed in record["rows"].values()
        for one in by_seed.values()
    }
    assert len(sizes) == 1
    assert dict(*sizes)["icdar2013-sample"] == 500
