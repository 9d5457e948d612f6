"""Grad-CAM and its relatives: formulas in float64, identities with CAM, hostile input."""

import keras
import numpy as np
import pytest
from test_cam import CLASSES, randomised, small_net

from hccr_lib.explain import (
    cam,
    grad_cam,
    grad_cam_plus_plus,
    gradients,
    hires_cam,
    layer_cam,
)
from hccr_lib.explain.gradients import layer_gradient
from hccr_lib.explain.parts import all_comes_from, maps_of
from hccr_lib.models import melnyk_net

METHODS = (grad_cam, hires_cam, layer_cam, grad_cam_plus_plus)


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 9, 7), dtype=np.uint8)


def in_float64(method, maps, gradient):
    """The published formulas, position by position; maps and gradient `(h, w, c)`."""
    height, width, channels = maps.shape
    found = np.zeros((height, width))
    for c in range(channels):
        a, g = maps[..., c], gradient[..., c]
        if method is grad_cam:
            found += a * g.sum() / (height * width)
        elif method is hires_cam:
            found += a * g
        elif method is layer_cam:
            found += a * np.where(g > 0, g, 0)
        else:
            weight = 0.0
            for slope in g.ravel():
                below = 2 * slope**2 + a.sum() * slope**3
                weight += (slope**2 / below if below else 0.0) * max(slope, 0.0)
            found += weight * a
    return found


def inner_net():
    """A convolution, then another one and a head that can be computed by hand."""
    image = keras.Input((9, 7, 1))
    x = keras.layers.Conv2D(3, 3, name="inner")(image)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="outer")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(x))
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.weights])
    return model


