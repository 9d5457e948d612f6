"""Class activation maps (CAM), in closed form.

A network that pools its last feature maps and then applies one dense layer has linear logits,

    logit_k = sum_c w_ck pooled_c + b_k,

so the two sums can change places and each position gets its share of the logit. With the feature
maps f(x, y, c) and the dense weights w_ck, the map of class k is

==========  ==============================================  ===============================
pooling     M_k(x, y)                                       completeness
==========  ==============================================  ===============================
GAP (A)     sum_c w_ck f(x, y, c)                           mean of M_k + b_k = logit_k
GWOAP (B)   sum_c w_ck v_c f(x, y, c)                       sum of M_k + b_k = logit_k
GWAP (C)    sum_c w_ck v(x, y, c) f(x, y, c)                sum of M_k + b_k = logit_k
==========  ==============================================  ===============================

where v is the kernel of the weighted pooling. GAP: Zhou et al., "Learning deep features for
discriminative localization", CVPR 2016, eq. 2; all three: Melnyk et al., Soft Computing 2020,
eqs. 1, 8 and 9.
"""

from math import ceil
from typing import NamedTuple
from weakref import WeakKeyDictionary

import keras
import numpy as np
from keras import layers, ops

from hccr_lib.models.backend import fastest_jit
from hccr_lib.models.layers import (
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)

WEIGHTED = (GlobalWeightedAveragePooling2D, GlobalWeightedOutputAveragePooling2D)
TRANSPARENT = (layers.Dropout, layers.Activation, layers.Softmax, layers.Identity)


class _Head(NamedTuple):
    trunk: keras.Model  # images -> feature maps, pooled features; the part worth compiling
    pooling: layers.Layer
    dense: layers.Dense
    made_from: list  # the outputs and variables of the model when the trunk was built


_heads: WeakKeyDictionary = WeakKeyDictionary()


def cam(model, images, classes=None, *, batch_size=64):
    """Where the evidence for a class lies in the image.

    One forward pass, then one matrix product for all classes asked for.

    Args:
        model: A functional or sequential `keras.Model` that ends in GAP, GWOAP or GWAP, optional
            dropout, and a dense layer with or without activation. Not only ours.
        images: `(n, h, w)` for a model that reads one channel, or `(n, h, w, c)`; uint8 or float,
            in the range that the model reads.
        classes: None: the predicted class of each image. `(k,)` ints: the same classes for all
            images. `(n, k)` ints: other classes for each image.
        batch_size: Images in one forward pass, at most.

    Returns:
        float32 `(n, k, h', w')`, in units of the logit, as large as the feature maps (6 x 6 for
        96 x 96 images). Positive where the class gains, negative where it loses. Neither clipped
        nor normalised, so that maps can be added, subtracted and compared.

    Raises:
        TypeError: The model is not functional, or classes are not integers.
        ValueError: A head of another kind, images that do not fit or are not finite, a class that
            the model does not have.

    Example:

    >>> cam(melnyk_net("C"), images, classes=[0, 1, 2]).shape
    (32, 3, 6, 6)
    """
    return cam_and_logits(model, images, classes, batch_size=batch_size)[0]


def cam_and_logits(model, images, classes=None, *, batch_size=64):
    """`cam`, and the logits that its maps add up to.

    Args:
        model, images, classes, batch_size: As for `cam`.

    Returns:
        The maps as `cam` returns them, and float32 `(n, number of classes)`: the outputs of the
        dense layer before its activation. For GWOAP and GWAP, `maps.sum((2, 3)) + bias` is the
        logit of the map's class; for GAP, `maps.mean((2, 3)) + bias`.

    Raises:
        TypeError, ValueError: As for `cam`.
    """
    head = _head(model)
    kernel = ops.convert_to_tensor(head.dense.kernel)
    bias = head.dense.bias if head.dense.use_bias else 0.0
    value = head.pooling.kernel if isinstance(head.pooling, WEIGHTED) else 1.0
    images = _checked_images(model, images, batch_size)
    classes = _checked_classes(classes, len(images), head.dense.units)

    maps, logits = [], []
    # Batches of equal size, the last one filled up: one shape, so nothing is traced twice.
    step = ceil(len(images) / ceil(len(images) / batch_size))
    for start in range(0, len(images), step):
        batch = _filled(images[start : start + step], step)
        features, pooled = (
            ops.cast(output, kernel.dtype) for output in head.trunk.predict_on_batch(batch)
        )
        logits.append(ops.convert_to_numpy(ops.matmul(pooled, kernel) + bias))
        if classes is None:
            chosen = logits[-1].argmax(axis=1)[:, None]
        else:
            chosen = classes if classes.ndim == 1 else _filled(classes[start : start + step], step)
        maps.append(ops.convert_to_numpy(_maps(features * value, kernel, chosen)))
    maps, logits = (
        parts[0] if len(parts) == 1 else np.concatenate(parts)[: len(images)]
        for parts in (maps, logits)
    )
    return np.moveaxis(maps, -1, 1).astype("float32", copy=False), logits.astype("float32")


