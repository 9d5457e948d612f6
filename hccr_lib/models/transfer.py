"""A trained network made into another one that keeps what it has learnt."""

import keras
import numpy as np

from hccr_lib.models.cost import nodes_of, uses_in
from hccr_lib.models.mcanet import FEATURES, head
from hccr_lib.models.melnyk_net import BLOCKS, POOLINGS, check_dropout, scaled
from hccr_lib.models.student import student


def enlarged(model, input_size):
    """The same network for larger images, to go on training it: progressive resizing.

    Every weight is kept. Only the kernel of GWAP has one weight for each position: it is
    interpolated, and divided by the number of positions that one has become, so that the pooled
    features of an evenly filled map stay what they were.

    Args:
        model: A Melnyk-Net, uncompiled or not.
        input_size: Height and width of the new images, a multiple of 16.

    Returns:
        An uncompiled model of the same layers; `model` is left as it is.

    Raises:
        ValueError: A size that is smaller, or no multiple of 16; or MCANet, whose dense layers
            have a weight for each position and no mean to be kept.
    """
    if any(isinstance(layer, keras.layers.Flatten) for layer in model.layers):
        raise ValueError(f"{model.name} reads images of one size only: it flattens its maps")
    old = model.input_shape[1]
    if input_size < old or input_size % 16:
        raise ValueError(
            f"input_size must be a multiple of 16, at least that of the network, {old}. "
            f"Received: input_size={input_size!r}"
        )
    image = keras.Input((input_size, input_size, 1), name="image")
    larger = keras.models.clone_model(model, input_tensors=image)
    for source, target in zip(model.weights, larger.weights, strict=True):
        # By way of numpy: on JAX two variables would share one buffer, and training frees it.
        value = keras.ops.convert_to_numpy(source)
        if source.shape != target.shape:
            share = source.shape[0] * source.shape[1] / (target.shape[0] * target.shape[1])
            value = share * keras.ops.convert_to_numpy(
                keras.ops.image.resize(value, target.shape[:2], data_format="channels_last")
            )
        target.assign(value)
    return larger


def dropping(model, dropout):
    """The same network with another dropout, to go on training it.

    A network that can't yet read what it is shown needs less of it than one that knows its images
    by heart. One that `weights=` builds has its function's default, whatever it was trained with.

    Args:
        model: A network with one `Dropout` or more.
        dropout: Share of the features, 0 to below 1.

    Returns:
        An uncompiled model of the same layers; `model` is left as it is.

    Raises:
        ValueError: A share that is none, or a network that has nothing to be changed.
    """
    check_dropout(dropout)
    if not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers):
        raise ValueError(f"{model.name} has no layer that drops features")

    def rebuilt(layer):  # a layer that dropped nothing has no generator of random numbers
        config = layer.get_config()
        if isinstance(layer, keras.layers.Dropout):
            config["rate"] = dropout
        return layer.__class__.from_config(config)

    other = keras.models.clone_model(model, clone_function=rebuilt)
    other.set_weights(model.get_weights())
    return other


def averaged(models):
    """One network whose weights are the means of those of several.

    Networks that went on from the same weights, over other images or by another recipe, mostly lie
    in one valley: on the way between them the loss is no higher, and in the middle the network
    often reads what neither has learnt from better than both (Wortsman et al. 2022a, "Model
    soups", arXiv:2203.05482, and 2022b, arXiv:2109.01903). It costs what one of them costs.
    Networks that began apart have nothing in common that could be averaged.

    Means and variances of normalisations are averaged like weights. That is only near what the
    mean network would measure; training that goes on from it corrects them. Dropout and precision
    are those of the first.

    Args:
        models: Two networks or more, of the same layers and shapes.

    Returns:
        An uncompiled model; `models` are left as they are.

    Raises:
        ValueError: Fewer than two, or weights that don't fit together.
    """
    if len(models) < 2:
        raise ValueError(f"a mean takes two networks or more. Received: {len(models)}")
    shapes = [[tuple(weight.shape) for weight in model.weights] for model in models]
    if any(other != shapes[0] for other in shapes[1:]):
        received = ", ".join(
            f"{m.name} {m.input_shape[1:]}, {m.count_params():,} weights" for m in models
        )
        raise ValueError(f"a mean is of weights of the same shapes. Received: {received}")
    mean = keras.models.clone_model(models[0])
    mean.set_weights(
        [np.mean(each, axis=0) for each in zip(*(m.get_weights() for m in models), strict=True)]
    )
    return mean


