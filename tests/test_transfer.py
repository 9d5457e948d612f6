"""Networks that grow, and networks that change their pooling, keep what they have learnt."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.layers import BatchNormalization
from test_pretrained import images
from test_small_networks import opinionated
from test_weights import random_net

from hccr_lib.explain import grad_cam
from hccr_lib.models import count_macs, mcanet, melnyk_net, resnet18, student, transfer


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


def test_a_mean_has_the_means_of_all_weights_and_leaves_the_networks_alone():
    networks = [random_net(seed) for seed in range(3)]
    for number, network in enumerate(networks):  # statistics of normalisations, too
        network.set_weights([number + 1 + weight for weight in network.get_weights()])
    before = [network.get_weights() for network in networks]
    mean = transfer.averaged(networks)
    assert (mean.name, mean.input_shape) == (networks[0].name, networks[0].input_shape)
    for found, *of in zip(mean.get_weights(), *before, strict=True):
        np.testing.assert_allclose(found, np.mean(of, axis=0, dtype=np.float64), rtol=1e-5)
    for network, weights in zip(networks, before, strict=True):
        for now, then in zip(network.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)


def test_the_mean_of_a_network_and_itself_answers_as_it_does():
    one = random_net()
    both = transfer.averaged([one, one])
    np.testing.assert_allclose(*(m.predict(images(16), verbose=0) for m in (one, both)), rtol=1e-4)


def test_what_has_no_mean():
    with pytest.raises(ValueError, match="Received: 1"):
        transfer.averaged([random_net()])
    with pytest.raises(ValueError, match="the same shapes"):
        transfer.averaged([random_net(), random_net(input_size=32)])


def test_a_network_drops_what_it_is_told_to():
    network = random_net(dropout=0.0)
    dropping = transfer.dropping(network, 0.5)
    assert (dropping.get_layer("dropout").rate, network.get_layer("dropout").rate) == (0.5, 0.0)
    read = [m(images(16)[:4].astype("float32"), training=False) for m in (network, dropping)]
    np.testing.assert_allclose(*map(ops.convert_to_numpy, read), rtol=1e-5)
    one, other = (ops.convert_to_numpy(dropping(images(16)[:4], training=True)) for _ in range(2))
    assert (one != other).any()  # by chance, which a layer built for 0 has none of
    with pytest.raises(ValueError, match="Received: dropout=-1"):
        transfer.dropping(network, -1)
    with pytest.raises(ValueError, match="no layer that drops"):
        transfer.dropping(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), 0.5)


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


@pytest.mark.parametrize("width", [0.05, 0.1, 0.125, 0.3, 0.5])
def test_a_student_takes_over_blocks_3_and_4_and_the_head(width):
    teacher = random_net(width=width, num_classes=5)
    small = transfer.slimmed(teacher)
    taken = {
        layer.name
        for layer in small.layers
        if layer.weights
        and layer.name in {each.name for each in teacher.layers}
        and all(
            map(np.array_equal, layer.get_weights(), teacher.get_layer(layer.name).get_weights())
        )
    }
    blocks = {f"conv{b}_{k}{end}" for b in (3, 4) for k in (1, 2, 3) for end in ("", "_bn")}
    assert taken == blocks | {"gwap", "characters"}
    assert small.output_shape == teacher.output_shape
    assert small.input_shape == teacher.input_shape


def test_a_student_is_made_of_a_model_c():
    with pytest.raises(ValueError, match=r"made from a Model C\. Received: melnyk_net_a"):
        transfer.slimmed(small_net("A"))


def shuffled(model):
    """The model with every weight random, variances positive."""
    rng = np.random.default_rng(8)
    for weight in model.weights:
        value = rng.normal(0, 0.3, weight.shape)
        weight.assign(0.5 + np.abs(value) if "moving_variance" in weight.name else value)
    return model


NETWORKS = {
    "melnyk_net": lambda: melnyk_net("B", num_classes=5, width=0.125, input_size=16),
    "mcanet": lambda: mcanet(2, num_classes=5, width=0.125, input_size=16),
    "student": lambda: student(num_classes=5, width=0.125, input_size=16),
    "resnet18": lambda: resnet18(num_classes=5, width=0.125, input_size=32),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_the_same_without_normalizations(name):
    model = shuffled(NETWORKS[name]())
    pictures = images(model.input_shape[1], 6).astype("float32") / 255
    opinionated(model, pictures[..., 0])
    before = [np.array(weight) for weight in model.get_weights()]
    folded = transfer.folded(model)
    answers = [m.predict(pictures, verbose=0) for m in (model, folded)]
    np.testing.assert_allclose(*answers, rtol=1e-3, atol=1e-5)
    assert np.ptp(answers[0]) > 0.1
    assert not any(isinstance(layer, BatchNormalization) for layer in folded.layers)
    assert not folded.trainable_weights
    assert [layer.name for layer in folded.layers] == [layer.name for layer in model.layers]
    assert all(map(np.array_equal, before, model.get_weights()))


def test_a_network_that_was_explained_is_folded_and_counted_as_before():
    model = shuffled(NETWORKS["melnyk_net"]())
    before = count_macs(model), [type(layer) for layer in transfer.folded(model).layers]
    grad_cam(model, images(model.input_shape[1], 2), layer="conv1_1_relu")
    assert len(model.get_layer("conv2_1")._inbound_nodes) > 1  # or there is nothing to see here
    after = count_macs(model), [type(layer) for layer in transfer.folded(model).layers]
    assert after == before


def test_only_what_a_convolution_alone_feeds_is_folded():
    image = keras.Input((8, 8, 2))
    x = keras.layers.BatchNormalization(name="first")(image)  # follows no convolution
    conv = keras.layers.Conv2D(3, 3, name="conv")(x)  # with biases; two layers read it
    x = keras.layers.BatchNormalization(name="second", scale=False)(conv)
    x = keras.layers.Add()([x, conv])
    x = keras.layers.Conv2D(4, 1, activation="relu", name="bent")(x)
    x = keras.layers.BatchNormalization(name="third")(x)  # after the bend it is no constant factor
    x = keras.layers.Conv2D(4, 1, name="plain")(x)
    x = keras.layers.BatchNormalization(name="fourth", center=False)(x)
    model = shuffled(keras.Model(image, x))
    folded = transfer.folded(model)
    kept = [layer.name for layer in folded.layers if isinstance(layer, BatchNormalization)]
    assert kept == ["first", "second", "third"]
    pictures = np.random.default_rng(0).normal(size=(4, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(
        *(m.predict(pictures, verbose=0) for m in (model, folded)), rtol=1e-4, atol=1e-5
    )