def _maps(evidence, kernel, classes):
    """(n, h, w, c) feature maps, (c, classes) weights, chosen classes -> (n, h, w, k) maps."""
    n, h, w, c = evidence.shape
    weights = ops.take(kernel, classes.astype("int32"), axis=1)
    if classes.ndim == 1:  # one product for the whole batch: a product per image is far slower
        maps = ops.matmul(ops.reshape(evidence, (n * h * w, c)), weights)
    else:
        maps = ops.matmul(ops.reshape(evidence, (n, h * w, c)), ops.moveaxis(weights, 0, 1))
    return ops.reshape(maps, (n, h, w, classes.shape[-1]))


def _head(model):
    """The parts of the model that a CAM needs; found once for each model, then remembered."""
    if not isinstance(model, keras.Model) or not getattr(model, "outputs", None):
        raise TypeError(f"cam needs a functional or built sequential Model. Received: {model!r}")
    made_from = [*model.outputs, *model.variables]
    head = _heads.get(model)
    # Variables are shared with the model, so new values are seen. New variables need a new trunk.
    if head is None or [*map(id, head.made_from)] != [*map(id, made_from)]:
        features, pooling, pooled, dense = _take_apart(model)
        trunk = keras.Model(model.inputs, [features, pooled])
        trunk.compile(optimizer=None, jit_compile=fastest_jit())
        head = _heads[model] = _Head(trunk, pooling, dense, made_from)
    return head


def _take_apart(model):
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"cam needs a model with one input and one output. "
            f"Received: {len(model.inputs)} inputs, {len(model.outputs)} outputs"
        )
    dense, before, _ = _last_layer(model.outputs[0])
    _expect(model, dense, layers.Dense)
    pooling, features, pooled = _last_layer(before)
    _expect(model, pooling, (layers.GlobalAveragePooling2D, *WEIGHTED))
    if dense.quantization_mode is not None:
        raise ValueError(
            f"cam reads float weights. Received: layer {dense.name!r} quantized to "
            f"{dense.quantization_mode}"
        )
    if isinstance(pooling, layers.GlobalAveragePooling2D) and (
        pooling.keepdims or pooling.data_format != "channels_last"
    ):
        raise ValueError(
            f"cam reads maps with the channels last, pooled to (batch, channels). Received: layer "
            f"{pooling.name!r}, data_format={pooling.data_format!r}, keepdims={pooling.keepdims}"
        )
    return features, pooling, pooled, dense


def _last_layer(tensor):
    """The layer that made a tensor, its input and its output, looking through dropout."""
    while True:
        layer, node_index, _ = tensor._keras_history
        inputs = layer._inbound_nodes[node_index].input_tensors
        if not isinstance(layer, TRANSPARENT):
            return layer, inputs[0] if inputs else None, tensor
        tensor = inputs[0]


def _expect(model, layer, kinds):
    if not isinstance(layer, kinds):
        last = " > ".join(type(each).__name__ for each in model.layers[-4:])
        raise ValueError(
            f"cam needs a model that ends in global average pooling (plain or weighted) and one "
            f"dense layer; layer {layer.name!r} is in the way. Received: ... > {last}"
        )


def _checked_images(model, images, batch_size):
    images = np.asarray(images)
    expected = tuple(model.input_shape)
    if images.ndim == 3 and len(expected) == 4 and expected[-1] == 1:
        images = images[..., None]
    fits = images.ndim == len(expected) and all(
        want in (None, have) for want, have in zip(expected[1:], images.shape[1:], strict=True)
    )
    if not fits or len(images) == 0:
        raise ValueError(
            f"images must have the shape {('n', *expected[1:])}, n at least 1 "
            f"(a single channel may be left out). Received: {images.shape}"
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        first = int(np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))[0])
        raise ValueError(f"images must be finite numbers. Received: NaN or inf in image {first}")
    if images.dtype.kind not in "uif":
        raise TypeError(f"images must be integers or floats. Received: dtype {images.dtype}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
    return images


def _checked_classes(classes, n, number):
    if classes is None:
        return None
    classes = np.asarray(classes)
    if classes.dtype.kind not in "ui":
        raise TypeError(f"classes must be integers. Received: dtype {classes.dtype}")
    if classes.ndim not in (1, 2) or (classes.ndim == 2 and len(classes) != n):
        raise ValueError(f"classes must be (k,) or ({n}, k). Received: shape {classes.shape}")
    if classes.size == 0:
        raise ValueError(f"There is no class to explain. Received: shape {classes.shape}")
    if classes.min() < 0 or classes.max() >= number:
        wrong = classes.min() if classes.min() < 0 else classes.max()
        raise ValueError(f"classes must be in 0..{number - 1}. Received: {wrong}")
    return classes


def _filled(batch, size):
    missing = size - len(batch)
    return np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch
