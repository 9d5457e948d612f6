"""MCANet: its shapes and parameters, and its losses against loops of float64 numpy."""

import keras
import numpy as np
import pytest
from keras import ops

from hccr_lib.models import melnyk_net
from hccr_lib.models.comparative_losses import CenterLoss, ContrastiveLoss, comparative
from hccr_lib.models.mcanet import head, mcanet

CLASSES = 5
SMALL = {"num_classes": CLASSES, "width": 0.1, "input_size": 16}


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def backbone_parameters(network):
    return sum(layer.count_params() for layer in network.layers if layer.name.startswith("conv"))


def test_parameters_are_the_sum_over_table_1():
    two = mcanet(2)
    attention = (448 * 28 + 28) + (28 * 448 + 448)
    features = 6 * 6 * 448 * 768 + 768
    characters = 2 * 768 * 3755 + 3755
    backbone = backbone_parameters(melnyk_net("A"))
    assert backbone_parameters(two) == backbone
    assert two.count_params() == backbone + 2 * (attention + features) + characters


@pytest.mark.parametrize("attentions", range(4))
def test_every_part_has_its_name(attentions):
    network = mcanet(attentions, **SMALL)
    names = {layer.name for layer in network.layers}
    for a in range(1, attentions + 1):
        assert network.get_layer(f"attention{a}").output.shape == (None, 48)
        assert network.get_layer(f"attended{a}").output.shape == (None, 1, 1, 48)
        assert network.get_layer(f"features{a}").output.shape == (None, 80)
    assert f"features{max(1, attentions) + 1}" not in names
    assert ("attention1" in names) == (attentions > 0)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1))
    probabilities = numpy(network(images.astype("float32")))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_attention_is_squeeze_and_excitation():
    network = mcanet(1, num_classes=CLASSES, width=0.1, input_size=32)
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, 0.3, w.shape) ** 2 for w in network.weights])
    images = rng.integers(0, 256, (3, 32, 32, 1)).astype("float32")
    parts = ("conv5_3_relu", "attention1", "attended1", "features1")
    model = keras.Model(network.input, [network.get_layer(name).output for name in parts])
    maps, weights, attended, features = (numpy(each).astype(np.float64) for each in model(images))
    (w1, b1), (w2, b2) = (network.get_layer(n).get_weights() for n in ("reduce1", "attention1"))
    hidden = np.maximum(maps.mean((1, 2)) @ w1 + b1, 0)
    expected = 1 / (1 + np.exp(-(hidden @ w2 + b2)))
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(attended, maps * weights[:, None, None], rtol=1e-5)
    w, b = network.get_layer("features1").get_weights()
    expected = np.maximum(attended.reshape(3, -1) @ w + b, 0)
    np.testing.assert_allclose(features, expected, rtol=1e-4)


