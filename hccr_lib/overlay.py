"""A class activation map over the ink, as the bytes of a PNG: what `hccr recognize --cam` writes.

As `hccr_lib.viz.figures.overlay` draws it, but in milliseconds and without matplotlib.
"""

import cv2
import numpy as np

# PuOr of ColorBrewer (Cynthia Brewer, Apache License 2.0), from purple to orange: both ends survive
# every common colour blindness.
_COLOURS = np.array(
    [
        (45, 0, 75), (84, 39, 136), (128, 115, 172), (178, 171, 210), (216, 218, 235),
        (247, 247, 247),
        (254, 224, 182), (253, 184, 99), (224, 130, 20), (179, 88, 6), (127, 59, 8),
    ],
    np.float32,
)  # fmt: skip
# The darkest colours are left out, so that black ink stays legible on top.
_FIRST, _LAST = 0.14, 0.86


def overlay_png(image: np.ndarray, map: np.ndarray, scale: int = 4) -> bytes:
    """Draw a map over the whole image, with the ink in black on top.

    Zero is white, what speaks for the class orange, what speaks against it purple; the strongest
    colour is the largest magnitude in the map.

    Args:
        image: uint8 (h, w), ink bright on 0.
        map: float of any size (h', w'); it is enlarged bilinearly to cover the image.
        scale: Pixels of the picture for one of the image.

    Returns:
        The bytes of an RGB PNG of (scale h) by (scale w) pixels.

    Raises:
        ValueError: A map that is not finite.
    """
    if not np.isfinite(map).all():
        raise ValueError("overlay_png takes a finite map; this one holds NaN or infinity")
    height, width = image.shape
    size = (scale * width, scale * height)
    limit = float(np.abs(map).max()) or 1.0
    values = cv2.resize(np.asarray(map, np.float32) / limit, size, interpolation=cv2.INTER_LINEAR)
    place = _FIRST + (_LAST - _FIRST) * (values + 1) / 2
    stops = np.linspace(0, 1, len(_COLOURS))
    ground = np.stack([np.interp(place, stops, channel) for channel in _COLOURS.T], axis=-1)
    ink = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)[..., None] / 255 * 0.9
    pixels = np.rint(ground * (1 - ink)).astype(np.uint8)
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
