"""What of a handwritten image can be measured, and corrected, without any network.

Images are uint8 (n, 96, 96), ink bright on 0, as the networks read them. Each trait is a number per
image; a correction redraws an image so that a trait has another value and the rest stays, or so
that it is changed as far in the opposite direction, which is the control.
"""

import cv2
import numpy as np
from likeness import strengths
from skimage.morphology import skeletonize

SIDE = 96
_FINE = 2  # images are enlarged before their skeleton is taken
_SHARES = np.arange(1, 8) / 8  # of the ink, by which its place in the box is told

#: Traits, in the order of the columns of `measure`; logarithms where ratios count.
TRAITS = (
    "pen width",  # log of the stroke's width over the longer side of the ink's box
    "darkness",  # mean brightness along the skeleton, 0 to 1
    "slant",  # lean of the upright strokes to the right (tangent)
    "rise",  # climb of the level strokes to the right (tangent)
    "aspect",  # log of width over height of the ink's box
    "size",  # log of the longer side of the ink's box, pixels
    "pieces",  # of ink that hang together
    "ends",  # of the skeleton
    "loops",  # spots of paper that ink encloses
    "ink length",  # of the skeleton, over the longer side of the box
    "oblique strokes",  # share of the edges that run nearer to a diagonal than to an axis
)
COLUMNS = (*TRAITS, *(f"{axis} {share}" for axis in "xy" for share in _SHARES))
_PLACE = slice(len(TRAITS), None)
AT = {name: number for number, name in enumerate(COLUMNS)}

#: What `corrected` knows to correct.
CORRECTIONS = ("pen width", "darkness", "slant and rise", "aspect", "size", "proportion")


def inked(image: np.ndarray) -> np.ndarray:
    """uint8 (h, w), 1 where there is ink: brighter than 0.4 times what most ink is at least."""
    bright = image[image > 40]
    level = 0.4 * np.percentile(bright, 90) if len(bright) else 40
    return (image > level).astype(np.uint8)