def test_weights_of_a_file(tmp_path):
    network = mcanet(2, **SMALL)
    network.save_weights(tmp_path / "mcanet.weights.h5")
    again = mcanet(2, **SMALL, weights=tmp_path / "mcanet.weights.h5")
    for one, other in zip(network.weights, again.weights, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
    with pytest.raises(ValueError):
        mcanet(3, **SMALL, weights=tmp_path / "mcanet.weights.h5")


@pytest.mark.parametrize("bad", [-1, 1.5, None, "2"])
def test_attentions_are_counted(bad):
    with pytest.raises(ValueError, match="attentions"):
        mcanet(bad, **SMALL)


# The losses.


def contrastive_by_hand(features, margin):
    total = 0.0
    for image in range(len(features[0])):
        for a in range(len(features)):
            for b in range(a + 1, len(features)):
                distance = ((features[a][image] - features[b][image]) ** 2).sum()
                total += max(0.0, margin - distance / 2)
    return total / len(features[0])


def layer_loss(layer, inputs, **options):
    layer([ops.convert_to_tensor(each) for each in inputs], **options)
    (loss,) = layer.losses
    return float(numpy(loss))


@pytest.mark.parametrize("attentions", [2, 3, 4])
def test_contrastive_loss_is_eq_6_with_every_pair_once(attentions):
    rng = np.random.default_rng(attentions)
    features = rng.normal(0, 1.0, (attentions, 7, 6)).astype("float32")
    distances = ((features[0] - features[1]) ** 2).sum(1) / 2
    margin = float(np.median(distances))  # some pairs are on either side of it
    loss = layer_loss(ContrastiveLoss(margin, weight=0.3), [np.zeros((7, 1)), *features])
    expected = 0.3 * contrastive_by_hand(features.astype(np.float64), margin)
    assert loss == pytest.approx(expected, rel=1e-5)


def gradient_of(loss_of, start):
    """The derivative by each number of `start`, by central differences of float64 numpy."""
    slopes = np.zeros_like(start)
    for index in np.ndindex(start.shape):
        step = np.zeros_like(start)
        step[index] = 1e-5
        slopes[index] = (loss_of(start + step) - loss_of(start - step)) / 2e-5
    return slopes


def trained_features(layer, features, others, learning_rate=1.0):
    """Features after one step of gradient descent through `fit`, whatever the backend."""
    images = keras.Input((1,), batch_size=len(features))
    holder = keras.layers.Dense(features.size, use_bias=False)
    shaped = ops.reshape(ops.sum(holder(images), axis=0), features.shape)
    network = keras.Model(images, layer(others(shaped)))
    ones = np.zeros((len(features), 1), "float32")
    ones[0] = 1  # the sum over the batch is one copy of the kernel
    holder.set_weights([features.reshape(1, -1)])
    network.compile(keras.optimizers.SGD(learning_rate), loss=None)
    network.fit(ones, batch_size=len(ones), epochs=1, verbose=0, shuffle=False)
    return holder.get_weights()[0].reshape(features.shape)


def test_gradient_of_the_contrastive_loss():
    rng = np.random.default_rng(0)
    both = rng.normal(size=(4, 2, 3)).astype("float32")
    margin = 3.0

    def parts(shaped):
        return [ops.zeros((4, 1)), shaped[:, 0], shaped[:, 1]]

    after = trained_features(ContrastiveLoss(margin, weight=1.0), both, parts)

    def by_hand(features):
        return contrastive_by_hand(features.transpose(1, 0, 2), margin)

    expected = gradient_of(by_hand, both.astype(np.float64))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(both - after, expected, atol=1e-4)


def center_loss_by_hand(features, labels, centers):
    return sum(
        ((f - centers[y]) ** 2).sum() / 2 for f, y in zip(features, labels, strict=True)
    ) / len(features)


def moved_by_hand(features, labels, centers, rate):
    """Wen et al. 2016, eq. (4), class by class."""
    moved = centers.copy()
    for j in range(len(centers)):
        own = [f for f, y in zip(features, labels, strict=True) if y == j]
        delta = sum((centers[j] - f for f in own), np.zeros_like(centers[j])) / (1 + len(own))
        moved[j] = centers[j] - rate * delta
    return moved


@pytest.mark.parametrize("labels", [[0, 3, 3, 1, 3, 1], [2] * 6, [0, 1, 2, 3, 4, 0]])
def test_center_loss_and_its_centers(labels):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 4)).astype("float32")
    layer = CenterLoss(CLASSES, rate=0.5, weight=0.2, seed=3)
    labels = np.array(labels, "int32")
    inputs = [np.zeros((6, 1), "float32"), features, labels]
    layer.build([each.shape for each in inputs])
    centers = numpy(layer.centers).astype(np.float64)
    expected = 0.2 * center_loss_by_hand(features, labels, centers)
    assert layer_loss(layer, inputs, training=False) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(numpy(layer.centers), centers)  # only training moves them
    assert layer_loss(layer, inputs, training=True) == pytest.approx(expected, rel=1e-5)
    expected = moved_by_hand(features.astype(np.float64), labels, centers, 0.5)
    np.testing.assert_allclose(numpy(layer.centers), expected, rtol=1e-5, atol=1e-6)
    absent = np.setdiff1d(np.arange(CLASSES), labels)
    np.testing.assert_array_equal(numpy(layer.centers)[absent], centers[absent].astype("float32"))


def test_gradient_of_the_center_loss_leaves_the_centers_alone():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 3)).astype("float32")
    labels = np.array([1, 1, 4, 0])
    layer = CenterLoss(CLASSES, rate=0.5, weight=1.0, seed=3)
    layer.build([(4, 1), (4, 3), (4,)])
    centers = numpy(layer.centers).astype(np.float64)

    def parts(shaped):
        return [ops.zeros((4, 1)), shaped, ops.convert_to_tensor(labels.astype("int32"))]

    after = trained_features(layer, features, parts)
    expected = gradient_of(
        lambda f: center_loss_by_hand(f, labels, centers), features.astype(float)
    )
    np.testing.assert_allclose(features - after, expected, atol=1e-4)
    expected = moved_by_hand(features, labels, centers, 0.5)  # and they move by their own rule
    np.testing.assert_allclose(numpy(layer.centers), expected, rtol=1e-4, atol=1e-5)


def test_first_centers_are_standard_normal():
    layer = CenterLoss(2000, seed=1)
    layer.build([(8, 1), (8, 50), (8,)])
    centers = numpy(layer.centers)
    assert abs(centers.mean()) < 0.01 and centers.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("label", [-1, CLASSES, 10**6])
def test_a_label_without_center_is_no_silent_zero(label):
    layer = CenterLoss(CLASSES)
    inputs = [
        np.zeros((2, 1), "float32"),
        np.ones((2, 3), "float32"),
        np.array([1, label], "int32"),
    ]
    layer.build([each.shape for each in inputs])
    before = numpy(layer.centers).copy()
    assert np.isnan(layer_loss(layer, inputs, training=True))
    moved = (numpy(layer.centers) != before).any(axis=1)
    assert moved.tolist() == [j == 1 for j in range(CLASSES)]


