"""Which maps are true to the strokes? A league table of methods that explain Model C.

Three measures on synthetic handwriting, in which it is known which ink is which stroke
(`hccr_lib.explain.stroke_truth`). For characters drawn evenly from those of level 1 that have at
least three strokes: Spearman's correlation of a map's mass per stroke with the strokes' causal
effects, what the logit of the true character loses when a stroke is not written; and with the
effects on that logit less the mean of all logits, as what all classes share decides nothing. For
look-alikes: the share of a map's positive mass that lies on the strokes that differ, less the share
of the ink that is theirs, and how often the map's highest value is on them; for the map of the
character, and for its difference from the map of the look-alike. For characters that only lack a
stroke of a look-alike: whether that difference lies on the paper where the stroke is not.

The other networks of the course have rows for their class activation maps, on the same images, held
against what the strokes are worth to that same network.

Gradients at pixels cost as much as everything else together, so they are measured on fewer images;
the record says how many of each. Intervals are bootstraps of whole characters, or of whole groups
of look-alikes, since images of one are no independent measurements.
What it measured goes into data/results/stroke_truth.json.

    python benchmarks/stroke_truth.py                    fifteen minutes on two busy cores
    python benchmarks/stroke_truth.py --characters 8 --groups 4 --out try.json       a trial
"""

import argparse
import json
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from stroke_truth_maps import (
    BASELINES,
    BOOTSTRAPS,
    INNER,
    LITTLE_NOISE,
    METHODS,
    NETWORK,
    OF_LAYERS,
    all_maps,
    cams,
    interval,
    kinds,
    one_map,
    other_names,
    other_networks,
)

from hccr_lib.characters import LEVEL1, LOOK_ALIKES, label_of
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer
from hccr_lib.evaluation import load_model, predict
from hccr_lib.explain.faithfulness import random_map, spearman, stretched
from hccr_lib.explain.stroke_truth import (
    causal_effects,
    differing_strokes,
    distance_from_ink,
    mass_per_stroke,
    pointing,
    stroke_correlation,
    written_strokes,
)
from hccr_lib.models.weights import pretrained_file, pretrained_record
from hccr_lib.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "stroke_truth.json"
SEED, SHUFFLES = 12, 20
FROM_THE_MIDDLE = "distance from the ink's middle"
OF_THOSE_READ = {"all": "read_correctly", "given_size": "given_size_read_correctly"}


def by_hand(characters, rng):
    """Each character as another writer writes it, and the seeds of the writers."""
    seeds = rng.integers(2**60, size=len(characters)).tolist()
    pairs = zip(characters, seeds, strict=True)
    return [written_strokes(character, random_writer(seed)) for character, seed in pairs], seeds


def correlation(model, others, options, rng):
    """The first measure: mass per stroke against causal effects."""
    several = [character for character in LEVEL1 if len(stroke_template(character)) >= 3]
    chosen = rng.choice(len(several), options.characters, replace=False)
    characters = [several[number] for number in chosen]
    print(f"{len(characters)} characters, {options.writers} writers", flush=True)
    clusters = np.repeat(np.arange(len(characters)), options.writers)
    written, seeds = by_hand([characters[cluster] for cluster in clusters], rng)
    images = np.stack([each.image for each in written])
    masks = [each.masks for each in written]
    classes = np.array([[label_of(each.character)] for each in written])
    effects, right = worth(model, written, classes)
    maps = all_maps(model, images, masks, classes, options.few * options.writers)
    maps |= {name: method(images) for name, method in BASELINES.items()}
    maps[FROM_THE_MIDDLE] = np.stack([distance_from_ink(mask)[None] for mask in masks])
    table = rows(maps, masks, effects, right, clusters, maps["ink"])
    by_character = scored(maps["CAM"], masks, effects)["all"].reshape(-1, options.writers).mean(1)
    for name, other in others.items():
        shown = cams(name, other, images, classes)
        table |= rows(shown, masks, *worth(other, written, classes), clusters, maps["ink"])

    plain = [each[0] for each in effects]
    return {
        "characters": "".join(characters),
        "images": len(images),
        "strokes": int(sum(map(len, plain))),
        "read_correctly": int(right.sum()),
        "raising": {
            "strokes": int(sum((each < 0).sum() for each in plain)),
            "images": int(sum((each < 0).any() for each in plain)),
            "most": raising(written, plain, seeds),
        },
        "cam_by_character": {
            c: round(float(score), 3) for c, score in zip(characters, by_character, strict=True)
        },
        "methods": table,
        "checks": checks(masks, effects, clusters, rng),
    }


