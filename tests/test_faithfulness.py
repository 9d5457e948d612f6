"""Measures of faithfulness: recomputed pixel by pixel, identities, and whether they notice."""

import keras
import numpy as np
import pytest
from scipy import stats
from test_cam import CLASSES, randomised, recomputed, small_net

from hccr_lib.explain import cam, grad_cam
from hccr_lib.explain.faithfulness import (
    average_drop,
    deletion,
    edge_map,
    ink_map,
    insertion,
    random_map,
    randomisation,
    road,
    spearman,
    stretched,
)
from hccr_lib.explain.imputation import imputed_linearly


@pytest.fixture
def model():
    """Its probabilities are between 0 and 1, not at either."""
    model = small_net("C")
    model.set_weights([*model.get_weights()[:-2], *(w / 3000 for w in model.get_weights()[-2:])])
    return model


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (4, 9, 7), dtype=np.uint8)


@pytest.fixture
def maps():
    return np.random.default_rng(2).normal(size=(4, 2, 9, 7))


def probability(model, image, label):
    logits = recomputed(model, "C", image[None])[1][0]
    return np.exp(logits[label]) / np.exp(logits).sum()


@pytest.mark.parametrize("measure", [deletion, insertion])
def test_curves_as_pixel_by_pixel_in_float64(measure, model, images, maps):
    labels = np.array([[0, 3], [5, 5], [2, 9], [11, 0]])
    curve = measure(model, images, maps, labels, steps=5)
    np.testing.assert_allclose(curve.shares, [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert curve.probabilities.shape == (4, 2, 6)
    assert np.ptp(curve.probabilities) > 0.01
    for n in range(4):
        for k in range(2):
            places = sorted(np.ndindex(9, 7), key=lambda at: -maps[n, k][at])
            for step in range(6):
                image = images[n].astype(float) if measure is deletion else np.zeros((9, 7))
                for at in places[: round(step / 5 * 63)]:
                    image[at] = 0 if measure is deletion else images[n][at]
                expected = probability(model, image, labels[n, k])
                assert curve.probabilities[n, k, step] == pytest.approx(expected, rel=1e-3)
            heights = curve.probabilities[n, k]
            area = (heights.sum() - heights[[0, -1]].mean()) / 5
            assert curve.area[n, k] == pytest.approx(area, rel=1e-5)


def test_to_insert_what_matters_least_first_is_deletion_backwards(model, images, maps):
    away = deletion(model, images, maps, [1, 4], steps=9).probabilities
    back = insertion(model, images, -maps, [1, 4], steps=9).probabilities
    np.testing.assert_allclose(back, away[..., ::-1], rtol=1e-4)


def test_of_equal_pixels_the_first_goes_first(model, images):
    flat = deletion(model, images, np.ones((4, 1, 3, 2)), [0], steps=3)
    reading = -np.arange(63.0).reshape(1, 1, 9, 7).repeat(4, 0)
    np.testing.assert_array_equal(
        flat.probabilities, deletion(model, images, reading, [0], steps=3).probabilities
    )


def test_a_map_of_a_linear_network_is_better_than_its_opposite_and_than_noise(images):
    """Where each pixel's share of the logit is known, the measures must find it."""
    image = keras.Input((9, 7, 1))
    weights = np.random.default_rng(3).normal(size=(9, 7, 1)) / 1000
    weighed = keras.layers.Lambda(lambda x: x * weights.astype("float32"))(image)
    pooled = keras.layers.GlobalAveragePooling2D()(weighed)
    model = keras.Model(image, keras.layers.Dense(2)(pooled))
    model.set_weights([np.array([[63.0, 0.0]]), np.zeros(2)])
    true = (images * weights[..., 0])[:, None]
    noise = random_map(images)
    for measure, better in ((deletion, -1), (insertion, 1)):
        scores = [
            better * measure(model, images, maps, [0]).area.mean() for maps in (true, noise, -true)
        ]
        assert scores[0] > scores[1] > scores[2]


def test_road_fills_gaps_with_the_mean_of_what_is_around_them():
    rng = np.random.default_rng(4)
    image, gone = rng.uniform(0, 255, (9, 7, 2)), rng.random((9, 7)) < 0.6
    filled = image.copy()
    filled[gone] = imputed_linearly(image.astype(np.float32), gone)
    for y, x in zip(*np.nonzero(gone), strict=True):
        total, right = 0.0, 0.0
        for v, u in ((v, u) for v in range(9) for u in range(7)):
            far = abs(v - y) + abs(u - x)
            if max(abs(v - y), abs(u - x)) == 1:
                total += 1 / 6 if far == 1 else 1 / 12
                right = right + (1 / 6 if far == 1 else 1 / 12) * filled[v, u]
        np.testing.assert_allclose(filled[y, x], right / total, rtol=1e-4)


def test_road_leaves_an_even_image_as_it_is_and_ends_with_paper(model, maps):
    even = np.full((4, 9, 7), 80, np.uint8)
    curve = road(model, even, maps, [3, 6])
    assert np.abs(np.diff(curve.probabilities[..., :-1])).max() < 1e-6
    paper = [probability(model, np.zeros((9, 7)), label) for label in (3, 6)]
    np.testing.assert_allclose(curve.probabilities[..., -1], np.tile(paper, (4, 1)), rtol=1e-3)
    one, same, other = (
        road(model, even, maps, [3, 6], noise=20, seed=seed).probabilities for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one[..., 1:-1] != other[..., 1:-1]).any()


def test_average_drop_of_maps_that_show_all_nothing_and_something(model, images):
    ones = np.ones((4, 1, 2, 2))
    for shows_all in (ones, 7 * ones):
        drop, rose = average_drop(model, images, shows_all, [2])
        assert (drop < 1e-5).all() and not rose.any()
    for label in (0, 8):
        found = average_drop(model, images, -ones, [label])
        for n, image in enumerate(images):
            before = probability(model, image, label)
            after = probability(model, np.zeros((9, 7)), label)
            expected = max(before - after, 0) / before
            assert found.drop[n, 0] == pytest.approx(expected, abs=1e-3)
            assert found.rose[n, 0] == (after > before)
    half = np.ones((4, 1, 9, 7))
    half[..., 4:] = 0.25
    shown = np.where(np.arange(7) >= 4, 0.25, 1.0) * images
    found = average_drop(model, images, half, [5])
    for n, image in enumerate(images):
        before, after = (probability(model, each, 5) for each in (image, shown[n]))
        assert found.drop[n, 0] == pytest.approx(max(before - after, 0) / before, abs=1e-3)


@pytest.mark.parametrize("method", [cam, grad_cam])
def test_randomisation_notices_what_depends_on_the_network(method, images):
    model = small_net("C")
    trained = model.get_weights()
    names, alike = randomisation(model, lambda m, x: method(m, x, [1]), images)
    assert names == [layer.name for layer in reversed(model.layers) if layer.weights]
    assert alike.shape == (3, 4)
    assert np.abs(alike[0] - 1).max() > 0.01  # a stale trace would go on to say 1
    assert np.abs(alike[-1]).mean() < 0.9
    names, alike = randomisation(model, lambda m, x: ink_map(x), images)
    np.testing.assert_allclose(alike, 1)
    for before, after in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_layers_lose_their_weights_one_after_the_other_and_for_good(images):
    image = keras.Input((9, 7, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(64, 3)(image))
    model = keras.Model(image, keras.layers.Dense(300)(keras.layers.GlobalAveragePooling2D()(x)))
    model = randomised(model)
    trained = model.get_weights()
    variance = len(trained) - 3
    trained[variance] = np.where(np.arange(64) < 32, 0.01, 2)  # a normal draw of it is often < 0
    model.set_weights(trained)
    seen = []

    def watched(model, images):
        seen.append([layer.get_weights() for layer in model.layers if layer.weights])
        return ink_map(images)

    names, _ = randomisation(model, watched, images)
    assert len(seen) == len(names) + 1 == 4
    for lost, weights in enumerate(seen):
        same = [np.array_equal(a[0], b[0]) for a, b in zip(weights, seen[0], strict=True)]
        assert same == [True] * (3 - lost) + [False] * lost
    kernel, drawn = seen[0][-1][0], seen[-1][-1][0]
    assert drawn.mean() == pytest.approx(kernel.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(kernel.std(), rel=0.05)
    assert (seen[-1][1][3] >= 0).all()


def test_what_was_flat_from_the_start_does_not_pass(images):
    model = small_net("C")

    def first_flat(model, images):
        maps = cam(model, images, [1])
        maps[0] = 0
        return maps

    alike = randomisation(model, first_flat, images)[1]
    assert np.isnan(alike[:, 0]).all() and np.isfinite(alike[:, 1:]).all()
    then_flat = iter([ink_map(images)])
    alike = randomisation(model, lambda m, x: next(then_flat, 0 * ink_map(x)), images)[1]
    np.testing.assert_array_equal(alike, 0)


def test_a_model_without_weights_cannot_lose_them(images):
    model = keras.Sequential([keras.Input((9, 7, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="must have weights"):
        randomisation(model, lambda model, x: ink_map(x), images)


def test_the_size_of_batches_and_mixed_precision_decide_nothing(model, images, maps):
    whole = [each(model, images, maps, [1, 4])[-1] for each in (deletion, road)]
    some = [each(model, images, maps, [1, 4], batch_size=1)[-1] for each in (deletion, road)]
    np.testing.assert_allclose(some, whole, rtol=1e-4)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = small_net("C")
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(model.get_weights())
    for each, expected in zip((deletion, road), whole, strict=True):
        found = each(half, images, maps, [1, 4])
        assert found.probabilities.dtype == found.area.dtype == np.float32
        np.testing.assert_allclose(found.area, expected, atol=0.02)
    assert average_drop(half, images, maps, [1, 4]).drop.dtype == np.float32


def test_after_an_error_the_weights_are_back(images):
    model, calls = small_net("A"), []
    trained = model.get_weights()

    def fragile(model, images):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no more")
        return cam(model, images)

    with pytest.raises(RuntimeError, match="no more"):
        randomisation(model, fragile, images)
    for before, after in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_spearman_is_scipys_and_a_flat_map_is_like_nothing(maps):
    one, other = maps[:, 0].round(1), maps[:, 1].round(1)
    expected = [stats.spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(spearman(one, other), expected, rtol=1e-9)
    np.testing.assert_allclose(spearman(one, one), 1)
    np.testing.assert_array_equal(spearman(one, np.ones_like(one)), 0)
    one[2, 0, 0] = np.nan  # must not pass for a map that is unlike
    np.testing.assert_array_equal(np.isnan(spearman(one, other)), [False, False, True, False])


def test_baselines(images):
    assert random_map(images).shape == ink_map(images).shape == edge_map(images).shape
    np.testing.assert_array_equal(random_map(images), random_map(images))
    np.testing.assert_array_equal(ink_map(images)[:, 0], images)
    step = np.zeros((1, 9, 7), np.uint8)
    step[..., 4:] = 200
    edges = edge_map(step)[0, 0]
    assert (edges[1:-1, 3:5] == 800).all() and (edges[1:-1, :3] == 0).all()
    assert stretched(np.ones((2, 3, 6, 6)), 96, 90).shape == (2, 3, 96, 90)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"maps": np.ones((4, 9, 7))}, r"maps must be \(4, k, h, w\)"),
        ({"maps": np.ones((3, 1, 9, 7))}, r"Received: shape \(3, 1, 9, 7\)"),
        ({"maps": np.ones((4, 2, 9, 7))}, "maps must be of the classes, 1 of each"),
        ({"maps": np.full((4, 1, 9, 7), np.nan)}, "finite"),
        ({"steps": 0}, "steps=0"),
        ({"classes": [CLASSES]}, "classes must be in"),
    ],
)
def test_bad_input(model, images, changes, message):
    given = {"maps": np.ones((4, 1, 9, 7)), "classes": [0], **changes}
    with pytest.raises(ValueError, match=message):
        deletion(model, images, **given)


def test_noise_cannot_be_negative(model, images, maps):
    with pytest.raises(ValueError, match="noise=-1"):
        road(model, images, maps, [1, 4], noise=-1)