def test_distances_do_not_overflow_in_half_precision():
    far = np.full((2, 3), 300.0, "float16")  # squared, it is above all half-precision numbers
    loss = layer_loss(ContrastiveLoss(dtype="mixed_float16"), [far[:, :1], far, -far])
    assert loss == 0.0
    layer = CenterLoss(CLASSES, weight=1.0, dtype="mixed_float16")
    inputs = [far[:, :1], far, np.zeros(2, "int32")]
    layer.build([each.shape for each in inputs])
    assert np.isfinite(layer_loss(layer, inputs, training=False))


# Together.


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 16, 16, 1)).astype("float32")
    return images, rng.integers(0, CLASSES, 12).astype("int32")


def shallow(attentions):
    """MCANet's head on one convolution: what the losses read, without what makes it slow."""
    image = keras.Input((16, 16, 1))
    maps = keras.layers.BatchNormalization()(image)
    maps = keras.layers.Conv2D(16, 3, strides=6, activation="relu")(maps)
    return keras.Model(image, head(maps, attentions, CLASSES, 6, 0.0))


@pytest.mark.parametrize("centers", ["region", "image", None])
@pytest.mark.parametrize("attentions", [0, 2, 3])
def test_it_trains_in_fit_and_the_loss_is_eq_8(data, centers, attentions):
    images, labels = data
    network = shallow(attentions)
    model = comparative(network, contrastive=attentions > 1, centers=centers, weight=0.1)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    found = model.evaluate([images, labels], labels, batch_size=12, verbose=0)

    names = [f"features{a}" for a in range(1, max(1, attentions) + 1)]
    outputs = [network.output, *(network.get_layer(name).output for name in names)]
    probabilities, *features = (
        numpy(each).astype(np.float64) for each in keras.Model(network.input, outputs)(images)
    )
    own = -np.log(probabilities[np.arange(12), labels]).mean()
    own += float(sum(numpy(each) for each in network.losses))  # the L2 terms of the layers
    if attentions > 1:
        own += 0.1 * contrastive_by_hand(features, 40.0)
    together = {"region": features, "image": [np.concatenate(features, axis=1)], None: []}[centers]
    kept = [layer.centers for layer in model.layers if isinstance(layer, CenterLoss)]
    for each, variable in zip(together, kept, strict=True):
        own += 0.1 * center_loss_by_hand(each, labels, numpy(variable))
    assert found == pytest.approx(own, rel=1e-3)

    before = [numpy(variable).copy() for variable in kept]
    history = model.fit([images, labels], labels, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for variable, was in zip(kept, before, strict=True):
        moved = (numpy(variable) != was).any(axis=1)
        assert moved.tolist() == [j in labels for j in range(CLASSES)]


def test_training_pulls_images_of_a_class_together_and_attentions_apart(data):
    images, labels = data
    network = mcanet(2, **SMALL, dropout=0.0)
    features = keras.Model(
        network.input, [network.get_layer(f"features{a}").output for a in (1, 2)]
    )

    def spread(each):
        within = [each[labels == j] - each[labels == j].mean(0) for j in set(labels.tolist())]
        return np.mean(np.concatenate(within) ** 2) / np.mean((each - each.mean(0)) ** 2)

    model = comparative(network, weight=1.0)
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    # By the statistics of the batch: sixty steps are too few for the moving ones.
    before = [numpy(each) for each in features(images, training=True)]
    model.fit([images, labels], labels, batch_size=12, epochs=60, verbose=0)
    after = [numpy(each) for each in features(images, training=True)]
    assert all(spread(b) < 0.7 * spread(a) for a, b in zip(before, after, strict=True))
    assert ((after[0] - after[1]) ** 2).sum(1).mean() > ((before[0] - before[1]) ** 2).sum(1).mean()


def test_saved_and_loaded_it_keeps_its_centers(data, tmp_path):
    images, labels = data
    model = comparative(mcanet(2, **SMALL))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit([images, labels], labels, batch_size=6, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(numpy(one), numpy(other))
    assert sum("centers" in weight.path for weight in again.weights) == 2
    np.testing.assert_allclose(
        again.evaluate([images, labels], labels, verbose=0),
        model.evaluate([images, labels], labels, verbose=0),
        rtol=1e-5,
    )


@pytest.mark.parametrize("attentions", [0, 1])
def test_one_attention_has_nothing_to_be_compared_with(attentions):
    with pytest.raises(ValueError, match="two or more attentions"):
        comparative(mcanet(attentions, **SMALL))


def test_unknown_centers():
    with pytest.raises(ValueError, match="'region'"):
        comparative(mcanet(2, **SMALL), centers="regions")
