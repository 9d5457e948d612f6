"""Running hand copied from calligraphers: the same writers, another model.

A stroke template is print. Whoever writes fast fuses strokes, leaves some out and replaces whole
components, and no displacement of printed strokes arrives there. Calligraphers have written
characters so, in fonts that they gave to everyone; `data/copybooks.npz` holds the middle lines of
their glyphs (see `data/make_copybooks.py`). Some of the books hold every character, others those
that are written alike in China and in Japan. A writer copies one with his own pen, slant,
proportions and bends. A glyph does not say which stroke a line belongs to, so what is copied has no
masks: the course's explanations are measured on handwriting from strokes alone.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ..characters import LEVEL1, label_of
from .running import resample

COPYBOOKS_FILE = Path(__file__).resolve().parents[2] / "data" / "copybooks.npz"

_SIDE = 248.0  # a glyph's longer side in the file, see data/make_copybooks.py
_STEP = 0.05  # spacing of the points that a writer moves, in units of that side


@cache
def _books() -> dict[str, list[list[np.ndarray]]]:
    with np.load(COPYBOOKS_FILE) as file:
        names = file["books"].tolist()
        lines_per_character = file["lines_per_character"]
        points = file["points"].astype(np.float32)
        points_per_line = file["points_per_line"]
    if lines_per_character.shape != (len(names), len(LEVEL1)):
        raise ValueError(
            f"{COPYBOOKS_FILE}: {lines_per_character.shape} characters instead of "
            f"{(len(names), len(LEVEL1))}"
        )
    points /= _SIDE
    points.setflags(write=False)
    lines = np.split(points, np.cumsum(points_per_line)[:-1])
    ends = np.cumsum(lines_per_character).reshape(lines_per_character.shape)
    return {
        name: [lines[end - count : end] for end, count in zip(*of_book, strict=True)]
        for name, *of_book in zip(names, ends, lines_per_character, strict=True)
    }


@cache
def copybooks(character: str | None = None) -> tuple[str, ...]:
    """The names of the copybooks: of all, or of those that hold a character.

    Raises:
        ValueError: not a character of GB2312 level 1.

    >>> set(copybooks("说")) < set(copybooks("想"))
    True
    """
    if character is None:
        return tuple(_books())
    label = label_of(character)
    return tuple(name for name, pages in _books().items() if pages[label])


def copybook(character: str, at: float) -> str:
    """The name of one of the copybooks that hold a character.

    Half of the choices fall on the copybooks that hold every character and half on the others, if
    any; within either half all are as likely. If all copybooks were, what is written otherwise in
    Japan would be learnt from the hands of the first kind far more often than what is not.

    Args:
        character: of GB2312 level 1.
        at: which, 0 to below 1.

    Raises:
        ValueError: not a character of GB2312 level 1.

    >>> copybook("说", 0.9) in copybooks("说")
    True
    """
    halves = [[], []]
    for name in copybooks(character):
        halves[name not in _complete()].append(name)
    if not halves[1]:
        return halves[0][int(at * len(halves[0]))]
    half = halves[int(2 * at)]
    return half[int(2 * at % 1 * len(half))]


@cache
def _complete() -> frozenset[str]:
    return frozenset(name for name, pages in _books().items() if all(pages))


@dataclass(frozen=True)
class CopybookPage:
    """A character in a copybook: its lines one after the other, in no meaningful order.

    Attributes:
        points: float32 (n, 2), x to the right and y down from the glyph's top left, in units of
            its longer side.
        half_width: float32 (n,), of the stroke there.
        drawn: bool (n - 1,): the segments that belong to a line; the others lead to the next one.
    """

    points: np.ndarray
    half_width: np.ndarray
    drawn: np.ndarray


@cache
def copybook_page(character: str, book: str) -> CopybookPage:
    """How a character stands in a copybook.

    Raises:
        ValueError: not a character of GB2312 level 1, or no copybook that holds it.

    >>> copybook_page("一", "long-cang").points.shape[1]
    2
    """
    label = label_of(character)
    if book not in copybooks(character):
        raise ValueError(
            f"book must be one of those that hold {character}, {', '.join(copybooks(character))}; "
            f"received {book!r}"
        )
    lines = []
    for line in _books()[book][label]:
        length = np.hypot(*np.diff(line[:, :2], axis=0).T).sum()
        lines.append(resample(line, max(2, round(length / _STEP) + 1)))
    ends = np.cumsum([len(line) for line in lines])
    drawn = np.ones(ends[-1] - 1, bool)
    drawn[ends[:-1] - 1] = False
    points = np.concatenate(lines).astype(np.float32)
    return CopybookPage(points[:, :2].copy(), points[:, 2].copy(), drawn)
