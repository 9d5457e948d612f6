"""Handwriting from strokes: a writer turns a stroke template into a bitmap.

The pen follows the template's centre lines in writing order. On the way the writer takes known
components into their running-hand form; displaces components and single strokes; shifts the
proportions; drops hooks; joins one stroke to the next; rounds corners as a fast hand does, by
smoothing the pen's path *through* the joins; stretches what is left. The result
is a bitmap of natural size, ink dark on 255, as a sample of a CASIA `.gnt` file holds it, and with
it the pixels of every stroke, which no scan can tell.
"""

import zlib
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from ..characters import label_of
from .components import StrokePlan, stroke_plan
from .copybooks import copybook_page
from .pen import copied_path, copied_trace, leaves_stroke, pen_path, pen_trace
from .writer import Writer, random_writer

__all__ = ["SYNTHESIS_VERSION", "Handwriting", "Writer", "copy", "random_writer", "write"]

#: Part of every cache key, raised whenever a writer's output changes.
SYNTHESIS_VERSION = 4

# The canvas is drawn at twice the bitmap's resolution, coordinates in 1/16 pixel, then averaged.
_SUPERSAMPLE, _SHIFT = 2, 4

_COPIED_SIZE = 0.8  # a glyph fills its square, taught strokes leave a margin


class Handwriting(NamedTuple):
    """One written character.

    Attributes:
        character: which one.
        bitmap: uint8 (h, w), ink dark on 255.
        masks: bool (S, h, w), the pixels of each of the S strokes in writing order, each with the
            join that leaves it; strokes overlap where they cross. None if not asked for, or not
            known: see `copy`.
    """

    character: str
    bitmap: np.ndarray
    masks: np.ndarray | None


def write(
    character: str,
    writer: Writer,
    sample: int = 0,
    *,
    masks: bool = False,
    without: tuple[int, ...] = (),
) -> Handwriting:
    """Write a character once.

    The same (character, writer, sample) gives the same bitmap. `without` leaves out strokes with
    the joins at both of their ends and changes nothing else: size, place, noise and every other
    stroke stay as they are.

    Args:
        character: of GB2312 level 1.
        writer: the hand.
        sample: which of the writer's attempts, 0 or more; attempts differ.
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
    label = label_of(character)
    habit = np.random.default_rng((writer.seed, label))
    rng = np.random.default_rng((writer.seed, label, sample + 1))
    path, drawn = pen_path(plan, writer, habit, rng)
    pixels, shape = _to_pixels(path, drawn, writer, rng)
    width, shade = pen_trace(plan, writer, rng)

    if without:
        gone = np.isin(plan.stroke_of, without)
        arrives_gone = np.isin(plan.stroke_of + 1, without) & leaves_stroke(plan)
        drawn = drawn & ~(gone | arrives_gone)[:-1]
    ink = _draw(pixels, width, shade, drawn, shape)
    each = _masks(plan, pixels, width, drawn, shape) if masks else None
    return Handwriting(character, _scan(ink, writer, rng), each)


def copy(character: str, writer: Writer, book: str, sample: int = 0) -> Handwriting:
    """Copy a character once from a copybook in running hand.

    The writer gives it his size, pen, slant, proportions and bends; his habits with strokes do not
    count, since a copybook does not tell strokes. The same arguments give the same bitmap.

    Args:
        character: of GB2312 level 1.
        writer: the hand.
        book: one of `hccr_lib.datasets.copybooks.copybooks(character)`.
        sample: which of the writer's attempts, 0 or more; attempts differ.

    Returns:
        The handwriting, without masks.

    Raises:
        ValueError: another character, or no copybook that holds it.

    >>> copy("大", random_writer(0), "long-cang").masks is None
    True
    """
    page = copybook_page(character, book)
    # Another stream of numbers than that of `write`, and than that of every other book.
    origin = zlib.crc32(book.encode())
    rng = np.random.default_rng((writer.seed, label_of(character), sample + 1, origin))
    path = _COPIED_SIZE * copied_path(page, writer, rng)
    pixels, shape = _to_pixels(path, page.drawn, writer, rng)
    width, shade = copied_trace(page, writer, rng)
    ink = _draw(pixels, width, shade, page.drawn, shape)
    return Handwriting(character, _scan(ink, writer, rng), None)


def _to_pixels(
    path: np.ndarray, drawn: np.ndarray, writer: Writer, rng: np.random.Generator
) -> tuple[np.ndarray, tuple[int, int]]:
    """The path in pixels of the bitmap, float32 (n, 2), and the bitmap's (height, width)."""
    aspect, size = (writer.aspect, writer.size) * np.exp(rng.normal(0, (0.09, 0.08)))
    flat = path * np.array((aspect * size, size), np.float32)
    inked = np.zeros(len(path), bool)
    inked[:-1] |= drawn
    inked[1:] |= drawn
    low, high = flat[inked].min(axis=0), flat[inked].max(axis=0)
    # Most crops are tight; some keep a margin of several pixels on every side.
    margin = 0.5 * writer.pen + np.maximum(0.0, rng.normal(-3.0, 6.0) + rng.normal(0, 1.0, 4))
    left, top, right, bottom = margin
    width, height = np.ceil(high - low + (left + right, top + bottom)).astype(int) + 1
    return (flat - low + (left, top)).astype(np.float32), (int(height), int(width))


