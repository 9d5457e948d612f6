"""Why real handwriting is misread: what of it synthetic handwriting does not have.

Networks that were trained on synthetic handwriting read the real samples, `icdar2013-sample` and
the test images of `hwdb-sample`, and every image that they misread is sorted by cause:

- Label in doubt: all networks give the same other answer, and the ink is nearer to that character.
- Look-alike: listed in `LOOK_ALIKES`, or the templates differ by no more than one stroke.
- Corrections: a trait is brought to the median of synthetic images of the written character. If
  the image is then read, and not when the trait is changed as far in the other direction, the
  trait is a cause. The same is done with synthetic images that the network misreads, as a second
  control, and with real images that it reads, to see what a correction breaks.
- Traits outside: beyond the central 95 % of what synthetic hands make of the written character.
  A trait counts as a cause only if it is outside more often among misread images than among read
  ones: Mantel and Haenszel's odds ratio, each character of `hwdb-sample` compared with itself.
- Probes: an image is held against the same hands with hooks and without, with strokes joined and
  not, and so on. How far a probe can be trusted is measured on synthetic images.

What it found goes into data/results/errors.json, without any picture.

    python benchmarks/errors.py                      the student and Model C
    python benchmarks/errors.py runs/a student       these; a name, or the folder of a training
    python benchmarks/errors.py --sheet FOLDER       also contact sheets, which are not for sharing

Ten minutes on two quiet cores. The real images are in HCCR_DATA_DIR.
"""

import argparse
import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
from errors_parts import COMPONENTS, parts_of, stroke_ink
from errors_traits import (
    CORRECTIONS,
    TRAITS,
    corrected,
    direction_maps,
    distances,
    inked,
    measure,
)
from real import REAL, weights_hash

from hccr_lib.characters import LEVEL1, look_alikes
from hccr_lib.datasets import load, normalize
from hccr_lib.datasets.components import stroke_plan
from hccr_lib.datasets.normalize import normalize_masks, resize_images
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer, write
from hccr_lib.evaluation import ModelError, load_model, mcnemar, predict, wilson_interval
from hccr_lib.explain import contrastive_cam
from hccr_lib.explain.faithfulness import stretched
from hccr_lib.explain.parts import pooled_head
from hccr_lib.explain.stroke_truth import differing_strokes
from hccr_lib.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "errors.json"
NETWORKS = ("student", "melnyk_net_c")
SEED, CENTRAL = 2026, 0.95
SURE = 0.9  # what all networks must be of an answer before a label is doubted
CONTROLS = 4  # hands more of each character, which are judged by the others
ALL = (*CORRECTIONS, "all")

#: Styles that are probed: of the same hands, once the first value and once the second.
PROBES = {"hooks": (1.0, 0.0), "join": (0.0, 1.0), "running": (0.0, 1.0)}
PROBED_WITH = 12  # hands
PROBED_SURE = 0.9  # of the images with the first value lie below where a probe says the second

#: Directions of traits that have a name of their own as a cause.
CAUSES = {
    "pieces low": "joined strokes",
    "ends low": "joined strokes",
    "probe join": "joined strokes",
    "pieces high": "broken strokes",
    "ends high": "broken strokes",
    "loops low": "loops left open",
    "loops high": "loops closed",
    "ink length low": "strokes left out or short",
    "ink length high": "strokes added or long",
    "probe hooks": "dropped hook",
    "probe running": "running-script component",
    "shape high": "a form that no hand writes",
}


class Hands(NamedTuple):
    """What synthetic hands make of one character.

    Attributes:
        low, high: float (T,), ends of the central part of each trait.
        median: float (columns,), of what `measure` gives.
        places: float (2, 14), median and deviation of where the shares of the ink lie.
        maps: float32 (N, 256), `direction_maps`.
        seeds: of the hands.
    """

    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    places: np.ndarray
    maps: np.ndarray
    seeds: list[int]