def repooled(model, variant):
    """The same convolutions under another pooling, to go on training it.

    What a pooling can't express is averaged: a weight for each position becomes one for the map
    (B), and one for the map becomes part of the dense kernel that reads it (A). So from A to B to
    C and from B to A the output stays as it is; from C it stays so for evenly filled maps alone.

    Args:
        model: A Melnyk-Net with its top, uncompiled or not.
        variant: "A", "B" or "C", as in `melnyk_net`.

    Returns:
        An uncompiled model; `model` is left as it is.

    Raises:
        ValueError: Another variant, or a model without one of the three poolings.
    """
    if variant not in POOLINGS:
        choices = ", ".join(repr(name) for name in POOLINGS)
        raise ValueError(f"variant must be one of {choices}. Received: variant={variant!r}")
    old = _pooling(model)
    # What each value of the maps counts for; GAP, which has no weights, takes their mean.
    rows, columns, channels = old.input.shape[1:]
    share = keras.ops.convert_to_numpy(old.kernel) if old.weights else 1 / (rows * columns)
    share = np.broadcast_to(share, (rows, columns, channels))
    name, pooling = POOLINGS[variant]

    def rebuilt(layer):
        if layer is old:
            return pooling(name=name, dtype=layer.dtype_policy.name)
        return layer.__class__.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=rebuilt)
    other = keras.Model(copy.input, copy.output, name=f"melnyk_net_{variant.lower()}")
    for source, target in zip(model.layers, other.layers, strict=True):
        if source is not old:
            # By way of numpy, as in `enlarged`.
            target.set_weights(source.get_weights())
    if variant == "A":
        dense = other.get_layer("characters").kernel
        dense.assign(keras.ops.convert_to_numpy(dense) * share.sum((0, 1))[:, None])
    else:
        kernel = other.get_layer(name).kernel
        kernel.assign(share if kernel.shape == share.shape else share.mean((0, 1)))
    return other


def attending(model, attentions, dropout=0.5):
    """The same convolutions under the head of MCANet, which is new and has learnt nothing.

    Args:
        model: A Melnyk-Net with its top, uncompiled or not.
        attentions, dropout: As for `hccr_lib.models.mcanet`.

    Returns:
        An uncompiled model as `mcanet` builds it; `model` is left as it is.

    Raises:
        ValueError: A model without one of the three poolings.
    """
    maps = _pooling(model).input
    convolutions = keras.models.clone_model(keras.Model(model.inputs[0], maps))
    # By way of numpy, as in `enlarged`.
    convolutions.set_weights(keras.Model(model.inputs[0], maps).get_weights())
    units = scaled(FEATURES, maps.shape[-1] / BLOCKS[-1][-1])
    output = head(convolutions.output, attentions, model.output_shape[-1], units, dropout)
    return keras.Model(convolutions.inputs[0], output, name=f"mcanet_{attentions}")


