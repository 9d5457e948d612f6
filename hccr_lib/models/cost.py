"""What a network costs: multiply-accumulate operations (MACs) and parameters.

Every layer here multiplies each of its weights once for every position of its output, so one
formula holds for all of them: MACs = size of the kernel x output positions. For a convolution,
that is the paper's k * k * C_in * C_out * H_out * W_out (Melnyk et al., eqs. 2-5).
"""

from math import prod
from typing import NamedTuple

from keras import layers

from hccr_lib.models.layers import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)

CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
WEIGHTED_POOLINGS = (GlobalWeightedAveragePooling2D, GlobalWeightedOutputAveragePooling2D)


class LayerCost(NamedTuple):
    """One row of `cost_table`."""

    layer: str
    output_shape: tuple
    parameters: int
    macs: int


def count_macs(model):
    """Multiply-accumulates of one forward pass for one image.

    Counted: convolutions (plain, grouped, depthwise, separable), dense layers and the weighted
    poolings. Not counted: biases, batch normalization (it folds into the convolution before it),
    activations and unweighted pooling. One MAC is two FLOPs.

    Args:
        model: A functional or sequential `keras.Model` with a fixed input size.

    Returns:
        int.

    Raises:
        ValueError: A layer whose size is not known, that is used twice, or that multiplies by a
            matrix in a way which is not counted here: a number too small would be worse than none.

    Example:

    >>> count_macs(melnyk_net("A"))
    1201384256
    """
    return sum(row.macs for row in cost_table(model))


def cost_table(model):
    """The cost of every layer, in the order of the model.

    Args:
        model: As for `count_macs`. Models inside the model are opened.

    Returns:
        A list of `LayerCost(layer, output_shape, parameters, macs)`: the layer's name, its output
        shape without the batch axis, and two ints.

    Raises:
        ValueError: As for `count_macs`.
    """
    return [_cost(layer, uses_in(inner, layer)) for inner, layer in _leaves(model)]


def uses_in(model, layer):
    """The nodes in which a model calls a layer; other models may call it, too."""
    return [node for node in nodes_of(model) if node.operation is layer]


def nodes_of(model):
    """All nodes of a model's graph: calls of its layers."""
    functional = getattr(model, "_functional", model)  # what a sequential model is made of
    return [node for depth in functional._nodes_by_depth.values() for node in depth]


def _leaves(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield model, layer


def _cost(layer, uses):
    if len(uses) != 1:
        raise ValueError(
            f"Cannot tell the cost of a layer that is not used exactly once. "
            f"Received: layer={layer.name!r}, used {len(uses)} times"
        )
    shape = tuple(uses[0].output_tensors[0].shape)[1:]
    return LayerCost(layer.name, shape, layer.count_params(), _macs(layer, shape))


def _macs(layer, shape):
    if isinstance(layer, CONVOLUTIONS):
        return prod(layer.kernel.shape) * _positions(layer, shape)
    if isinstance(layer, SEPARABLE):
        weights = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
        return weights * _positions(layer, shape)
    if isinstance(layer, layers.Dense):
        return prod(layer.kernel.shape) * _known(layer, shape[:-1])
    if isinstance(layer, WEIGHTED_POOLINGS):
        return _known(layer, tuple(layer.input.shape)[1:])
    if any(len(weight.shape) > 1 for weight in layer.weights):
        raise ValueError(
            f"The multiplications of a {type(layer).__name__} are not counted here. "
            f"Received: layer={layer.name!r}"
        )
    return 0


def _positions(layer, shape):
    channels_first = layer.data_format == "channels_first"
    return _known(layer, shape[1:] if channels_first else shape[:-1])


def _known(layer, dimensions):
    if None in dimensions:
        raise ValueError(
            f"Counting needs a model with a fixed input size. "
            f"Received: layer={layer.name!r} with sizes {dimensions}"
        )
    return prod(dimensions)
