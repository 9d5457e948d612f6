"""The course's own weights: their file and its description."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from test_weights import random_net

from hccr_lib.characters import LEVEL1
from hccr_lib.evaluation import ModelError, load_model
from hccr_lib.models import mcanet, melnyk_net, weights

SMALL = {"variant": "C", "num_classes": 3755, "width": 0.125, "input_size": 16}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    return weights.pretrained_file("melnyk_net_c")


def images(side, n=4):
    return np.random.default_rng(5).integers(0, 256, (n, side, side, 1), np.uint8)


def test_written_and_read_the_network_is_the_same_to_half_precision(home):
    model = random_net()
    weights.save_pretrained(model, home, settings=SMALL, record={"runs": []})
    read = melnyk_net("C", weights="synthetic")  # width and input size come with the weights
    for ours, theirs in zip(model.weights, read.weights, strict=True):
        saved, back = ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        exact = "_bn" in ours.path
        np.testing.assert_allclose(back, saved, rtol=0 if exact else 2**-11, atol=2**-25)
    expected, received = (m.predict(images(16), verbose=0) for m in (model, read))
    np.testing.assert_allclose(received, expected, rtol=0.02)
    assert json.loads(home.with_suffix(".json").read_text())["runs"] == []
    assert weights.pretrained_networks() == ["melnyk_net_c"]


def test_the_same_network_gives_the_same_file(home, tmp_path):
    for path in (home, tmp_path / "again.npz"):
        weights.save_pretrained(random_net(), path, settings=SMALL, record={})
    assert home.read_bytes() == (tmp_path / "again.npz").read_bytes()


@pytest.mark.parametrize("value", [1e5, np.nan])
def test_what_half_precision_cannot_hold_is_refused(home, value):
    model = random_net()
    kernel = model.get_layer("characters").kernel
    kernel.assign(np.full(kernel.shape, value))
    with pytest.raises(ValueError, match="kernel of characters does not fit in float16"):
        weights.save_pretrained(model, home, settings=SMALL, record={})
    assert not home.exists()


def test_variances_beyond_half_precision_are_kept(home):
    model = random_net()
    variance = model.get_layer("conv1_1_bn").moving_variance
    variance.assign(np.full(variance.shape, 3e5))
    weights.save_pretrained(model, home, settings=SMALL, record={})
    read = melnyk_net("C", weights="synthetic").get_layer("conv1_1_bn").moving_variance
    np.testing.assert_array_equal(ops.convert_to_numpy(read), np.float32(3e5))


@pytest.mark.parametrize(
    "received, named",
    [
        ({"num_classes": 40}, "num_classes=3755"),
        ({"width": 1.0}, "width=0.125"),
        ({"input_size": 96}, "input_size=16"),
    ],
)
def test_weights_of_another_network(home, received, named):
    weights.save_pretrained(random_net(), home, settings=SMALL, record={})
    with pytest.raises(ValueError, match=f"with {named}"):
        melnyk_net("C", weights="synthetic", **received)


def test_weights_under_the_name_of_another_network(home):
    weights.save_pretrained(random_net(), home, settings=SMALL, record={})
    for suffix in (".npz", ".json"):
        home.with_suffix(suffix).rename(home.with_name(f"melnyk_net_a{suffix}"))
    with pytest.raises(ValueError, match=r"with variant='C'\. Received: variant='A'"):
        melnyk_net("A", weights="synthetic")


def test_each_network_is_loaded_by_its_name(home):
    for variant in "AC":
        settings = {**SMALL, "variant": variant}
        file = weights.pretrained_file(f"melnyk_net_{variant.lower()}")
        weights.save_pretrained(melnyk_net(**settings), file, settings=settings, record={})
    for name in weights.pretrained_networks():
        assert load_model(name)[0].name == name


def test_a_file_of_weights_is_a_network_wherever_it_lies(home, tmp_path):
    model = random_net()
    file = tmp_path / "elsewhere.npz"
    weights.save_pretrained(model, file, settings=SMALL, record={})
    loaded, classes = load_model(file)
    assert (loaded.name, classes) == ("melnyk_net_c", LEVEL1)
    read, kept = (each.predict(images(16), verbose=0) for each in (loaded, model))
    np.testing.assert_allclose(read, kept, rtol=0.02)
    # Under the name of another shipped network, it is refused.
    for suffix in (".npz", ".json"):
        other = weights.pretrained_file("student").with_suffix(suffix)
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(file.with_suffix(suffix).read_bytes())
    with pytest.raises(ModelError, match=r"student\.npz: holds the weights of melnyk_net_c"):
        load_model("student")
    described = json.loads(file.with_suffix(".json").read_text())
    del described["variant"]
    file.with_suffix(".json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=r"elsewhere\.npz: is not of the network that its JSON"):
        load_model(file)
    file.with_suffix(".json").unlink()
    with pytest.raises(ModelError, match=r"elsewhere\.json: no such weights"):
        load_model(file)


def test_the_spotless_model_c_has_seen_strokes_alone():
    network, characters = load_model(weights.PRETRAINED / "spotless.npz")
    assert (network.name, characters) == ("melnyk_net_c", LEVEL1)
    runs = weights.pretrained_record(weights.PRETRAINED / "spotless.npz")["runs"]
    assert [run["settings"]["data"]["shape"] for run in runs] == [[48, 48], [96, 96]]
    for run in runs:
        assert run["finished"]
        assert run["settings"]["description"].startswith("synthetic, version 4")
        for option in ("--copied", "--paper", "--teacher"):
            assert option not in run["command"]


def test_large_dense_kernels_are_int8_to_half_a_step(home, monkeypatch):
    monkeypatch.setattr(weights, "MANY", 1000)
    settings = {"attentions": 2, "num_classes": 3755, "width": 0.125, "input_size": 16}
    model = mcanet(**settings)
    kernel = model.get_layer("characters").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 1, kernel.shape))
    silent = model.get_layer("features1").kernel
    silent.assign(np.where(np.arange(silent.shape[1]) == 3, 0, ops.convert_to_numpy(silent)))
    file = home.with_name("mcanet_2.npz")
    weights.save_pretrained(model, file, settings=settings, record={})
    with np.load(file) as kept:
        assert kept["characters/kernel"].dtype == kept["features2/kernel"].dtype == np.int8
        assert kept["conv1_1/kernel"].dtype == kept["characters/bias"].dtype == np.float16
    read = mcanet(2, weights="synthetic")
    for name in ("characters", "features1"):
        ours, theirs = (ops.convert_to_numpy(each.get_layer(name).kernel) for each in (model, read))
        step = np.abs(ours).max(axis=0) / 127
        assert (np.abs(ours - theirs) <= step * 0.501).all()
        assert np.abs(ours - theirs).max() > 0
    assert load_model("mcanet_2")[0].name == "mcanet_2"
    with pytest.raises(ValueError, match=r"with width=0\.125"):
        mcanet(2, width=1.0, weights="synthetic")
    with pytest.raises(FileNotFoundError, match="make weights"):
        mcanet(3, weights="synthetic")


def test_absent_damaged_and_missing_files(home):
    with pytest.raises(FileNotFoundError, match="make weights"):
        melnyk_net("C", weights="synthetic")
    weights.save_pretrained(random_net(), home, settings=SMALL, record={})
    content = bytearray(home.read_bytes())
    content[len(content) // 2] ^= 1
    home.write_bytes(content)
    with pytest.raises(ValueError, match=r"melnyk_net_c\.npz: is damaged"):
        melnyk_net("C", weights="synthetic")
    home.unlink()
    with pytest.raises(FileNotFoundError, match=r"melnyk_net_c\.npz: is missing"):
        melnyk_net("C", weights="synthetic")
    home.with_suffix(".json").write_text("[]")
    with pytest.raises(ValueError, match=r"melnyk_net_c\.json: does not describe weights"):
        melnyk_net("C", weights="synthetic")


@pytest.mark.parametrize("variant", "BC")
def test_poolings_that_start_as_a_mean_compute_gap(variant):
    keras.utils.set_random_seed(0)
    model = melnyk_net(variant, num_classes=3, width=0.1, input_size=48, pooling_starts_as="mean")
    pooling = next(layer for layer in model.layers if layer.name.startswith("gw"))
    maps = np.random.default_rng(6).normal(size=(2, *pooling.input.shape[1:])).astype("float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(pooling(maps)), maps.mean((1, 2)), rtol=1e-4, atol=1e-6
    )
    with pytest.raises(ValueError, match="Received: pooling_starts_as='average'"):
        melnyk_net(pooling_starts_as="average")
