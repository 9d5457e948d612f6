"""Which maps are true to the strokes? A league table of methods that explain Model C.

Two measures on synthetic handwriting, in which it is known which ink is which stroke
(`hccr_lib.explain.stroke_truth`). For characters drawn evenly from those of level 1 that have at
least three strokes: Spearman's correlation of a map's mass per stroke with the strokes' causal
effects, what the logit of the true character loses when a stroke is not written. For look-alikes:
the share of a map's positive mass that lies on the strokes that differ, less the share of the ink
that is theirs, and how often the map's highest value is on them; for the map of the character, and
for its difference from the map of the look-alike.

Gradients at pixels cost as much as everything else together, so integrated gradients and SmoothGrad
are measured on fewer images; the record says how many of each. Intervals are bootstraps of whole
characters, or of whole groups of look-alikes, since images of one are no independent measurements.
What it measured goes into data/results/stroke_truth.json.

    python benchmarks/stroke_truth.py                    eleven minutes on two busy cores
    python benchmarks/stroke_truth.py --characters 8 --groups 4 --out try.json       a trial
"""

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from hccr_lib import explain
from hccr_lib.characters import LEVEL1, LOOK_ALIKES, label_of
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer
from hccr_lib.evaluation import predict
from hccr_lib.explain.faithfulness import edge_map, ink_map, random_map, spearman, stretched
from hccr_lib.explain.stroke_truth import (
    causal_effects,
    differing_strokes,
    mass_per_stroke,
    pointing,
    stroke_correlation,
    written_strokes,
)
from hccr_lib.models import melnyk_net
from hccr_lib.models.weights import pretrained_file, pretrained_record
from hccr_lib.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "stroke_truth.json"
NETWORK = "melnyk_net_c"
SEED, BOOTSTRAPS, SHUFFLES = 12, 2000, 20
INNER = "conv4_3_relu"
OF_LAYERS = {
    "Grad-CAM": explain.grad_cam,
    "HiResCAM": explain.hires_cam,
    "LayerCAM": explain.layer_cam,
    "Grad-CAM++": explain.grad_cam_plus_plus,
}
# Signed maps throughout: an order of strokes has use for what speaks against the class.
METHODS = {
    "CAM": explain.cam,
    **{f"{name}, pooled maps": partial(m, relu=False) for name, m in OF_LAYERS.items()},
    **{f"{name}, {INNER}": partial(m, relu=False, layer=INNER) for name, m in OF_LAYERS.items()},
}
OF_PIXELS = {
    "integrated gradients": partial(explain.integrated_gradients, steps=16),
    "SmoothGrad": partial(explain.smooth_grad, samples=8),
}
BASELINES = {
    "random map": random_map,
    "random map, mean 0": lambda images: random_map(images) - 0.5,
    "ink": ink_map,
    "edges": edge_map,
}


