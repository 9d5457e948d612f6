"""Maps of MCANet's attentions, and what two maps have in common."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hccr_lib.explain import cam, centred, grad_cam
from hccr_lib.explain.attention import attention_maps, correlation, of_maximum, overlap, together
from hccr_lib.explain.gradcam import hires_cam
from hccr_lib.models import melnyk_net
from hccr_lib.models.mcanet import mcanet

IMAGES = np.random.default_rng(8).integers(0, 256, (5, 32, 32), np.uint8)


@pytest.fixture(scope="module", params=[1, 2, 3])
def network(request):
    keras.utils.set_random_seed(9)
    model = mcanet(request.param, num_classes=7, width=0.125, input_size=32)
    rng = np.random.default_rng(10)
    dense = model.get_layer("characters")  # starts next to zero
    dense.set_weights([rng.normal(0, 1, weight.shape) for weight in dense.get_weights()])
    return model


def test_maps_are_grad_cam_by_hand_through_the_attentions_own_branch(network):
    """In float64: the gradient of the logit by X'a, through f_a alone, and its mean over places."""
    a_count = len([layer for layer in network.layers if layer.name.startswith("attended")])
    classes = np.array([[1, 4], [0, 6], [2, 2], [5, 1], [3, 0]])
    maps = attention_maps(network, IMAGES, classes, relu=False)
    assert maps.shape == (5, 2, a_count, 2, 2)
    assert maps.dtype == np.float32
    kernel = np.float64(network.get_layer("characters").get_weights()[0])
    units = network.get_layer("features1").units
    for a in range(1, a_count + 1):
        parts = [network.get_layer(f"{name}{a}").output for name in ("attended", "features")]
        attended, features = (
            np.float64(part)
            for part in keras.Model(network.input, parts).predict(IMAGES[..., None], verbose=0)
        )
        reads = np.float64(network.get_layer(f"features{a}").get_weights()[0])
        own = kernel[(a - 1) * units : a * units]
        for n, k in np.ndindex(*classes.shape):
            slope = reads @ (own[:, classes[n, k]] * (features[n] > 0))
            weights = slope.reshape(attended.shape[1:]).mean(axis=(0, 1))
            expected = attended[n] @ weights
            scale = np.abs(expected).max()
            np.testing.assert_allclose(maps[n, k, a - 1], expected, rtol=1e-3, atol=1e-4 * scale)


def test_hires_maps_and_the_biases_make_the_logit(network):
    """The identity of the module's docstring, summed over the attentions."""
    k = 4
    kernel, bias = (np.float64(w) for w in network.get_layer("characters").get_weights())
    names = [layer.name for layer in network.layers if layer.name.startswith("features")]
    rng = np.random.default_rng(0)
    for name in names:  # a new network's biases are 0
        b = network.get_layer(name).bias
        b.assign(rng.normal(0, 5, b.shape))
    maps = attention_maps(network, IMAGES, [k], method=hires_cam, relu=False)
    outputs = [network.get_layer(name).output for name in names]
    parts = keras.Model(network.inputs[0], [*outputs, network.output])
    *features, probabilities = parts.predict(IMAGES[..., None], verbose=0)
    features = np.concatenate(features, axis=1).astype(np.float64)
    biases = np.concatenate([network.get_layer(name).get_weights()[1] for name in names])
    logits = features @ kernel + bias
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        probabilities, shifted / shifted.sum(axis=1, keepdims=True), rtol=1e-2, atol=1e-5
    )
    from_biases = ((features > 0) * biases) @ kernel[:, k] + bias[k]
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2, 3, 4)) + from_biases, logits[:, k], rtol=1e-3, atol=1e-2
    )


def test_centred_the_answers_stay_and_maps_add_up_to_nothing(network):
    other = centred(network)
    expected, received = (model.predict(IMAGES[..., None], verbose=0) for model in (network, other))
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-7)
    signed = attention_maps(other, IMAGES, range(7), relu=False)
    whole = attention_maps(network, IMAGES, range(7), relu=False)
    scale = np.abs(whole).max()
    np.testing.assert_allclose(signed.sum(axis=1), 0, atol=1e-4 * scale)
    mean = whole.mean(axis=1, keepdims=True)
    assert np.abs(mean).max() > 0.01 * scale
    np.testing.assert_allclose(signed, whole - mean, atol=1e-4 * scale)


def test_centred_grad_cam_is_the_centred_cam_and_forgets_a_common_vector():
    keras.utils.set_random_seed(2)
    model = melnyk_net("A", num_classes=5, width=0.125, input_size=32)
    dense = model.get_layer("characters")
    rng = np.random.default_rng(3)
    dense.set_weights([rng.normal(0, 1, weight.shape) for weight in dense.get_weights()])
    before = grad_cam(centred(model), IMAGES, range(5), relu=False)
    expected = cam(model, IMAGES, range(5), centred=True) / 4  # of 2 x 2 places
    np.testing.assert_allclose(before, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel + rng.normal(0, 3, (len(kernel), 1)), bias])
    after = grad_cam(centred(model), IMAGES, range(5), relu=False)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


