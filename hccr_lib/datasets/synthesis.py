"""Handwriting from strokes: a *writer* turns a stroke template into a bitmap, and knows which pixel is which stroke.

The pen follows the template's centre lines in writing order. On the way the writer displaces whole components, then single
strokes; drops hooks; joins one stroke to the next; rounds corners as a fast hand does, by smoothing the pen's path *through*
the joins; bends the sheet; slants, stretches and raises what is left. The result is a bitmap of natural size, ink dark on 255,
as a line of a CASIA ``.gnt`` file holds it.
"""

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from ..characters import label_of
from .components import JOIN_POINTS, StrokePlan, stroke_plan

# Part of every cache key: raise it whenever a writer's output changes.
SYNTHESIS_VERSION = 1

# The canvas is drawn at twice the bitmap's resolution, with coordinates in 1/16 pixel, then averaged down.
_SUPERSAMPLE, _SHIFT = 2, 4


# What a style may be at all; every other field may be -10 to 10.
_LIMITS = {"size": (8.0, 400.0), "aspect": (0.1, 4.0), "pen": (0.5, 50.0)}


def _style(low: float, high: float, meaning: str) -> float:
    return field(metadata={"low": low, "high": high, "help": meaning})


@dataclass(frozen=True)
class Writer:
    """A writer's hand: style parameters that hold for every character this writer writes.

    ``random_writer`` draws one from a seed. Each field's ``metadata`` holds a sensible range (``low``, ``high``) and a line of
    ``help``, which the sliders of the course read. Lengths are in units of the character's square unless pixels are named.
    """

    seed: int
    size: float = _style(40.0, 110.0, "height of the ink, pixels")
    aspect: float = _style(0.5, 1.3, "width of the square over its height")
    slant: float = _style(-0.2, 0.4, "lean of the verticals to the right (tangent)")
    rise: float = _style(-0.05, 0.3, "climb of the horizontals to the right (tangent)")
    pen: float = _style(1.2, 6.0, "width of the pen, pixels")
    pressure: float = _style(0.0, 0.6, "how much the width varies along a stroke")
    ink: float = _style(0.4, 1.0, "darkness of the ink")
    texture: float = _style(0.0, 0.5, "how uneven the ink is")
    components: float = _style(0.0, 0.2, "how far components stray in place, size and angle")
    strokes: float = _style(0.0, 0.2, "how far single strokes stray in place, length and angle")
    evenness: float = _style(0.0, 0.6, "how much strokes are alike in length")
    proportion: float = _style(0.0, 0.4, "how unevenly the parts share the square")
    warp: float = _style(0.0, 0.06, "how far the sheet is bent")
    tremor: float = _style(0.0, 0.012, "unsteadiness of the hand")
    join: float = _style(0.0, 1.0, "how often the pen stays down between strokes")
    speed: float = _style(0.0, 1.0, "how much corners are rounded and strokes cut short")
    running: float = _style(0.0, 1.0, "how far components take their running-hand form")
    hooks: float = _style(0.0, 1.0, "how often a hook is written")

    def __post_init__(self) -> None:
        for style in fields(self):
            value = getattr(self, style.name)
            lowest, highest = _LIMITS.get(style.name, (-10.0, 10.0))
            if style.name != "seed" and not lowest <= value <= highest:
                raise ValueError(
                    f"Writer.{style.name} must be {lowest} to {highest} "
                    f"({style.metadata['low']} to {style.metadata['high']} looks like handwriting), "
                    f"received {value!r}"
                )


class Handwriting(NamedTuple):
    """One written character: ``bitmap`` is ``uint8 (h, w)``, ink dark on 255; ``masks`` is ``bool (S, h, w)``, the pixels of each
    of the character's S strokes in writing order (with the join that leaves it; strokes may overlap), or None if not asked for."""

    character: str
    bitmap: np.ndarray
    masks: np.ndarray | None


