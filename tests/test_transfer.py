"""Networks that grow, and networks that change their pooling, keep what they have learnt."""

import keras
import numpy as np
import pytest
from keras import ops
from test_pretrained import images
from test_weights import random_net

from hccr_lib.models import melnyk_net, transfer


def test_a_network_that_has_grown_has_the_same_weights_and_pools_an_even_map_alike():
    small = random_net()
    large = transfer.enlarged(small, 48)
    assert large.input_shape == (None, 48, 48, 1)
    for old, new in zip(small.weights, large.weights, strict=True):
        if "gwap" not in old.path:
            np.testing.assert_array_equal(*map(ops.convert_to_numpy, (old, new)))
    pooled = []
    for model in (small, large):
        layer = model.get_layer("gwap")
        rows, columns, channels = layer.kernel.shape
        assert rows == columns == model.input_shape[1] // 16
        even = np.broadcast_to(np.arange(channels, dtype="float32"), (1, rows, columns, channels))
        pooled.append(ops.convert_to_numpy(layer(even)))
    np.testing.assert_allclose(*pooled, rtol=1e-5)


def test_to_the_same_size_it_is_a_copy():
    small = random_net()
    copy = transfer.enlarged(small, 16)
    np.testing.assert_array_equal(*(m.predict(images(16), verbose=0) for m in (small, copy)))
    before = ops.convert_to_numpy(small.weights[0]).copy()
    copy.weights[0].assign(np.zeros(before.shape))
    np.testing.assert_array_equal(ops.convert_to_numpy(small.weights[0]), before)


@pytest.mark.parametrize("side", [8, 40])
def test_a_network_cannot_shrink(side):
    small = random_net(input_size=32)
    with pytest.raises(ValueError, match=f"Received: input_size={side}"):
        transfer.enlarged(small, side)


def small_net(variant, input_size=32):
    """Every weight drawn anew, so that poolings are no longer alike everywhere."""
    keras.utils.set_random_seed(3)
    model = melnyk_net(variant, num_classes=5, width=0.125, input_size=input_size)
    rng = np.random.default_rng(4)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.5, weight.shape))
    return model


@pytest.mark.parametrize("old, new", ["AA", "AB", "AC", "BA", "BB", "BC", "CC"])
def test_a_pooling_that_can_express_the_old_one_computes_the_same(old, new):
    model = small_net(old)
    other = transfer.repooled(model, new)
    assert [layer.name for layer in other.layers] == [layer.name for layer in small_net(new).layers]
    assert other.name == f"melnyk_net_{new.lower()}"
    expected, received = (m.predict(images(32), verbose=0) for m in (model, other))
    assert expected.std() > 0.01
    np.testing.assert_allclose(received, expected, rtol=1e-3)


@pytest.mark.parametrize("new", "AB")
def test_without_weights_for_positions_an_even_map_is_read_alike(new):
    model = small_net("C")
    other = transfer.repooled(model, new)
    read = []
    for network in (model, other):
        pooling = next(layer for layer in network.layers if layer.name.startswith("g"))
        maps = keras.Input(pooling.input.shape[1:])
        head = keras.Model(maps, network.get_layer("characters")(pooling(maps)))
        even = np.ones((1, *pooling.input.shape[1:3], 1)) * np.linspace(0, 1, maps.shape[-1])
        read.append(head.predict(even.astype("float32"), verbose=0))
    assert read[0].std() > 0.01
    np.testing.assert_allclose(*read, rtol=1e-3)


def test_the_network_that_was_repooled_is_left_alone():
    model = small_net("C")
    before = [value.copy() for value in model.get_weights()]
    other = transfer.repooled(model, "C")
    for weight in other.weights:
        weight.assign(np.zeros(weight.shape))
    for ours, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, kept)


def test_what_cannot_be_repooled():
    with pytest.raises(ValueError, match="Received: variant='D'"):
        transfer.repooled(small_net("A"), "D")
    with pytest.raises(ValueError, match="has no pooling of a Melnyk-Net"):
        transfer.repooled(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "A")
