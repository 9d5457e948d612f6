"""Gradients with respect to the image itself, for contrast with the maps of layers."""

import numpy as np

from hccr_lib.explain.gradients import input_gradient
from hccr_lib.explain.inputs import batches, checked_classes, checked_images, filled, label_columns
from hccr_lib.explain.parts import last_dense


def integrated_gradients(model, images, classes=None, *, baseline=0.0, steps=32, batch_size=16):
    """Integrated gradients (Sundararajan, Taly and Yan 2017, eqs. 1 and 3).

    The image is faded in from a baseline; each pixel gets its change times the mean gradient on
    the way. Strength: the map adds up to the logit minus that of the baseline. Limit: where the
    image equals the baseline the map is 0 whatever the network thinks, so that paper, on which
    nothing was written, can never be a reason.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        images, classes: As for `hccr_lib.explain.cam`.
        baseline: What to start from: a number, or float (H, W) or (H, W, channels) for all images.
            0 is an empty sheet.
        steps: Number of points on the way, in the middles of equal parts; the sum is exact in
            the limit.
        batch_size: Images in one pass, at most; see `hccr_lib.explain.grad_cam`.

    Returns:
        float32 `(n, k, H, W)`, as large as the image, in units of the logit; channels are added.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`; or steps below 1, or another
            baseline.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1. Received: steps={steps}")
    baseline = np.asarray(baseline, np.float32)
    if baseline.ndim == 2:
        baseline = baseline[..., None]
    if baseline.ndim not in (0, 3):
        raise ValueError(
            "baseline must be a number, or one image (H, W) or (H, W, channels). Received: shape "
            f"{baseline.shape}"
        )

    def attributed(gradient, batch, labels):
        change = batch - baseline
        slopes = sum(
            gradient(baseline + (step + 0.5) / steps * change, labels)[1] for step in range(steps)
        )
        return change * slopes / steps

    return _of_pixels(model, images, classes, batch_size, attributed)


def smooth_grad(model, images, classes=None, *, samples=16, noise=38.0, seed=0, batch_size=16):
    """SmoothGrad (Smilkov et al. 2017): the mean gradient over noisy copies of the image.

    Strength: says which pixels the logit would follow, ink or not. Limit: a slope, not a share:
    it does not add up to anything, and the noise is a choice.

    Args:
        model, images, classes, batch_size: As for `integrated_gradients`.
        samples: Number of noisy copies.
        noise: Standard deviation of the noise, in the units of the image (38 is 15 % of 255).
        seed: Decides the noise, which is the same for every image.

    Returns:
        float32 `(n, k, H, W)`, logit per unit of the image; channels are added.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`; or samples below 1.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1. Received: samples={samples}")

    def attributed(gradient, batch, labels):
        rng = np.random.default_rng(seed)
        slopes = sum(
            gradient(batch + rng.normal(0, noise, batch.shape[1:]), labels)[1]
            for _ in range(samples)
        )
        return slopes / samples

    return _of_pixels(model, images, classes, batch_size, attributed)


def _of_pixels(model, images, classes, batch_size, attributed):
    """Maps `(n, k, H, W)`, each `attributed(gradient, batch, labels)` of one class."""
    gradient = input_gradient(model)
    images = checked_images(model, images, batch_size)
    classes = checked_classes(classes, len(images), last_dense(model)[0].units)
    found = []
    for part in batches(len(images), batch_size):
        batch = filled(images[part], part).astype(np.float32)
        columns = label_columns(classes, part)
        if classes is None:
            # The class that the whole image is read as, not each of its faded copies.
            columns = gradient(batch, columns[0])[0].argmax(axis=1)[None]
        each = [attributed(gradient, batch, labels).sum(axis=-1) for labels in columns]
        found.append(np.stack(each, axis=1))
    return np.concatenate(found)[: len(images)].astype(np.float32)
