"""Strokes as ground truth: the measure itself, where the truth is known."""

import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from hccr_lib.characters import LEVEL1, LOOK_ALIKES
from hccr_lib.datasets import normalize
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import random_writer, write
from hccr_lib.explain.stroke_truth import (
    causal_effects,
    differing_strokes,
    distance_from_ink,
    mass_per_stroke,
    pointing,
    stroke_correlation,
    written_strokes,
)


@pytest.fixture(scope="module")
def written():
    return [
        written_strokes(character, random_writer(seed))
        for seed, character in enumerate("永国鲍我花想街语")
    ]


class PerPixel(keras.layers.Layer):
    """Each pixel times a fixed number: the share of each pixel in the logit is then known."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = numbers

    def call(self, inputs):
        return inputs * self.numbers


def linear_net(numbers):
    """Logits: of class 0 the sum of pixels times `numbers`, of class 1 minus that, of class 2 0."""
    side = len(numbers)
    image = keras.Input((side, side, 1))
    weighed = PerPixel(numbers[None, ..., None].astype("float32"))(image)
    pooled = keras.layers.GlobalAveragePooling2D()(weighed)
    model = keras.Model(image, keras.layers.Dense(3)(pooled))
    model.set_weights([side**2 * np.array([[1.0, -1.0, 0.0]]), np.zeros(3)])
    return model


@settings(max_examples=25)
@given(character=st.sampled_from(LEVEL1), seed=st.integers(0, 2**40), sample=st.integers(0, 9))
def test_masks_are_where_the_strokes_are(character, seed, sample):
    each = written_strokes(character, random_writer(seed), sample)
    strokes = len(stroke_template(character))
    assert each.masks.shape == each.without.shape == (strokes, 96, 96)
    assert each.masks.any((1, 2)).all()
    dark = each.image > 128
    # The scan's blur darkens the rim of a stroke, by a pixel.
    near = cv2.dilate(each.masks.any(0).astype(np.uint8), np.ones((3, 3))) > 0
    assert (dark & ~near).sum() <= 0.01 * dark.sum()
    for stroke in range(strokes):
        # What goes is on the stroke, or on the blurred edge of it and of its joins.
        lost = each.image.astype(int) - each.without[stroke]
        alone = each.masks[stroke] & (each.masks.sum(0) == 1)
        assert lost[alone].sum() > 0 or not alone.any()
        bitmap = write(character, random_writer(seed), sample, without=(stroke,)).bitmap
        np.testing.assert_array_equal(each.without[stroke], normalize(bitmap))


def test_effects_are_what_a_linear_network_loses(written):
    numbers = np.random.default_rng(0).normal(size=(96, 96)) / 1000
    effects = causal_effects(linear_net(numbers), written, [0, 1, 2])
    for each, found in zip(written, effects, strict=True):
        lost = ((each.image.astype(float) - each.without) * numbers).sum((1, 2))
        np.testing.assert_allclose(found, [lost, -lost, 0 * lost], atol=0.02)


def test_effects_for_the_predicted_and_for_each_images_own_classes(written):
    model = linear_net(np.random.default_rng(1).normal(size=(96, 96)) / 1000)
    images = np.stack([each.image for each in written])[..., None]
    predicted = model.predict_on_batch(images).argmax(1)[:, None]
    every = causal_effects(model, written, [0, 1, 2])
    for found in (causal_effects(model, written), causal_effects(model, written, predicted)):
        for number, one in enumerate(found):
            np.testing.assert_allclose(one, every[number][predicted[number]], rtol=1e-5)
    for size in (1, 7):
        for one, other in zip(
            causal_effects(model, written, [0, 1, 2], batch_size=size), every, strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_a_network_of_small_images_reads_them_small(written):
    effects = causal_effects(linear_net(np.full((32, 32), 1e-3)), written, [0])
    for each, found in zip(written, effects, strict=True):
        lost = (each.image.astype(float) - each.without).sum((1, 2)) / 9e3
        np.testing.assert_allclose(found[0], lost, atol=0.02 * lost.max() + 0.2)


def test_a_perfect_map_scores_one_its_opposite_minus_one_and_noise_nothing(written):
    rng = np.random.default_rng(2)
    noise = []
    for each in written:
        effects = rng.normal(size=(2, len(each.masks)))
        # What strokes share belongs to none, so that each gets its effect and no more.
        alone = each.masks & (each.masks.sum(0) == 1)
        even = alone / np.maximum(alone.sum((1, 2), keepdims=True), 1)
        perfect = np.einsum("ks,shw->khw", effects, even)
        np.testing.assert_allclose(
            mass_per_stroke(perfect, each.masks), effects, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(stroke_correlation(perfect, each.masks, effects), 1)
        np.testing.assert_allclose(stroke_correlation(-perfect, each.masks, effects), -1)
        maps = rng.normal(size=(200, 96, 96))
        noise.append(stroke_correlation(maps, each.masks, effects[[0] * 200]).mean())
    assert abs(np.mean(noise)) < 0.05


def test_given_their_size_what_is_left_is_the_correlation_of_the_residuals(written):
    rng = np.random.default_rng(4)
    residuals = []
    for each in written:
        maps, effects = rng.normal(size=(40, 12, 12)), rng.normal(size=(40, len(each.masks)))
        size = mass_per_stroke(np.ones((1, 96, 96)), each.masks)[0]
        found = stroke_correlation(maps, each.masks, effects, given_size=True)
        mass = mass_per_stroke(maps, each.masks)
        for one, other, score in zip(mass, effects, found, strict=True):
            x, y, z = (rankdata(values) for values in (one, other, size))
            x, y = (values - np.polyval(np.polyfit(z, values, 1), z) for values in (x, y))
            assert score == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
        residuals.append(found.mean())
    assert abs(np.mean(residuals)) < 0.1


def test_a_map_that_knows_only_size_is_worth_nothing_given_size(written):
    for each in written:
        size = mass_per_stroke(np.ones((1, 96, 96)), each.masks)
        even = np.ones((1, 6, 6))
        np.testing.assert_allclose(stroke_correlation(even, each.masks, size), 1)
        other = np.random.default_rng(5).normal(size=size.shape)
        for effects in (size, other):
            found = stroke_correlation(even, each.masks, effects, given_size=True)
            np.testing.assert_array_equal(found, 0)
    three = written_strokes("大", random_writer(0))
    flat = stroke_correlation(even, three.masks, np.ones((1, 3)), given_size=True)
    assert np.isnan(flat).all()


def test_given_size_and_place_is_a_correlation_of_residuals(written):
    rng = np.random.default_rng(6)
    for each in written:
        if len(each.masks) < 5:
            continue
        maps, effects = rng.normal(size=(20, 12, 12)), rng.normal(size=(20, len(each.masks)))
        found = stroke_correlation(maps, each.masks, effects, given_size=True, given_place=True)
        ys, xs = np.nonzero(each.masks.any(axis=0))
        away = np.hypot(*(np.indices((96, 96)) - np.array([ys.mean(), xs.mean()])[:, None, None]))
        size, far = (
            mass_per_stroke(values[None], each.masks)[0] for values in (np.ones((96, 96)), away)
        )
        known = np.stack([np.ones(len(size)), rankdata(size), rankdata(far / size)], axis=1)
        remove = np.eye(len(size)) - known @ np.linalg.pinv(known)
        for mass, effect, score in zip(
            mass_per_stroke(maps, each.masks), effects, found, strict=True
        ):
            x, y = remove @ rankdata(mass), remove @ rankdata(effect)
            norm = np.linalg.norm(x) * np.linalg.norm(y)
            if norm > 1e-3:
                assert score == pytest.approx(x @ y / norm, abs=1e-6)


def test_a_map_that_knows_only_the_middle_is_worth_nothing_given_place(written):
    for each in written:
        share = each.masks / np.maximum(each.masks.sum(axis=0), 1)
        away = distance_from_ink(each.masks)
        mean = np.einsum("hw,shw->s", away, share) / share.sum((1, 2))
        # Density, not mass: a map whose mass per stroke is its distance.
        even = np.einsum("s,shw->hw", mean / each.masks.sum((1, 2)), each.masks)[None]
        effects = np.random.default_rng(1).normal(size=(1, len(each.masks)))
        ranked = mass_per_stroke(even, each.masks)[0].argsort().tolist() == mean.argsort().tolist()
        found = stroke_correlation(even, each.masks, effects, given_place=True)
        if ranked and len(each.masks) > 3:
            assert found == 0
    nothing = np.zeros((2, 5, 5), bool)
    assert distance_from_ink(nothing)[2, 2] == 0 and distance_from_ink(nothing).max() > 2


def test_the_true_map_of_a_linear_network_orders_its_strokes(written):
    """Crossings apart, a stroke's effect is the sum of what its pixels give to the logit."""
    smooth = np.add.outer(np.sin(np.arange(96) / 9), np.cos(np.arange(96) / 7))
    model = linear_net(smooth / 1000)
    effects = causal_effects(model, written, [0])
    scores = [
        stroke_correlation((each.image * smooth)[None], each.masks, effect)[0]
        for each, effect in zip(written, effects, strict=True)
    ]
    assert np.mean(scores) > 0.85


