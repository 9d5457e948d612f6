"""Gradients of the image, and strokes painted over: against float64, and by their identities."""

import numpy as np
import pytest
from test_cam import CLASSES, recomputed, small_net

from hccr_lib.explain import (
    integrated_gradients,
    smooth_grad,
    stroke_drops,
    stroke_occlusion,
)


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (4, 9, 7), dtype=np.uint8)


@pytest.fixture
def model():
    return small_net("C")


def logits(model, images):
    return recomputed(model, "C", images)[1]


def test_integrated_gradients_add_up_to_what_the_image_adds_to_the_baseline(model, images):
    labels = [0, 4]
    for baseline in (0.0, 100.0):
        maps = integrated_gradients(model, images, labels, baseline=baseline, steps=200)
        assert maps.shape == (4, 2, 9, 7) and maps.dtype == np.float32
        rise = logits(model, images) - logits(model, np.full_like(images, baseline))
        np.testing.assert_allclose(
            maps.sum((2, 3)), rise[:, labels], atol=0.01 * np.abs(rise).max()
        )


@pytest.mark.parametrize("baseline", [0.0, 60.0])
def test_integrated_gradients_take_the_middles_of_equal_steps(model, images, baseline):
    change = images[..., None] - baseline
    for steps in (1, 2, 3):
        middles = [baseline + (step + 0.5) / steps * change for step in range(steps)]
        slopes = [smooth_grad(model, faded, [5], samples=1, noise=0) for faded in middles]
        expected = np.mean(slopes, axis=0) * change[..., 0][:, None]
        found = integrated_gradients(model, images, [5], baseline=baseline, steps=steps)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_a_baseline_may_be_an_image(model, images):
    empty = np.full((9, 7), 60.0)
    expected = integrated_gradients(model, images, [5], baseline=60.0, steps=3)
    for baseline in (empty, empty[..., None]):
        found = integrated_gradients(model, images, [5], baseline=baseline, steps=3, batch_size=3)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_where_nothing_is_written_integrated_gradients_see_nothing(model, images):
    images[:, :4] = 0
    maps = integrated_gradients(model, images, [1])
    assert (maps[:, :, :4] == 0).all() and (maps[:, :, 4:] != 0).any()


def test_without_noise_smooth_grad_is_the_gradient(model, images):
    maps = smooth_grad(model, images, [3], samples=2, noise=0)
    for y, x in ((0, 0), (4, 3), (7, 5)):
        higher, lower = images.astype(np.float64), images.astype(np.float64)
        higher[:, y, x] += 1e-3
        lower[:, y, x] -= 1e-3
        slope = (logits(model, higher) - logits(model, lower))[:, 3] / 2e-3
        np.testing.assert_allclose(maps[:, 0, y, x], slope, atol=1e-4 * np.abs(maps).max())


def test_smooth_grad_is_the_mean_over_its_noise_and_the_same_for_the_same_seed(model, images):
    found = smooth_grad(model, images, [3], samples=3, noise=60.0, seed=5)
    rng = np.random.default_rng(5)
    noisy = [images[..., None] + rng.normal(0, 60.0, (9, 7, 1)) for _ in range(3)]
    each = [smooth_grad(model, some, [3], samples=1, noise=0) for some in noisy]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-5 * np.abs(found).max())
    again = smooth_grad(model, images, [3], samples=3, noise=60.0, seed=5)
    np.testing.assert_array_equal(found, again)
    other = smooth_grad(model, images, [3], samples=3, noise=60.0, seed=6)
    assert np.abs(other - found).max() > 0.001 * np.abs(found).max()


@pytest.mark.parametrize("method", [integrated_gradients, smooth_grad])
def test_batches_and_the_predicted_class(model, images, method):
    predicted = logits(model, images).argmax(1)[:, None]
    whole = method(model, images)
    for expected in (
        method(model, images, predicted),
        method(model, images, batch_size=3),
        method(model, images, range(CLASSES))[np.arange(4), predicted[:, 0]][:, None],
    ):
        np.testing.assert_allclose(whole, expected, atol=1e-4 * np.abs(whole).max())


def masks_of(images):
    """Three strokes for each image, the first two of which cross."""
    masks = np.zeros((len(images), 3, 9, 7), bool)
    masks[:, 0, 2] = True
    masks[:, 1, :, 3] = True
    masks[:, 2, 6:8, 5:] = True
    return masks


def test_a_stroke_is_painted_over_but_for_what_others_cover(model, images):
    masks = masks_of(images)
    drops = stroke_drops(model, images, masks, [2, 7])
    for image, drop in zip(images, drops, strict=True):
        assert drop.shape == (2, 3)
        for stroke in range(3):
            erased = image.copy()
            for y in range(9):
                for x in range(7):
                    by = [bool(mask[y, x]) for mask in masks[0]]
                    if by[stroke] and sum(by) == 1:
                        erased[y, x] = 0
            expected = (logits(model, image[None]) - logits(model, erased[None]))[0, [2, 7]]
            np.testing.assert_allclose(drop[:, stroke], expected, rtol=1e-3, atol=1e-2)


def test_a_map_of_strokes_has_their_drops_and_nothing_elsewhere(model, images):
    masks = masks_of(images)
    maps = stroke_occlusion(model, images, masks)
    assert maps.shape == (4, 1, 9, 7) and maps.dtype == np.float32
    predicted = logits(model, images).argmax(1)[:, None]
    drops = np.stack(stroke_drops(model, images, masks, predicted))
    np.testing.assert_allclose(maps.sum((2, 3)), drops.sum(2), rtol=1e-3)
    assert (maps[:, :, ~masks[0].any(0)] == 0).all()
    np.testing.assert_allclose(maps[:, 0, 6, 5], drops[:, 0, 2] / 4, rtol=1e-3)
    for size in (1, 3, 100):
        some = stroke_drops(model, images, masks, predicted, batch_size=size)
        np.testing.assert_allclose(some, drops, rtol=1e-3, atol=1e-2)


def test_images_may_have_unlike_numbers_of_strokes(model, images):
    masks = [mask[: number + 1] for number, mask in enumerate(masks_of(images)[:3])]
    drops = stroke_drops(model, images[:3], masks, [1])
    assert [drop.shape for drop in drops] == [(1, 1), (1, 2), (1, 3)]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, i: integrated_gradients(m, i, steps=0), "Received: steps=0"),
        (lambda m, i: integrated_gradients(m, i, baseline=i[..., None]), r"shape \(4, 9, 7, 1\)"),
        (lambda m, i: smooth_grad(m, i, samples=0), "Received: samples=0"),
        (lambda m, i: smooth_grad(m, i, [99]), "Received: 99"),
        (lambda m, i: stroke_drops(m, i, masks_of(i)[:2]), "one array for each of 4 images"),
        (lambda m, i: stroke_drops(m, i, masks_of(i)[..., 1:]), r"\(strokes, 9, 7\).*image 0"),
        (lambda m, i: stroke_drops(m, i, 1.0 * masks_of(i)), "Received: float64"),
    ],
)
def test_bad_input(model, images, call, message):
    with pytest.raises(ValueError, match=message):
        call(model, images)
