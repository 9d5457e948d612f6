"""Weights in the format of Keras 2.1.6, as the authors published those of Model C."""

import h5py
import keras
import numpy as np
import pytest

from hccr_lib.characters import LEVEL1
from hccr_lib.evaluation import ModelError, load_model
from hccr_lib.models import melnyk_net

CODES = np.array([int.from_bytes(c.encode("gbk"), "big") for c in LEVEL1], np.uint16)
SMALL = {"width": 0.125, "input_size": 16}
KERAS2 = {
    "Conv2D": ("conv2d", {"kernel": "kernel"}),
    "FusedBatchNormalization": (
        "batch_normalization",
        {n: n for n in ("gamma", "beta", "moving_mean", "moving_variance")},
    ),
    "GlobalWeightedAveragePooling2D": ("global_weighted_average_pooling2d", {"kernel": "W"}),
    "Dense": ("dense", {"kernel": "kernel", "bias": "bias"}),
    "ReLU": ("activation", {}),
    "AveragePooling2D": ("average_pooling2d", {}),
    "Dropout": ("dropout", {}),
    "InputLayer": ("input", {}),
}


def random_net(seed=0, **options):
    """A network all of whose weights are random, batch statistics included."""
    model = melnyk_net("C", **SMALL | options)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = rng.normal(0, 0.1, weight.shape)
        weight.assign(1 + np.abs(value) if "moving" in weight.name else value)
    return model


def save_as_keras2(model, path, classes, *, whole_model=True):
    """An HDF5 file as Keras 2.1.6 lays it out, its classes in another order: `classes[i]` first."""
    counts = {}
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole_model else file
        names = []
        for layer in model.layers:
            kind, renamed = KERAS2[type(layer).__name__]
            counts[kind] = counts.get(kind, 0) + 1
            name = f"{kind}_{counts[kind]}"
            names.append(name.encode())
            inner = group.create_group(name)
            written = []
            for weight in layer.weights:
                value = keras.ops.convert_to_numpy(weight)
                if kind == "dense":
                    value = value[..., classes]
                written.append(f"{name}/{renamed[weight.name]}:0".encode())
                inner.create_dataset(written[-1].decode(), data=value)
            inner.attrs["weight_names"] = written
        group.attrs["layer_names"] = names
        group.attrs["keras_version"] = b"2.1.6"
    np.save(path.with_name("label2tagcode.npy"), CODES[classes][:, None])


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A network, and a file in the published format that holds it."""
    path = tmp_path_factory.mktemp("published") / "Melnyk-Net.hdf5"
    model = random_net()
    save_as_keras2(model, path, np.random.default_rng(1).permutation(3755))
    return model, path


@pytest.mark.parametrize("whole_model", [True, False])
def test_the_published_format_gives_the_same_probabilities(tmp_path, whole_model):
    """Whatever the order of its classes was, and whether a model or only weights were saved."""
    model, path = random_net(2), tmp_path / "weights.hdf5"
    classes = np.random.default_rng(3).permutation(3755)
    save_as_keras2(model, path, classes, whole_model=whole_model)
    loaded = melnyk_net("C", weights=path, **SMALL)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1)).astype(np.float32)
    wanted = model.predict(images, verbose=0)
    assert np.ptp(wanted, axis=1).min() > 0
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), wanted)
    features = melnyk_net("C", weights=path, include_top=False, **SMALL)
    assert features.predict(images, verbose=0).shape == (3, 56)


def test_the_published_file_is_a_network_of_level_1_for_every_command(tmp_path):
    model, path = random_net(width=1.0, input_size=96), tmp_path / "Melnyk-Net.hdf5"
    save_as_keras2(model, path, np.arange(3755)[::-1])
    loaded, characters = load_model(path)
    assert characters == LEVEL1 and loaded.count_params() == 6_523_819
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_the_order_of_its_classes_a_published_file_is_refused(published, tmp_path):
    _, path = published
    alone = tmp_path / "Melnyk-Net.hdf5"
    alone.write_bytes(path.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"label2tagcode\.npy"):
        melnyk_net("C", weights=alone, **SMALL)
    with pytest.raises(ModelError, match=r"label2tagcode\.npy"):
        load_model(alone)


@pytest.mark.parametrize("codes", [CODES[:-1], np.append(CODES[:-1], CODES[0]), CODES + 1])
def test_an_order_that_is_not_one_of_level_1_is_named(published, tmp_path, codes):
    _, path = published
    (tmp_path / "a.hdf5").write_bytes(path.read_bytes())
    np.save(tmp_path / "label2tagcode.npy", codes)
    with pytest.raises(ValueError, match="each character of GB2312 level 1 once"):
        melnyk_net("C", weights=tmp_path / "a.hdf5", **SMALL)


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "A"},
        {"variant": "B"},
        {"num_classes": 3754},
        {"width": 0.25},
        {"input_size": 32},
    ],
    ids=str,
)
def test_weights_of_another_network_are_refused(published, other):
    _, path = published
    options = {"variant": "C"} | SMALL | other
    with pytest.raises(ValueError, match="do not fit"):
        melnyk_net(**options, weights=path)


def test_what_is_no_weights_is_told_what_is():
    with pytest.raises(ValueError, match=r'"synthetic".*\.keras.*weights=\'imagenet\''):
        melnyk_net("C", weights="imagenet", **SMALL)


@pytest.mark.parametrize("damage", ["empty", "half", "text", "no names", "not a number"])
def test_a_damaged_file_is_named(published, tmp_path, damage):
    _, path = published
    broken = tmp_path / "Melnyk-Net.hdf5"
    data = path.read_bytes()
    broken.write_bytes({"empty": b"", "half": data[: len(data) // 2]}.get(damage, data))
    (tmp_path / "label2tagcode.npy").write_bytes((path.parent / "label2tagcode.npy").read_bytes())
    if damage == "text":
        broken.write_text("hello")
    elif damage == "no names":
        with h5py.File(broken, "a") as file:
            del file["model_weights"].attrs["layer_names"]
    elif damage == "not a number":
        with h5py.File(broken, "a") as file:
            file["model_weights/conv2d_3/conv2d_3/kernel:0"][0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="damaged") as caught:
        melnyk_net("C", weights=broken, **SMALL)
    assert str(broken) in str(caught.value)
    with pytest.raises(ModelError, match=r"Melnyk-Net\.hdf5"):
        load_model(broken)
