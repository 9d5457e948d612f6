"""Several networks that answer as one."""

import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from hccr_lib.models import mcanet, melnyk_net, student
from hccr_lib.models.ensemble import GeometricMean, ensemble
from hccr_lib.training.distillation import Distiller

CLASSES = 7
SETTINGS = {"num_classes": CLASSES, "width": 0.125, "input_size": 32}


def trained(network, seed):
    """With a head that says something: a new one says nothing yet."""
    kernel = network.get_layer("characters").kernel
    kernel.assign(np.random.default_rng(seed).normal(0, 0.03, kernel.shape))
    return network


@pytest.fixture(scope="module")
def networks():
    each = melnyk_net("C", **SETTINGS), mcanet(2, **SETTINGS), student(**SETTINGS)
    return [trained(network, seed) for seed, network in enumerate(each)]


def asked(network, n=6):
    pictures = np.random.default_rng(9).integers(0, 256, (n, 32, 32, 1)).astype("float32")
    return network.predict(pictures, verbose=0).astype(np.float64)


def test_it_answers_with_the_geometric_mean_whatever_the_order(networks):
    alone = [asked(network) for network in networks]
    assert max(np.abs(a - b).max() for a, b in itertools.combinations(alone, 2)) > 0.01
    product = np.prod(alone, axis=0) ** (1 / 3)
    expected = product / product.sum(axis=1, keepdims=True)
    for order in (0, 1, 2), (2, 0, 1):
        together = ensemble([networks[k] for k in order])
        np.testing.assert_allclose(asked(together), expected, rtol=1e-3, atol=1e-6)
    for network, before in zip(networks, alone, strict=True):
        np.testing.assert_array_equal(asked(network), before)
        assert network.trainable


def test_of_a_network_and_itself_it_is_that_network(networks):
    twice = ensemble([networks[0], networks[0]])
    np.testing.assert_allclose(asked(twice), asked(networks[0]), rtol=1e-3, atol=1e-6)
    assert not twice.trainable_weights


def test_it_is_saved_and_loaded(networks, tmp_path):
    together = ensemble(networks)
    together.save(tmp_path / "together.keras")
    loaded = keras.saving.load_model(tmp_path / "together.keras")
    np.testing.assert_allclose(asked(loaded), asked(together), rtol=1e-5, atol=1e-7)
    # By a process that has never made one.
    load = "import sys; from hccr_lib.evaluation import load_model; load_model(sys.argv[1])"
    (tmp_path / "record.json").write_text(json.dumps({"characters": "一二三四五六七"}))
    subprocess.run([sys.executable, "-c", load, tmp_path / "together.keras"], check=True)


def test_it_teaches_and_looks_where_the_first_one_looks(networks):
    learner = melnyk_net("A", **SETTINGS)
    distiller = Distiller(learner, ensemble(networks))
    pairs = distiller.get_layer("teaching").pairs
    assert pairs == Distiller(learner, networks[0]).get_layer("teaching").pairs
    assert {id(w) for w in distiller.trainable_weights} == {
        id(w) for w in learner.trainable_weights
    }


def test_a_class_needs_the_support_of_all():
    one, other = np.array([[0.9, 0.1, 0.0]]), np.array([[0.0, 0.1, 0.9]])
    found = keras.ops.convert_to_numpy(GeometricMean()([one, other]))
    np.testing.assert_allclose(found, [[0.0, 1.0, 0.0]], atol=1e-6)
    certain = [np.eye(3, dtype="float32")[None, k] for k in (0, 1)]
    found = keras.ops.convert_to_numpy(GeometricMean()(certain))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]], atol=1e-6)


def test_it_answers_in_float32_whatever_else_is_computed_in(networks):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        together = ensemble(networks)
    finally:
        keras.config.set_dtype_policy(before)
    assert together.output.dtype == "float32"
    np.testing.assert_allclose(asked(together), asked(ensemble(networks)), atol=1e-6)


def test_networks_that_do_not_fit_are_refused(networks):
    with pytest.raises(ValueError, match=r"two networks or more\. Received: 1"):
        ensemble(networks[:1])
    with pytest.raises(ValueError, match="must not be an ensemble"):
        ensemble([ensemble(networks[:2]), networks[2]])
    with pytest.raises(ValueError, match="same output_shape"):
        ensemble([networks[0], melnyk_net("C", **{**SETTINGS, "num_classes": 6})])
    with pytest.raises(ValueError, match="same input_shape"):
        ensemble([networks[0], melnyk_net("C", **{**SETTINGS, "input_size": 16})])
