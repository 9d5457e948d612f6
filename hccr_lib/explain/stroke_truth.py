"""Strokes as ground truth: the writer knows which ink is which stroke, and can leave one out.

Melnyk et al. (2020, section 4.4) judge their maps by eye, since for characters "there is no
numerical measure". With handwriting that is made from strokes there are two. The *causal effect*
of a stroke is what the logit loses when the same writer writes the same character without it; a
map is true so far as its mass on the strokes has the order of their effects. And of two characters
that are taken for each other, templates tell which strokes differ; a map that says why it is the
one and not the other should lie on them.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from hccr_lib.datasets import normalize
from hccr_lib.datasets.normalize import normalize_masks, resize_images
from hccr_lib.datasets.running import resample
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import write
from hccr_lib.explain.faithfulness import stretched
from hccr_lib.explain.inputs import checked_classes, checked_images
from hccr_lib.explain.occlusion import logit_drops

_POINTS = 16  # to which a stroke is resampled before it is compared
# Fonts draw the same stroke a few hundredths of the square apart in two characters.
_SAME = 0.1


class Strokes(NamedTuple):
    """A written character, and the same one without each of its strokes.

    Attributes:
        character: Which one.
        image: uint8 `(96, 96)`, ink bright on 0, as the networks read it.
        masks: bool `(S, 96, 96)`, the pixels of each of the S strokes, in writing order.
        without: uint8 `(S, 96, 96)`, the image without each stroke and its joins. Size, place,
            noise and all other strokes are the same.
    """

    character: str
    image: np.ndarray
    masks: np.ndarray
    without: np.ndarray


def written_strokes(character, writer, sample=0):
    """Writes a character once as a whole, and once without each stroke.

    Args:
        character, writer, sample: As for `hccr_lib.datasets.synthesis.write`.

    Returns:
        `Strokes`.

    Raises:
        ValueError: Not a character of GB2312 level 1.

    Example:

    >>> written_strokes("大", random_writer(0)).without.shape
    (3, 96, 96)
    """
    whole = write(character, writer, sample, masks=True)
    masks = normalize_masks(whole.masks) > 127
    without = [
        normalize(write(character, writer, sample, without=(stroke,)).bitmap)
        for stroke in range(len(masks))
    ]
    return Strokes(character, normalize(whole.bitmap), masks, np.stack(without))


def causal_effects(model, written, classes=None, *, batch_size=256):
    """What the logit of a class loses when a stroke is not written.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        written: A list of n `Strokes`. A network of smaller images reads them resized.
        classes: As for `hccr_lib.explain.cam`; None: the class predicted for the whole image.
        batch_size: Images in one pass, at most.

    Returns:
        A list of n float32 arrays `(k, S)`; positive: the stroke spoke for the class.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`.
    """
    classes = checked_classes(classes, len(written), model.output_shape[-1])
    side = model.input_shape[1]
    variants = [np.concatenate([each.image[None], each.without]) for each in written]
    variants = [checked_images(model, resize_images(each, side), batch_size) for each in variants]
    return logit_drops(model, variants, classes, batch_size)


def mass_per_stroke(maps, masks):
    """How much of a map lies on each stroke; what strokes share is shared among them.

    Args:
        maps: `(k, h, w)`, the maps of one image; stretched to the size of the masks.
        masks: bool `(S, H, W)`.

    Returns:
        float64 `(k, S)`. Their sum is that of the stretched map on all strokes.
    """
    share = masks / np.maximum(masks.sum(axis=0), 1)
    return np.einsum("khw,shw->ks", stretched(np.asarray(maps)[None], *masks.shape[1:])[0], share)


def stroke_correlation(maps, masks, effects, *, given_size=False, given_place=False):
    """Spearman's correlation of a map's mass per stroke with the strokes' causal effects.

    Long strokes have more of any map's mass, and often more effect, so that a map that knows
    nothing may score well. So may one that is bright around the ink: strokes at its rim stand
    alone, and are missed more. `given_size` and `given_place` ask for what is left beyond that: the
    partial correlation, of the ranks less what the ranks of what is given foretell of them.

    Args:
        maps: `(k, h, w)`, the maps of one image.
        masks: bool `(S, H, W)`.
        effects: `(k, S)`, as `causal_effects` gives them for this image.
        given_size: Whether the number of pixels of the strokes is held fixed.
        given_place: Whether `distance_from_ink` is.

    Returns:
        float64 `(k,)`, -1 to 1: 1 where the map orders the strokes as their effects do, 0 expected
        of an order by chance, and where nothing is left to be ordered. NaN for fewer than three
        strokes (one more for each that is given), whose order says next to nothing.
    """
    effects = np.asarray(effects)
    if len(masks) < 3 + given_size + given_place:
        return np.full(len(effects), np.nan)
    given = [np.ones(len(masks))]
    size = mass_per_stroke(np.ones((1, *masks.shape[1:])), masks)[0]
    if given_size:
        given.append(rankdata(size))
    if given_place:
        away = mass_per_stroke(distance_from_ink(masks)[None], masks)[0]
        given.append(rankdata(away / np.maximum(size, 1e-9)))
    given = np.stack(given, axis=1)
    left = []
    for values in (mass_per_stroke(maps, masks), effects):
        ranks = rankdata(values, axis=1).T
        left.append(ranks - given @ np.linalg.lstsq(given, ranks, rcond=None)[0])
    norm = np.sqrt((left[0] ** 2).sum(0) * (left[1] ** 2).sum(0))
    return np.divide((left[0] * left[1]).sum(0), norm, out=np.zeros_like(norm), where=norm > 1e-6)


def distance_from_ink(masks):
    """The distance of every pixel from the centre of all ink: a map that has seen no network.

    Args:
        masks: bool `(S, H, W)`, the pixels of the strokes.

    Returns:
        float64 `(H, W)`, in pixels; from the middle of the picture where there is no ink.
    """
    ink = masks.any(axis=0)
    rows, columns = np.nonzero(ink if ink.any() else ~ink)
    y, x = np.indices(ink.shape)
    return np.hypot(y - rows.mean(), x - columns.mean())


def differing_strokes(character, other):
    """The strokes of a character by which it can be told from another one.

    Both templates' strokes are resampled to 16 points and paired so that the sum of the mean
    distances, of place and of shape, is smallest (an optimal assignment). A stroke differs that
    has no partner, or some point of which is a tenth of the square or more from its partner's.

    Args:
        character, other: Of GB2312 level 1.

    Returns:
        Tuple of indices of strokes of `character`. Empty where what differs is a stroke that it
        lacks (大 beside 太), or smaller than fonts differ (己 beside 已).

    Raises:
        ValueError: Not a character of GB2312 level 1.

    >>> differing_strokes("太", "大")
    (3,)
    """
    ours, theirs = _resampled(character), _resampled(other)
    distance = np.linalg.norm(ours[:, None] - theirs[None], axis=-1)
    partners = dict(zip(*linear_sum_assignment(distance.mean(-1)), strict=True))
    return tuple(
        stroke
        for stroke in range(len(ours))
        if stroke not in partners or distance[stroke, partners[stroke]].max() >= _SAME
    )


class Pointing(NamedTuple):
    """Where a map lies with respect to some strokes.

    Attributes:
        energy: float64 `(k,)`, the share of the map's positive mass on all ink that is on these
            strokes (Wang et al., Score-CAM, 2020, with ink for the image). NaN for a map that is
            positive nowhere on ink.
        chance: float, the share of the ink that is these strokes': what a map that is the same
            everywhere would score.
        hit: bool `(k,)`, whether the map's highest value on ink is on them (the pointing game of
            Zhang et al. 2016).
    """

    energy: np.ndarray
    chance: float
    hit: np.ndarray


def pointing(maps, masks, strokes):
    """How well maps of one image point at some of its strokes.

    Args:
        maps: `(k, h, w)`; stretched to the size of the masks.
        masks: bool `(S, H, W)`.
        strokes: Indices of the strokes to be pointed at, at least one.

    Returns:
        `Pointing`.

    Raises:
        ValueError: No stroke to point at.
    """
    if len(strokes) == 0:
        raise ValueError("there must be a stroke to point at. Received: strokes=()")
    ink, there = masks.any(axis=0), masks[list(strokes)].any(axis=0)
    maps = stretched(np.asarray(maps)[None], *ink.shape)[0]
    positive = np.maximum(maps, 0).astype(np.float64)
    total = positive[:, ink].sum(axis=1)
    energy = np.divide(
        positive[:, there].sum(axis=1), total, out=np.full(len(maps), np.nan), where=total > 0
    )
    return Pointing(energy, there.sum() / ink.sum(), there[ink][maps[:, ink].argmax(axis=1)])


@cache
def _resampled(character):
    """float64 `(S, 16, 2)`: the strokes of a template at equal distances along each."""
    return np.stack([resample(stroke, _POINTS) for stroke in stroke_template(character)])
