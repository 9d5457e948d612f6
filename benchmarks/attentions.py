"""How separate are the attentions of MCANet, and are their maps true to the strokes?

On images drawn as those of benchmarks/stroke_truth.py, 100 characters by five writers each:
Grad-CAM and HiResCAM at the maps of each attention, their normalised maximum and their mean, beside
the class activation maps of Model A, which has the same convolutions and no attention. MCANet's
maps are of the logit less the mean of all logits; of many images the logit's own map is negative
everywhere.
Each network's maps are held against what the strokes are worth to that same network. Of two
attentions it says how far their maps agree (intersection over union of the regions above half of
the maximum, and correlation), and of each how far it agrees with itself on the same character by
another writer, and on another character.

What was measured goes into data/results/attentions.json.

    python benchmarks/attentions.py runs/weights-quick/m-96-last runs/weights-quick/m-96-alone
        what the chapter is made from: beside the networks that ship, the stage of `make weights`
        from which MCANet's last training began, and a twin, which went on from there as MCANet
        did (stage m-96-hands), but with `--losses none`
    python benchmarks/attentions.py                                   the networks that ship
    python benchmarks/attentions.py --characters 6 --out try.json     a trial
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from stroke_truth import SEED, by_hand, rows, weights_hash, worth
from stroke_truth_maps import cams, interval

from hccr_lib.characters import LEVEL1, label_of
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION
from hccr_lib.evaluation import load_model
from hccr_lib.explain import centred, grad_cam, hires_cam
from hccr_lib.explain.attention import attention_maps, correlation, overlap, together
from hccr_lib.explain.faithfulness import ink_map, spearman
from hccr_lib.training.record import environment, read_record

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "attentions.json"
METHODS, TOGETHER = {"Grad-CAM": grad_cam, "HiResCAM": hires_cam}, ("max", "mean")
PLAIN, SHIPPED = "melnyk_net_a", "mcanet_2"


def separate(maps, clusters):
    """What the attentions' maps `(n, A, h, w)` have in common, with intervals.

    Images come sorted by `clusters`, equally many of each; the next image of the same cluster is
    the character by another writer, and the image one cluster on another character.
    """
    writers = int((clusters == clusters[0]).sum())
    by_character = maps.reshape(-1, writers, *maps.shape[1:])
    other_writer = np.roll(by_character, 1, axis=1).reshape(maps.shape)
    other_character = np.roll(by_character, 1, axis=0).reshape(maps.shape)
    positive = np.maximum(maps, 0)
    found = {
        "of_each_other": {
            "overlap": interval(overlap(positive[:, 0], positive[:, 1]), clusters),
            "correlation": interval(correlation(maps[:, 0], maps[:, 1]), clusters),
        }
    }
    for number in range(maps.shape[1]):
        own = maps[:, number]
        pairs = {
            "other_writer": other_writer[:, number],
            "other_character": other_character[:, number],
        }
        found[f"attention {number + 1}"] = {
            "empty": round(float((positive[:, number].max(axis=(1, 2)) == 0).mean()), 4),
            "sum": interval(own.sum(axis=(1, 2)), clusters),
            **{
                f"{name}_{measure.__name__}": interval(measure(own, other), clusters)
                for name, other in pairs.items()
                for measure in (overlap, correlation)
            },
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", help="folders of trainings, beside what ships")
    parser.add_argument("--characters", type=int, default=100)
    parser.add_argument("--writers", type=int, default=5, help="of each character, at least 2")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start = time.perf_counter()
    # As stroke_truth.py draws them: with 200 characters, its numbers for Model A come out again.
    rng = np.random.default_rng(SEED)
    several = [character for character in LEVEL1 if len(stroke_template(character)) >= 3]
    chosen = rng.choice(len(several), options.characters, replace=False)
    clusters = np.repeat(np.arange(options.characters), options.writers)
    written, _ = by_hand([several[chosen[cluster]] for cluster in clusters], rng)
    images = np.stack([each.image for each in written])
    masks = [each.masks for each in written]
    classes = np.array([[label_of(each.character)] for each in written])
    ink = ink_map(images)

    networks = {}
    for name in (PLAIN, SHIPPED, *options.networks):
        model, _ = load_model(name)
        print(name, flush=True)
        effects, right = worth(model, written, classes)
        both = [spearman(*each[:, None])[0] for each in effects]
        found = {
            "read_correctly": int(right.sum()),
            "effects_centred_and_not": interval(both, clusters),
        }
        if name == PLAIN:
            maps = cams("CAM", model, images, classes)
        else:
            maps, found["separate"] = {}, {}
            empty = attention_maps(model, images, classes)[:, 0].max(axis=(2, 3)) == 0
            found["empty_unless_centred"] = empty.mean(axis=0).round(4).tolist()
            network = centred(model)
            for title, method in METHODS.items():
                signed = attention_maps(network, images, classes, method=method, relu=False)[:, 0]
                maps |= {f"{title}, {a + 1}": signed[:, a : a + 1] for a in range(signed.shape[1])}
                maps |= {f"{title}, {how}": together(signed, how)[:, None] for how in TOGETHER}
                found["separate"][title] = separate(signed, clusters)
        found["strokes"] = rows(maps, masks, effects, right, clusters, ink)
        shipped = name in (PLAIN, SHIPPED)
        if shipped:
            found["sha256"] = weights_hash(name)
        else:
            found["run"] = read_record(Path(name))
            del found["run"]["characters"]
        networks[name] = found
    result = {
        **environment(),
        "synthesis_version": SYNTHESIS_VERSION,
        "characters": options.characters,
        "writers": options.writers,
        "images": len(images),
        "networks": networks,
        "seconds": round(time.perf_counter() - start),
    }
    options.out.write_text(
        json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print(f"{options.out.name}: {result['seconds']} s")


if __name__ == "__main__":
    main()
