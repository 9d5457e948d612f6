"""What each attention of MCANet looks at, and how far two of them look at the same.

Xu, Bai and Liu, ICDAR 2019, draw Grad-CAM at the maps X'a that each attention hands on. An
attention weighs channels and knows no places: X'a are the maps of the last convolution, each times
one number. The places come in where a dense layer reads X'a, with weights of its own for each.

Grad-CAM takes the mean of the gradient over all places, and there the places are lost again.
HiResCAM keeps them, and its maps are exact: after X'a there is nothing but two dense layers and a
ReLU between them, so with U the weights and b the biases of `features{a}`, W those of the class,

    sum of attention a's map = sum_j W_j [f_j > 0] (U_j . X'a) = sum_j W_j (f_j - b_j [f_j > 0]),

and all attentions' maps, with what the biases add, make the logit.
"""

import numpy as np

from hccr_lib.explain.gradcam import grad_cam


def attention_maps(model, images, classes=None, *, method=grad_cam, relu=True, batch_size=64):
    """Maps of a class at the X'a of every attention (Xu, Bai and Liu 2019, figures 1 and 4).

    Args:
        model: What `hccr_lib.models.mcanet` returns, with one attention or more.
        images: As for `hccr_lib.explain.cam`.
        classes: As for `hccr_lib.explain.cam`.
        method: `grad_cam`, as published, or another one of a layer; `hires_cam` is exact here.
        relu: Whether negative values, which speak against the class, become 0, as published.
        batch_size: Images in one pass, at most.

    Returns:
        float32 `(n, k, A, h, w)` for k classes and A attentions; not normalised.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`; or a model without attention.

    Example:

    >>> attention_maps(mcanet(2), images).shape
    (32, 1, 2, 6, 6)
    """
    layers = [layer.name for layer in model.layers if layer.name.removeprefix("attended").isdigit()]
    if not layers:
        raise ValueError(
            f"attention_maps needs a network with attentions, such as mcanet(2). "
            f"Received: {model.name}"
        )
    options = {"relu": relu, "batch_size": batch_size}
    maps = [method(model, images, classes, layer=layer, **options) for layer in layers]
    return np.stack(maps, axis=2)


def of_maximum(maps):
    """Each map's positive values divided by the highest, so that all reach 1; the others are 0.

    Args:
        maps: float `(..., h, w)`.

    Returns:
        float32 of the same shape, 0 to 1; all 0 for a map without positive values.
    """
    positive = np.maximum(maps, 0, dtype=np.float32)
    highest = positive.max(axis=(-2, -1), keepdims=True)
    return np.divide(positive, highest, out=np.zeros_like(positive), where=highest > 0)


def together(maps, how="max"):
    """One map of all attentions (Xu, Bai and Liu 2019, figure 1).

    Args:
        maps: float `(..., A, h, w)`, as `attention_maps` returns them.
        how: "max": the highest of the normalised maps at each place, what any attention looks at.
            "mean": the mean of the maps as they are, in which a strong attention counts for more.

    Returns:
        float32 `(..., h, w)`.

    Raises:
        ValueError: Another `how`.
    """
    if how not in ("max", "mean"):
        raise ValueError(f"how must be 'max' or 'mean'. Received: how={how!r}")
    if how == "max":
        return of_maximum(maps).max(axis=-3)
    return np.asarray(maps, np.float32).mean(axis=-3)


def overlap(first, second, level=0.5):
    """Intersection over union of the regions in which two maps are high.

    Args:
        first, second: float `(..., h, w)`.
        level: A map's region is where it has at least this share of its own maximum, above 0 to 1.

    Returns:
        float64 `(...)`, 0 for regions without a common place to 1 for the same region; NaN where
        neither map has a positive value.

    Raises:
        ValueError: Maps of different shapes, or a level outside of its range.
    """
    _check_alike(first, second)
    if not 0 < level <= 1:
        raise ValueError(f"level must be above 0, at most 1. Received: level={level!r}")
    one, other = of_maximum(first) >= level, of_maximum(second) >= level
    both = (one & other).sum(axis=(-2, -1))
    any_of_them = (one | other).sum(axis=(-2, -1))
    return np.divide(both, any_of_them, out=np.full(both.shape, np.nan), where=any_of_them > 0)


def correlation(first, second):
    """Pearson's correlation of each map with its counterpart, place by place.

    Args:
        first, second: float `(..., h, w)`.

    Returns:
        float64 `(...)`, -1 to 1; NaN where a map is the same everywhere.

    Raises:
        ValueError: Maps of different shapes.
    """
    _check_alike(first, second)
    one, other = (np.asarray(maps, np.float64) for maps in (first, second))
    one, other = (maps - maps.mean(axis=(-2, -1), keepdims=True) for maps in (one, other))
    product = (one * other).sum(axis=(-2, -1))
    norms = np.sqrt((one**2).sum(axis=(-2, -1)) * (other**2).sum(axis=(-2, -1)))
    # Where all values are the same, rounding may leave a norm that is hardly more than zero.
    varied = (np.ptp(first, axis=(-2, -1)) > 0) & (np.ptp(second, axis=(-2, -1)) > 0) & (norms > 0)
    return np.divide(product, norms, out=np.full(product.shape, np.nan), where=varied)


def _check_alike(first, second):
    if np.shape(first) != np.shape(second):
        raise ValueError(
            f"The maps must have the same shape. Received: {np.shape(first)} and {np.shape(second)}"
        )
