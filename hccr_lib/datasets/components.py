"""What of a character's strokes does not depend on the writer: the pen's path, its joins, its hooks, and its components.

A component is a run of consecutive strokes that stand apart from the rest, such as 氵 in 海: people displace, stretch and turn it
as one. The strokes are split in two where the halves overlap least, each half again, and those once more.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .strokes import stroke_template

_STEP = 0.055  # spacing of the path's points along a stroke, in units of the character's square
_DEPTH = 3  # how often a character is halved
JOIN_POINTS = 4  # points of the path on the way from one stroke to the next


@dataclass(frozen=True)
class StrokePlan:
    """The path of the pen over one character, and the tree of its components, as arrays.

    The path visits n points: those of stroke 0, ``JOIN_POINTS`` on the way to stroke 1, those of stroke 1, and so on. There are
    S strokes, and K nodes in the tree (components of two strokes and more, the larger ones first, then every single stroke).
    """

    strokes: int  # S
    points: np.ndarray  # float32 (n, 2): x right, y down, in the unit square
    stroke_of: np.ndarray  # int (n,): the stroke of a point; points of a join belong to the stroke that they leave
    along: np.ndarray  # float32 (n,): 0 at the beginning of the stroke, 1 at its end
    on_join: np.ndarray  # bool (n,)
    first: np.ndarray  # int (S,): index of each stroke's first point
    last: np.ndarray  # int (S,): index of each stroke's last point
    hook: np.ndarray  # int (S,): index of the corner at which a final hook begins, -1 where there is none
    axis: np.ndarray  # float32 (S, 2): unit vector from a stroke's first point to its last
    length: np.ndarray  # float32 (S,): length of each stroke along its path
    node_of: np.ndarray  # float32 (S, K): 1 where the stroke is part of the node
    centre: np.ndarray  # float32 (K, 2): centre of each node's bounding box
    extent: np.ndarray  # float32 (K,): diagonal of each node's bounding box


def _resample(stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Points at equal steps along a polyline, their fractions of its length, and that length."""
    steps = np.hypot(*np.diff(stroke, axis=0).T)
    distance = np.concatenate(([0.0], np.cumsum(steps)))
    length = float(distance[-1])
    count = max(4, round(length / _STEP) + 1)
    fractions = np.linspace(0, 1, count)
    return (
        np.stack([np.interp(fractions * length, distance, stroke[:, i]) for i in (0, 1)], axis=1),
        fractions,
        length,
    )


def _hook_corner(stroke: np.ndarray, fractions: np.ndarray, length: float) -> int:
    """Index of the resampled point at which a hook begins: a last leg, short, sharply turned
    and not straight down (that would be the short side of a box); -1 without one."""
    steps = np.diff(stroke, axis=0)
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)
    leg = np.hypot(*steps.T)
    for corner in range(len(stroke) - 2, max(0, len(stroke) - 4), -1):
        rest = float(leg[corner:].sum())
        across, down = stroke[-1] - stroke[corner]
        short = rest < min(0.13, 0.3 * length)
        if short and turn[corner - 1] > 1.0 and down < 1.5 * abs(across):
            return int(np.argmin(np.abs(fractions * length - (length - rest))))
    return -1


def _components(boxes: np.ndarray) -> list[tuple[int, int]]:
    """Runs [start, end) of two strokes and more; ``boxes`` is (S, 4): left, top, right, bottom."""

    def hull(start: int, end: int) -> np.ndarray:
        part = boxes[start:end]
        return np.concatenate((part[:, :2].min(axis=0), part[:, 2:].max(axis=0)))

    def overlap(start: int, middle: int, end: int) -> float:
        a, b = hull(start, middle), hull(middle, end)
        shared = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
        return float(shared.min())  # negative where a straight line separates the two

    runs, waiting = [], [(0, len(boxes), 0)]
    while waiting:
        start, end, depth = waiting.pop()
        if end - start < 2:
            continue
        if depth > 0:
            runs.append((start, end))
        if depth < _DEPTH:
            middle = min(range(start + 1, end), key=lambda cut: overlap(start, cut, end))
            waiting += [(start, middle, depth + 1), (middle, end, depth + 1)]
    return runs


@lru_cache(maxsize=4096)
def stroke_plan(character: str) -> StrokePlan:
    """The plan of a level 1 character; ValueError for any other."""
    template = stroke_template(character)
    points, stroke_of, along, on_join, first, last, hook, lengths = [], [], [], [], [], [], [], []
    count = 0
    for index, stroke in enumerate(template):
        resampled, fractions, length = _resample(stroke)
        first.append(count)
        last.append(count + len(resampled) - 1)
        corner = _hook_corner(stroke, fractions, length)
        hook.append(count + corner if corner > 0 else -1)
        lengths.append(length)
        joins = JOIN_POINTS if index + 1 < len(template) else 0
        points.append(np.concatenate((resampled, np.repeat(resampled[-1:], joins, axis=0))))
        along.append(np.concatenate((fractions, np.ones(joins))))
        on_join.append(np.arange(len(resampled) + joins) >= len(resampled))
        stroke_of.append(np.full(len(resampled) + joins, index))
        count += len(resampled) + joins

    boxes = np.array([(*stroke.min(axis=0), *stroke.max(axis=0)) for stroke in template])
    nodes = _components(boxes) + [(s, s + 1) for s in range(len(template))]
    hulls = np.array(
        [(*boxes[a:b, :2].min(axis=0), *boxes[a:b, 2:].max(axis=0)) for a, b in nodes]
    )
    axis = np.array([stroke[-1] - stroke[0] for stroke in template])
    return StrokePlan(
        strokes=len(template),
        points=np.concatenate(points).astype(np.float32),
        stroke_of=np.concatenate(stroke_of),
        along=np.concatenate(along).astype(np.float32),
        on_join=np.concatenate(on_join),
        first=np.array(first),
        last=np.array(last),
        hook=np.array(hook),
        axis=(axis / np.maximum(np.hypot(*axis.T), 1e-6)[:, None]).astype(np.float32),
        length=np.array(lengths, np.float32),
        node_of=np.array([[a <= s < b for a, b in nodes] for s in range(len(template))], np.float32),
        centre=((hulls[:, :2] + hulls[:, 2:]) / 2).astype(np.float32),
        extent=np.hypot(*(hulls[:, 2:] - hulls[:, :2]).T).astype(np.float32),
    )
