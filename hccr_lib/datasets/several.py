"""Whether a bitmap holds one character: a network, asked about a word, names one character all the
same, and often with confidence.

Chinese characters have gaps inside (八, 川, 心) and come wide and narrow, so no gap alone tells two
of them apart. What tells is a gap, an extent that a single one hardly has (the longer the ink is
for its thickness, the narrower a gap is enough), and on either side of the gap more than single
strokes. The bounds were chosen on 3,700 real single characters, and on lines put together of them:
see `tests/test_several.py`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .normalize import PictureError

MIN_SIDE = 8  # pixels of the longer side: no character is legible in fewer
MAX_PIECES = 95  # unconnected pieces of ink; a single character in broken strokes had 90

# Ink that fills its own convex hull to this share is a dot or a blot, unless it is long: then it
# is 一 or a stroke of the like. Characters in the thickest pen stay below 0.83.
BLOT_SOLIDITY = 0.9
BLOT_ELONGATION = 2.5


class SeveralCharacters(PictureError):
    """A picture of more than one character.

    Attributes:
        characters: about how many, 2 or more.
    """

    def __init__(self, characters: int):
        super().__init__(f"seems to hold about {characters} characters; cut them apart")
        self.characters = characters


@dataclass(frozen=True)
class _Bounds:
    """In units of a line's thickness; two characters are there where all of them are reached."""

    gap: float  # between two parts
    side: float  # the length of either part
    crossed: float  # the length over which either part has two strokes, one beyond the other
    length: float  # of the line
    length_and_gap: float  # of the line and `worth` times the gap
    worth: float


_ROW = _Bounds(gap=0.03, side=0.35, crossed=0.3, length=1.35, length_and_gap=1.6, worth=2)
# Many a single character is twice as high as wide, and of parts with a gap between (意, 立).
_COLUMN = _Bounds(gap=0.03, side=0.5, crossed=0.4, length=2.0, length_and_gap=3.0, worth=4)


def how_many(bitmap: np.ndarray) -> int:
    """About how many characters stand in a bitmap; 1 where nothing speaks for more.

    Rows are told from single characters better than columns, and neither where the characters
    touch each other.

    Args:
        bitmap: uint8 (h, w), ink dark on 255, cropped to the ink.
    """
    ink = bitmap < 128
    pieces = cv2.connectedComponents(ink.astype(np.uint8), connectivity=8)[0] - 1
    count = max(_in_line(ink, _ROW), _in_line(ink.T, _COLUMN))
    # A page. Level 1 characters consist of about four pieces.
    return max(count, pieces // 4) if pieces > MAX_PIECES else count


def check_single(bitmap: np.ndarray) -> None:
    """Raise where a bitmap holds no character, or several.

    Args:
        bitmap: As for `how_many`.

    Raises:
        SeveralCharacters: It seems to hold more than one.
        PictureError: A blot, or fewer pixels than any character needs.
    """
    height, width = bitmap.shape
    if max(height, width) < MIN_SIDE:
        raise PictureError(f"all ink lies within {width}×{height} pixels: too small to be read")
    count = how_many(bitmap)
    if count > 1:
        raise SeveralCharacters(count)
    if max(height, width) < BLOT_ELONGATION * min(height, width):
        ink = (bitmap < 128).astype(np.uint8)
        # Of the hull around pixels, not around their centres, which would be smaller.
        corners = cv2.findNonZero(np.pad(cv2.dilate(ink, np.ones((2, 2), np.uint8)), 1))
        hull = 0.0 if corners is None else cv2.contourArea(cv2.convexHull(corners))
        if ink.sum() >= BLOT_SOLIDITY * hull:
            raise PictureError("the ink is one dot or blot, no character")


def _in_line(ink: np.ndarray, bounds: _Bounds) -> int:
    """About how many characters stand side by side in bool (thickness, length)."""
    thickness, length = ink.shape
    edges = np.flatnonzero(np.diff(ink.any(axis=0).astype(np.int8), prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    gaps = starts[1:] - ends[:-1]
    side = np.minimum(ends[:-1], length - starts[1:])
    begins = np.diff(ink.astype(np.int8), axis=0, prepend=0) == 1
    twice = np.cumsum(begins.sum(axis=0) >= 2)
    crossed = np.minimum(twice[ends[:-1] - 1], twice[-1] - twice[starts[1:] - 1])
    between = (
        (gaps >= max(2, bounds.gap * thickness))  # one column without ink: a stroke broke there
        & (side >= bounds.side * thickness)
        & (crossed >= bounds.crossed * thickness)
        & (length + bounds.worth * gaps >= bounds.length_and_gap * thickness)
    )
    if length < bounds.length * thickness or not between.any():
        return 1
    # Characters are about as long as thick: pieces that fit in one are parts of one.
    count, start = 1, starts[0]
    for end, here in zip(ends[1:], starts[1:], strict=True):
        if end - start > thickness:
            count, start = count + 1, here
    return max(2, count)
