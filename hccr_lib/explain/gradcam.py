"""Grad-CAM and its relatives: feature maps, weighted by what the class would gain from them.

With the maps A(x, y, c) of a layer and the gradient of the class's logit with respect to them,
G(x, y, c), all four are sums over the channels c:

===========  ================================================  ================================
method       map, before the ReLU                              source
===========  ================================================  ================================
Grad-CAM     sum_c A mean_xy(G)                                Selvaraju et al., ICCV 2017
HiResCAM     sum_c A G                                         Draelos and Carin, 2020
LayerCAM     sum_c A relu(G)                                   Jiang et al., TIP 2021
Grad-CAM++   sum_c A sum_xy(a relu(G))                         Chattopadhay et al., WACV 2018
             a = G^2 / (2 G^2 + G^3 sum_xy A), eq. 19
===========  ================================================  ================================

For a network that ends in GAP and one dense layer G is the same everywhere, w_ck / (h w): Grad-CAM
and HiResCAM are then CAM, divided by the number of positions.
"""

import numpy as np

from hccr_lib.explain.gradients import layer_gradient
from hccr_lib.explain.inputs import batches, checked_classes, checked_images, filled, label_columns
from hccr_lib.explain.parts import last_dense


def grad_cam(model, images, classes=None, *, layer=None, relu=True, batch_size=None):
    """Grad-CAM (Selvaraju et al. 2017, eqs. 1 and 2), for any layer that gives feature maps.

    Strength: needs nothing of the head. Limit: the mean of the gradient forgets where in a map it
    was large, so for GWAP, and at inner layers, it can point where the class gains nothing.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        images: As for `hccr_lib.explain.cam`.
        classes: As for `hccr_lib.explain.cam`.
        layer: Name of a layer that gives `(batch, h, w, channels)`. None: the layer whose maps
            the head pools; then the head must be that of a CAM.
        relu: Whether negative values, which speak against the class, become 0, as published.
        batch_size: Images in one pass, at most. By default 64 at the maps that the head pools,
            and 16 at a named layer: with more of them an early layer's maps leave a CPU's cache,
            and one pass of 32 images took a fourth longer than two of 16.

    Returns:
        float32 `(n, k, h', w')`, as large as the maps of the layer; not normalised.

    Raises:
        TypeError: The model is not functional, or classes are not integers.
        ValueError: A layer that is not there or gives no maps, a head of another kind, images
            that do not fit or are not finite, a class that the model does not have.

    Example:

    >>> grad_cam(melnyk_net("C"), images, layer="conv4_3_relu").shape
    (32, 1, 12, 12)
    """

    def combined(maps, gradient):
        return np.einsum("nhwc,nc->nhw", maps, gradient.mean((1, 2)))

    return _weighted(model, images, classes, layer, relu, batch_size, combined)


def hires_cam(model, images, classes=None, *, layer=None, relu=True, batch_size=None):
    """HiResCAM (Draelos and Carin 2020): each value of the maps times its own gradient.

    Strength: for any head of one dense layer after the maps the map adds up to the logit, but for
    the bias; for GAP, GWOAP and GWAP it is CAM (divided by h w for GAP). Limit: at inner layers
    gradients, and with them the map, are noisier than Grad-CAM's.

    Arguments, result and errors as for `grad_cam`.
    """

    def combined(maps, gradient):
        return np.einsum("nhwc,nhwc->nhw", maps, gradient)

    return _weighted(model, images, classes, layer, relu, batch_size, combined)


def layer_cam(model, images, classes=None, *, layer=None, relu=True, batch_size=None):
    """LayerCAM (Jiang et al. 2021, eqs. 5 and 6): as HiResCAM, with positive gradients alone.

    Strength: fine maps at early layers. Limit: what speaks against the class is not there.

    Arguments, result and errors as for `grad_cam`.
    """

    def combined(maps, gradient):
        return np.einsum("nhwc,nhwc->nhw", maps, np.maximum(gradient, 0))

    return _weighted(model, images, classes, layer, relu, batch_size, combined)


def grad_cam_plus_plus(model, images, classes=None, *, layer=None, relu=True, batch_size=None):
    """Grad-CAM++ (Chattopadhay et al. 2018, eqs. 15 and 19).

    Strength: several places that each suffice for the class get equal weight. Limit: its weights
    come from an approximation, derivatives of the logit's exponential, and are all positive.

    Arguments, result and errors as for `grad_cam`.
    """

    def combined(maps, gradient):
        square = gradient**2
        below = 2 * square + square * gradient * maps.sum((1, 2), keepdims=True)
        share = np.divide(square, below, out=np.zeros_like(below), where=below != 0)
        return np.einsum("nhwc,nc->nhw", maps, (share * np.maximum(gradient, 0)).sum((1, 2)))

    return _weighted(model, images, classes, layer, relu, batch_size, combined)


def _weighted(model, images, classes, layer, relu, batch_size, combined):
    """Maps `(n, k, h, w)`, each `combined(maps, gradient)` of one class."""
    trunk, gradient = layer_gradient(model, layer)
    if batch_size is None:
        batch_size = 64 if layer is None else 16
    images = checked_images(model, images, batch_size)
    classes = checked_classes(classes, len(images), last_dense(model)[0].units)
    found = []
    for part in batches(len(images), batch_size):
        batch = filled(images[part], part)
        maps = np.asarray(trunk.predict_on_batch(batch), np.float32)
        each = [
            combined(maps, gradient(maps, labels, batch)[1])
            for labels in label_columns(classes, part)
        ]
        found.append(np.stack(each, axis=1))
    found = np.concatenate(found)[: len(images)]
    return np.maximum(found, 0) if relu else found