def random_writer(seed: int, **style: float) -> Writer:
    """The writer of a seed (an integer ≥ 0): the same one every time. ``style`` fixes fields by name.

    One hidden trait, haste, drives what goes together in real hands: joins, rounded corners, dropped hooks, straying strokes.

    Raises:
        TypeError: ``style`` names a field that :class:`Writer` does not have.

    >>> random_writer(7) == random_writer(7), random_writer(7, pen=3.0).pen
    (True, 3.0)
    """
    rng = np.random.default_rng((seed, 0x57_52_49_54))
    haste = rng.beta(1.2, 1.4)
    normal = rng.standard_normal(10)
    uniform = rng.random(6)
    size = float(np.clip(63 * np.exp(0.19 * normal[0]), 40, 110))
    writer = Writer(
        seed=seed,
        size=size,
        aspect=float(np.clip(0.82 * np.exp(0.17 * normal[1]), 0.5, 1.3)),
        slant=float(0.06 + 0.11 * normal[2]),
        rise=float(0.14 + 0.08 * normal[3]),
        pen=float(np.clip(2.1 * np.exp(0.32 * normal[4]), 1.1, 0.08 * size)),
        pressure=float(0.1 + 0.4 * uniform[0]),
        ink=float(1.0 - 0.45 * uniform[1]),
        texture=float(0.4 * uniform[2]),
        components=float((0.07 + 0.07 * haste) * np.exp(0.25 * normal[5])),
        strokes=float((0.05 + 0.07 * haste) * np.exp(0.25 * normal[6])),
        evenness=float(0.25 * uniform[5]),
        proportion=float(0.1 + 0.2 * uniform[3]),
        warp=float(0.01 + 0.03 * uniform[0]),
        tremor=float(0.006 * uniform[4] ** 2),
        join=float(np.clip(haste * np.exp(0.3 * normal[7]), 0, 1)),
        speed=float(np.clip(0.1 + 0.8 * haste * np.exp(0.3 * normal[8]), 0, 1)),
        running=float(np.clip(0.3 + 0.5 * haste + 0.2 * normal[9], 0, 1)),
        hooks=float(np.clip(1.0 - 0.9 * haste + 0.2 * normal[9], 0, 1)),
    )
    return replace(writer, **style) if style else writer


def write(
    character: str,
    writer: Writer,
    sample: int = 0,
    *,
    masks: bool = False,
    without: tuple[int, ...] = (),
) -> Handwriting:
    """Write a character once.

    The same (character, writer, sample) gives the same bitmap. ``without`` leaves out strokes by index, with the joins at both of
    their ends, and changes nothing else: size, place, noise and every other stroke stay as they are.

    Args:
        character: of GB2312 level 1.
        writer: the hand.
        sample: which of the writer's attempts, ≥ 0; attempts differ.
        masks: also return the pixels of each stroke.
        without: indices of strokes (0 = the first one written) that are not drawn.

    Raises:
        ValueError: another character, or a stroke index that the character does not have.

    >>> write("大", random_writer(0), masks=True).masks.shape[0]
    3
    """
    plan = stroke_plan(character)
    if any(not 0 <= stroke < plan.strokes for stroke in without):
        raise ValueError(
            f"{character} has strokes 0 to {plan.strokes - 1}, received without={without}"
        )
    rng = np.random.default_rng((writer.seed, label_of(character), sample))
    path, joined = _pen_path(plan, writer, rng)
    pixels, shape = _to_pixels(path, plan, joined, writer, rng)
    width, shade = _pen_trace(plan, writer, rng)

    drawn = joined.copy()
    if without:
        gone = np.isin(plan.stroke_of, without)
        arrives_gone = np.isin(plan.stroke_of + 1, without) & _leaves_stroke(plan)
        drawn &= ~(gone | arrives_gone)[:-1]
    ink = _draw(pixels, width, shade, drawn, shape)
    each = None
    if masks:
        full = np.full_like(shade, 255)
        each = np.stack(
            [
                _draw(pixels, width, full, drawn & (plan.stroke_of[:-1] == stroke), shape) > 40
                for stroke in range(plan.strokes)
            ]
        )
    return Handwriting(character, _scan(ink, writer, rng), each)


def _leaves_stroke(plan: StrokePlan) -> np.ndarray:
    """bool (n,): points from which the path goes on along a join, the last point of each stroke included."""
    leaves = plan.on_join.copy()
    leaves[plan.last] = True
    return leaves


