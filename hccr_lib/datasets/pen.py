"""The pen's path over one character: where a writer's hand goes, and where it leaves ink.

Everything happens in the character's unit square, x to the right and y down. What varies from
attempt to attempt is partly the writer's habit for this character, the same every time, and partly
chance.
"""

import numpy as np

from .components import JOIN_POINTS, StrokePlan
from .copybooks import CopybookPage
from .writer import Writer

# Shares of habit and chance in an attempt; their squares add up to one.
_HABIT, _CHANCE = 0.8, 0.6


def pen_path(
    plan: StrokePlan, writer: Writer, habit: np.random.Generator, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One attempt at a character.

    Args:
        plan: of the character.
        writer: the hand.
        habit: in the same state at every attempt of this writer at this character.
        rng: in another state at every attempt.

    Returns:
        The path, float32 (n, 2), and bool (n - 1,): which of its segments leave ink.
    """

    def normal(*shape: int) -> np.ndarray:
        attempt = _CHANCE * rng.standard_normal(shape, np.float32)
        return _HABIT * habit.standard_normal(shape, np.float32) + attempt

    rise, slant = (writer.rise, writer.slant) + 0.04 * rng.standard_normal(2, np.float32)
    path = _displaced(plan, writer, rise, slant, normal)

    _bend(path, writer, normal)

    # A hook that is not written ends the stroke at its corner.
    chance = rng.random((3, plan.strokes), np.float32)
    for stroke in np.flatnonzero((plan.hook >= 0) & (chance[0] > writer.hooks)):
        path[plan.hook[stroke] : plan.last[stroke] + 1] = path[plan.hook[stroke]]

    drawn, moving = _join(path, plan, writer, chance[1:], rng)
    _round(path, moving, passes=7 * writer.speed * rng.uniform(0.5, 1.5))
    path += writer.tremor * rng.standard_normal(path.shape, np.float32)
    return path, drawn


def copied_path(page: CopybookPage, writer: Writer, rng: np.random.Generator) -> np.ndarray:
    """One attempt at copying a character of a copybook: the path, float32 (n, 2).

    Lines meet in crossings, so whatever moves their points is the same function of place for all.
    """

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    path = page.points.copy()
    _bend(path, writer, normal)
    waves = normal(4, 5)
    path += 0.4 * writer.warp * np.sin(path @ (7 * waves[:, :2].T) + 3 * waves[:, 2]) @ waves[:, 3:]
    # Running hand leans and rises by itself; a part of the writer's own is added.
    lean, climb = (0.6 * writer.slant, 0.3 * (writer.rise - 0.1)) + 0.05 * normal(2)
    path = (path - 0.5) @ np.array(((1, -climb), (-lean, 1)), np.float32) + 0.5
    return path + writer.tremor * normal(*path.shape)


def leaves_stroke(plan: StrokePlan) -> np.ndarray:
    """bool (n,): points after which the path is on a join, the last points of strokes included."""
    leaves = plan.on_join.copy()
    leaves[plan.last] = True
    return leaves


def pen_trace(
    plan: StrokePlan, writer: Writer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Width (pixels) and shade (60 to 255) of the pen's trace along each segment of the path."""
    level, trend = rng.standard_normal((2, plan.strokes), np.float32)
    trend = (0.7 * trend - 0.5)[plan.stroke_of] * (2 * plan.along - 1)  # most strokes end thinner
    pressure = writer.pressure * (0.5 * level[plan.stroke_of] + trend)
    width = writer.pen * np.exp(pressure + 0.1 * rng.standard_normal())
    width[plan.on_join] *= 0.75
    width = np.clip(0.5 * (width[:-1] + width[1:]), 1.2, 3 * writer.pen + 1.2)
    return width, _shade(width, writer)


def copied_trace(
    page: CopybookPage, writer: Writer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """As `pen_trace`: a pen keeps some of the differences in width that a brush has made."""
    brush = 0.5 * (page.half_width[:-1] + page.half_width[1:])
    kept = (brush / np.median(brush)) ** rng.uniform(0, 0.9)
    width = np.clip(
        writer.pen * kept * np.exp(0.1 * rng.standard_normal()), 1.2, 3 * writer.pen + 1.2
    )
    return width, _shade(width, writer)


def _shade(width: np.ndarray, writer: Writer) -> np.ndarray:
    """Where the pen presses less its trace is thinner and paler."""
    return np.clip(235 * (width / writer.pen) ** 0.8, 60, 255).astype(int)


def _bend(path: np.ndarray, writer: Writer, normal) -> None:
    """Shifts the proportions and bends the sheet, in place."""
    # Proportion: how much of the square's height and width its parts get. Monotone below 0.5, so
    # that what lies above or left of something else stays there.
    share = np.clip(writer.proportion * normal(2, 2), -0.45, 0.45)
    turns = np.float32(np.pi) * np.clip(path, 0, 1)
    path += (share[0] * np.sin(turns) + 0.5 * share[1] * np.sin(2 * turns)) / np.float32(np.pi)

    # The sheet bends: a few long waves.
    waves = normal(4, 5)
    path += writer.warp * np.sin(path @ (3 * waves[:, :2].T) + 3 * waves[:, 2]) @ waves[:, 3:]


def _displaced(plan: StrokePlan, writer: Writer, rise: float, slant: float, normal) -> np.ndarray:
    """The taught path with running-hand forms, and components and strokes moved."""
    nodes, strokes = plan.node_of.shape[1], plan.strokes
    single = slice(nodes - strokes, nodes)

    # Each node moves, stretches, turns and shears a little. To first order these linear maps add
    # up over the nodes that a stroke is part of.
    noise = np.clip(normal(nodes, 6), -2.2, 2.2)
    noise[: nodes - strokes] *= writer.components
    noise[single] *= writer.strokes
    move = noise[:, :2] * 0.6 * plan.extent[:, None]
    matrix = np.empty((nodes, 2, 2), np.float32)
    matrix[:, 0, 0] = noise[:, 2]
    matrix[:, 1, 1] = noise[:, 3]
    matrix[:, 0, 1] = 0.3 * noise[:, 5] - 0.5 * noise[:, 4]
    matrix[:, 1, 0] = 0.3 * noise[:, 5] + 0.5 * noise[:, 4]
    # A hand's rise and slant are those of its strokes: each tilts and leans about its own middle,
    # and the layout of the character stays upright.
    matrix[single, 1, 0] -= rise
    matrix[single, 0, 1] -= slant
    # A single stroke also varies in length, along its own axis.
    along_axis = plan.axis[:, :, None] * plan.axis[:, None, :]
    matrix[single] += (3.7 * writer.strokes * normal(strokes))[:, None, None] * along_axis
    move -= np.einsum("kij,kj->ki", matrix, plan.centre)
    # In print a bar reaches far beyond what it crosses, in handwriting only the lowest one does.
    even = np.clip((plan.length / 0.33) ** (-writer.evenness * plan.bar) - 1, -0.5, 0.8)
    even = even[:, None, None] * along_axis
    matrix[single] += even
    move[single] -= np.einsum("kij,kj->ki", even, plan.anchor)

    # Known components go some of the way to their running-hand form; form_of is -1 elsewhere.
    way = np.clip(writer.running + 0.4 * normal(strokes + 1), 0, 1.2)
    way[-1] = 0
    path = plan.points + way[plan.form_of, None] * plan.running

    per_stroke = plan.node_of @ np.concatenate((matrix.reshape(nodes, 4), move), axis=1)
    xx, xy, yx, yy, x, y = per_stroke[plan.stroke_of].T
    at = path.T.copy()
    path[:, 0] += xx * at[0] + xy * at[1] + x
    path[:, 1] += yx * at[0] + yy * at[1] + y
    return path


def _join(
    path: np.ndarray,
    plan: StrokePlan,
    writer: Writer,
    chance: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Places the points of the joins, in place.

    Returns:
        bool (n - 1,): the segments that leave ink; bool (n,): the points that a fast hand moves.
    """
    drawn = ~leaves_stroke(plan)[:-1]
    moving = np.ones(len(path), bool)
    moving[plan.first] = moving[plan.last] = False
    if plan.strokes == 1:
        return drawn, moving
    ends, starts = path[plan.last[:-1]], path[plan.first[1:]]
    way = plan.last[:-1, None] + np.arange(JOIN_POINTS + 1)
    share = np.arange(1, JOIN_POINTS + 1, dtype=np.float32) / (JOIN_POINTS + 1)
    path[way[:, 1:]] = ends[:, None] + share[:, None] * (starts - ends)[:, None]
    # Short ways are joined more often. Some joins are only begun: the pen lifts on the way.
    distance = np.hypot(*(starts - ends).T)
    joined = chance[0, :-1] < writer.join * np.exp(-distance / 0.7)
    lifts = rng.integers(1, JOIN_POINTS + 1, plan.strokes - 1)
    lifts[chance[1, :-1] >= 0.3] = JOIN_POINTS + 1
    drawn[way] = joined[:, None] & (np.arange(JOIN_POINTS + 1) < lifts[:, None])
    moving[plan.last[:-1][joined]] = moving[plan.first[1:][joined]] = True
    moving[way[~joined]] = False
    return drawn, moving


def _round(path: np.ndarray, moving: np.ndarray, passes: float) -> None:
    """Smooths the path in place, through the joins: a fast hand cuts corners."""
    inner = moving[1:-1, None]
    while passes > 0:
        gain = 0.5 * min(1.0, passes)
        path[1:-1] += gain * inner * (0.5 * (path[:-2] + path[2:]) - path[1:-1])
        passes -= 1.0
