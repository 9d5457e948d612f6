"""What of a character's strokes does not depend on the writer.

The pen's path and its joins, the hooks, the running-hand forms, and the components: runs of
consecutive strokes that stand apart from the rest, such as 氵 in 海, which people displace, stretch
and turn as one. The strokes are split in two where the halves do not touch and overlap least, each
half again, and those once more.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .running import resample, running_strokes
from .strokes import stroke_template

# In units of the character's square:
_STEP = 0.055  # spacing of the path's points along a stroke
_TOUCH = 0.045  # strokes with points nearer than this meet

_DEPTH = 3  # how often a character is halved
JOIN_POINTS = 4  # points of the path on the way from one stroke to the next


@dataclass(frozen=True)
class StrokePlan:
    """The path of the pen over one character, and its components, as arrays.

    The path visits n points: those of stroke 0, `JOIN_POINTS` on the way to stroke 1, those of
    stroke 1, and so on. There are S strokes, and K nodes: components of two strokes and more, the
    larger ones first, then every single stroke. Coordinates are x to the right and y down in the
    character's unit square, float32.

    Attributes:
        strokes: S.
        points: (n, 2), the path as it is taught.
        running: (n, 2), from each point to its place in the running-hand form.
        form_of: int (n,), which redrawn component a point belongs to, -1 for none.
        stroke_of: int (n,), the stroke of a point; points of a join belong to the one they leave.
        along: (n,), 0 at the beginning of the stroke, 1 at its end and on the join that follows.
        on_join: bool (n,).
        first, last: int (S,), indices of each stroke's first and last point.
        hook: int (S,), index of the corner at which a final hook begins, -1 where there is none.
        axis: (S, 2), unit vector from a stroke's first point to its last.
        anchor: (S, 2), what stays in place when a stroke is made longer.
        length: (S,), of each stroke along its path.
        bar: (S,), 1 for a straight stroke to the right, level or falling, 0 for any other and for
            those at the foot of the character.
        node_of: (S, K), 1 where the stroke is part of the node.
        centre: (K, 2), of each node's bounding box.
        extent: (K,), diagonal of each node's bounding box.
    """

    strokes: int
    points: np.ndarray
    running: np.ndarray
    form_of: np.ndarray
    stroke_of: np.ndarray
    along: np.ndarray
    on_join: np.ndarray
    first: np.ndarray
    last: np.ndarray
    hook: np.ndarray
    axis: np.ndarray
    anchor: np.ndarray
    length: np.ndarray
    bar: np.ndarray
    node_of: np.ndarray
    centre: np.ndarray
    extent: np.ndarray


def _hook_corner(stroke: np.ndarray, count: int, length: float) -> int:
    """Index, of `count` points at equal steps, at which a hook begins; -1 without one.

    A hook is a last leg, short, sharply turned and not straight down: that would be the short side
    of a box.
    """
    steps = np.diff(stroke, axis=0)
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    turn = np.abs((np.diff(angle) + np.pi) % (2 * np.pi) - np.pi)
    leg = np.hypot(*steps.T)
    for corner in range(len(stroke) - 2, max(0, len(stroke) - 4), -1):
        rest = float(leg[corner:].sum())
        across, down = stroke[-1] - stroke[corner]
        short = rest < min(0.2, 0.35 * length)
        if short and turn[corner - 1] > 1.0 and down < 1.5 * abs(across):
            return min(count - 2, round((1 - rest / length) * (count - 1)))
    return -1


def _touching(strokes: list[np.ndarray]) -> np.ndarray:
    """bool (S, S): strokes that meet or cross, from points at equal steps."""
    points = np.concatenate(strokes)
    stroke_of = np.repeat(np.arange(len(strokes)), [len(stroke) for stroke in strokes])
    near = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1)) < _TOUCH
    touching = np.zeros((len(strokes), len(strokes)), bool)
    touching[tuple(stroke_of[index] for index in np.nonzero(near))] = True
    return touching


def _components(boxes: np.ndarray, touching: np.ndarray) -> list[tuple[int, int]]:
    """Runs [start, end) of two strokes and more; boxes (S, 4): left, top, right, bottom."""

    def hull(start: int, end: int) -> np.ndarray:
        part = boxes[start:end]
        return np.concatenate((part[:, :2].min(axis=0), part[:, 2:].max(axis=0)))

    def cost(start: int, cut: int, end: int) -> tuple[bool, float]:
        a, b = hull(start, cut), hull(cut, end)
        # Negative where a straight line separates the two; a lone stroke is seldom a component.
        overlap = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).min()
        meet = bool(touching[start:cut, cut:end].any())
        return meet, overlap + 0.05 / min(cut - start, end - cut)

    runs, waiting = [], [(0, len(boxes), 0)]
    while waiting:
        start, end, depth = waiting.pop(0)
        if end - start < 2:
            continue
        if depth > 0:
            runs.append((start, end))
        if depth < _DEPTH:
            cut = min(range(start + 1, end), key=lambda cut: cost(start, cut, end))
            waiting += [(start, cut, depth + 1), (cut, end, depth + 1)]
    return runs


@lru_cache(maxsize=4096)
def stroke_plan(character: str) -> StrokePlan:
    """The plan of a level 1 character; ValueError for any other."""
    template = stroke_template(character)
    lengths = np.array([np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in template])
    counts = np.maximum(4, np.rint(lengths / _STEP).astype(int) + 1)
    taught = [resample(stroke, count) for stroke, count in zip(template, counts, strict=True)]
    redrawn, form_of_stroke = running_strokes(template)

    # Stroke after stroke, each followed by its join; the writer places the points of the joins.
    joins = np.full(len(template), JOIN_POINTS)
    joins[-1] = 0
    first = np.cumsum(counts + joins) - counts - joins
    last = first + counts - 1
    stroke_of = np.repeat(np.arange(len(template)), counts + joins)
    on_join = np.arange(len(stroke_of)) > last[stroke_of]
    along = np.minimum((np.arange(len(stroke_of)) - first[stroke_of]) / (counts - 1)[stroke_of], 1)
    points = np.stack([taught[stroke_of[0]][0]] * len(stroke_of))
    running = np.zeros_like(points)
    for stroke, start, count in zip(range(len(template)), first, counts, strict=True):
        points[start : start + count] = taught[stroke]
        points[start + count : start + count + joins[stroke]] = taught[stroke][-1]
        running[start : start + count] = resample(redrawn[stroke], count) - taught[stroke]
    hook = np.array(
        [
            _hook_corner(stroke, count, length)
            for stroke, count, length in zip(template, counts, lengths, strict=True)
        ]
    )

    axis = np.array([stroke[-1] - stroke[0] for stroke in template])
    chord = np.maximum(np.hypot(*axis.T), 1e-6)
    axis /= chord[:, None]
    # Upright and level strokes grow from the middle, slanting ones (丿, ㇏) from where they begin.
    middle = 0.5 * np.clip((np.abs(axis).max(axis=1) - 0.75) / 0.2, 0, 1)[:, None]
    ends = np.array([(stroke[0], stroke[-1]) for stroke in template])

    anchor = (1 - middle) * ends[:, 0] + middle * ends[:, 1]
    bar = np.clip((axis[:, 0] - 0.5) / 0.3, 0, 1) * np.clip((chord / lengths - 0.85) / 0.1, 0, 1)
    bar *= np.clip((0.8 - anchor[:, 1]) / 0.2, 0, 1)

    boxes = np.array([(*stroke.min(axis=0), *stroke.max(axis=0)) for stroke in template])
    nodes = _components(boxes, _touching(taught)) + [(s, s + 1) for s in range(len(template))]
    low = np.array([boxes[a:b, :2].min(axis=0) for a, b in nodes])
    high = np.array([boxes[a:b, 2:].max(axis=0) for a, b in nodes])
    return StrokePlan(
        strokes=len(template),
        points=points.astype(np.float32),
        running=running.astype(np.float32),
        form_of=form_of_stroke[stroke_of],
        stroke_of=stroke_of,
        along=along.astype(np.float32),
        on_join=on_join,
        first=first,
        last=last,
        hook=np.where(hook >= 0, first + hook, -1),
        axis=axis.astype(np.float32),
        anchor=anchor.astype(np.float32),
        length=lengths.astype(np.float32),
        bar=bar.astype(np.float32),
        node_of=np.array(
            [[a <= stroke < b for a, b in nodes] for stroke in range(len(template))], np.float32
        ),
        centre=((low + high) / 2).astype(np.float32),
        extent=np.hypot(*(high - low).T).astype(np.float32),
    )