def _pen_path(
    plan: StrokePlan, writer: Writer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The path with everything that happens in the character's square, and which of its n - 1 segments leave ink."""
    nodes, strokes, n = plan.node_of.shape[1], plan.strokes, len(plan.points)
    noise = np.clip(rng.standard_normal((nodes, 6), np.float32), -2.2, 2.2)
    single = slice(nodes - strokes, nodes)

    # Each node moves, stretches, turns and shears by a little; to first order these add up over the nodes of a stroke.
    noise[: nodes - strokes] *= writer.components
    noise[single] *= writer.strokes
    move = noise[:, :2] * (0.4 * plan.extent + 0.06)[:, None]
    matrix = np.empty((nodes, 2, 2), np.float32)
    matrix[:, 0, 0] = noise[:, 2]
    matrix[:, 1, 1] = noise[:, 3]
    matrix[:, 0, 1] = 0.3 * noise[:, 5] - 0.5 * noise[:, 4]
    matrix[:, 1, 0] = 0.3 * noise[:, 5] + 0.5 * noise[:, 4]
    # A single stroke also varies in length, along its own axis.
    stretch = 1.6 * writer.strokes * rng.standard_normal(strokes, np.float32)
    along_axis = plan.axis[:, :, None] * plan.axis[:, None, :]
    matrix[single] += stretch[:, None, None] * along_axis
    move -= np.einsum("kij,kj->ki", matrix, plan.centre)
    # Handwriting is more even than print: long strokes shorter, dots longer.
    even = np.clip((plan.length / 0.33) ** -writer.evenness - 1, -0.5, 0.8)
    even = even[:, None, None] * along_axis
    matrix[single] += even
    move[single] -= np.einsum("kij,kj->ki", even, plan.anchor)
    per_stroke = plan.node_of @ np.concatenate((matrix.reshape(nodes, 4), move), axis=1)
    by_point = per_stroke[plan.stroke_of]
    # Known components go some of the way to their running-hand form.
    way = np.clip(writer.running + 0.4 * rng.standard_normal(strokes + 1), 0, 1.2)
    way[-1] = 0  # for form_of -1
    path = plan.points + way.astype(np.float32)[plan.form_of, None] * plan.running
    x, y = path.T.copy()
    path[:, 0] += by_point[:, 0] * x + by_point[:, 1] * y + by_point[:, 4]
    path[:, 1] += by_point[:, 2] * x + by_point[:, 3] * y + by_point[:, 5]

    # Strokes bow to one side.
    bow = writer.strokes * plan.length * 0.5 * rng.standard_normal(strokes, np.float32)
    arc = (bow[plan.stroke_of] * 4 * plan.along * (1 - plan.along))[:, None]
    path += arc * (plan.axis[:, ::-1] * (1, -1))[plan.stroke_of].astype(np.float32)

    # Proportion: how much of the square's height and width its parts get. Monotone for |p| < 0.5,
    # so that what lies above or left of something else stays there.
    p = np.clip(writer.proportion * rng.standard_normal((2, 2)), -0.45, 0.45).astype(np.float32)
    turns = np.float32(np.pi) * np.clip(path, 0, 1)
    path += (p[0] * np.sin(turns) + 0.5 * p[1] * np.sin(2 * turns)) / np.float32(np.pi)

    # The sheet bends: a few long waves.
    waves = rng.standard_normal((4, 5)).astype(np.float32)
    phase = path @ (3.0 * waves[:, :2].T) + 3.0 * waves[:, 2]
    path += writer.warp * np.sin(phase) @ waves[:, 3:]

    # A hook that is not written ends the stroke at its corner.
    chance = rng.random((3, strokes), np.float32)
    for stroke in np.flatnonzero((plan.hook >= 0) & (chance[0] > writer.hooks)):
        path[plan.hook[stroke] : plan.last[stroke] + 1] = path[plan.hook[stroke]]

    segment_drawn = ~_leaves_stroke(plan)[:-1]
    moving = np.ones(n, bool)
    moving[plan.first] = moving[plan.last] = False
    if strokes > 1:
        ends, starts = path[plan.last[:-1]], path[plan.first[1:]]
        way = plan.last[:-1, None] + np.arange(JOIN_POINTS + 1)
        share = np.arange(1, JOIN_POINTS + 1, dtype=np.float32) / (JOIN_POINTS + 1)
        path[way[:, 1:]] = ends[:, None] + share[:, None] * (starts - ends)[:, None]
        # Short ways are joined more often. Some joins are only begun: the pen lifts on the way.
        distance = np.hypot(*(starts - ends).T)
        joined = chance[1, :-1] < writer.join * np.exp(-distance / 0.45)
        lifts = np.where(
            chance[2, :-1] < 0.35, rng.integers(1, JOIN_POINTS + 1, strokes - 1), JOIN_POINTS + 1
        )
        segment_drawn[way] = joined[:, None] & (np.arange(JOIN_POINTS + 1) < lifts[:, None])
        moving[plan.last[:-1][joined]] = moving[plan.first[1:][joined]] = True
        moving[way[~joined]] = False

    # A fast hand cuts corners: smooth the path, through the joins, with pen-down ends held.
    passes = writer.speed * 7.0 * rng.uniform(0.5, 1.5)
    inner = moving[1:-1]
    while passes > 0:
        gain = 0.5 * min(1.0, passes)
        middle = gain * (0.5 * (path[:-2] + path[2:]) - path[1:-1])
        path[1:-1] += middle * inner[:, None]
        passes -= 1.0

    path += writer.tremor * rng.standard_normal((n, 2), np.float32)
    return path, segment_drawn


def _to_pixels(
    path: np.ndarray,
    plan: StrokePlan,
    drawn: np.ndarray,
    writer: Writer,
    rng: np.random.Generator,
) -> tuple[np.ndarray, tuple[int, int]]:
    """The path in pixels of the bitmap, float32 (n, 2), and the bitmap's (height, width)."""
    change = rng.standard_normal(5)
    slant = writer.slant + 0.04 * change[0]
    rise = writer.rise + 0.03 * change[1]
    aspect = writer.aspect * np.exp(0.09 * change[2])
    x, y = path[:, 0], path[:, 1]
    flat = np.stack((aspect * (x - slant * (y - 0.5)), y - rise * (x - 0.5)), axis=1)
    scale = writer.size * np.exp(0.08 * change[3]) / 0.85
    flat *= scale
    inked = np.zeros(len(path), bool)
    inked[:-1] |= drawn
    inked[1:] |= drawn
    low, high = flat[inked].min(axis=0), flat[inked].max(axis=0)
    # Crops keep a margin of some pixels on every side, or none.
    margin = 0.5 * writer.pen + np.maximum(0.0, rng.normal(4.5, 5.0) + rng.normal(0, 1.0, 4))
    left, top, right, bottom = margin
    width, height = np.ceil(high - low + (left + right, top + bottom)).astype(int) + 1
    return (flat - low + (left, top)).astype(np.float32), (int(height), int(width))


def _pen_trace(
    plan: StrokePlan, writer: Writer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Width (pixels) and shade (60 … 255) of the pen's trace along each segment of the path."""
    each = rng.standard_normal((2, plan.strokes), np.float32)
    profile = 0.5 * each[0][plan.stroke_of] + (0.7 * each[1] - 0.5)[plan.stroke_of] * (
        2 * plan.along - 1
    )
    width = writer.pen * np.exp(writer.pressure * profile + 0.1 * rng.standard_normal())
    width[plan.on_join] *= 0.75
    width = np.clip(0.5 * (width[:-1] + width[1:]), 1.2, 3 * writer.pen + 1.2)
    # Where the pen presses less its trace is thinner and paler.
    return width, np.clip(235 * (width / writer.pen) ** 0.8, 60, 255).astype(int)


def _draw(
    pixels: np.ndarray,
    width: np.ndarray,
    shade: np.ndarray,
    drawn: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Coverage by ink, uint8 (h, w), of the drawn segments of the path."""
    height, breadth = shape
    canvas = np.zeros((_SUPERSAMPLE * height, _SUPERSAMPLE * breadth), np.uint8)
    # OpenCV's pixel centres are whole numbers; those of the fine grid sit half a fine pixel off the coarse grid's.
    fine = np.rint((_SUPERSAMPLE * pixels - 0.5) * (1 << _SHIFT)).astype(int)
    thick = np.rint(_SUPERSAMPLE * width).astype(int)
    which = np.flatnonzero(drawn)
    # A line replaces what is under it: the palest go first, so that crossings stay dark.
    which = which[np.argsort(shade[which], kind="stable")]
    rows = np.column_stack((fine[which], fine[which + 1], thick[which], shade[which]))
    for x0, y0, x1, y1, thickness, shade in rows.tolist():
        cv2.line(canvas, (x0, y0), (x1, y1), shade, thickness, cv2.LINE_8, _SHIFT)
    return cv2.resize(canvas, (breadth, height), interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Noise of paper and ink, float32 (1024, 1024), mean 0 and deviation 1, correlated over about two pixels."""
    noise = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
    noise = 0.5 * noise + cv2.GaussianBlur(noise, (0, 0), 0.7)
    return noise / noise.std()


def _scan(ink: np.ndarray, writer: Writer, rng: np.random.Generator) -> np.ndarray:
    """The scanned bitmap, uint8 (h, w), ink dark on 255: blurred, grainy, the paper cleaned to white."""
    height, width = ink.shape
    top, left = rng.integers(0, 1024, 2)
    sigma = rng.uniform(0.4, 0.8)
    soft = cv2.GaussianBlur(ink, (0, 0), sigma).astype(np.float32)
    grain = _grain().take(np.arange(top, top + height), axis=0, mode="wrap")
    grain = grain.take(np.arange(left, left + width), axis=1, mode="wrap")
    soft *= writer.ink * (1.0 - writer.texture * grain)
    soft[soft < 8] = 0
    return 255 - np.clip(soft, 0, 255).astype(np.uint8)
