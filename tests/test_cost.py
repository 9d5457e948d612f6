"""MACs against the paper's formula and against what a profiler counts."""

import keras
import numpy as np
import pytest
from keras import layers

from hccr_lib.models import cost_table, count_macs, melnyk_net


def profiled_macs(model):
    """Half of the FLOPs that the backend's own profiler counts for convolutions and products."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        from tensorflow.python.framework.ops import get_stats_for_node_def

        forward = tf.function(lambda image: model(image, training=False))
        signature = tf.TensorSpec((1, *model.input_shape[1:]))
        graph = forward.get_concrete_function(signature).graph
        return sum(
            get_stats_for_node_def(graph, operation.node_def, "flops").value / 2
            for operation in graph.get_operations()
            if operation.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul")
        )
    if keras.backend.backend() == "jax":
        import jax

        def flops(function, *shapes):
            return jax.jit(function).lower(*map(np.zeros, shapes)).cost_analysis()["flops"]

        total = 0
        for layer in model.layers:
            if isinstance(layer, layers.Conv2D):
                # XLA leaves out products with the padding, the paper counts them: pad before.
                n, (_, h, w, c) = 1, layer.input.shape
                padded = (n, h + 2, w + 2, c)
                total += flops(keras.ops.conv, padded, layer.kernel.shape)
            elif isinstance(layer, layers.Dense):
                total += flops(keras.ops.matmul, (1, layer.input.shape[-1]), layer.kernel.shape)
        return total / 2
    pytest.skip("this backend has no profiler that counts operations without running them")


@pytest.mark.parametrize("variant", "AC")
def test_melnyk_net_costs_what_a_profiler_counts(variant):
    model = melnyk_net(variant)
    assert count_macs(model) == pytest.approx(profiled_macs(model), rel=1e-3)
    assert count_macs(model) == pytest.approx(1.20e9, rel=0.005)


def test_every_convolution_costs_what_the_paper_says():
    model = melnyk_net("A")
    macs = {row.layer: row.macs for row in cost_table(model)}
    channels, size = 1, 96
    for number, block in enumerate(
        [(64, 64), (96, 64, 96), (128, 96, 128), (256, 192, 256), (448, 256, 448)], start=1
    ):
        for position, filters in enumerate(block, start=1):
            name = f"conv{number}_{position}"
            assert macs.pop(name) == 3 * 3 * channels * filters * size * size
            channels = filters
        size //= 2
    assert macs.pop("characters") == 448 * 3755
    assert set(macs.values()) == {0}


def test_weighted_poolings_multiply_each_value_once():
    plain, *weighted = (count_macs(melnyk_net(variant)) for variant in "ABC")
    assert [macs - plain for macs in weighted] == [6 * 6 * 448] * 2


def test_the_table_adds_up():
    model = melnyk_net("C", num_classes=10, width=0.25, input_size=32)
    table = cost_table(model)
    assert [row.layer for row in table] == [layer.name for layer in model.layers]
    assert sum(row.parameters for row in table) == model.count_params()
    assert sum(row.macs for row in table) == count_macs(model)
    assert table[-1].output_shape == (10,)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (layers.Conv2D(6, (3, 5), strides=2), 3 * 5 * 4 * 6 * 4 * 3),
        (layers.Conv2D(6, 3, groups=2, padding="same"), 3 * 3 * 2 * 6 * 10 * 10),
        (layers.Conv2D(6, 3, dilation_rate=2), 3 * 3 * 4 * 6 * 6 * 6),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 3 * 3 * 4 * 2 * 8 * 8),
        (layers.SeparableConv2D(6, 3), (3 * 3 * 4 + 4 * 6) * 8 * 8),
        (layers.Dense(7), 4 * 7 * 10 * 10),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(), 0),
    ],
)
def test_other_layers_by_hand(layer, macs):
    assert count_macs(keras.Sequential([keras.Input((10, 10, 4)), layer])) == macs


def test_models_inside_models_are_opened():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3)], name="inner")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Dense(5)(layers.Flatten()(inner(image))))
    assert count_macs(model) == 3 * 3 * 3 * 4 * 36 + 36 * 4 * 5


def shared_layer():
    dense, image = layers.Dense(4, name="shared"), keras.Input((4,))
    return keras.Model(image, dense(dense(image)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: keras.Sequential(
                [keras.Input((None, None, 1)), layers.Conv2D(2, 3, name="free")]
            ),
            "fixed input size.*'free'",
        ),
        (
            lambda: keras.Sequential([keras.Input((8, 2)), layers.LSTM(3, name="memory")]),
            "LSTM.*'memory'",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((8, 8, 2)), layers.Conv2DTranspose(3, 3, name="up")]
            ),
            "Conv2DTranspose.*'up'",
        ),
        (shared_layer, "once.*'shared'"),
    ],
)
def test_what_is_not_counted_is_named(build, message):
    with pytest.raises(ValueError, match=message):
        count_macs(build())
