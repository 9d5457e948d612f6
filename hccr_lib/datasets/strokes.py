"""Stroke templates: the centre lines of every level 1 character, in writing order.

They come from `data/strokes.npz` (see `data/make_strokes.py`); the outlines of the Arphic fonts,
from which the medians were taken, are under the Arphic Public License.
"""

from functools import cache
from pathlib import Path

import numpy as np

from ..characters import LEVEL1, label_of

STROKES_FILE = Path(__file__).resolve().parents[2] / "data" / "strokes.npz"

# The frame of the source: 1024 units square, y upwards, with the top at 900.
_EM, _TOP = 1024.0, 900.0


@cache
def _templates() -> list[list[np.ndarray]]:
    with np.load(STROKES_FILE) as file:
        points = file["points"].astype(np.float32)
        points_per_stroke = file["points_per_stroke"]
        strokes_per_character = file["strokes_per_character"]
    points[:, 1] = _TOP - points[:, 1]
    points /= _EM
    points.setflags(write=False)
    strokes = np.split(points, np.cumsum(points_per_stroke)[:-1])
    ends = np.cumsum(strokes_per_character)
    if len(ends) != len(LEVEL1):
        raise ValueError(f"{STROKES_FILE}: {len(ends)} characters instead of {len(LEVEL1)}")
    return [
        strokes[end - count : end] for end, count in zip(ends, strokes_per_character, strict=True)
    ]


def stroke_template(character: str) -> list[np.ndarray]:
    """The strokes of a level 1 character as they are taught, in writing order.

    Returns:
        One polyline a stroke: read-only float32 (n, 2) arrays of (x, y) in units of the
        character's square, x to the right, y downwards, (0, 0) at the top left.

    Raises:
        ValueError: not a character of GB2312 level 1.

    >>> len(stroke_template("大"))
    3
    """
    return list(_templates()[label_of(character)])
