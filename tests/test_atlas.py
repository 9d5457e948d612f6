"""The atlas's data is what the shipped student says, and its files hold what the data say."""

import importlib.util
import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from hccr_lib.characters import LEVEL1, label_of
from hccr_lib.datasets import normalize
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer, write
from hccr_lib.evaluation import shipped
from hccr_lib.explain.gradients import logits_of
from hccr_lib.explain.inputs import checked_images
from hccr_lib.explain.stroke_truth import differing_strokes

ROOT = Path(__file__).parents[1]
COUNTS = np.array([len(stroke_template(each)) for each in LEVEL1])
ENDS = np.cumsum(COUNTS)


def script(path):
    """A script of the course as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seen():
    with np.load(ROOT / "data" / "atlas.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def about(seen):
    return json.loads(str(seen["about"]))


def strokes_of(label):
    return slice(ENDS[label] - COUNTS[label], ENDS[label])


def logits(model, images):
    return logits_of(model, checked_images(model, np.stack(images), 32), 32).astype(float)


def test_every_character_and_every_stroke_is_there(seen, about):
    n, hands = len(LEVEL1), np.diff(about["hands"])[0]
    assert about["synthesis"] == SYNTHESIS_VERSION
    assert seen["maps"].shape == (n, 5, 6, 6)
    assert seen["read"].shape == (n, hands)
    for name in ("rivals", "rival_chance", "own_strokes", "rival_strokes"):
        assert seen[name].shape == (n, 4)
    for name in ("falls", "still_read", "read_instead", "read_so"):
        assert seen[name].shape == (ENDS[-1],)
    assert np.isfinite(seen["maps"]).all() and np.isfinite(seen["falls"]).all()
    assert (seen["rivals"] != np.arange(n)[:, None]).all()
    assert (np.diff(seen["rival_chance"], axis=1) <= 0).all()
    # Whoever still reads the character reads it most often, or is outvoted by something else.
    labels = np.repeat(np.arange(n), COUNTS)
    itself = seen["read_instead"] == labels
    assert (seen["read_so"][itself] == seen["still_read"][itself]).all()
    assert (seen["read_so"][~itself] >= seen["still_read"][~itself]).all()


@pytest.mark.parametrize("character", "己猫")
def test_the_data_are_what_the_network_says(character, seen, about):
    model, label = shipped("student"), label_of(character)
    writers = [random_writer(hand) for hand in range(*about["hands"])]
    said = logits(model, [normalize(write(character, writer).bitmap) for writer in writers])
    # Float rounding differs between machines: an answer may be another where two are as probable.
    assert (said.argmax(axis=1) != seen["read"][label]).sum() <= 1
    rivals = seen["rivals"][label]
    chance = softmax(said, axis=1).mean(axis=0)
    np.testing.assert_allclose(chance[rivals], seen["rival_chance"][label], rtol=0.02)
    others = np.delete(chance, [label, *rivals])
    assert others.max() <= chance[rivals].min() * 1.02
    # The maps are complete: they add up to what the mean logits are but for the biases.
    bias = keras.ops.convert_to_numpy(model.layers[-1].bias)
    mean = said.mean(axis=0) - bias
    sums = seen["maps"][label].astype(float).sum(axis=(1, 2))
    np.testing.assert_allclose(sums, [mean[label], *(mean[label] - mean[rivals])], atol=0.05)


def test_a_stroke_is_worth_what_the_network_loses_without_it(seen, about):
    model, label, stroke = shipped("student"), label_of("太"), 3
    writers = [random_writer(about["hands"][0] + hand) for hand in range(about["erasing"])]
    whole, without = (
        log_softmax(
            logits(model, [normalize(write("太", each, without=gone).bitmap) for each in writers]),
            axis=1,
        )
        for gone in ((), (stroke,))
    )
    at = strokes_of(label).start + stroke
    fall = (whole - without)[:, label].mean()
    assert fall == pytest.approx(float(seen["falls"][at]), abs=0.02)
    assert abs((without.argmax(axis=1) == label).sum() - int(seen["still_read"][at])) <= 1
    assert LEVEL1[seen["read_instead"][at]] == "大"


def test_the_strokes_that_differ_are_marked(seen):
    atlas = script(ROOT / "book" / "atlas.py")
    for character in "太未吗":
        label = label_of(character)
        for place, rival in enumerate(seen["rivals"][label]):
            pair = character, LEVEL1[rival]
            assert atlas.marked(seen["own_strokes"][label, place]) == [*differing_strokes(*pair)]
            theirs = [*differing_strokes(*pair[::-1])]
            assert atlas.marked(seen["rival_strokes"][label, place]) == theirs


def test_an_entry_holds_the_data_of_its_character(seen, about):
    entries = script(ROOT / "book" / "atlas.py").entries(seen, about)
    assert [len(entry["strokes"]) for entry in entries] == COUNTS.tolist()
    for label in (0, label_of("鲍"), len(LEVEL1) - 1):
        entry = entries[label]
        restored = np.array(entry["maps"]) * np.array(entry["limits"])[:, None] / 127
        exact = seen["maps"][label].astype(float).reshape(5, -1)
        assert (
            np.abs(restored - exact).max(axis=1) <= 0.51 / 127 * np.abs(exact).max(axis=1)
        ).all()
        assert entry["right"] == (seen["read"][label] == label).sum()
        assert [rival for rival, *_ in entry["rivals"]] == seen["rivals"][label].tolist()
        falls = [fall for fall, *_ in entry["strokes"]]
        np.testing.assert_allclose(falls, seen["falls"][strokes_of(label)], atol=0.006)


def test_the_pictures_are_the_handwriting_that_was_read(tmp_path, about):
    atlas = script(ROOT / "book" / "atlas.py")
    start = label_of("鲍") // atlas.SHELF * atlas.SHELF
    atlas.pictures(tmp_path, about["hands"][0], start)
    (file,) = tmp_path.iterdir()
    shelf = 255 - cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    assert shelf.shape == (atlas.SHELF * atlas.SIDE, atlas.HANDS * atlas.SIDE)
    row, hand = label_of("鲍") - start, 2
    one = shelf[row * atlas.SIDE :][: atlas.SIDE, hand * atlas.SIDE :][:, : atlas.SIDE]
    image = normalize(write("鲍", random_writer(about["hands"][0] + hand)).bitmap)
    exact = cv2.resize(image, one.shape, interpolation=cv2.INTER_AREA)
    assert np.abs(one.astype(float) - exact).mean() < 6  # WebP loses a little


def test_the_record_says_of_all_what_the_data_say_of_each(seen):
    record = json.loads((ROOT / "data" / "results" / "atlas.json").read_text(encoding="utf-8"))
    right = (seen["read"] == np.arange(len(LEVEL1))[:, None]).sum(axis=1)
    assert record["images"] == seen["read"].size
    assert record["right"] == right.sum()
    assert record["read_by_all_hands"] == (right == seen["read"].shape[1]).sum()
    assert max(record["hardest"].values()) <= np.sort(right)[len(record["hardest"])]
    assert all(right[label_of(each)] == count for each, count in record["hardest"].items())
    share = seen["still_read"].mean() / record["erasing"]
    assert record["read_without_a_stroke"] == pytest.approx(share, abs=1e-4)
