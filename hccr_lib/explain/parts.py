"""Where in a model the maps, the logits and a layer of a given name are."""

from difflib import get_close_matches
from weakref import WeakKeyDictionary

import keras
from keras import layers

from hccr_lib.models.layers import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)

WEIGHTED = (GlobalWeightedAveragePooling2D, GlobalWeightedOutputAveragePooling2D)
TRANSPARENT = (layers.Dropout, layers.Activation, layers.Softmax, layers.Identity)

_kept: WeakKeyDictionary = WeakKeyDictionary()


def remembered(model, key, make):
    """`make()`, called once for each model and key, and again when the model has other parts.

    What is made shares the model's variables, so new values are seen; new variables are not.

    Raises:
        TypeError: The model is not functional.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        raise TypeError(
            f"an explanation needs a functional or built sequential Model. Received: {model!r}"
        )
    made_from = [*model.outputs, *model.variables]
    kept = _kept.get(model)
    if kept is None or [*map(id, kept[0])] != [*map(id, made_from)]:
        kept = _kept[model] = (made_from, {})
    if key not in kept[1]:
        kept[1][key] = make()
    return kept[1][key]


def pooled_head(model):
    """What a CAM needs of a model that ends in global pooling and one dense layer.

    Returns:
        The feature maps and the pooled features, symbolic tensors of the model's graph, and the
        two layers: `(features, pooling, pooled, dense)`.

    Raises:
        ValueError: A head of another kind.
    """
    dense, before = last_dense(model)
    pooling, features, pooled = _last_layer(before)
    _expect(
        model,
        pooling,
        (layers.GlobalAveragePooling2D, *WEIGHTED),
        "global average pooling (plain or weighted) and one dense layer",
        " grad_cam and its relatives, given layer=..., need no pooling.",
    )
    if isinstance(pooling, layers.GlobalAveragePooling2D) and (
        pooling.keepdims or pooling.data_format != "channels_last"
    ):
        raise ValueError(
            f"maps are read with the channels last, pooled to (batch, channels). Received: layer "
            f"{pooling.name!r}, data_format={pooling.data_format!r}, keepdims={pooling.keepdims}"
        )
    return features, pooling, pooled, dense


def last_dense(model):
    """The dense layer that gives a model's logits, and the symbolic tensor that it reads.

    Raises:
        ValueError: It ends in something else, or has several inputs or outputs.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"an explanation needs a model with one input and one output. "
            f"Received: {len(model.inputs)} inputs, {len(model.outputs)} outputs"
        )
    dense, before, _ = _last_layer(model.outputs[0])
    _expect(model, dense, layers.Dense, "a dense layer")
    if dense.quantization_mode is not None:
        raise ValueError(
            f"float weights are read. Received: layer {dense.name!r} quantized to "
            f"{dense.quantization_mode}"
        )
    return dense, before


def centred(model):
    """The same network, each logit less the mean of all logits of its image.

    A softmax can't see what all logits have in common, so the probabilities stay as they are. But
    maps of a logit show it: a vector added to the weights of every class can make them anything.
    Maps of this network don't, by whatever method; as those of `cam(..., centred=True)`.

    Args:
        model: A functional or sequential `keras.Model` that ends in a dense layer with softmax.

    Returns:
        A `keras.Model` that shares all layers but the last one, which is a copy: train the first
        one on, and it is to be made anew.

    Raises:
        ValueError: Another last layer.
    """
    dense, before = last_dense(model)
    if model.outputs[0]._keras_history[0] is not dense or (
        dense.activation is not keras.activations.softmax
    ):
        raise ValueError(
            f"centred needs a model whose last layer is dense with softmax. Received: {model.name}"
        )
    twin = layers.Dense.from_config(dense.get_config())
    output = twin(before)
    twin.set_weights(
        [weight - weight.mean(axis=-1, keepdims=True) for weight in dense.get_weights()]
    )
    return keras.Model(model.inputs[0], output, name=model.name)


def _last_layer(tensor):
    """The layer that made a tensor, its input and its output, looking through dropout."""
    while True:
        layer, node_index, _ = tensor._keras_history
        inputs = layer._inbound_nodes[node_index].input_tensors
        if not isinstance(layer, TRANSPARENT):
            return layer, inputs[0] if inputs else None, tensor
        tensor = inputs[0]


def _expect(model, layer, kinds, ending, instead=""):
    if not isinstance(layer, kinds):
        last = " > ".join(type(each).__name__ for each in model.layers[-4:])
        raise ValueError(
            f"an explanation needs a model that ends in {ending}; layer {layer.name!r} is in the "
            f"way.{instead} Received: ... > {last}"
        )


def maps_of(model, layer):
    """The feature maps that a layer gives, a symbolic tensor `(batch, h, w, channels)`.

    Args:
        model: A functional model.
        layer: A layer's name; None: the maps that the head pools.

    Raises:
        ValueError: No such layer, or one that gives no maps, or gives some more than once.
    """
    if layer is None:
        return pooled_head(model)[0]
    names = [each.name for each in model.layers]
    if layer not in names:
        near = get_close_matches(layer, names, n=3) or names
        raise ValueError(
            f"{model.name} has no layer of this name; it has {', '.join(near)}"
            f"{'' if near is names else ', ...'}. Layers inside a model that is itself a layer "
            f"can't be named: build one model of all layers. Received: layer={layer!r}"
        )
    given = [tensor for tensor in _tensors(model) if tensor._keras_history[0].name == layer]
    if len(given) != 1 or len(given[0].shape) != 4:
        raise ValueError(
            f"layer must give one stack of feature maps, (batch, h, w, channels). Received: "
            f"layer={layer!r}, which gives {[tuple(tensor.shape) for tensor in given]}"
        )
    return given[0]


def all_comes_from(model, maps):
    """Whether a model's output needs nothing of its inputs but `maps`, a symbolic tensor in it."""
    inputs = {id(tensor) for tensor in model.inputs}
    return not any(id(tensor) in inputs for tensor in _tensors(model, beyond=maps))


def _tensors(model, beyond=None):
    """All symbolic tensors between a model's inputs and outputs, or between one and the outputs.

    Not all that its layers gave: they may be part of other models too, such as ours.
    """
    found, waiting = {}, list(model.outputs)
    while waiting:
        tensor = waiting.pop()
        if id(tensor) not in found:
            found[id(tensor)] = tensor
            if tensor is not beyond:
                layer, node_index, _ = tensor._keras_history
                waiting += layer._inbound_nodes[node_index].input_tensors
    return list(found.values())
