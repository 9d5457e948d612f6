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

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from hccr_lib.explain.inputs import batches, checked_classes, checked_images, filled
from hccr_lib.explain.parts import WEIGHTED, pooled_head, remembered
from hccr_lib.models.backend import fastest_jit


class _Head(NamedTuple):
    trunk: keras.Model  # images -> feature maps, pooled features; the part worth compiling
    pooling: layers.Layer
    dense: layers.Dense


def cam(model, images, classes=None, *, centred=False, batch_size=64):
    """Where the evidence for a class lies in the image.

    One forward pass, then one matrix product for all classes asked for.

    Args:
        model: A functional or sequential `keras.Model` that ends in GAP, GWOAP or GWAP, optional
            dropout, and a dense layer with or without activation. Not only ours.
        images: `(n, h, w)` for a model that reads one channel, or `(n, h, w, c)`; uint8 or float,
            in the range that the model reads.
        classes: None: the predicted class of each image. `(k,)` ints: the same classes for all
            images. `(n, k)` ints: other classes for each image.
        centred: Leave out what is for all classes the same: w_k minus the mean of all w_j takes
            the place of w_k. One vector added to all w_k changes no probability, but every plain
            map; a centred map it leaves as it is. Centred maps add up to the logit less the mean
            of all logits, and over all classes to zero.
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
    return cam_and_logits(model, images, classes, centred=centred, batch_size=batch_size)[0]


def cam_and_logits(model, images, classes=None, *, centred=False, batch_size=64):
    """`cam`, and the logits that its maps add up to.

    Args:
        model, images, classes, centred, batch_size: As for `cam`.

    Returns:
        The maps as `cam` returns them, and float32 `(n, number of classes)`: the outputs of the
        dense layer before its activation. For GWOAP and GWAP, `maps.sum((2, 3)) + bias` is the
        logit of the map's class; for GAP, `maps.mean((2, 3)) + bias`. Of centred maps, that is so
        with logits and biases less their means over the classes.

    Raises:
        TypeError, ValueError: As for `cam`.
    """
    head = _head(model)
    kernel = ops.convert_to_tensor(head.dense.kernel)
    weights = kernel - ops.mean(kernel, axis=1, keepdims=True) if centred else kernel
    bias = head.dense.bias if head.dense.use_bias else 0.0
    value = head.pooling.kernel if isinstance(head.pooling, WEIGHTED) else 1.0
    images = checked_images(model, images, batch_size)
    classes = checked_classes(classes, len(images), head.dense.units)

    maps, logits = [], []
    for part in batches(len(images), batch_size):
        batch = filled(images[part], part)
        features, pooled = (
            ops.cast(output, kernel.dtype) for output in head.trunk.predict_on_batch(batch)
        )
        logits.append(ops.convert_to_numpy(ops.matmul(pooled, kernel) + bias))
        if classes is None:
            chosen = logits[-1].argmax(axis=1)[:, None]
        else:
            chosen = classes if classes.ndim == 1 else filled(classes[part], part)
        maps.append(ops.convert_to_numpy(_maps(features * value, weights, chosen)))
    maps, logits = (
        parts[0] if len(parts) == 1 else np.concatenate(parts)[: len(images)]
        for parts in (maps, logits)
    )
    return np.moveaxis(maps, -1, 1).astype("float32", copy=False), logits.astype("float32")


def contrastive_cam(model, images, classes, against, *, batch_size=64):
    """What speaks for one class rather than for another: the difference of their maps.

    Its sum (its mean for GAP) and the difference of the biases are the difference of the logits,
    so it shows what decides between look-alikes; what both share cancels.

    Args:
        model, images, batch_size: As for `cam`.
        classes, against: `(k,)` or `(n, k)` ints, alike in shape: for each map the class that it
            speaks for, and the one that it speaks against.

    Returns:
        float32 `(n, k, h', w')`; positive speaks for `classes`.

    Raises:
        TypeError, ValueError: As for `cam`; also where the two do not have one shape.
    """
    classes, against = np.asarray(classes), np.asarray(against)
    if classes.shape != against.shape:
        raise ValueError(
            f"classes and against must have one shape. Received: {classes.shape}, {against.shape}"
        )
    both = cam(model, images, np.concatenate([classes, against], axis=-1), batch_size=batch_size)
    return both[:, : classes.shape[-1]] - both[:, classes.shape[-1] :]


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

    def found():
        features, pooling, pooled, dense = pooled_head(model)
        trunk = keras.Model(model.inputs[0], [features, pooled])
        trunk.compile(optimizer=None, jit_compile=fastest_jit())
        return _Head(trunk, pooling, dense)

    return remembered(model, "cam", found)
