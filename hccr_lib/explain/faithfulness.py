"""Is a map true? What becomes of the answer when the places that it names are taken away.

No measure here needs to know what a character is, and none is right by itself: each asks the
network about images that nobody would write. So a score says little unless those of a random map,
of the ink and of its edges stand beside it (`random_map`, `ink_map`, `edge_map`).
"""

from typing import NamedTuple

import cv2
import keras
import numpy as np
from scipy.stats import rankdata

from hccr_lib.explain.gradients import logits_of
from hccr_lib.explain.imputation import imputed_linearly
from hccr_lib.explain.inputs import checked_classes, checked_images


class Curve(NamedTuple):
    """What becomes of a class's probability as more and more of the image is changed.

    Attributes:
        shares: float64 `(steps + 1,)`, the share of the pixels that were changed, 0 to 1.
        probabilities: float32 `(n, k, steps + 1)`.
        area: float32 `(n, k)`, the mean height of the curve (trapezoids).
    """

    shares: np.ndarray
    probabilities: np.ndarray
    area: np.ndarray


def deletion(model, images, maps, classes=None, *, steps=20, batch_size=256):
    """The deletion curve (Petsiuk, Das and Saenko 2018): the likeliest reasons go first.

    Pixels are replaced by paper, 0, in the order of the map, highest first; of equal ones the
    first in reading order. A true map makes the probability fall early: a small area is good.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        images: As for `hccr_lib.explain.cam`; paper is 0.
        maps: `(n, k, h, w)` of k classes; stretched to the size of the images.
        classes: Whose probability; as for `hccr_lib.explain.cam`, as many as maps.
        steps: Number of equal parts in which the pixels go.
        batch_size: Images in one pass, at most.

    Returns:
        A `Curve`.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`; maps that do not fit or are not
            finite; steps below 1.
    """
    return _curve(
        model,
        images,
        maps,
        classes,
        steps,
        batch_size,
        lambda image, gone: image * ~gone[..., None],
    )


def insertion(model, images, maps, classes=None, *, steps=20, batch_size=256):
    """The insertion curve (Petsiuk, Das and Saenko 2018): from paper to the image.

    Pixels come in the order of the map. A true map makes the probability rise early: a large area
    is good. Arguments, result and errors as for `deletion`.
    """
    return _curve(
        model, images, maps, classes, steps, batch_size, lambda image, come: image * come[..., None]
    )


def road(model, images, maps, classes=None, *, steps=4, noise=0.0, seed=0, batch_size=256):
    """ROAD (Rong et al. 2022): deletion that leaves no trace of what was deleted.

    A removed pixel becomes the weighted mean of its neighbours, 1/6 for those beside and 1/12 for
    those at its corners, removed ones among them (noisy linear imputation, section 4.2): one
    system of linear equations for each image. So the outline of the gap does not give away what
    stood there, as it may in `deletion`.

    Args:
        model, images, maps, classes, batch_size: As for `deletion`.
        steps: Number of equal parts; the last one, which leaves nothing, is paper.
        noise: Standard deviation of what is added to imputed pixels, in the units of the image;
            the published method adds a little, such as 1 % of the range (2.55). A network that has
            learnt from spotless paper alone may not bear that much, even on an image from which
            nothing was removed. So there is none unless asked for.
        seed: Decides the noise.

    Returns:
        A `Curve`; a small area is good.

    Raises:
        TypeError, ValueError: As for `deletion`; or noise below 0.
    """
    if not noise >= 0:
        raise ValueError(f"noise must be at least 0. Received: noise={noise}")
    rng = np.random.default_rng(seed)

    def imputed(image, gone):
        if gone.all():
            return np.zeros_like(image)
        filled = image.astype(np.float32)
        if gone.any():
            filled[gone] = imputed_linearly(filled, gone) + rng.normal(0, noise, (gone.sum(), 1))
        return filled

    return _curve(model, images, maps, classes, steps, batch_size, imputed)


class Drop(NamedTuple):
    """What is left of the answer when only what a map shows is left of the image.

    Attributes:
        drop: float32 `(n, k)`, the share of the class's probability that is lost, 0 to 1. Its
            mean is the *average drop*; small is good.
        rose: bool `(n, k)`, whether the probability rose. Its mean is the *average increase*.
    """

    drop: np.ndarray
    rose: np.ndarray


def average_drop(model, images, maps, classes=None, *, batch_size=256):
    """Average drop and increase (Chattopadhay et al. 2018, section 4.1).

    The image is multiplied by the map, whose negative values count as 0 and whose highest is 1. A
    map that is positive nowhere leaves paper. Arguments and errors as for `deletion`.

    Returns:
        A `Drop`.
    """
    images, maps, labels = _checked(model, images, maps, classes, batch_size)
    shown = np.maximum(maps, 0)
    highest = shown.max((2, 3), keepdims=True)
    shown = np.divide(shown, highest, out=np.zeros_like(shown), where=highest > 0)
    left = (images[:, None] * shown[..., None]).reshape(-1, *images.shape[1:])
    before = _probabilities(model, np.repeat(images, maps.shape[1], axis=0), labels, batch_size)
    after = _probabilities(model, left, labels, batch_size)
    lost = np.maximum(before - after, 0) / np.maximum(before, np.finfo(np.float32).tiny)
    return Drop(lost.reshape(maps.shape[:2]), (after > before).reshape(maps.shape[:2]))