def worth(model, written, classes):
    """Two effects of the strokes of each image, `(2, S)`, and which images are read correctly.

    The first is that on the logit, the second that on the logit less the mean of all logits.
    """
    every = causal_effects(model, written, np.arange(model.output_shape[-1]), batch_size=256)
    effects = [
        np.stack([each[label], each[label] - each.mean(axis=0)])
        for each, label in zip(every, classes[:, 0], strict=True)
    ]
    print("  causal effects", flush=True)
    read = predict(model, np.stack([each.image for each in written])).argmax(1)
    return effects, read == classes[:, 0]


def scored(maps, masks, effects):
    """Each image's correlations of its map with the effects of its strokes, `(n,)` by column."""
    found = []
    for row in range(len(maps)):
        own = one_map(maps, row)
        asked, against = np.concatenate([own, own, np.maximum(own, 0)]), effects[row][[0, 1, 0]]
        given = stroke_correlation(asked[:2], masks[row], against[:2], given_size=True)
        both = {"given_size": True, "given_place": True}
        more = stroke_correlation(asked[:2], masks[row], against[:2], **both)
        found.append([*stroke_correlation(asked, masks[row], against), *given, *more])
    columns = ("all", "centred_effects", "relu", "given_size", "centred_effects_given_size")
    columns += ("given_size_and_place", "centred_effects_given_size_and_place")
    return dict(zip(columns, np.array(found).T, strict=True))


def rows(maps, masks, effects, right, clusters, ink):
    """The rows of the table for maps of one network, with what strokes are worth to it."""
    table, by_ink = {}, scored(ink, masks, effects)["all"]
    for name, each in maps.items():
        of, read, scores = clusters[: len(each)], right[: len(each)], scored(each, masks, effects)
        if name.split(",")[0] not in OF_LAYERS:
            del scores["relu"]
        table[name] = {column: interval(values, of) for column, values in scores.items()}
        for column, title in OF_THOSE_READ.items():
            table[name][title] = interval(scores[column][read], of[read])
        table[name]["more_than_ink"] = interval(scores["all"] - by_ink[: len(each)], of)
        if name not in (*BASELINES, FROM_THE_MIDDLE):
            mass = [mass_per_stroke(one_map(each, r), masks[r])[0] for r in range(len(each))]
            table[name]["writers_agree"] = interval(*agreement(mass, of))
    return table


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
    effects, centred = [e[0] for e in effects], [e[1] for e in effects]
    both = [spearman(e[None], c[None])[0] for e, c in zip(effects, centred, strict=True)]
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
        "perfect_map": interval(perfect, clusters),
        "perfect_map_shuffled": interval(shuffled, clusters),
        "perfect_map_shuffled_given_size": interval(shuffled_given_size, clusters),
        "size_of_the_stroke": interval(size, clusters),
        "effects_centred_and_not": interval(both, clusters),
        "effects_of_the_other_writers": interval(*agreement(effects, clusters)),
    }


def look_alikes(model, others, options, rng):
    """The second measure: do maps of a character lie on what tells it from a look-alike?"""
    cases, seen = [], set()
    for group, members in enumerate(LOOK_ALIKES[: options.groups]):
        for one, other in permutations(members, 2):
            strokes = differing_strokes(one, other)
            if strokes and one + other not in seen:
                seen.add(one + other)
                cases.append((group, one, other, strokes))
    pairs = {frozenset(case[1:3]) for case in cases}
    print(f"{len(cases)} ordered pairs of look-alikes", flush=True)
    # In random order, each pair's first writer before any second one: a part is a fair part.
    cases = [cases[number] for number in rng.permutation(len(cases))]
    cases = [case for _ in range(options.writers) for case in cases]
    written, _ = by_hand([case[1] for case in cases], rng)
    images = np.stack([each.image for each in written])
    masks = [each.masks for each in written]
    classes = np.array([[label_of(one), label_of(other)] for _, one, other, _ in cases])
    groups = np.array([case[0] for case in cases])
    read = predict(model, images).argmax(1)
    right = read == classes[:, 0]
    maps = all_maps(model, images, masks, classes, min(options.few * 2, len(cases)))
    maps |= {name: method(images) for name, method in BASELINES.items()}
    reads = dict.fromkeys(maps, right)
    for name, other in others.items():
        shown = cams(name, other, images, classes)
        maps |= shown
        reads |= dict.fromkeys(shown, predict(other, images).argmax(1) == classes[:, 0])

    effects = causal_effects(model, written, classes, batch_size=256)
    table, chance = {}, []
    for name, both in maps.items():
        table[name] = {}
        for kind, each in kinds(both).items():
            found = [
                pointing(one_map(each, row), masks[row], cases[row][3]) for row in range(len(each))
            ]
            energy = np.array([f.energy[0] - f.chance for f in found])
            hit = np.array([float(f.hit[0]) for f in found])
            base = np.array([f.chance for f in found])
            of, some = groups[: len(found)], reads[name][: len(found)]
            table[name][kind] = {
                "energy_less_chance": interval(energy, of),
                "energy_less_chance_read_correctly": interval(energy[some], of[some]),
                "hit": interval(hit, of),
                "hit_less_chance": interval(hit - base, of),
                "hit_read_correctly": interval(hit[some], of[some]),
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
        "chance": interval(chance, groups),
        "a_differing_stroke_decides": interval(decides, groups),
        "methods": table,
    }


