"""Running-hand forms of frequent components.

A stroke template shows a character as it is printed. In a quick hand some components take another
shape: the left dot of 宀 grows into a wall, 口 shrinks to a loop, the last strokes of 氵 and 灬
fuse. Each form here redraws the strokes of one component, stroke by stroke, so that every stroke
keeps its identity; a writer goes part or all of the way from the template to the form.

The forms are written by hand, after samples of running script, in the component's bounding box:
(0, 0) at its top left, (1, 1) at its bottom right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .strokes import stroke_template

ALIKE = 0.1  # mean distance of corresponding points, in units of the component's box
_POINTS = 8


@dataclass(frozen=True)
class Form:
    """A component, named by a character that has it, and the strokes of its running-hand form."""

    character: str
    start: int
    strokes: tuple[tuple[tuple[float, float], ...], ...]


#: The forms that writers know; the first one that fits is taken.
FORMS: tuple[Form, ...] = (
    # 宀: a cover with a wall on the left.
    Form(
        "宁",
        0,
        (
            ((0.48, -0.05), (0.56, 0.22)),
            ((-0.06, 0.38), (-0.08, 0.80), (-0.12, 1.30)),
            ((0.00, 0.45), (0.50, 0.36), (1.02, 0.32), (1.02, 0.60), (0.92, 1.05)),
        ),
    ),
    # 灬: four dots in a row, all alike.
    Form(
        "庶",
        7,
        (
            ((0.02, 0.30), (0.06, 0.70)),
            ((0.27, 0.40), (0.33, 0.70)),
            ((0.55, 0.40), (0.62, 0.70)),
            ((0.88, 0.30), (1.00, 0.80)),
        ),
    ),
    # 巳: open on the left as 己 is.
    Form(
        "导",
        0,
        (
            ((0.10, 0.10), (0.70, 0.00), (0.85, 0.10), (0.75, 0.45)),
            ((0.12, 0.50), (0.45, 0.42), (0.80, 0.42)),
            ((0.10, 0.50), (0.02, 0.75), (0.25, 1.00), (0.70, 0.95), (1.05, 0.85)),
        ),
    ),
    # 后 without its 一 and 口: a short top, a straight leg.
    Form(
        "后",
        0,
        (
            ((0.85, -0.05), (0.60, 0.03), (0.38, 0.10)),
            ((0.36, 0.08), (0.32, 0.45), (0.20, 1.00)),
        ),
    ),
    # 头: two dots as one crooked line, and a long last stroke that begins at the crossing.
    Form(
        "头",
        0,
        (
            ((0.30, 0.12), (0.34, 0.26)),
            ((0.34, 0.26), (0.24, 0.36), (0.34, 0.42)),
            ((0.05, 0.60), (0.45, 0.53), (0.92, 0.48)),
            ((0.56, 0.00), (0.54, 0.40), (0.40, 0.75), (0.04, 1.00)),
            ((0.50, 0.58), (0.74, 0.82), (1.02, 1.00)),
        ),
    ),
    # 木: its legs as two dots beside the stem.
    Form(
        "木",
        0,
        (
            ((0.08, 0.36), (0.50, 0.28), (0.90, 0.24)),
            ((0.46, 0.05), (0.47, 0.50), (0.46, 1.00), (0.36, 0.90)),
            ((0.34, 0.52), (0.26, 0.66), (0.14, 0.80)),
            ((0.60, 0.52), (0.72, 0.64), (0.86, 0.76)),
        ),
    ),
)


def resample(stroke: np.ndarray, count: int) -> np.ndarray:
    """``count`` points at equal steps along a polyline.

    What stands beside x and y in the columns of ``stroke`` is interpolated as they are.
    """
    distance = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(stroke[:, :2], axis=0).T))))
    at = np.linspace(0, distance[-1], count)
    return np.stack([np.interp(at, distance, column) for column in stroke.T], axis=1)


def _box(strokes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Top left corner and size of the bounding box; a thin one counts as a tenth of its length."""
    points = np.concatenate(strokes)
    low = points.min(axis=0)
    size = points.max(axis=0) - low
    return low, np.maximum(size, 0.1 * size.max())


def in_box(strokes: list[np.ndarray]) -> np.ndarray:
    """The strokes in their common bounding box, 0 to 1 each way: float (S, points, 2)."""
    low, size = _box(strokes)
    return (np.stack([resample(stroke, _POINTS) for stroke in strokes]) - low) / size


def running_strokes(
    template: list[np.ndarray], forms: Sequence[Form] = FORMS
) -> tuple[list[np.ndarray], np.ndarray]:
    """The strokes of a character with every known component in its running-hand form.

    Args:
        template: as `stroke_template` gives it.
        forms: those to look for, the first one first.

    Returns:
        The strokes, those outside of known components as they were, and int (S,): which component
        a stroke belongs to, 0, 1, …, or -1.
    """
    strokes, component = list(template), np.full(len(template), -1)
    found = 0
    for form in forms:
        length = len(form.strokes)
        model = in_box(stroke_template(form.character)[form.start : form.start + length])
        for start in range(len(template) - length + 1):
            run = slice(start, start + length)
            if (component[run] >= 0).any():
                continue
            if np.hypot(*np.moveaxis(in_box(template[run]) - model, -1, 0)).mean() > ALIKE:
                continue
            low, size = _box(template[run])
            strokes[run] = [np.array(stroke) * size + low for stroke in form.strokes]
            component[run] = found
            found += 1
    return strokes, component