def randomisation(model, explain, images, *, seed=0):
    """The cascading randomisation check (Adebayo et al. 2018, section 3.1).

    Layer after layer, from the output to the input, gets random weights of the same mean and
    deviation as its own (what is never negative, the sizes of such numbers), and is compared with
    what was said before. A method whose maps stay alike explains the image, not the network.

    Args:
        model: Any `keras.Model`; its weights are put back in the end, whatever happens.
        explain: `(model, images) -> maps (n, ...)`; the classes to explain must be fixed in it.
        images: As `explain` takes them.
        seed: Decides the random weights.

    Returns:
        The names of the layers in the order in which they lost their weights, and float64
        `(layers, n)`: Spearman's rank correlation of each image's map with that of the trained
        network. 0 where a map has become flat, so that one which dies seems to pass: look at the
        maps before a ReLU too. NaN where it was flat from the start: nothing can be compared.

    Raises:
        ValueError: A model without weights.

    Example:

    >>> names, alike = randomisation(model, lambda model, x: cam(model, x, [0]), images)
    """
    trained = model.get_weights()
    if not trained:
        raise ValueError(f"model must have weights to be randomised. Received: {model.name}")
    expected = np.asarray(explain(model, images))
    rng = np.random.default_rng(seed)
    names, alike = [], []
    try:
        for layer in reversed(model.layers):
            if not layer.weights:
                continue
            layer.set_weights(
                [_as_spread(value, rng) for value in map(keras.ops.convert_to_numpy, layer.weights)]
            )
            names.append(layer.name)
            alike.append(spearman(expected, explain(model, images)))
    finally:
        model.set_weights(trained)
    alike = np.stack(alike)
    alike[:, np.ptp(expected.reshape(len(expected), -1), axis=1) == 0] = np.nan
    return names, alike


def random_map(images, *, seed=0):
    """A map that knows nothing: noise, float32 `(n, 1, H, W)`, for images `(n, H, W, ...)`."""
    shape = (len(images), 1, *np.shape(images)[1:3])
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def ink_map(images):
    """The image itself, float32 `(n, 1, H, W)`: does a method say more than where ink is?"""
    images = np.asarray(images, np.float32)
    return (images.mean(-1) if images.ndim == 4 else images)[:, None]


def edge_map(images):
    """The magnitude of Sobel's gradient, float32 `(n, 1, H, W)`: where ink begins and ends."""
    ink = ink_map(images)[:, 0]
    slopes = [
        np.hypot(cv2.Sobel(each, cv2.CV_32F, 1, 0), cv2.Sobel(each, cv2.CV_32F, 0, 1))
        for each in ink
    ]
    return np.stack(slopes)[:, None]


def stretched(maps, height, width):
    """Maps `(n, k, h, w)` as large as images, bilinear: float32 `(n, k, height, width)`."""
    maps = np.asarray(maps, np.float32)
    flat = maps.reshape(-1, *maps.shape[2:])
    large = [cv2.resize(each, (width, height), interpolation=cv2.INTER_LINEAR) for each in flat]
    return np.stack(large).reshape(*maps.shape[:2], height, width)


def spearman(one, other):
    """Spearman's rank correlation, image by image.

    Args:
        one, other: Arrays `(n, ...)` of one shape.

    Returns:
        float64 `(n,)`, -1 to 1; 0 where all values of one of the two are equal, NaN where one of
        them holds NaN.
    """
    ranks = [rankdata(np.reshape(each, (len(each), -1)), axis=1) for each in (one, other)]
    ranks = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    scale = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    return np.divide(
        (ranks[0] * ranks[1]).sum(1), scale, out=np.zeros(len(scale)), where=scale != 0
    )


def _curve(model, images, maps, classes, steps, batch_size, changed):
    """A `Curve` of `changed(image, pixels)`; pixels is bool `(H, W)`, more and more of them."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1. Received: steps={steps}")
    images, maps, labels = _checked(model, images, maps, classes, batch_size)
    n, k, height, width = maps.shape
    order = np.argsort(-maps.reshape(n * k, -1), axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(height * width)[None], axis=1)
    places = places.reshape(n * k, height, width)
    shares = np.arange(steps + 1) / steps
    found = np.empty((n * k, steps + 1), np.float32)
    for number, share in enumerate(shares):
        chosen = places < round(share * height * width)
        some = [changed(images[row // k], which) for row, which in enumerate(chosen)]
        found[:, number] = _probabilities(model, np.stack(some), labels, batch_size)
    found = found.reshape(n, k, steps + 1)
    area = (found[..., 1:] + found[..., :-1]).mean(-1) / 2
    return Curve(shares, found, area)


def _checked(model, images, maps, classes, batch_size):
    """Images with channels, maps of their size, and the label of each map `(n * k,)`."""
    images = checked_images(model, images, batch_size)
    classes = checked_classes(classes, len(images), model.output_shape[-1])
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 4 or len(maps) != len(images) or 0 in maps.shape:
        raise ValueError(f"maps must be ({len(images)}, k, h, w). Received: shape {maps.shape}")
    if not np.isfinite(maps).all():
        raise ValueError("maps must be finite numbers. Received: NaN or inf")
    if classes is None:
        classes = logits_of(model, images, batch_size).argmax(1)[:, None]
    classes = np.broadcast_to(classes, (len(images), classes.shape[-1]))
    if classes.shape[1] != maps.shape[1]:
        raise ValueError(
            f"maps must be of the classes, {classes.shape[1]} of each image. "
            f"Received: shape {maps.shape}"
        )
    return images, stretched(maps, *images.shape[1:3]), classes.ravel()


def _probabilities(model, images, labels, batch_size):
    """The probability of one class of each image, float32 `(n,)`."""
    logits = logits_of(model, images, batch_size)
    logits -= logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return np.exp(chosen) / np.exp(logits).sum(axis=1)


def _as_spread(value, rng):
    """Normal values of the same shape, mean and deviation; their sizes, where none is negative."""
    drawn = rng.normal(value.mean(), value.std(), value.shape)
    return np.abs(drawn) if (value >= 0).all() else drawn
