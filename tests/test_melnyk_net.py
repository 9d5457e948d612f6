"""Melnyk-Net: the paper's numbers, its layers in order, and what cannot be built."""

import keras
import numpy as np
import pytest

from hccr_lib.models import melnyk_net


@pytest.mark.parametrize(
    ("variant", "parameters"), [("A", 6_507_691), ("B", 6_508_139), ("C", 6_523_819)]
)
def test_parameter_counts_of_the_paper(variant, parameters):
    model = melnyk_net(variant)
    assert model.count_params() == parameters
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 5_184
    assert model.input_shape == (None, 96, 96, 1)
    assert model.output_shape == (None, 3755)


def test_layers_of_table_1():
    shapes = [
        layer.output.shape[1:]
        for layer in melnyk_net("C").layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.AveragePooling2D))
    ]
    assert shapes == [
        *[(96, 96, c) for c in (64, 64)],
        *[(48, 48, c) for c in (64, 96, 64, 96)],
        *[(24, 24, c) for c in (96, 128, 96, 128)],
        *[(12, 12, c) for c in (128, 256, 192, 256)],
        *[(6, 6, c) for c in (256, 448, 256, 448)],
    ]


def test_each_convolution_is_normalised_then_rectified():
    kinds = [type(layer).__name__ for layer in melnyk_net("A", width=0.1).layers]
    convolutions = [k for k, kind in enumerate(kinds) if kind == "Conv2D"]
    assert len(convolutions) == 14
    for k in convolutions:
        assert kinds[k + 1 : k + 3] == ["FusedBatchNormalization", "ReLU"]
    assert kinds[-3:] == ["GlobalAveragePooling2D", "Dropout", "Dense"]


def test_dropout_is_the_papers_unless_told_otherwise():
    for options, rate in (({}, 0.5), ({"dropout": 0.2}, 0.2)):
        model = melnyk_net("C", num_classes=2, width=0.1, input_size=16, **options)
        assert model.get_layer("dropout").rate == rate


def test_initial_weights_and_regularizers():
    model = melnyk_net("C")
    *_, pooling, _, dense = model.layers
    kernel, bias = dense.get_weights()
    assert np.std(kernel) == pytest.approx(0.001, rel=0.01)
    assert np.std(bias) == pytest.approx(0.001, rel=0.1)
    np.testing.assert_array_equal(pooling.get_weights()[0], np.ones((6, 6, 448)))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            (kernel,) = layer.get_weights()
            assert np.std(kernel) == pytest.approx(np.sqrt(2 / kernel[..., 0].size), rel=0.1)
    # 14 convolutions, the dense kernel and its bias are decayed, with 1e-3.
    squares = sum((w**2).sum() for w in dense.get_weights()) + sum(
        (layer.get_weights()[0] ** 2).sum()
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    assert len(model.losses) == 16
    assert float(sum(model.losses)) == pytest.approx(1e-3 * squares, rel=1e-4)


@pytest.mark.parametrize("variant", "ABC")
def test_narrow_and_small(variant):
    model = melnyk_net(variant, num_classes=5, width=0.25, input_size=32)
    convolutions = [k for k in model.layers if isinstance(k, keras.layers.Conv2D)]
    assert [k.filters for k in convolutions[:4]] == [16, 16, 24, 16]
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)
    probabilities = model.predict_on_batch(images)
    assert probabilities.shape == (3, 5)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert min(k.filters for k in melnyk_net(width=0.01, num_classes=2).layers[1:2]) == 8


def test_without_top_it_returns_what_the_head_reads():
    options = {"num_classes": 5, "width": 0.1, "input_size": 32}
    model = melnyk_net("C", **options)
    features = melnyk_net("C", include_top=False, **options)
    assert features.output_shape == (None, 48)
    features.set_weights(model.get_weights()[:-2])
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1), dtype=np.uint8)
    kernel, bias = model.get_weights()[-2:]
    logits = features.predict_on_batch(images) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(model.predict_on_batch(images), expected, rtol=1e-4)


def test_half_precision_stops_before_the_head():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = melnyk_net("C", num_classes=5, width=0.1, input_size=32)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    for name in ("gwap", "dropout", "characters"):
        assert model.get_layer(name).compute_dtype == "float32"
    assert model.output.dtype == "float32"


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
@pytest.mark.parametrize("include_top", [True, False])
def test_weights_from_a_file(tmp_path, ending, include_top):
    options = {"num_classes": 5, "width": 0.1, "input_size": 32}
    model = melnyk_net("B", **options)
    path = tmp_path / f"model.{ending}"
    model.save(path) if ending == "keras" else model.save_weights(path)
    loaded = melnyk_net("B", weights=path, include_top=include_top, **options)
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=False):
        np.testing.assert_array_equal(one, other)
    assert len(loaded.get_weights()) == len(model.get_weights()) - 2 * (not include_top)


@pytest.mark.parametrize("other", [{"num_classes": 6}, {"width": 0.5}, {"variant": "C"}])
@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_weights_of_another_network(tmp_path, other, ending):
    options = {"variant": "A", "num_classes": 5, "width": 0.1, "input_size": 32}
    path = tmp_path / f"model.{ending}"
    model = melnyk_net(**options)
    model.save(path) if ending == "keras" else model.save_weights(path)
    with pytest.raises(ValueError, match="do not fit") as error:
        melnyk_net(**{**options, **other}, weights=path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_damaged_weights(tmp_path, ending):
    options = {"num_classes": 5, "width": 0.1, "input_size": 32}
    path = tmp_path / f"model.{ending}"
    model = melnyk_net("A", **options)
    model.save(path) if ending == "keras" else model.save_weights(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="damaged"):
        melnyk_net("A", weights=path, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variant": "D"}, ValueError, "'A', 'B', 'C'. Received: variant='D'"),
        ({"variant": None}, ValueError, "'A', 'B', 'C'. Received: variant=None"),
        ({"num_classes": 0}, ValueError, "Received: num_classes=0"),
        ({"width": 0}, ValueError, "Received: width=0"),
        ({"width": float("inf")}, ValueError, "Received: width=inf"),
        ({"width": float("nan")}, ValueError, "Received: width=nan"),
        ({"input_size": 100}, ValueError, "multiple of 16.*Received: input_size=100"),
        ({"input_size": 0}, ValueError, "Received: input_size=0"),
        ({"dropout": 1}, ValueError, "Received: dropout=1"),
        ({"dropout": -0.1}, ValueError, "Received: dropout=-0.1"),
        ({"dropout": float("nan")}, ValueError, "Received: dropout=nan"),
        ({"weights": "imagenet"}, ValueError, "Received: weights='imagenet'"),
        ({"weights": "nowhere.keras"}, FileNotFoundError, "Received: weights='nowhere.keras'"),
    ],
)
def test_what_cannot_be_built_is_named(options, error, message):
    with pytest.raises(error, match=message):
        melnyk_net(**{"num_classes": 2, "width": 0.1, **options})
