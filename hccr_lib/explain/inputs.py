"""What every method of explanation is given: images and classes, checked, in equal batches."""

from math import ceil

import numpy as np


def batches(n, batch_size):
    """Slices of `range(n)` of equal length, at most `batch_size`; the last may reach beyond n.

    One length is one shape, so nothing is traced twice.
    """
    step = ceil(n / ceil(n / batch_size))
    return [slice(start, start + step) for start in range(0, n, step)]


def checked_images(model, images, batch_size):
    """Images as an array with a channel axis; TypeError or ValueError if they can't be read."""
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


def checked_classes(classes, n, number):
    """None, or classes as an array `(k,)` or `(n, k)`; TypeError or ValueError if they are none."""
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


def filled(rows, part):
    """The rows of one slice of `batches`, the last one repeated where they end before it."""
    missing = part.stop - part.start - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def label_columns(classes, part):
    """For each class asked for, the label of every image of a slice; -1 stands for the predicted.

    Args:
        classes: As `checked_classes` returns them.
        part: One of `batches`.

    Returns:
        int `(k, length of the slice)`.
    """
    size = part.stop - part.start
    if classes is None:
        return np.full((1, size), -1)
    if classes.ndim == 1:
        return np.repeat(classes[:, None], size, axis=1)
    return filled(classes[part], part).T
