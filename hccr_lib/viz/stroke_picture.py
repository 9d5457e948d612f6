"""A picture of a character whose strokes can be erased and put back with a click."""

import io
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import anywidget
import cv2
import numpy as np
import traitlets
from PIL import Image

from ..datasets.normalize import normalize, normalize_masks, resize_images
from ..datasets.synthesis import Writer, write
from ..explain.faithfulness import stretched
from .figures import DIVERGING

SHOWN = ("map and ink", "ink alone", "map alone")


class Written(NamedTuple):
    """A character with all its strokes, as a network that reads `(side, side)` images sees it.

    Attributes:
        image: uint8 `(side, side)`, ink bright on 0.
        masks: bool `(S, side, side)`, the pixels of each stroke, in writing order.
        outlines: An SVG path around each stroke, in pixels of the image.
    """

    image: np.ndarray
    masks: np.ndarray
    outlines: list[str]


class StrokePicture(anywidget.AnyWidget):
    """A picture whose strokes are buttons: a click, Enter or the space bar erases one."""

    _esm = Path(__file__).with_name("stroke_picture.js")
    _css = Path(__file__).with_name("stroke_picture.css")
    side = traitlets.Int(96).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)  # the address of an image, data included
    description = traitlets.Unicode().tag(sync=True)  # what it shows, for who can't see it
    outlines = traitlets.List(traitlets.Unicode()).tag(sync=True)  # an SVG path for each stroke
    erased = traitlets.List(traitlets.Int()).tag(sync=True)  # indices of strokes, ascending


@lru_cache(maxsize=4)
def written(character: str, writer: Writer, attempt: int, side: int) -> Written:
    """The whole character and its strokes, as the network reads it."""
    whole = write(character, writer, attempt, masks=True)
    masks = normalize_masks(whole.masks)
    outlines = [_outline(mask, side) for mask in masks]
    small = resize_images(np.stack([normalize(whole.bitmap), *masks]), side)
    return Written(small[0], small[1:] > 127, outlines)


def written_without(
    character: str, writer: Writer, attempt: int, side: int, erased: tuple[int, ...]
) -> np.ndarray:
    """uint8 `(side, side)`: the same attempt at the character, without some of its strokes."""
    bitmap = write(character, writer, attempt, without=erased).bitmap
    return resize_images(normalize(bitmap)[None], side)[0]


def _outline(mask: np.ndarray, side: int) -> str:
    """An SVG path around the ink of a stroke, in units of the network's pixels."""
    fine = cv2.resize(mask, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC) > 127
    contours, _ = cv2.findContours(fine.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    scale = side / len(fine)
    rings = [
        " ".join(f"{x:.2f},{y:.2f}" for x, y in scale * (ring[:, 0] + 0.5)) for ring in contours
    ]
    return " ".join(f"M{ring}Z" for ring in rings)


def picture_of(image: np.ndarray, map: np.ndarray, shown: str) -> str:
    """The address of a PNG, its data included: the map in colour, the ink in black on it."""
    side = len(image)
    colour = np.ones((side, side, 3))
    if shown != "ink alone" and map.any():
        large = stretched(map[None, None], side, side)[0, 0]
        colour = DIVERGING(0.5 + 0.5 * large / np.abs(map).max())[..., :3]
    if shown != "map alone":
        colour = colour * (1 - 0.9 * image[..., None] / 255)
    png = io.BytesIO()
    Image.fromarray(np.rint(255 * colour).astype(np.uint8)).save(png, "PNG")
    return f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
