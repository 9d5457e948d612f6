"""Small changes of place and shape, so that a few real images do for many epochs."""

import cv2
import numpy as np


def augment(images: np.ndarray, *, seed: int = 0, epoch: int = 0) -> np.ndarray:
    """Slants, turns, stretches and shifts each image a little; another `epoch`, other changes.

    Width and height change by up to a fifth either way and together by up to as much again, which
    covers crops with and without a margin. Never a mirror image: that is another character.

    Args:
        images: uint8 (n, side, side), ink bright on 0.

    Returns:
        uint8 (n, side, side).
    """
    n, side = len(images), images.shape[1]
    rng = np.random.default_rng((seed, epoch))
    scale = np.exp(rng.uniform(-0.15, 0.25, (n, 1)) + rng.uniform(-0.12, 0.12, (n, 2)))
    slant = rng.normal(0, 0.12, n)
    turn = rng.normal(0, 0.06, n)
    shift = rng.normal(0, 0.03 * side, (n, 2))
    matrices = np.empty((n, 2, 3), np.float32)
    matrices[:, 0, 0] = scale[:, 0]
    matrices[:, 0, 1] = -scale[:, 0] * (slant + turn)
    matrices[:, 1, 0] = scale[:, 1] * turn
    matrices[:, 1, 1] = scale[:, 1]
    middle = (side - 1) / 2
    # The middle of the image moves by `shift`.
    matrices[:, :, 2] = middle + shift - matrices[:, :, :2].sum(axis=2) * middle
    changed = np.empty_like(images)
    for image, matrix, out in zip(images, matrices, changed, strict=True):
        cv2.warpAffine(image, matrix, (side, side), dst=out, flags=cv2.INTER_LINEAR)
    return changed