def slimmed(model, dropout=0.2):
    """A student with all that it has in common with a Model C: blocks 3 and 4, and the head.

    The stem and the last block are new and have learnt nothing. That a student keeps its teacher's
    classifier: Chen et al., "Knowledge distillation with the reused teacher classifier", CVPR 2022.

    Args:
        model: A Melnyk-Net of variant C with its top, uncompiled or not.
        dropout: As for `hccr_lib.models.student`.

    Returns:
        An uncompiled model as `student` builds it; `model` is left as it is.

    Raises:
        ValueError: Another network.
    """
    if _pooling(model).name != "gwap":
        raise ValueError(f"a student is made from a Model C. Received: {model.name}")
    _, classes = model.output_shape
    settings = {"num_classes": classes, "input_size": model.input_shape[1], "dropout": dropout}
    small = student(width=_width(model), **settings)
    for source in model.layers:
        if source.name.startswith(("conv3", "conv4", "gwap", "characters")):
            small.get_layer(source.name).set_weights(source.get_weights())
    return small


def _width(model):
    """A width that gives the channels of a Melnyk-Net: each was rounded to a multiple of 8."""
    low, high = 0.0, float("inf")
    for number, block in enumerate(BLOCKS, start=1):
        for position, channels in enumerate(block, start=1):
            found = model.get_layer(f"conv{number}_{position}").filters
            low = max(low, (found - 4) / channels if found > 8 else 0.0)
            high = min(high, (found + 4) / channels)
    return (low + high) / 2


def folded(model):
    """The same function with each batch normalization folded into the convolution before it.

    In use, a normalization multiplies and shifts each channel by constants, and so does a
    convolution with biases: W' = W g / sqrt(v + e), b' = (b - m) g / sqrt(v + e) + beta, with the
    mean m, variance v, scale g and shift beta of the channel. It reads faster, on a CPU and in
    half precision most of all, and must not be trained.

    Args:
        model: A functional model.

    Returns:
        An uncompiled model, frozen, with layers of the same names; `Identity` where a
        normalization was folded. Normalizations that follow no convolution are kept. `model` is
        left as it is.
    """
    after = {}
    for layer in model.layers:
        uses = uses_in(model, layer)
        if isinstance(layer, keras.layers.BatchNormalization) and len(uses) == 1:
            before = uses[0].input_tensors[0]._keras_history[0]
            if (
                type(before) is keras.layers.Conv2D
                and before.activation is keras.activations.linear
                and len(uses_in(model, before)) == 1
                and sum(node in before._outbound_nodes for node in nodes_of(model)) == 1
            ):
                after[before.name] = layer

    def rebuilt(layer):
        if layer.name in after:
            return layer.__class__.from_config(layer.get_config() | {"use_bias": True})
        if layer in after.values():
            return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
        return layer.__class__.from_config(layer.get_config())

    def called(layer, *args, **kwargs):
        # A normalization is called with more than the identity in its place knows.
        return layer(*args) if isinstance(layer, keras.layers.Identity) else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=rebuilt, call_function=called)
    for source, target in zip(model.layers, copy.layers, strict=True):
        if source.name in after:
            kernel, *bias = source.get_weights()
            target.set_weights(_folded(kernel, bias, after[source.name]))
        elif target.weights:
            # By way of numpy, as in `enlarged`.
            target.set_weights(source.get_weights())
    copy.trainable = False
    return copy


def _folded(kernel, bias, normalization):
    """The weights of a convolution that does what it and the normalization do together."""
    shift, scale = 0.0, 1.0
    if normalization.center:
        shift = keras.ops.convert_to_numpy(normalization.beta)
    if normalization.scale:
        scale = keras.ops.convert_to_numpy(normalization.gamma)
    mean, variance = (
        keras.ops.convert_to_numpy(each)
        for each in (normalization.moving_mean, normalization.moving_variance)
    )
    scale = scale / np.sqrt(variance + normalization.epsilon)
    return [kernel * scale, shift + (sum(bias) - mean) * scale]


def _pooling(model):
    found = [layer for layer in model.layers if layer.name in dict(POOLINGS.values())]
    if len(found) != 1:
        raise ValueError(f"{model.name} has no pooling of a Melnyk-Net")
    return found[0]