def test_only_a_softmax_leaves_the_centre_open():
    image = keras.Input((16, 16, 1))
    model = keras.Model(image, keras.layers.Dense(3, "sigmoid")(keras.layers.Flatten()(image)))
    with pytest.raises(ValueError, match="dense with softmax"):
        centred(model)


def test_without_classes_the_predicted_one_and_no_negative_values(network):
    answer = network.predict(IMAGES[..., None], verbose=0).argmax(axis=1)
    signed = attention_maps(network, IMAGES, answer[:, None], relu=False)
    np.testing.assert_allclose(
        attention_maps(network, IMAGES), np.maximum(signed, 0), rtol=1e-4, atol=1e-6
    )


def test_the_size_of_batches_changes_nothing(network):
    whole = attention_maps(network, IMAGES, [3])
    parts = attention_maps(network, IMAGES, [3], batch_size=2)
    # Other batches, other orders of summation: what is lost is a share of the largest terms.
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-6 * np.abs(whole).max())


@pytest.mark.parametrize("built, which", [(mcanet, 0), (melnyk_net, "A")])
def test_without_attention_there_is_nothing_to_draw(built, which):
    model = built(which, num_classes=3, width=0.1, input_size=16)
    with pytest.raises(ValueError, match="needs a network with attentions"):
        attention_maps(model, IMAGES[:, :16, :16])


MAPS = arrays(np.float32, (2, 3, 4), elements=st.floats(-100, 100, width=32))


@given(MAPS, st.floats(0.01, 100))
def test_normalised_maps_reach_one_and_forget_their_scale(maps, scale):
    maps[np.abs(maps) < 1e-30] = 0  # where float32 has fewer digits
    normal = of_maximum(maps)
    assert normal.min() >= 0
    for one, before in zip(normal, maps, strict=True):
        assert one.max() == (1 if before.max() > 0 else 0)
    scaled = of_maximum(np.float32(scale) * maps)
    np.testing.assert_allclose(scaled, normal, rtol=1e-4, atol=1e-6)


def test_maps_put_together():
    maps = np.zeros((1, 2, 2, 2))
    maps[0, 0] = [[4, 2], [0, 0]]
    maps[0, 1] = [[0, 0.5], [0, 1]]
    np.testing.assert_array_equal(together(maps), [[[1, 0.5], [0, 1]]])
    np.testing.assert_array_equal(together(maps, "mean"), [[[2, 1.25], [0, 0.5]]])
    assert together(maps).dtype == together(maps, "mean").dtype == np.float32
    with pytest.raises(ValueError, match="Received: how='sum'"):
        together(maps, "sum")


@given(MAPS, MAPS)
def test_overlap_is_symmetric_and_one_with_itself(first, second):
    found = overlap(first, second)
    np.testing.assert_array_equal(found, overlap(second, first))
    known = found[~np.isnan(found)]
    assert ((known >= 0) & (known <= 1)).all()
    itself = overlap(first, first)
    assert (itself[first.max(axis=(1, 2)) > 0] == 1).all()
    assert np.isnan(itself[first.max(axis=(1, 2)) <= 0]).all()


def test_overlap_counts_places():
    one = np.array([[1.0, 0.6, 0.4], [0.0, 0.0, 0.0]])
    other = np.array([[0.0, 9.0, 5.0], [0.0, 4.0, 0.0]])
    assert overlap(one, other) == 1 / 3  # {0, 1} and {1, 2}
    assert overlap(one, other, level=0.4) == 2 / 4  # {0, 1, 2} and {1, 2, 4}
    assert overlap(one, -other) == 0
    for level in (0, 1.5):
        with pytest.raises(ValueError, match="level must be"):
            overlap(one, other, level)


@given(MAPS)
def test_correlation_knows_neither_scale_nor_offset(maps):
    rng = np.random.default_rng(0)
    other = rng.normal(size=maps.shape)
    found = correlation(maps, other)
    np.testing.assert_allclose(correlation(maps, 3 * other + 7), found, atol=1e-8)
    np.testing.assert_allclose(correlation(maps, -other), -found, atol=1e-8)
    for row, value in enumerate(found):
        if np.ptp(maps[row]) > 1e-3 * np.abs(maps[row]).max():
            expected = np.corrcoef(np.float64(maps[row]).ravel(), other[row].ravel())[0, 1]
            assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.7, 2.0])
def test_a_map_without_variation_correlates_with_nothing(value):
    other = np.random.default_rng(0).normal(size=(6, 6))
    assert np.isnan(correlation(np.full((6, 6), value), other))


def test_maps_that_cannot_be_compared():
    assert np.isnan(correlation(np.ones((1, 2, 2)), np.eye(2)[None])).all()
    for compare in (overlap, correlation):
        with pytest.raises(ValueError, match=r"Received: \(2, 2\) and \(3, 3\)"):
            compare(np.ones((2, 2)), np.ones((3, 3)))
