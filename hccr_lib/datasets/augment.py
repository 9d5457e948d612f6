"""Small changes of place and shape, so that a few images do for many epochs; and of paper."""

import cv2
import numpy as np

_KNOTS = 5  # of the bend along each side


def augment(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slants, turns, stretches, shifts and bends each image, as `rng` has it.

    Width and height change by up to an eighth each, and together by -14 to +28 %, which
    covers crops with and without a margin. The bend moves every place by a few hundredths of the
    side, neighbours alike (an elastic distortion, as of Simard, Steinkraus and Platt, 2003). Never
    a mirror image: that is another character.

    Args:
        images: uint8 (n, side, side), ink bright on 0.
        rng: decides all of it.

    Returns:
        uint8 (n, side, side).
    """
    n, side = len(images), images.shape[1]
    scale = np.exp(rng.uniform(-0.15, 0.25, (n, 1)) + rng.uniform(-0.12, 0.12, (n, 2)))
    slant = rng.normal(0, 0.12, n)
    turn = rng.normal(0, 0.06, n)
    shift = rng.normal(0, 0.03 * side, (n, 2))
    bend = rng.normal(0, 0.015 * side, (n, _KNOTS, _KNOTS, 2)).astype(np.float32)
    matrices = np.empty((n, 2, 2))
    matrices[:, 0, 0] = scale[:, 0]
    matrices[:, 0, 1] = -scale[:, 0] * (slant + turn)
    matrices[:, 1, 0] = scale[:, 1] * turn
    matrices[:, 1, 1] = scale[:, 1]
    # OpenCV asks where each pixel comes from. The middle of the image moves by `shift`.
    back = np.linalg.inv(matrices).astype(np.float32)
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side].astype(np.float32) - middle
    places = np.stack((x, y), axis=-1)
    changed = np.empty_like(images)
    for i in range(n):
        source = (places - shift[i].astype(np.float32)) @ back[i].T + np.float32(middle)
        source += cv2.resize(bend[i], (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.remap(images[i], source, None, cv2.INTER_LINEAR, dst=changed[i])
    return changed


def on_paper(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gives some images the paper, ink and sensor that a clean scan does not have.

    Half of them get another contrast, a quarter noise in ink and paper, a seventh a slope of
    brightness across the paper, as by uneven light. Everything else stays.

    Args:
        images: uint8 (n, side, side), ink bright on 0.
        rng: decides all of it.

    Returns:
        uint8 (n, side, side).
    """
    n, side = len(images), images.shape[1]
    chance = rng.random((3, n))
    steepness, gain = np.exp(rng.normal(0, 0.3, n)), rng.uniform(0.6, 1.05, n)
    deviation = rng.uniform(1, 12, n)
    light = rng.uniform(-25, 25, (n, 2))
    place = np.linspace(-1, 1, side, dtype=np.float32)
    level = np.arange(256) / 255
    changed = images.copy()
    for i in np.flatnonzero((chance < np.array([[1 / 2], [1 / 4], [1 / 7]])).any(axis=0)):
        image = images[i]
        if chance[0, i] < 1 / 2:
            image = np.rint(255 * np.minimum(gain[i] * level ** steepness[i], 1)).astype(np.uint8)[
                image
            ]
        image = image.astype(np.float32)
        if chance[1, i] < 1 / 4:
            image += np.float32(deviation[i]) * rng.standard_normal((side, side), np.float32)
        if chance[2, i] < 1 / 7:
            slope = light[i, 0] * place[:, None] + light[i, 1] * place
            image += slope - slope.min()
        np.clip(image, 0, 255, out=image)
        changed[i] = image
    return changed