def interval(scores, clusters, rng):
    """Mean of scores and its 95 % interval, a bootstrap of whole clusters; NaN is left out."""
    scores, clusters = np.asarray(scores, float), np.asarray(clusters)
    known = ~np.isnan(scores)
    if not known.any():
        return {"n": 0}
    _, where = np.unique(clusters[known], return_inverse=True)
    sums, counts = np.bincount(where, scores[known]), np.bincount(where)
    drawn = rng.integers(len(sums), size=(BOOTSTRAPS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return {
        "mean": round(float(scores[known].mean()), 4),
        "from": round(float(low), 4),
        "to": round(float(high), 4),
        "n": int(known.sum()),
    }


def all_maps(model, images, masks, classes, few):
    """Maps of every method, each `(n, k, h, w)`; those of pixels for the first `few` images."""
    maps = {}
    for name, method in (METHODS | OF_PIXELS).items():
        part = few if name in OF_PIXELS else len(images)
        maps[name] = method(model, images[:part], classes[:part])
        print(f"  {name}", flush=True)
    maps["stroke occlusion"] = explain.stroke_occlusion(
        model, images, masks, classes, batch_size=256
    )
    print("  stroke occlusion", flush=True)
    return maps


def one_map(maps, row):
    """The maps of one image, `(k, 96, 96)`; None for a method that did not get as far."""
    return stretched(maps[row : row + 1], 96, 96)[0] if row < len(maps) else None


def correlation(model, options, rng):
    """The first measure: mass per stroke against causal effects."""
    several = [character for character in LEVEL1 if len(stroke_template(character)) >= 3]
    chosen = rng.choice(len(several), options.characters, replace=False)
    characters = [several[number] for number in chosen]
    print(f"{len(characters)} characters, {options.writers} writers", flush=True)
    clusters = np.repeat(np.arange(len(characters)), options.writers)
    seeds = rng.integers(2**60, size=len(clusters)).tolist()
    written = [
        written_strokes(characters[cluster], random_writer(seed))
        for cluster, seed in zip(clusters, seeds, strict=True)
    ]
    images = np.stack([each.image for each in written])
    masks = [each.masks for each in written]
    classes = np.array([[label_of(each.character)] for each in written])
    effects = causal_effects(model, written, classes, batch_size=256)
    effects = [each[0] for each in effects]
    print("  causal effects", flush=True)
    right = predict(model, images).argmax(1) == classes[:, 0]
    maps = all_maps(model, images, masks, classes, options.few * options.writers)
    maps |= {name: method(images) for name, method in BASELINES.items()}

    def scored(name, **how):
        each = maps[name]
        if how.pop("relu", False):
            each = np.maximum(each, 0)
        return np.array(
            [
                stroke_correlation(one_map(each, row), masks[row], effects[row][None], **how)[0]
                for row in range(len(each))
            ]
        )

    table, by_ink = {}, scored("ink")
    for name, each in maps.items():
        found, given_size = scored(name), scored(name, given_size=True)
        of, read = clusters[: len(found)], right[: len(found)]
        table[name] = {
            "all": interval(found, of, rng),
            "read_correctly": interval(found[read], of[read], rng),
            "given_size": interval(given_size, of, rng),
            "given_size_read_correctly": interval(given_size[read], of[read], rng),
            "more_than_ink": interval(found - by_ink[: len(found)], of, rng),
        }
        if name in METHODS and name != "CAM":
            table[name]["relu"] = interval(scored(name, relu=True), of, rng)
        if name not in BASELINES:
            mass = [mass_per_stroke(one_map(each, r), masks[r])[0] for r in range(len(each))]
            table[name]["writers_agree"] = interval(*agreement(mass, of), rng)
        if name == "CAM":
            by_character = [found[clusters == c].mean() for c in range(len(characters))]

    return {
        "characters": "".join(characters),
        "images": len(images),
        "strokes": int(sum(map(len, effects))),
        "read_correctly": int(right.sum()),
        "raising": {
            "strokes": int(sum((each < 0).sum() for each in effects)),
            "images": int(sum((each < 0).any() for each in effects)),
            "most": raising(written, effects, seeds),
        },
        "cam_by_character": {
            c: round(float(score), 3) for c, score in zip(characters, by_character, strict=True)
        },
        "methods": table,
        "checks": checks(masks, effects, clusters, rng),
    }


def raising(written, effects, seeds):
    """The strokes without which the logit rises most; a writer's seed writes them again."""
    found = [
        {
            "character": each.character,
            "stroke": int(effect.argmin()),
            "effect": round(float(effect.min()), 2),
            "writer": seed,
        }
        for each, effect, seed in zip(written, effects, seeds, strict=True)
    ]
    return sorted(found, key=lambda case: case["effect"])[:8]


def agreement(vectors, clusters):
    """Spearman's correlation of each image's vector with the mean of the other writers' of it."""
    scores, of = [], []
    for cluster in np.unique(clusters):
        own = np.stack([vectors[row] for row in np.flatnonzero(clusters == cluster)])
        if len(own) > 1:
            others = (own.sum(axis=0) - own) / (len(own) - 1)
            scores += spearman(own, others).tolist()
            of += [cluster] * len(own)
    return scores, of


def checks(masks, effects, clusters, rng):
    """What the measure says where the answer is known, and how alike the writers' effects are."""
    perfect, shuffled, shuffled_given_size, size = [], [], [], []
    for mask, effect in zip(masks, effects, strict=True):
        alone = mask & (mask.sum(axis=0) == 1)
        even = alone / np.maximum(alone.sum((1, 2), keepdims=True), 1)
        orders = np.stack([effect, *(rng.permutation(effect) for _ in range(SHUFFLES))])
        maps = np.einsum("ks,shw->khw", orders, even)
        same = np.repeat(effect[None], len(maps), axis=0)
        found = stroke_correlation(maps, mask, same)
        perfect.append(found[0])
        shuffled.append(found[1:].mean())
        found = stroke_correlation(maps, mask, same, given_size=True)
        shuffled_given_size.append(found[1:].mean())
        size.append(stroke_correlation(np.ones((1, 6, 6)), mask, effect[None])[0])
    return {
        "perfect_map": interval(perfect, clusters, rng),
        "perfect_map_shuffled": interval(shuffled, clusters, rng),
        "perfect_map_shuffled_given_size": interval(shuffled_given_size, clusters, rng),
        "size_of_the_stroke": interval(size, clusters, rng),
        "effects_of_the_other_writers": interval(*agreement(effects, clusters), rng),
    }


def look_alikes(model, options, rng):
    """The second measure: do maps of a character lie on what tells it from a look-alike?"""
    cases, seen = [], set()
    for group, members in enumerate(LOOK_ALIKES[: options.groups]):
        for one in members:
            for other in members:
                strokes = differing_strokes(one, other)
                if one != other and strokes and one + other not in seen:
                    seen.add(one + other)
                    cases.append((group, one, other, strokes))
    pairs = {frozenset(case[1:3]) for case in cases}
    print(f"{len(cases)} ordered pairs of look-alikes", flush=True)
    # In random order, each pair's first writer before any second one: a part is a fair part.
    cases = [cases[number] for number in rng.permutation(len(cases))]
    cases = [case for _ in range(options.writers) for case in cases]
    seeds = rng.integers(2**60, size=len(cases)).tolist()
    written = [
        written_strokes(case[1], random_writer(s)) for case, s in zip(cases, seeds, strict=True)
    ]
    images = np.stack([each.image for each in written])
    masks = [each.masks for each in written]
    classes = np.array([[label_of(one), label_of(other)] for _, one, other, _ in cases])
    groups = np.array([case[0] for case in cases])
    read = predict(model, images).argmax(1)
    right = read == classes[:, 0]
    maps = all_maps(model, images, masks, classes, min(options.few * 2, len(cases)))
    kinds = {name: {"plain": m[:, :1], "contrast": m[:, :1] - m[:, 1:]} for name, m in maps.items()}
    kinds |= {name: {"plain": method(images)} for name, method in BASELINES.items()}

    effects = causal_effects(model, written, classes, batch_size=256)
    table, chance = {}, []
    for name, maps in kinds.items():
        table[name] = {}
        for kind, each in maps.items():
            found = [
                pointing(one_map(each, row), masks[row], cases[row][3]) for row in range(len(each))
            ]
            energy = np.array([f.energy[0] - f.chance for f in found])
            hit = np.array([float(f.hit[0]) for f in found])
            base = np.array([f.chance for f in found])
            of, some = groups[: len(found)], right[: len(found)]
            table[name][kind] = {
                "energy_less_chance": interval(energy, of, rng),
                "energy_less_chance_read_correctly": interval(energy[some], of[some], rng),
                "hit": interval(hit, of, rng),
                "hit_less_chance": interval(hit - base, of, rng),
                "hit_read_correctly": interval(hit[some], of[some], rng),
            }
            chance = base if len(base) == len(images) else chance
    # The stroke whose loss costs most of the lead over the look-alike: is it one that differs?
    decides = [
        float((effect[0] - effect[1]).argmax() in case[3])
        for effect, case in zip(effects, cases, strict=True)
    ]
    return {
        "pairs": ["".join(sorted(pair)) for pair in sorted(pairs, key=sorted)],
        "ordered": len(cases) // options.writers,
        "images": len(images),
        "read_correctly": int(right.sum()),
        "read_as_the_look_alike": int((read == classes[:, 1]).sum()),
        "chance": interval(chance, groups, rng),
        "a_differing_stroke_decides": interval(decides, groups, rng),
        "methods": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--characters", type=int, default=200)
    parser.add_argument("--writers", type=int, default=5, help="of each character, at least 2")
    parser.add_argument("--few", type=int, default=20, help="characters for gradients at pixels")
    parser.add_argument("--groups", type=int, help="of look-alikes; all")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.writers < 2 or options.few < 1 or options.characters < 1:
        sys.exit("stroke_truth needs at least 2 writers, 1 character, and 1 for pixel gradients")
    start = time.perf_counter()
    model = melnyk_net("C", weights="synthetic")
    rng = np.random.default_rng(SEED)
    result = {
        **environment(),
        "network": {"name": NETWORK, "sha256": weights_hash()},
        "synthesis_version": SYNTHESIS_VERSION,
        "settings": {
            "seed": SEED,
            "characters": options.characters,
            "writers": options.writers,
            "characters_for_gradients_at_pixels": min(options.few, options.characters),
            "images_of_look_alikes_for_gradients_at_pixels": 2 * options.few,
            "integrated_gradients_steps": 16,
            "smooth_grad_samples": 8,
            "inner_layer": INNER,
            "bootstraps": BOOTSTRAPS,
            "shuffles": SHUFFLES,
            "maps": "signed; 'relu' is the same map with its negative values set to 0",
        },
        "correlation": correlation(model, options, rng),
        "look_alikes": look_alikes(model, options, rng),
    }
    result["seconds"] = round(time.perf_counter() - start)
    options.out.write_text(
        json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    for name, row in result["correlation"]["methods"].items():
        print(f"{name:28} {row['all']}")
    print(f"{options.out.name}: {result['seconds']} s")


def weights_hash() -> str:
    """The SHA-256 of the file that the network's weights are in."""
    return pretrained_record(pretrained_file(NETWORK))["sha256"]


if __name__ == "__main__":
    main()