def test_mass_is_counted_once(written):
    rng = np.random.default_rng(3)
    for each in written:
        maps = rng.normal(size=(3, 96, 96))
        total = maps[:, each.masks.any(0)].sum(1)
        np.testing.assert_allclose(mass_per_stroke(maps, each.masks).sum(1), total, atol=1e-3)


def test_two_strokes_have_no_order_worth_a_number():
    each = written_strokes("人", random_writer(0))
    assert np.isnan(stroke_correlation(np.ones((2, 6, 6)), each.masks, np.ones((2, 2)))).all()
    three = written_strokes("大", random_writer(0))
    flat = stroke_correlation(np.zeros((1, 6, 6)), three.masks, np.array([[1.0, 2.0, 3.0]]))
    np.testing.assert_array_equal(flat, 0)


@pytest.mark.parametrize(
    "character, other, strokes",
    [
        ("太", "大", (3,)),  # the dot
        ("犬", "太", (3,)),  # the dot, elsewhere
        ("土", "士", (0, 2)),  # which of the two is longer
        ("未", "末", (0,)),  # the upper one's length
        ("大", "太", ()),  # nothing that 太 lacks
        ("千", "干", (0,)),  # falls, or lies
        ("鸟", "乌", (2,)),  # the eye of the bird
    ],
)
def test_what_tells_look_alikes_apart(character, other, strokes):
    assert differing_strokes(character, other) == strokes