def _box(ink: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect(ink)
    if width == 0:
        raise ValueError("an image without ink has no traits")
    return x, y, width, height


def _fine(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_LINEAR)


def _leans(image: np.ndarray) -> tuple[float, float, float]:
    """Slant, rise, and the share of oblique edges."""
    soft = cv2.GaussianBlur(image, (0, 0), 1).astype(np.float32)
    across, down = cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    some = strength > 0.2 * strength.max()
    across, down, strength = across[some], down[some], strength[some]
    # The direction of an edge is that of its gradient, turned by a right angle.
    upright = np.abs(across) > 1.4 * np.abs(down)
    level = np.abs(down) > 1.4 * np.abs(across)

    def mean(ratio: np.ndarray, of: np.ndarray) -> float:
        return float((ratio * strength[of]).sum() / max(strength[of].sum(), 1e-6))

    slant = mean(down[upright] / across[upright], upright)
    rise = mean(across[level] / down[level], level)
    oblique = np.minimum(np.abs(across), np.abs(down)) > 0.414 * strength
    return slant, rise, float(strength[oblique].sum() / strength.sum())


def _places(ink: np.ndarray) -> np.ndarray:
    """Where, in its box, the shares of the ink lie: float (14,), across and then down, 0 to 1."""
    x, y, width, height = _box(ink)
    inside = ink[y : y + height, x : x + width]
    places = []
    for axis in (0, 1):
        total = np.concatenate(([0], np.cumsum(inside.sum(axis=axis, dtype=float))))
        # A blank column would make the curve flat, and its inverse jump.
        total = total / total[-1] + 1e-3 * np.linspace(0, 1, len(total))
        places.append(np.interp(_SHARES, total / total[-1], np.linspace(0, 1, len(total))))
    return np.concatenate(places)


def measure(images: np.ndarray) -> np.ndarray:
    """float64 (n, len(COLUMNS)): the traits, and where the shares of the ink lie.

    Raises:
        ValueError: an image without ink.
    """
    rows = []
    for image in images:
        ink, fine = inked(image), _fine(image)
        big = inked(fine)
        line = skeletonize(big > 0).astype(np.uint8)
        _, _, width, height = _box(ink)
        side = max(width, height)
        length = max(int(line.sum()), 1) / _FINE
        near = cv2.filter2D(line, cv2.CV_16S, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
        small = 6 * _FINE**2
        areas = cv2.connectedComponentsWithStats(big, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
        # The paper around everything is one more spot, and none that is enclosed.
        paper = cv2.copyMakeBorder(1 - big, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
        spots = cv2.connectedComponentsWithStats(paper, connectivity=4)[2][1:, cv2.CC_STAT_AREA]
        slant, rise, oblique = _leans(image)
        rows.append(
            (
                _pen(image),
                fine[line > 0].mean() / 255 if line.any() else 0,
                slant,
                rise,
                np.log(width / height),
                np.log(side),
                max(int((areas >= small).sum()), 1),
                int(((near == 2) & (line > 0)).sum()),
                int((spots >= small / 2).sum()) - 1,
                length / side,
                oblique,
                *_places(ink),
            )
        )
    return np.array(rows, float)


def _warped(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The image whose pixel at column i, row j is that at column x[i, j], row y[i, j]."""
    maps = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _scaled(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Stretched about the middle of the ink's box, which keeps its place; nothing is cut off."""
    left, top, width, height = _box(inked(image))
    most = min((SIDE - 2) / (x * width), (SIDE - 2) / (y * height), 1.0)
    x, y = x * most, y * most
    low = np.array((left, top)) + np.array((width, height)) / 2 - 0.5
    half = np.array((x * width, y * height)) / 2
    middle = np.clip(low, half + 0.5, SIDE - 1.5 - half)
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    return _warped(image, low[0] + (columns - middle[0]) / x, low[1] + (rows - middle[1]) / y)


def _sheared(image: np.ndarray, slant: float, rise: float) -> np.ndarray:
    """Leaning and climbing by so much more, shrunk where it would not fit."""
    left, top, width, height = _box(inked(image))
    grown = width + abs(slant) * height, height + abs(rise) * width
    image = _scaled(image, *[min(1.0, (SIDE - 4) / max(grown))] * 2)
    left, top, width, height = _box(inked(image))
    x, y = left + width / 2 - 0.5, top + height / 2 - 0.5
    matrix = np.array([[1, -slant, slant * y], [-rise, 1, rise * x]])
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)


def _in_proportion(image: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The ink moved within its box, monotonely along both axes, from places old to places new."""
    left, top, width, height = _box(inked(image))
    sources = []
    for axis, start, length in ((0, left, width), (1, top, height)):
        part = slice(axis * len(_SHARES), (axis + 1) * len(_SHARES))
        ends = [np.concatenate(([0], places[part], [1])) for places in (new, old)]
        # No part grows or shrinks more than threefold.
        steps = [np.maximum(np.diff(each), 0.02) for each in ends]
        ratio = np.clip(steps[0] / steps[1], 1 / 3, 3) * steps[1]
        known = np.concatenate(([0], np.cumsum(ratio)))
        at = (np.arange(SIDE) + 0.5 - start) / length
        inside = np.interp(at, known / known[-1], ends[1])
        beyond = np.where(at < 0, at, np.where(at > 1, at - 1, 0))
        sources.append((inside + beyond) * length + start - 0.5)
    return _warped(image, *np.meshgrid(*sources))


def _pen(image: np.ndarray) -> float:
    """The trait "pen width" of one image.

    In a strip the ink lies at a quarter of the width from its edge on average, whatever its length.
    """
    ink = inked(_fine(image))
    away = cv2.distanceTransform(ink, cv2.DIST_L2, 5)[ink > 0]
    # Distances are those to the middle of the nearest pixel of paper, half a pixel too far.
    width = max(4 * (float(away.mean()) - 0.5) / _FINE, 0.5)
    return float(np.log(width / max(_box(inked(image))[2:])))


def _penned(image: np.ndarray, goal: float) -> np.ndarray:
    """Drawn again along its skeleton, with a wider or narrower pen."""
    fine = _fine(image)
    ink = inked(fine)
    away = cv2.distanceTransform(ink, cv2.DIST_L2, 5)
    y, x = np.nonzero(skeletonize(ink > 0))
    shade = cv2.blur(fine, (3, 3))[y, x]
    palest_first = np.argsort(shade, kind="stable")  # as a disk replaces what is under it
    ratio, best = 1.0, None
    # Strokes that come to touch share their ink, so the ratio that does it is found by trying.
    for _ in range(4):
        canvas = np.zeros_like(fine)
        radius = np.clip(ratio * away[y, x] - 0.5, 0.3, None)
        for k in palest_first:
            centre, size = (int(16 * x[k]), int(16 * y[k])), int(16 * radius[k])
            cv2.circle(canvas, centre, size, int(shade[k]), -1, cv2.LINE_AA, 4)
        canvas = cv2.GaussianBlur(canvas, (0, 0), 0.6)
        drawn = cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        off = goal - _pen(drawn)
        if best is None or abs(off) < best[0]:
            best = abs(off), drawn
        ratio = float(np.clip(ratio * np.exp(off), 0.2, 4))
    return best[1]


def corrected(
    kind: str,
    images: np.ndarray,
    targets: np.ndarray,
    *,
    mirrored: bool = False,
    found: np.ndarray | None = None,
) -> np.ndarray:
    """Images with one trait brought to where it should be.

    Args:
        kind: one of `CORRECTIONS`, or "all" for one after the other.
        images: uint8 (n, 96, 96).
        targets: float (n, len(COLUMNS)), what each image should measure.
        mirrored: change the trait as far in the other direction.
        found: what `measure` gives for the images, if it is known; "all" measures again.

    Returns:
        uint8 (n, 96, 96).

    Raises:
        ValueError: another kind, or an image without ink.
    """
    if kind == "all":
        for each in ("slant and rise", "aspect", "proportion", "size", "pen width", "darkness"):
            images = corrected(each, images, targets, mirrored=mirrored)
        return images
    if kind not in CORRECTIONS:
        raise ValueError(f"kind must be one of {', '.join(CORRECTIONS)} or all, received {kind!r}")
    found, out = measure(images) if found is None else found, []
    for image, now, goal in zip(images, found, np.asarray(targets, float), strict=True):
        step = (now - goal if mirrored else goal - now)[: len(TRAITS)]
        if kind == "pen width":
            new = _penned(image, now[AT["pen width"]] + np.clip(step[AT["pen width"]], -1, 1))
        elif kind == "darkness":
            now_dark = max(now[AT["darkness"]], 0.05)
            gain = max(now_dark + step[AT["darkness"]], 0.2) / now_dark
            new = np.clip(image * gain, 0, 255).astype(np.uint8)
        elif kind == "slant and rise":
            new = _sheared(image, *np.clip(step[[AT["slant"], AT["rise"]]], -0.6, 0.6))
        elif kind == "aspect":
            _, _, width, height = _box(inked(image))
            ratio = float(np.exp(np.clip(step[AT["aspect"]], -1, 1)))
            side = max(width, height) / max(width * ratio, height)
            new = _scaled(image, ratio * side, side)
        elif kind == "size":
            new = _scaled(image, *[float(np.exp(np.clip(step[AT["size"]], -1, 1)))] * 2)
        else:
            places = (goal, now) if mirrored else (now, goal)
            new = _in_proportion(image, *(each[_PLACE] for each in places))
        out.append(new)
    return np.stack(out)


def direction_maps(images: np.ndarray) -> np.ndarray:
    """float32 (n, 256): strength of 4 directions on a grid of 8 by 8, the ink made a square.

    Size, place and aspect are left out.
    """
    rows = []
    for image in images:
        x, y, width, height = _box(inked(image))
        ink = image[y : y + height, x : x + width].astype(np.float32)
        rows.append(strengths(np.minimum(ink / max(np.percentile(ink[ink > 40], 50), 1), 1)))
    return np.array(rows, np.float32)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of the rows of two arrays, (len(a), len(b))."""
    return np.sqrt(np.maximum(((a[:, None] - b[None]) ** 2).sum(axis=2), 0))