KINDS = (*TRAITS, "proportion", "shape")


def seeds_of(character: str, n: int, stream: int) -> list[int]:
    """Seeds of writers, for each character others."""
    rng = np.random.default_rng((SEED, stream, LEVEL1.index(character)))
    return rng.integers(2**60, size=n).tolist()


def written(character: str, seeds: list[int], **style: float) -> np.ndarray:
    """A character by several hands, uint8 (n, 96, 96)."""
    hands = (random_writer(seed, **style) for seed in seeds)
    return np.stack([normalize(write(character, hand).bitmap) for hand in hands])


def proportion(measured: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far the ink's places lie from the median, root mean square of deviations: float (n,)."""
    off = (measured[:, len(TRAITS) :] - places[0]) / places[1]
    return np.sqrt((off**2).mean(axis=1))


@cache
def hands_of(character: str, n: int) -> Hands:
    """The central part of every trait among n synthetic hands."""
    seeds = seeds_of(character, n, 0)
    images = written(character, seeds)
    measured, maps = measure(images), direction_maps(images)
    spread = measured[:, len(TRAITS) :].std(axis=0)
    places = np.stack([np.median(measured, axis=0)[len(TRAITS) :], np.maximum(spread, 1e-3)])
    apart = distances(maps, maps)
    np.fill_diagonal(apart, np.inf)
    values = np.column_stack(
        (measured[:, : len(TRAITS)], proportion(measured, places), apart.min(axis=1))
    )
    low, high = np.quantile(values, ((1 - CENTRAL) / 2, (1 + CENTRAL) / 2), axis=0)
    # Too near to a hand, or too well proportioned, is nothing that an image can be.
    low[len(TRAITS) :] = -np.inf
    return Hands(low, high, np.median(measured, axis=0), places, maps, seeds)


def outside(images: np.ndarray, characters: str, n: int) -> np.ndarray:
    """int8 (images, kinds): -1 below the central part of the hands, 1 above, else 0."""
    rows = []
    for measured, maps, c in zip(measure(images), direction_maps(images), characters, strict=True):
        hands = hands_of(c, n)
        shape = distances(maps[None], hands.maps).min()
        values = np.array([*measured[: len(TRAITS)], *proportion(measured[None], hands.places)])
        values = np.append(values, shape)
        rows.append((values > hands.high).astype(np.int8) - (values < hands.low))
    return np.array(rows)


# Probes.


def has_style(character: str, style: str) -> bool:
    """Whether a style can show in a character."""
    plan = stroke_plan(character)
    if style == "hooks":
        return bool((plan.hook >= 0).any())
    if style == "running":
        return bool((plan.form_of >= 0).any())
    return style != "join" or plan.strokes > 1


def leaning(maps: np.ndarray, pairs: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
    """How much nearer to the second value of a style than to the first: float (n,).

    Args:
        maps: float (n, 256), of images.
        pairs: float (2, hands, 256), of the same hands with either value.
        without: int (n,), for each image the hand that is left out.
    """
    first, second = (distances(maps, each) for each in pairs)
    asked = np.ones_like(first)
    if without is not None:
        asked[np.arange(len(maps)), without] = 0
    return ((first - second) * asked).sum(axis=1) / asked.sum(axis=1)


@cache
def probe(character: str, style: str) -> tuple[np.ndarray, float, tuple[float, float]]:
    """The pairs that `leaning` needs; from where on it says the second value; and how often it
    says so of the first value, and of the second, each hand judged by the others."""
    seeds = seeds_of(character, PROBED_WITH, 1)
    pairs = [direction_maps(written(character, seeds, **{style: value})) for value in PROBES[style]]
    pairs = np.stack(pairs)
    own = np.arange(PROBED_WITH)
    scores = np.stack([leaning(maps, pairs, own) for maps in pairs])
    level = float(np.quantile(scores[0], PROBED_SURE))
    first, second = (scores > level).mean(axis=1).tolist()
    return pairs, level, (first, second)


def probed(images: np.ndarray, characters: str, style: str) -> np.ndarray:
    """float (n,): 1 where a probe says the second value of a style, NaN where it can't show."""
    found = np.full(len(images), np.nan)
    maps = direction_maps(images)
    for number, character in enumerate(characters):
        if has_style(character, style):
            pairs, level, _ = probe(character, style)
            found[number] = leaning(maps[number : number + 1], pairs)[0] > level
    return found


# Statistics.


def odds_ratio(exposed: np.ndarray, wrong: np.ndarray, strata: np.ndarray) -> dict:
    """Mantel and Haenszel's odds ratio over strata, with its 95 % interval.

    The variance is that of Robins, Breslow and Greenland (1986). Without a case to compare, the
    ratio is None.
    """
    p = q = r = s = cross = 0.0
    for stratum in np.unique(strata):
        here = strata == stratum
        a, b = (exposed & wrong & here).sum(), (~exposed & wrong & here).sum()
        c, d = (exposed & ~wrong & here).sum(), (~exposed & ~wrong & here).sum()
        n = a + b + c + d
        up, down = a * d / n, b * c / n
        with_it, against = (a + d) / n, (b + c) / n
        r, s = r + up, s + down
        p, q = p + with_it * up, q + against * down
        cross += with_it * down + against * up
    found = {
        "misread": [int((exposed & wrong).sum()), int(wrong.sum())],
        "read": [int((exposed & ~wrong).sum()), int((~wrong).sum())],
        "odds_ratio": None,
    }
    if r == 0 or s == 0:
        return found
    ratio = r / s
    spread = np.sqrt(p / (2 * r * r) + cross / (2 * r * s) + q / (2 * s * s))
    share = found["misread"][0] / max(found["misread"][1], 1)
    return found | {
        "odds_ratio": round(ratio, 3),
        "from": round(float(ratio * np.exp(-1.96 * spread)), 3),
        "to": round(float(ratio * np.exp(1.96 * spread)), 3),
        # The share of mistakes that there would be less if the trait made no difference.
        "attributable": round(max(0.0, share * (1 - 1 / ratio)), 4),
    }


def paired(own: np.ndarray, mirrored: np.ndarray) -> dict:
    """Of n images, how many a correction changed as asked, how many its mirror image did."""
    n, only, other = len(own), int((own & ~mirrored).sum()), int((mirrored & ~own).sum())
    if n == 0:
        return {"n": 0, "own": 0, "mirrored": 0, "excess": None}
    excess = (only - other) / n
    half = 1.96 * np.sqrt(max(only + other - (only - other) ** 2 / n, 1)) / n
    low, high = wilson_interval(int(own.sum()), n)
    return {
        "n": n,
        "own": int(own.sum()),
        "mirrored": int(mirrored.sum()),
        "from": round(low, 4),
        "to": round(high, 4),
        "excess": round(excess, 4),
        "excess_from": round(excess - half, 4),
        "excess_to": round(excess + half, 4),
        "p": float(f"{mcnemar(only, other):.3g}"),
    }


# Networks.


class Read(NamedTuple):
    """What a network reads: probabilities of the best answer and of the written character."""

    best: np.ndarray
    probability: np.ndarray
    of_written: np.ndarray


def read(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> Read:
    p = predict(model, images)
    return Read(p.argmax(axis=1), p.max(axis=1), p[np.arange(len(p)), labels])


class Corrections:
    """What the corrections of some images are read as by one network."""

    def __init__(self, model: keras.Model, images: np.ndarray, labels: np.ndarray, hands: int):
        targets = np.array([hands_of(LEVEL1[label], hands).median for label in labels])
        self.read = {}
        found = measure(images)
        for kind in ALL if len(images) else ():
            for mirrored in (False, True):
                changed = corrected(kind, images, targets, mirrored=mirrored, found=found)
                self.read[kind, mirrored] = read(model, changed, labels)
        self.labels = labels

    def right(self, kind: str, mirrored: bool) -> np.ndarray:
        found = self.read.get((kind, mirrored))
        return np.zeros(0, bool) if found is None else found.best == self.labels

    def gain(self, kind: str) -> np.ndarray:
        """How many times as probable the correction makes the written character as its mirror."""
        own, other = self.read[kind, False].of_written, self.read[kind, True].of_written
        return np.log(np.maximum(own, 1e-12)) - np.log(np.maximum(other, 1e-12))


def blamed_parts(model: keras.Model, images: np.ndarray, labels, answers, hands: int) -> list[dict]:
    """For each misread image the part of the character where most speaks for the answer.

    Which ink belongs to which stroke is told by the nearest synthetic hand. A part that is no named
    component is "".
    """
    if len(images) == 0:
        return []
    small = resize_images(images, model.input_shape[1])
    maps = contrastive_cam(model, small, labels[:, None], answers[:, None])
    maps = stretched(maps, *images.shape[1:])[:, 0]
    found = []
    for image, label, shown in zip(images, labels, maps, strict=True):
        character = LEVEL1[label]
        each = hands_of(character, hands)
        nearest = distances(direction_maps(image[None]), each.maps).argmin()
        hand = write(character, random_writer(each.seeds[nearest]), masks=True)
        ink = inked(image)
        owner = stroke_ink(ink, inked(normalize(hand.bitmap)), normalize_masks(hand.masks) > 127)
        parts, left = {}, set(range(len(hand.masks)))
        for name, start, end in parts_of(character):
            parts[name] = parts.get(name, set()) | set(range(start, end))
            left -= set(range(start, end))
        if left:
            parts[""] = left
        pixels = {name: np.isin(owner, list(strokes)) for name, strokes in parts.items()}
        pixels = {name: where for name, where in pixels.items() if where.any()}
        speaks = {name: float(shown[where].mean()) for name, where in pixels.items()}
        total = sum(where.sum() for where in pixels.values())
        found.append(
            {
                "blamed": min(speaks, key=speaks.get),
                "ink": {name: float(where.sum() / total) for name, where in pixels.items()},
            }
        )
    return found


def components(found: list[dict], misread: str, right: str) -> dict:
    """For each component: in how many misread and read images it is, and how often it is blamed.

    "expected" is how often it would be blamed if that fell on parts by their share of the ink.
    """
    known = {name: (character, start, count) for name, character, start, count in COMPONENTS}
    names = sorted({name for parts in found for name in parts["ink"] if name})
    table = {}
    for name in names:
        has = [name in parts["ink"] for parts in found]
        a, b = sum(has), sum(name in {p for p, _, _ in parts_of(c)} for c in right)
        blamed = sum(parts["blamed"] == name for parts in found)
        shares = np.array([parts["ink"].get(name, 0.0) for parts in found])
        low, high = wilson_interval(blamed, a) if a else (0.0, 1.0)
        table[name] = {
            "as_in": known[name],  # a character, the first stroke, how many
            "misread": [a, len(misread)],
            "read": [b, len(right)],
            "blamed": blamed,
            "blamed_from": round(low, 3),
            "blamed_to": round(high, 3),
            "expected": round(float(shares.sum()), 2),
        }
    return dict(sorted(table.items(), key=lambda item: -item[1]["misread"][0]))


def alike(character: str, other: str) -> bool:
    """Whether two characters are look-alikes, by the list or by their templates."""
    if other in look_alikes(character):
        return True
    differ = differing_strokes(character, other), differing_strokes(other, character)
    return max(map(len, differ)) <= 1


# The record.


class Sample(NamedTuple):
    """Real images: which dataset and which image of it, labels, and strata for comparisons."""

    images: np.ndarray
    labels: np.ndarray
    dataset: np.ndarray
    index: np.ndarray

    @property
    def characters(self) -> str:
        return "".join(LEVEL1[label] for label in self.labels)

    @property
    def strata(self) -> np.ndarray:
        """One for a dataset that has each character once; else one for each character."""
        result = []
        for name, label in zip(self.dataset, self.labels, strict=True):
            several = np.bincount(self.labels[self.dataset == name]).max() > 1
            result.append(f"{name} {label}" if several else name)
        return np.array(result)


def real_sample(each: int) -> Sample:
    """All real images that are there; every `each`-th one."""
    parts = []
    for name, split in REAL:
        if find(name, split) is None:
            continue
        loaded = load(name, split=split)
        index = np.arange(0, len(loaded), each)
        parts.append(
            (loaded.images[index], loaded.labels[index], [loaded.name] * len(index), index)
        )
    if not parts:
        names = " and ".join(name for name, _ in REAL)
        sys.exit(f"errors needs {names}: name the folder that holds them in HCCR_DATA_DIR")
    return Sample(*map(np.concatenate, zip(*parts, strict=True)))


def synthetic_sample(characters: str) -> Sample:
    """Images by hands that the ranges of traits don't know."""
    parts = [(written(c, seeds_of(c, CONTROLS, 2)), LEVEL1.index(c)) for c in characters]
    labels = np.repeat([label for _, label in parts], CONTROLS)
    n = len(labels)
    images = np.concatenate([images for images, _ in parts])
    return Sample(images, labels, np.array(["synthetic"] * n), np.arange(n))


def trait_table(flags: np.ndarray, styles: dict, wrong: np.ndarray, strata: np.ndarray) -> dict:
    """The odds ratio of every direction of every trait, and of every probe."""
    table = {}
    for column, kind in enumerate(KINDS):
        for sign, way in ((-1, "low"), (1, "high")):
            if kind in ("proportion", "shape") and way == "low":
                continue
            table[f"{kind} {way}"] = odds_ratio(flags[:, column] == sign, wrong, strata)
    for style, shows in styles.items():
        known = ~np.isnan(shows)
        table[f"probe {style}"] = odds_ratio(shows[known] > 0, wrong[known], strata[known])
    return table


def some(where: np.ndarray, n: int) -> np.ndarray:
    """At most n of the indices at which an array is true, the same ones every time."""
    found = np.flatnonzero(where)
    rng = np.random.default_rng(SEED)
    return np.sort(rng.choice(found, min(n, len(found)), replace=False))


def evidence(flags: np.ndarray, styles: dict, counts: dict, image: int) -> list[str]:
    """Of one image, the traits outside that count as causes, the strongest first."""
    shown = [
        f"{kind} {'low' if flags[image, column] < 0 else 'high'}"
        for column, kind in enumerate(KINDS)
        if flags[image, column]
    ]
    shown += [f"probe {style}" for style, shows in styles.items() if shows[image] == 1]
    return sorted((name for name in shown if name in counts), key=lambda name: -counts[name])


def cause(evident: dict) -> str:
    """The first cause that applies."""
    if evident["doubtful"]:
        return "label in doubt"
    if evident["alike"]:
        return "look-alike"
    if evident["mended"]:
        return evident["mended"][0]
    if evident["outside"]:
        name = evident["outside"][0]
        return CAUSES.get(name, name.rsplit(" ", 1)[0])
    return "none of these"


def judged(name: str, model, sample: Sample, made: Sample, answers: dict, shared: dict) -> dict:
    """All that is recorded of one network."""
    mine, hands, characters = answers[name], shared["hands"], sample.characters
    wrong = mine.best != sample.labels
    missed = np.flatnonzero(wrong)
    synthetic = read(model, made.images, made.labels)
    synthetic_wrong = synthetic.best != made.labels
    flags, styles = shared["flags"], shared["styles"]
    table = trait_table(flags, styles, wrong, sample.strata)
    counts = {
        trait: row["odds_ratio"]
        for trait, row in table.items()
        if row["odds_ratio"] and row["from"] > 1
    }
    print(f"{name}: corrections", flush=True)
    mend = Corrections(model, sample.images[missed], sample.labels[missed], hands)
    keep, errors = (some(each, shared["some"]) for each in (~wrong, synthetic_wrong))
    stay = Corrections(model, sample.images[keep], sample.labels[keep], hands)
    baseline = Corrections(model, made.images[errors], made.labels[errors], hands)
    corrections = {
        kind: {
            "mended": paired(mend.right(kind, False), mend.right(kind, True)),
            "broken": paired(~stay.right(kind, False), ~stay.right(kind, True)),
            "synthetic": paired(baseline.right(kind, False), baseline.right(kind, True)),
        }
        for kind in ALL
    }
    read_as = "".join(LEVEL1[label] for label in mine.best)
    blame = blamed_parts(
        model, sample.images[missed], sample.labels[missed], mine.best[missed], hands
    )
    images = []
    for number, image in enumerate(missed):
        mended = [
            kind
            for kind in ALL
            if mend.right(kind, False)[number] and not mend.right(kind, True)[number]
        ]
        # Several traits at once are a cause only where none is by itself.
        mended.sort(key=lambda kind: (kind == "all", -mend.gain(kind)[number]))
        evident = {
            "doubtful": doubtful(sample, answers, image, hands),
            "alike": alike(characters[image], read_as[image]),
            "mended": ["several traits at once" if kind == "all" else kind for kind in mended],
            "outside": evidence(flags, styles, counts, image),
        }
        images.append(
            {
                "dataset": str(sample.dataset[image]),
                "image": int(sample.index[image]),
                "written": characters[image],
                "read": read_as[image],
                "probability": round(float(mine.probability[image]), 3),
                "cause": cause(evident),
                "mended": evident["mended"],
                "outside": evident["outside"],
                "part": blame[number]["blamed"],
            }
        )
    first = Counter(each["cause"] for each in images)
    print(f"{name}: {len(missed)} of {len(wrong)} misread;", dict(first.most_common()), flush=True)
    right = "".join(characters[image] for image in np.flatnonzero(~wrong))
    return {
        "sha256": weights_hash(name),
        "datasets": {
            str(each): [
                int(wrong[sample.dataset == each].sum()),
                int((sample.dataset == each).sum()),
            ]
            for each in dict.fromkeys(sample.dataset)
        },
        "synthetic": [int(synthetic_wrong.sum()), len(made.labels)],
        "causes": dict(first.most_common()),
        "count_as_causes": sorted(counts, key=counts.get, reverse=True),
        "traits": table,
        "synthetic_traits": trait_table(
            shared["synthetic_flags"], {}, synthetic_wrong, made.dataset
        ),
        "corrections": corrections,
        "components": components(blame, "".join(characters[i] for i in missed), right),
        "images": images,
    }


def doubtful(sample: Sample, answers: dict, image: int, hands: int) -> bool:
    """Whether all networks give one other answer, to whose synthetic images the ink is nearer."""
    best = {int(each.best[image]) for each in answers.values()}
    label = int(sample.labels[image])
    sure = all(each.probability[image] > SURE for each in answers.values())
    if len(answers) < 2 or len(best) > 1 or label in best or not sure:
        return False
    maps = direction_maps(sample.images[image : image + 1])
    near = [
        np.sort(distances(maps, hands_of(LEVEL1[each], hands).maps)[0])[:3].mean()
        for each in (*best, label)
    ]
    return bool(near[0] < near[1])


# Contact sheets.


def sheets(folder: Path, name: str, model, sample: Sample, images: list[dict], hands: int) -> None:
    """A picture for each cause: real, the nearest of the written and of the read character.

    Nearest in the pooled features of the network, which its dense layer reads.
    """
    from hccr_lib.viz.figures import contact_sheet, use_course_style

    use_course_style()
    folder.mkdir(parents=True, exist_ok=True)
    trunk = keras.Model(model.inputs[0], pooled_head(model)[2])

    def features(pictures: np.ndarray) -> np.ndarray:
        small = resize_images(pictures, model.input_shape[1])[..., None]
        return trunk.predict(small, batch_size=256, verbose=0)

    @cache
    def made(character: str) -> tuple[np.ndarray, np.ndarray]:
        pictures = written(character, seeds_of(character, hands, 0))
        return pictures, features(pictures)

    where = {(d, i): n for n, (d, i) in enumerate(zip(sample.dataset, sample.index, strict=True))}
    of_real = features(sample.images)
    for number, kind in enumerate(dict.fromkeys(each["cause"] for each in images)):
        pictures, titles = [], []
        for each in [each for each in images if each["cause"] == kind][:64]:
            at = where[each["dataset"], each["image"]]
            pictures.append(sample.images[at])
            for character in (each["written"], each["read"]):
                by_hand, known = made(character)
                pictures.append(by_hand[distances(of_real[at : at + 1], known).argmin()])
            titles += [f"{each['written']}→{each['read']}\n{each['probability']:.2f}"]
            titles += [each["written"], each["read"]]
        figure = contact_sheet(pictures, titles, columns=12, cell_inches=0.8)
        figure.suptitle(f"{name}: {kind}", y=1, va="bottom")
        file = folder / f"{Path(name).name}_{number}_{kind.replace(' ', '_')}.png"
        figure.savefig(file, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--hands", type=int, default=64, help="synthetic ones of each character")
    parser.add_argument("--each", type=int, default=1, help="read every so manieth image, a trial")
    parser.add_argument(
        "--some", type=int, default=150, help="read real and misread synthetic images to correct"
    )
    parser.add_argument("--sheet", type=Path, help="a folder for contact sheets")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)  # images are small
    sample = real_sample(arguments.each)
    try:
        loaded = {name: load_model(name) for name in arguments.networks}
    except ModelError as error:
        sys.exit(str(error))
    for name, (_, known) in loaded.items():
        if known != LEVEL1:
            sys.exit(f"{name}: tells {len(known)} characters apart; this needs all 3,755")
    models = {name: model for name, (model, _) in loaded.items()}
    made = environment()
    answers = {name: read(model, sample.images, sample.labels) for name, model in models.items()}
    present = "".join(dict.fromkeys(sample.characters))
    print(f"{len(sample.labels)} images; {arguments.hands} hands of {len(present)}", flush=True)
    synthetic = synthetic_sample(present)
    hands = arguments.hands
    shared = {
        "hands": hands,
        "some": arguments.some,
        "flags": outside(sample.images, sample.characters, hands),
        "synthetic_flags": outside(synthetic.images, synthetic.characters, hands),
    }
    print("probes", flush=True)
    shared["styles"] = {s: probed(sample.images, sample.characters, s) for s in PROBES}
    trusted = {s: [probe(c, s)[2] for c in present if has_style(c, s)] for s in PROBES}
    record = {
        **made,
        "synthesis_version": SYNTHESIS_VERSION,
        "hands": hands,
        "central": CENTRAL,
        "probes": {
            style: {
                "characters": len(said),
                "said_of_first": round(float(np.mean(said, axis=0)[0]), 3),
                "said_of_second": round(float(np.mean(said, axis=0)[1]), 3),
            }
            for style, said in trusted.items()
            if said
        },
        "networks": {},
    }
    for name, model in models.items():
        record["networks"][name] = judged(name, model, sample, synthetic, answers, shared)
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.out.name}: {len(text.encode()) / 1000:.0f} KB", flush=True)
    for name, model in models.items() if arguments.sheet else ():
        images = record["networks"][name]["images"]
        sheets(arguments.sheet, name, model, sample, images, hands)


if __name__ == "__main__":
    main()