def inner_parts(model, image):
    """Maps of the layer "inner", and the function from them to the logits: float64 loops."""
    one, one_bias, two, two_bias, dense, bias = (w.astype(np.float64) for w in model.get_weights())

    def convolved(x, kernel, offset, stride):
        height, width = ((side - 3) // stride + 1 for side in x.shape[:2])
        out = np.empty((height, width, kernel.shape[-1]))
        for y in range(height):
            for z in range(width):
                patch = x[stride * y : stride * y + 3, stride * z : stride * z + 3]
                out[y, z] = np.tensordot(patch, kernel, 3) + offset
        return out

    def logits(maps):
        features = np.maximum(convolved(maps, two, two_bias, 2), 0)
        return features.mean((0, 1)) @ dense + bias

    return convolved(image[..., None].astype(np.float64), one, one_bias, 1), logits


@pytest.mark.parametrize("method", METHODS)
def test_at_an_inner_layer_as_with_differences_of_a_float64_network(method, images):
    model, label = inner_net(), 3
    received = method(model, images, [label], layer="inner", relu=False)
    assert received.shape == (5, 1, 7, 5) and received.dtype == np.float32
    for image, found in zip(images, received, strict=True):
        maps, logits = inner_parts(model, image)
        gradient, step = np.zeros_like(maps), 1e-6
        for place in np.ndindex(maps.shape):
            higher, lower = maps.copy(), maps.copy()
            higher[place] += step
            lower[place] -= step
            gradient[place] = (logits(higher) - logits(lower))[label] / (2 * step)
        expected = in_float64(method, maps, gradient)
        np.testing.assert_allclose(found[0], expected, atol=2e-4 * np.ptp(expected))


@pytest.mark.parametrize("variant", "ABC")
@pytest.mark.parametrize("method", METHODS)
def test_at_the_pooled_maps_as_by_hand(method, variant, images):
    model = small_net(variant)
    every = method(model, images, range(CLASSES), relu=False)
    weights = [w.astype(np.float64) for w in model.get_weights()]
    (maps, _), dense = layer_gradient(model, None), weights[-2]
    maps = maps.predict_on_batch(images[..., None]).astype(np.float64)
    share = 1 / maps[0, ..., 0].size if variant == "A" else weights[2]
    for image in range(len(images)):
        for label in range(CLASSES):
            gradient = np.broadcast_to(share * dense[:, label], maps.shape[1:])
            expected = in_float64(method, maps[image], gradient)
            np.testing.assert_allclose(
                every[image, label], expected, atol=1e-4 * np.abs(expected).max()
            )


def test_for_gap_grad_cam_and_hires_cam_are_cam_over_the_number_of_positions(images):
    model = small_net("A")
    expected = cam(model, images, range(CLASSES))
    expected /= expected.shape[2] * expected.shape[3]
    for method in (grad_cam, hires_cam):
        received = method(model, images, range(CLASSES), relu=False)
        np.testing.assert_allclose(received, expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize("variant", "BC")
def test_for_weighted_poolings_hires_cam_is_cam(variant, images):
    model = small_net(variant)
    expected = cam(model, images, range(CLASSES))
    received = hires_cam(model, images, range(CLASSES), relu=False)
    np.testing.assert_allclose(received, expected, atol=1e-5 * np.ptp(expected))
    if variant == "C":  # its gradient has a place, which the mean forgets
        other = grad_cam(model, images, range(CLASSES), relu=False)
        assert np.abs(other - expected).max() > 0.01 * np.ptp(expected)


def test_choices_of_classes_batches_and_the_relu(images):
    model = inner_net()
    each = np.random.default_rng(4).integers(0, CLASSES, (5, 3))
    for method in METHODS:
        every = method(model, images, range(CLASSES), layer="outer", relu=False)
        close = {"rtol": 1e-4, "atol": 1e-5 * np.ptp(every)}
        expected = np.take_along_axis(every, each[:, :, None, None], 1)
        for size in (1, 2, 100):
            received = method(model, images, each, layer="outer", relu=False, batch_size=size)
            np.testing.assert_allclose(received, expected, **close)
        predicted = model.predict_on_batch(images[..., None]).argmax(1)
        received = method(model, images, layer="outer")
        expected = every[np.arange(5), predicted][:, None]
        np.testing.assert_allclose(received, np.maximum(expected, 0), **close)


def test_new_weights_are_seen_and_nothing_is_traced_anew(images, monkeypatch):
    traces, score = [], gradients._score
    monkeypatch.setattr(gradients, "_score", lambda *given: traces.append(1) or score(*given))
    model = small_net("C")
    before = grad_cam(model, images, [2], relu=False)
    np.testing.assert_array_equal(grad_cam(model, images, [2], relu=False), before)
    randomised(model, seed=8)
    after = grad_cam(model, images, [2], relu=False)
    expected = hires_cam(randomised(small_net("C"), seed=8), images, [2], relu=False)
    assert np.abs(after - before).max() > 1
    for classes in ([0], [1, 2], None):
        grad_cam(model, images, classes)
    if keras.backend.backend() != "torch":  # which compiles nothing
        assert len(traces) == 2  # of the two networks
    np.testing.assert_allclose(
        hires_cam(model, images, [2], relu=False), expected, atol=1e-5 * np.ptp(expected)
    )


def test_what_does_not_come_from_the_layer_is_kept(images):
    """A connection that goes around the layer, as in a ResNet."""
    image = keras.Input((9, 7, 1))
    start = keras.layers.Conv2D(4, 3, padding="same", name="start")(image)
    branch = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="branch")(start)
    x = keras.layers.Add()([start, branch])
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = randomised(keras.Model(image, keras.layers.Dense(CLASSES, activation="softmax")(x)))
    maps = keras.Model(image, branch).predict_on_batch(images[..., None])
    weight = model.get_weights()[-2][:, 5].astype(np.float64)
    expected = (maps * weight).sum(-1) / maps[0, ..., 0].size
    received = grad_cam(model, images, [5], layer="branch", relu=False)[:, 0]
    np.testing.assert_allclose(received, expected, atol=1e-5 * np.ptp(expected))


def test_a_network_with_two_dense_layers_is_explained_at_a_named_layer(images):
    image = keras.Input((9, 7, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="maps")(image)
    x = keras.layers.Dense(6, activation="relu")(keras.layers.GlobalAveragePooling2D()(x))
    model = randomised(keras.Model(image, keras.layers.Dense(CLASSES)(x)))
    assert grad_cam(model, images, layer="maps").shape == (5, 1, 7, 5)
    with pytest.raises(
        ValueError, match=r"is in the way\. grad_cam .*layer=\.\.\., need no pooling"
    ):
        grad_cam(model, images)


def test_maps_in_half_precision(images):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = melnyk_net("C", num_classes=4, width=0.1, input_size=32)
    finally:
        keras.config.set_dtype_policy(before)
    whole = melnyk_net("C", num_classes=4, width=0.1, input_size=32)
    whole.set_weights(half.get_weights())
    images = np.random.default_rng(5).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    expected, received = (grad_cam(model, images, range(4), relu=False) for model in (whole, half))
    assert received.dtype == np.float32
    np.testing.assert_allclose(received, expected, atol=0.05 * np.ptp(expected))


@pytest.mark.parametrize(
    "layer, message",
    [
        ("outre", "no layer of this name; it has outer.*Received: layer='outre'"),
        ("zzz", "it has input.*inner, outer"),
        ("dense", "stack of feature maps"),
    ],
)
def test_layers_that_cannot_be_explained(layer, message, images):
    image = keras.Input((9, 7, 1), name="input")
    x = keras.layers.Conv2D(3, 3, name="inner")(image)
    x = keras.layers.Conv2D(3, 3, name="outer")(x)
    x = keras.layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(image, keras.layers.Dense(2, name="dense")(x))
    with pytest.raises(ValueError, match=message):
        grad_cam(model, images, layer=layer)


def test_a_model_inside_a_model(images):
    """Its output can be explained; what is inside is named in the error."""
    inside = keras.Sequential(
        [keras.Input((9, 7, 1)), keras.layers.Conv2D(4, 3, name="hidden")], name="backbone"
    )
    image = keras.Input((9, 7, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(inside(keras.layers.Rescaling(1 / 255)(image)))
    model = randomised(keras.Model(image, keras.layers.Dense(CLASSES)(pooled)))
    expected = cam(model, images, [1])
    received = grad_cam(model, images, [1], relu=False) * expected[0, 0].size
    np.testing.assert_allclose(received, expected, atol=1e-5 * np.ptp(expected))
    with pytest.raises(ValueError, match="inside a model that is itself a layer"):
        grad_cam(model, images, layer="hidden")


def test_bad_images_and_classes(images):
    model = inner_net()
    holes = images.astype(np.float32)
    holes[3, 0, 0] = np.nan
    for bad, classes, options, error, message in (
        (holes, None, {}, ValueError, "NaN or inf in image 3"),
        (images, [CLASSES], {}, ValueError, f"must be in 0..{CLASSES - 1}"),
        (images, [0.5], {}, TypeError, "integers"),
        (images, None, {"batch_size": 0}, ValueError, "batch_size=0"),
        (images[:0], None, {}, ValueError, "n at least 1"),
    ):
        with pytest.raises(error, match=message):
            grad_cam(model, bad, classes, layer="inner", **options)
    with pytest.raises(TypeError, match="functional"):
        grad_cam("model", images)
    # An image without ink is nothing special.
    assert np.isfinite(grad_cam_plus_plus(model, 0 * images, [0], layer="outer")).all()


@pytest.mark.parametrize("layer", ["conv1_2_relu", "conv3_1", "conv4_3_relu"])
def test_only_the_head_is_differentiated_where_all_comes_from_its_maps(layer):
    model = melnyk_net("C", num_classes=4, width=0.125, input_size=32)
    assert all_comes_from(model, maps_of(model, layer))


def test_what_goes_around_the_maps_is_seen(images):
    inputs = keras.Input((9, 7, 1))
    maps = keras.layers.Conv2D(3, 3, padding="same", name="maps")(inputs)
    around = keras.layers.Conv2D(3, 1, name="around")(inputs)
    outputs = keras.layers.Dense(4, activation="softmax")(
        keras.layers.GlobalAveragePooling2D()(keras.layers.Multiply()([maps, around]))
    )
    model = keras.Model(inputs, outputs)
    assert not all_comes_from(model, maps_of(model, "maps"))
    kernel = keras.ops.convert_to_numpy(model.layers[-1].kernel).astype(float)
    beside = keras.Model(inputs, [maps, around]).predict(images[..., None], verbose=0)
    found = hires_cam(model, images, [2], layer="maps", relu=False)[:, 0]
    expected = (beside[0] * beside[1]).astype(float) @ kernel[:, 2] / found[0].size
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
