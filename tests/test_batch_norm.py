"""FusedBatchNormalization is keras.layers.BatchNormalization, in training and after it."""

import keras
import numpy as np
import pytest
from keras import ops

from hccr_lib.models.layers import FusedBatchNormalization


def _pair(channels, **kwargs):
    """Keras's layer and ours with the same random weights."""
    rng = np.random.default_rng(0)
    pair = keras.layers.BatchNormalization(**kwargs), FusedBatchNormalization(**kwargs)
    values = [rng.uniform(0.5, 2, channels) for _ in range(4)]
    for layer in pair:
        layer.build((None, None, None, channels))
        layer.set_weights(values)
    return pair


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (1, 2, 1, 3)])
def test_same_output_and_moving_averages(shape, training):
    inputs = np.random.default_rng(1).normal(3, 5, shape).astype("float32")
    theirs, ours = _pair(shape[-1], momentum=0.9)
    expected, received = (
        ops.convert_to_numpy(f(inputs, training=training)) for f in (theirs, ours)
    )
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)
    for expected, received in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def test_training_is_the_formula_in_float64():
    inputs = np.random.default_rng(2).normal(-1, 2, (4, 5, 5, 3))
    _, layer = _pair(3, epsilon=1e-2)
    gamma, beta = (ops.convert_to_numpy(w).astype(float) for w in layer.trainable_weights)
    mean, variance = inputs.mean((0, 1, 2)), inputs.var((0, 1, 2))
    expected = gamma * (inputs - mean) / np.sqrt(variance + 1e-2) + beta
    received = layer(inputs.astype("float32"), training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(received), expected, atol=1e-4)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-4), ("mixed_bfloat16", 0.05)])
def test_a_step_of_training_moves_the_same_weights_by_the_same_amount(dtype, tolerance):
    """So gradients agree too, with respect to its weights and to what comes before it."""
    rng = np.random.default_rng(3)
    images = rng.normal(0, 1, (16, 6, 6, 2)).astype("float32")
    labels = rng.integers(0, 3, 16)
    moved = []
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                keras.layers.Conv2D(4, 3, use_bias=False, dtype=dtype),
                kind(dtype=dtype),
                keras.layers.ReLU(dtype=dtype),
                keras.layers.GlobalAveragePooling2D(dtype="float32"),
                keras.layers.Dense(3, activation="softmax", dtype="float32"),
            ]
        )
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
        model.train_on_batch(images, labels)
        moved.append([b - a for a, b in zip(before, model.get_weights(), strict=True)])
    for expected, received in zip(*moved, strict=True):
        np.testing.assert_allclose(received, expected, atol=tolerance * np.abs(expected).max())


def test_frozen_it_normalizes_with_what_it_has_learned():
    inputs = np.random.default_rng(4).normal(3, 5, (5, 3, 4, 6)).astype("float32")
    _, layer = _pair(6)
    layer.trainable = False
    before = layer.get_weights()
    used, expected = (ops.convert_to_numpy(layer(inputs, training=t)) for t in (True, False))
    np.testing.assert_array_equal(used, expected)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