def _draw(
    pixels: np.ndarray,
    width: np.ndarray,
    shade: np.ndarray,
    drawn: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Ink, uint8 (h, w), bright on 0, of the drawn segments of the path."""
    height, breadth = shape
    canvas = np.zeros((_SUPERSAMPLE * height, _SUPERSAMPLE * breadth), np.uint8)
    # OpenCV's pixel centres are whole numbers; the fine grid's sit half a pixel off the coarse's.
    fine = np.rint((_SUPERSAMPLE * pixels - 0.5) * (1 << _SHIFT)).astype(int)
    thick = np.rint(_SUPERSAMPLE * width).astype(int)
    which = np.flatnonzero(drawn)
    # A line replaces what is under it: the palest go first, so that crossings stay dark.
    which = which[np.argsort(shade[which], kind="stable")]
    rows = np.column_stack((fine[which], fine[which + 1], thick[which], shade[which]))
    for x0, y0, x1, y1, thickness, brightness in rows.tolist():
        cv2.line(canvas, (x0, y0), (x1, y1), brightness, thickness, cv2.LINE_8, _SHIFT)
    return cv2.resize(canvas, (breadth, height), interpolation=cv2.INTER_AREA)


def _masks(
    plan: StrokePlan,
    pixels: np.ndarray,
    width: np.ndarray,
    drawn: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """bool (S, h, w): the pixels that each stroke covers by more than a sixth."""
    shade = np.full(len(width), 255)
    stroke_of = plan.stroke_of[:-1]
    return np.stack(
        [
            _draw(pixels, width, shade, drawn & (stroke_of == stroke), shape) > 42
            for stroke in range(plan.strokes)
        ]
    )


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Noise of paper and ink, float32 (1024, 1024), mean 0, deviation 1, two pixels wide."""
    noise = np.random.default_rng(0).standard_normal((1024, 1024), np.float32)
    noise = 0.5 * noise + cv2.GaussianBlur(noise, (0, 0), 0.7)
    return noise / noise.std()


def _scan(ink: np.ndarray, writer: Writer, rng: np.random.Generator) -> np.ndarray:
    """The scanned bitmap, uint8 (h, w), ink dark on 255: blurred, grainy, the paper white."""
    height, width = ink.shape
    top, left = rng.integers(0, 1024, 2)
    soft = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.4, 0.8)).astype(np.float32)
    grain = _grain().take(np.arange(top, top + height), axis=0, mode="wrap")
    grain = grain.take(np.arange(left, left + width), axis=1, mode="wrap")
    soft *= writer.ink * (1.0 - writer.texture * grain)
    soft[soft < 8] = 0
    return 255 - np.clip(soft, 0, 255).astype(np.uint8)
