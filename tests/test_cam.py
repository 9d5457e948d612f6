"""CAM: completeness, and agreement with a float64 computation that shares no code with it."""

import gc
import weakref

import keras
import numpy as np
import pytest

from hccr_lib.explain import cam, cam_and_logits, contrastive_cam
from hccr_lib.models import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
    melnyk_net,
)

CLASSES = 12
POOLINGS = {
    "A": keras.layers.GlobalAveragePooling2D,
    "B": GlobalWeightedOutputAveragePooling2D,
    "C": GlobalWeightedAveragePooling2D,
}


def randomised(model, seed=0):
    """Every weight random, so that no term of a formula hides behind a zero or a one."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 1, w.shape) - 0.4 * (w.ndim > 1) for w in model.weights])
    return model


def small_net(variant, activation="softmax", use_bias=True):
    """Two convolutions: small enough to be recomputed in numpy, position by position."""
    image = keras.Input((9, 7, 1))
    x = keras.layers.Conv2D(5, 3, strides=2, activation="relu")(image)
    x = POOLINGS[variant]()(x)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(CLASSES, activation=activation, use_bias=use_bias)(x)
    return randomised(keras.Model(image, x))


def recomputed(model, variant, images):
    """Maps of all classes and logits, float64, from the weights alone."""
    weights = [w.astype(np.float64) for w in model.get_weights()]
    kernel, offset = weights[:2]
    images = images.astype(np.float64)
    height, width = (images.shape[1] - 3) // 2 + 1, (images.shape[2] - 3) // 2 + 1
    features = np.empty((len(images), height, width, kernel.shape[-1]))
    for y in range(height):
        for x in range(width):
            patch = images[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
            features[:, y, x] = np.einsum("nij,ijc->nc", patch, kernel[:, :, 0]) + offset
    features = np.maximum(features, 0)
    if variant != "A":
        features = features * weights[2]
    maps = np.einsum("nyxc,ck->nkyx", features, weights[-2])
    pooled = maps.mean((2, 3)) if variant == "A" else maps.sum((2, 3))
    return maps, pooled + weights[-1]


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (6, 9, 7), dtype=np.uint8)


@pytest.mark.parametrize("variant", "ABC")
def test_maps_and_logits_agree_with_float64(variant, images):
    model = small_net(variant)
    expected_maps, expected_logits = recomputed(model, variant, images)
    maps, logits = cam_and_logits(model, images, classes=range(CLASSES))
    assert maps.dtype == logits.dtype == np.float32
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-4, atol=1e-5 * np.ptp(expected_maps))
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4)


@pytest.mark.parametrize("variant", "ABC")
def test_a_map_and_the_bias_add_up_to_the_logit(variant):
    model = melnyk_net(variant, num_classes=CLASSES, width=0.1, input_size=48)
    randomised(model)
    images = np.random.default_rng(2).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    maps, logits = cam_and_logits(model, images, classes=range(CLASSES))
    total = maps.mean((2, 3)) if variant == "A" else maps.sum((2, 3))
    bias = model.get_weights()[-1]
    np.testing.assert_allclose(total + bias, logits, atol=2e-5 * np.abs(logits).max())
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    np.testing.assert_allclose(probabilities, model.predict_on_batch(images[..., None]), atol=1e-4)


@pytest.mark.parametrize("variant", "ABC")
def test_centred_maps_leave_out_what_all_classes_share(variant, images):
    model = small_net(variant)
    everything, _ = recomputed(model, variant, images)
    close = {"rtol": 1e-3, "atol": 1e-5 * np.ptp(everything)}
    maps, logits = cam_and_logits(model, images, range(CLASSES), centred=True)
    np.testing.assert_allclose(maps, everything - everything.mean(1, keepdims=True), **close)
    np.testing.assert_allclose(maps.sum(1), 0, atol=CLASSES * close["atol"])
    bias = model.get_weights()[-1]
    total = maps.mean((2, 3)) if variant == "A" else maps.sum((2, 3))
    np.testing.assert_allclose(
        total + bias - bias.mean(), logits - logits.mean(1, keepdims=True), **close
    )
    # One vector on all classes' weights: no answer changes, every plain map does.
    plain = cam(model, images, range(CLASSES))
    *rest, kernel, bias = model.get_weights()
    shared = np.random.default_rng(5).normal(size=(len(kernel), 1))
    model.set_weights([*rest, kernel + shared, bias])
    again = cam(model, images, range(CLASSES), centred=True)
    np.testing.assert_allclose(again, maps, **close)
    assert np.abs(cam(model, images, range(CLASSES)) - plain).max() > 0.1 * np.ptp(plain)


@pytest.mark.parametrize("variant", "ABC")
def test_contrasts_are_differences_that_add_up(variant, images):
    model = small_net(variant)
    maps, logits = recomputed(model, variant, images)
    one, other, third = [2, 7], [5, 0], [11, 3]
    found = contrastive_cam(model, images, one, other)
    close = {"rtol": 1e-4, "atol": 1e-5 * np.ptp(maps)}
    np.testing.assert_allclose(found, maps[:, one] - maps[:, other], **close)
    # What both share cancels, and with the biases the map is the lead of one over the other.
    bias = model.get_weights()[-1]
    total = found.mean((2, 3)) if variant == "A" else found.sum((2, 3))
    lead = logits[:, one] - logits[:, other]
    np.testing.assert_allclose(
        total + bias[one] - bias[other], lead, rtol=1e-3, atol=1e-5 * np.abs(logits).max()
    )
    np.testing.assert_allclose(contrastive_cam(model, images, other, one), -found, **close)
    by_way = found + contrastive_cam(model, images, other, third)
    np.testing.assert_allclose(by_way, contrastive_cam(model, images, one, third), **close)
    each, against = np.arange(6)[:, None], np.arange(6)[::-1, None]
    rows = np.arange(6)[:, None]
    np.testing.assert_allclose(
        contrastive_cam(model, images, each, against),
        maps[rows, each] - maps[rows, against],
        **close,
    )
    with pytest.raises(ValueError, match=r"one shape\. Received: \(2,\), \(1,\)"):
        contrastive_cam(model, images, one, [1])


def test_the_choices_of_classes_agree(images):
    model = small_net("C")
    every, logits = cam_and_logits(model, images, classes=range(CLASSES))
    np.testing.assert_allclose(cam(model, images, [7, 2]), every[:, [7, 2]], rtol=1e-5)
    each = np.random.default_rng(3).integers(0, CLASSES, (len(images), 4))
    expected = np.take_along_axis(every, each[:, :, None, None], axis=1)
    np.testing.assert_allclose(cam(model, images, each), expected, rtol=1e-4, atol=1e-2)
    predicted = logits.argmax(1)
    expected = every[np.arange(len(images)), predicted][:, None]
    np.testing.assert_allclose(cam(model, images), expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 6, 100])
def test_batches_do_not_matter(images, batch_size):
    model = small_net("B")
    images = np.concatenate([images, images[:1, ::-1]])  # seven, which no batch divides
    each = np.arange(len(images))[:, None] % CLASSES
    for classes in (None, [1, 5], each):
        whole = cam_and_logits(model, images, classes)
        parts = cam_and_logits(model, images, classes, batch_size=batch_size)
        for one, other in zip(whole, parts, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("variant", "ABC")
def test_new_weights_are_seen(variant, images):
    model = small_net(variant)
    before = cam(model, images, [3])
    randomised(model, seed=9)
    after, logits = cam_and_logits(model, images, [3])
    expected_maps, expected_logits = recomputed(model, variant, images)
    assert np.abs(after - before).max() > 1
    np.testing.assert_allclose(after, expected_maps[:, [3]], rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4)


def test_training_is_seen(images):
    model = small_net("C")
    cam(model, images)
    model.compile(keras.optimizers.SGD(1e-6), loss="sparse_categorical_crossentropy")
    model.fit(images[..., None], np.arange(6), verbose=0)
    maps, logits = cam_and_logits(model, images, range(CLASSES))
    expected_maps, expected_logits = recomputed(model, "C", images)
    np.testing.assert_allclose(maps, expected_maps, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-4)


def test_a_layer_that_was_replaced_is_seen(images):
    model = keras.Sequential(
        [
            keras.Input((9, 7, 1)),
            keras.layers.Conv2D(5, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    assert cam(model, images, [0, 1]).shape == (6, 2, 7, 5)
    model.pop()
    model.add(keras.layers.Dense(3))
    maps, logits = cam_and_logits(model, images, [2])
    assert maps.shape == (6, 1, 7, 5)
    np.testing.assert_allclose(logits, model.predict_on_batch(images[..., None]), rtol=1e-4)


def test_the_network_is_traced_once_for_a_shape(images):
    passes = []

    @keras.saving.register_keras_serializable(package="test")
    class Counted(keras.layers.Layer):
        def call(self, inputs):
            passes.append(inputs.shape)
            return inputs

    image = keras.Input((9, 7, 1))
    x = keras.layers.Conv2D(4, 3)(Counted()(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    cam(model, images)
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs eagerly: there is no trace to count")
    traced = len(passes)
    for classes in (None, [1], [1, 2, 3], range(CLASSES), np.zeros((6, 2), int)):
        cam(model, images, classes)
    cam(model, np.concatenate([images, images])[:11], batch_size=6)
    assert len(passes) == traced


def test_models_are_not_kept_alive(images):
    model = small_net("A")
    cam(model, images)
    gone = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None


def test_heads_of_other_people(images):
    without_bias = small_net("A", activation=None, use_bias=False)
    maps, logits = cam_and_logits(without_bias, images, range(CLASSES))
    np.testing.assert_allclose(maps.mean((2, 3)), logits, rtol=1e-3, atol=1e-2)

    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    colour = randomised(keras.Model(image, keras.layers.Activation("softmax")(x)))
    pictures = np.random.default_rng(4).uniform(0, 255, (2, 8, 11, 3)).astype(np.float32)
    maps, logits = cam_and_logits(colour, pictures, [0, 1, 2])
    assert maps.shape == (2, 3, 6, 9)
    np.testing.assert_allclose(maps.mean((2, 3)) + colour.get_weights()[-1], logits, rtol=1e-4)


def test_half_precision_features_still_add_up():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = melnyk_net("C", num_classes=CLASSES, width=0.1, input_size=32)
    finally:
        keras.config.set_dtype_policy(before)
    randomised(model)
    images = np.random.default_rng(2).integers(0, 256, (3, 32, 32), dtype=np.uint8)
    maps, logits = cam_and_logits(model, images, range(CLASSES))
    bias = model.get_weights()[-1]
    np.testing.assert_allclose(maps.sum((2, 3)) + bias, logits, atol=2e-5 * np.abs(logits).max())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"classes": [CLASSES]}, ValueError, f"0..{CLASSES - 1}. Received: {CLASSES}"),
        ({"classes": [-1]}, ValueError, "Received: -1"),
        ({"classes": [0.5]}, TypeError, "integers. Received: dtype float64"),
        ({"classes": []}, TypeError, "Received"),
        ({"classes": np.zeros((5, 1), int)}, ValueError, r"\(6, k\). Received: shape \(5, 1\)"),
        ({"images": np.zeros((6, 9, 8))}, ValueError, r"Received: \(6, 9, 8"),
        ({"images": np.zeros((9, 7))}, ValueError, r"Received: \(9, 7\)"),
        ({"images": np.zeros((0, 9, 7))}, ValueError, r"Received: \(0, 9, 7, 1\)"),
        ({"images": np.full((6, 9, 7), np.nan)}, ValueError, "in image 0"),
        ({"images": np.zeros((6, 9, 7), bool)}, TypeError, "dtype bool"),
        ({"batch_size": 0}, ValueError, "batch_size=0"),
    ],
)
def test_what_does_not_fit_is_named(images, change, error, message):
    arguments = {"images": images, "classes": [0], **change}
    with pytest.raises(error, match=message):
        cam(small_net("A"), **arguments)


def head_of(*layers):
    return keras.Sequential([keras.Input((9, 7, 1)), keras.layers.Conv2D(4, 3), *layers])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: head_of(keras.layers.Flatten(), keras.layers.Dense(3)), "'flatten"),
        (lambda: head_of(keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(3)), "'global_max"),
        (lambda: head_of(keras.layers.GlobalAveragePooling2D()), "'global_average"),
        (
            lambda: head_of(
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(4, activation="relu"),
                keras.layers.Dense(3),
            ),
            "'dense",
        ),
        (
            lambda: head_of(
                keras.layers.GlobalAveragePooling2D(keepdims=True), keras.layers.Dense(3)
            ),
            "keepdims=True",
        ),
    ],
)
def test_a_head_that_does_not_fit_is_named(images, build, message):
    with pytest.raises(ValueError, match=message):
        cam(build(), images)


def test_only_models_with_a_graph(images):
    with pytest.raises(TypeError, match="functional"):
        cam(keras.Sequential([keras.layers.Dense(3)]), images)