def test_no_stroke_of_a_character_differs_from_itself_and_many_look_alikes_are_told_apart():
    found = set()
    for group in LOOK_ALIKES:
        for one in group:
            assert differing_strokes(one, one) == ()
            for other in group:
                strokes = differing_strokes(one, other)
                assert set(strokes) <= set(range(len(stroke_template(one))))
                assert len(strokes) >= len(stroke_template(one)) - len(stroke_template(other))
                if strokes:
                    found.add(frozenset((one, other)))
    assert len(found) >= 60


def test_pointing_by_hand():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, 0], masks[1, :, 0] = True, True  # they share a corner: 7 pixels of ink
    maps = np.zeros((4, 4, 4))
    maps[0] = 1  # even
    maps[1, 3, 0], maps[1, 0, 3] = 3, 1
    maps[2, 3, 3] = 9  # on paper
    maps[3] = -1
    found = pointing(maps, masks, (1,))
    assert found.chance == pytest.approx(4 / 7)
    np.testing.assert_allclose(found.energy, [4 / 7, 3 / 4, np.nan, np.nan])
    assert found.hit[1] and not pointing(maps, masks, (0,)).hit[1]
    with pytest.raises(ValueError, match="a stroke to point at"):
        pointing(maps, masks, ())


def test_other_characters_are_refused():
    with pytest.raises(ValueError):
        differing_strokes("大", "X")
    with pytest.raises(ValueError):
        written_strokes("X", random_writer(0))