def on_paper(model, others, options, rng):
    """The third measure: 太 without its dot is 大. Does what says so lie where the dot would be?

    A hand's 太 stands in for its 大, so that the place is known to the pixel. Measured is the share
    of a map's positive mass on those pixels by their share of the picture, 1 for a map that is the
    same everywhere; and the same on the strokes that characters of other groups lack.
    """
    cases = [
        (group, less, more, differing_strokes(more, less)[0])
        for group, members in enumerate(LOOK_ALIKES[: options.groups])
        for less, more in permutations(members, 2)
        if len(differing_strokes(more, less)) == 1 and not differing_strokes(less, more)
    ] * options.writers
    groups = np.array([case[0] for case in cases])
    if len(set(groups.tolist())) < 2:
        return {"pairs": []}
    print(f"{len(cases)} images that lack a stroke of a look-alike", flush=True)
    images, places = [], []
    for written, case in zip(by_hand([case[2] for case in cases], rng)[0], cases, strict=True):
        images.append(written.without[case[3]])
        # Where the stroke crosses another one there is ink and no paper.
        other_ink = np.delete(written.masks, case[3], axis=0).any(axis=0)
        places.append((written.masks[case[3]] & ~other_ink).ravel().astype(np.float32))
    images, places = np.stack(images), np.stack(places)
    classes = np.array([[label_of(less), label_of(more)] for _, less, more, _ in cases])
    read = predict(model, images).argmax(1)[:, None] == classes
    maps = {name: method(model, images, classes) for name, method in METHODS.items()}
    maps["random map"] = random_map(images)
    for name, other in others.items():
        maps |= cams(name, other, images, classes)
    table, foreign = {}, groups[:, None] != groups
    for name, both in maps.items():
        table[name] = {}
        for kind, each in kinds(both).items():
            positive = np.maximum(stretched(each, 96, 96), 0).reshape(len(each), -1)
            positive[~positive.any(axis=1)] = np.nan  # says nothing, and does not count
            times = positive @ places.T / positive.mean(1, keepdims=True) / places.sum(1)
            own, elsewhere = times.diagonal(), (times * foreign).sum(1) / foreign.sum(1)
            table[name][kind] = {
                "times_area": interval(own, groups),
                "elsewhere": interval(elsewhere, groups),
                "more_than_elsewhere": interval(own - elsewhere, groups),
            }
    return {
        "pairs": list(dict.fromkeys(less + more for _, less, more, _ in cases)),
        "images": len(images),
        "area": round(float(places.mean()), 4),
        "read_as_the_one_that_lacks_it": int(read[:, 0].sum()),
        "read_as_the_one_that_has_it": int(read[:, 1].sum()),
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
    model, others = load_model(NETWORK)[0], other_networks()
    rngs = [np.random.default_rng(SEED + part) for part in range(3)]
    result = {
        **environment(),
        "network": {"name": NETWORK, "sha256": weights_hash(NETWORK)},
        "other_networks": {name: weights_hash(name) for name in other_names()},
        "synthesis_version": SYNTHESIS_VERSION,
        "settings": {
            "seed": SEED,
            "characters": options.characters,
            "writers": options.writers,
            "characters_for_gradients_at_pixels": min(options.few, options.characters),
            "images_of_look_alikes_for_gradients_at_pixels": 2 * options.few,
            "integrated_gradients_steps": 16,
            "smooth_grad_samples": 8,
            "smooth_grad_little_noise": LITTLE_NOISE,
            "inner_layer": INNER,
            "bootstraps": BOOTSTRAPS,
            "shuffles": SHUFFLES,
            "maps": "signed; 'relu' is the same map with its negative values set to 0",
        },
        "correlation": correlation(model, others, options, rngs[0]),
        "look_alikes": look_alikes(model, others, options, rngs[1]),
        "on_paper": on_paper(model, others, options, rngs[2]),
    }
    result["seconds"] = round(time.perf_counter() - start)
    options.out.write_text(
        json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    for name, row in result["correlation"]["methods"].items():
        print(f"{name:28} {row['all']}")
    print(f"{options.out.name}: {result['seconds']} s")


def weights_hash(network: str) -> str:
    """The SHA-256 of the file that the network's weights are in."""
    return pretrained_record(pretrained_file(network))["sha256"]


if __name__ == "__main__":
    main()
