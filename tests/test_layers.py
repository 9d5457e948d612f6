"""The weighted poolings against their formulas."""

import keras
import numpy as np
import pytest

from hccr_lib.models import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)

LAYERS = [
    (GlobalWeightedAveragePooling2D, (3, 4, 5)),
    (GlobalWeightedOutputAveragePooling2D, (5,)),
]


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(("layer", "kernel_shape"), LAYERS)
def test_pooling_is_a_weighted_sum(layer, kernel_shape, maps):
    pool = layer()
    pool.build(maps.shape)
    weights = np.random.default_rng(1).normal(size=kernel_shape)
    pool.set_weights([weights])
    expected = (maps.astype(np.float64) * weights).sum((1, 2))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(pool(maps)), expected, rtol=1e-5, atol=1e-5
    )
    assert pool.compute_output_shape(maps.shape) == (2, 5)


@pytest.mark.parametrize(("layer", "kernel_shape"), LAYERS)
def test_an_untrained_pooling_is_the_mean_times_the_number_of_positions(layer, kernel_shape, maps):
    mean, pooled = (
        keras.ops.convert_to_numpy(pool(maps))
        for pool in (keras.layers.GlobalAveragePooling2D(), layer())
    )
    np.testing.assert_allclose(pooled, 12 * mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layer", "kernel_shape"), LAYERS)
def test_pooling_survives_saving(layer, kernel_shape, maps, tmp_path):
    pool = layer(kernel_initializer="random_normal", kernel_regularizer="l2", name="pool")
    model = keras.Sequential([keras.Input((3, 4, 5)), pool])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(maps, verbose=0), model.predict(maps, verbose=0))
    assert loaded.layers[0].get_config() == pool.get_config()
    assert len(loaded.losses) == 1


@pytest.mark.parametrize(("layer", "kernel_shape"), LAYERS)
def test_every_weight_learns(layer, kernel_shape, maps):
    model = keras.Sequential([keras.Input((3, 4, 5)), layer()])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    model.fit(maps, np.zeros((2, 5)), verbose=0)
    (kernel,) = model.get_weights()
    assert kernel.shape == kernel_shape
    assert (kernel != 1).all()


def test_the_size_of_the_maps_must_be_known():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(None, None, None, 5\)"):
        GlobalWeightedAveragePooling2D()(keras.Input((None, None, 5)))
    free = GlobalWeightedOutputAveragePooling2D()(keras.Input((None, None, 5)))
    assert free.shape == (None, 5)
    with pytest.raises(ValueError, match="ndim=4"):
        GlobalWeightedOutputAveragePooling2D()(keras.Input((6, 5)))
