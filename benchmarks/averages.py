"""What is a mean of networks worth? Of their weights, and of what they say.

Model C as it ships is a mean of four trainings, each of which went on from earlier ones (`mean_of`
in data/make_weights.py). Every choice of one to all of them reads the images of
`icdar2013-sample` and the test images of `hwdb-sample`; its training images, from which none has
learnt, and by which the mean that ships was not chosen; and handwriting by one synthetic writer
that no training has met. Once by one network whose weights are the mean of theirs
(`hccr_lib.models.transfer.averaged`), once by all of them, by the mean of their logits, which costs
as many times as much. Then the mean that ships does, to which some contribute twice.

What was read goes into data/results/averages.json, without any picture.

    python benchmarks/averages.py                        half an hour on two busy cores
    python benchmarks/averages.py runs/a runs/a runs/b --out try.json
                                            others, of one descent; at last a counts double

The trainings are those that `make weights` leaves in runs/weights-quick, and read in the precision
that they were trained in; the record is of their `.npz` files, in float32, as what ships is. The
real images are in HCCR_DATA_DIR.
"""

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from opinions import compared, says
from real import REAL, SYNTHETIC_SEED, share, weights_hash

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import Dataset, load
from hccr_lib.evaluation import load_model
from hccr_lib.models.transfer import averaged
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "averages.json"
UNTOUCHED = ("hwdb-sample", "train")
sys.path.insert(0, str(ROOT / "data"))
from make_weights import SCALES  # noqa: E402  (needs the path above)


def read(said: np.ndarray, labels: np.ndarray) -> dict:
    """How many images are read at first and among the first five, with their intervals.

    Args:
        said: logits (n, classes).
        labels: int (n,).
    """
    own = np.take_along_axis(said, labels[:, None], axis=1)
    rank = (said > own).sum(axis=1)
    return {"top1": share(rank < 1), "top5": share(rank < 5)}


def beside(said: np.ndarray, alone: dict[str, np.ndarray], labels: np.ndarray) -> dict:
    """What was read, and what the best member reads alone, image by image.

    Args:
        said: logits (n, classes) of several together.
        alone: of each member, by name, its logits.
        labels: int (n,).
    """
    right = {name: each.argmax(axis=1) == labels for name, each in alone.items()}
    best = max(right, key=lambda name: right[name].sum())
    with_best = compared(said.argmax(axis=1) == labels, right[best])
    return {**read(said, labels), **with_best, "best_alone": best}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shipped = [f"runs/weights-quick/{name}" for name in SCALES["quick"]["C"].parts]
    parser.add_argument("networks", nargs="*", default=shipped)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    try:
        sets: list[Dataset] = [load(name, split=split) for name, split in (*REAL, UNTOUCHED)]
    except (ValueError, OSError) as error:
        sys.exit(f"{error}; HCCR_DATA_DIR names the folder that holds the samples")
    sets.append(load("synthetic", writers=1, seed=SYNTHETIC_SEED))
    models = {}
    for name in dict.fromkeys(options.networks):
        models[name], characters = load_model(name)
        if characters != LEVEL1:
            sys.exit(f"{name}: tells {len(characters)} characters apart; this needs all 3,755")
    alone = {
        data.name: {name: says(model, np.asarray(data.images)) for name, model in models.items()}
        for data in sets
    }

    asked = [c for many in range(1, len(models) + 1) for c in combinations(models, many)]
    if len(options.networks) > len(models):
        asked.append(tuple(options.networks))
    choices = []
    for parts in asked:
        mean = averaged([models[name] for name in parts]) if len(parts) > 1 else models[parts[0]]
        found = {}
        for data in sets:
            theirs = alone[data.name]
            members = {name: theirs[name] for name in parts}
            together = sum(theirs[name] for name in parts)
            found[data.name] = {
                "weights": beside(says(mean, np.asarray(data.images)), members, data.labels),
                "logits": beside(together, members, data.labels),
            }
        choices.append({"networks": [Path(name).stem for name in parts], "datasets": found})
        told = {name: each["weights"]["top1"]["hits"] for name, each in found.items()}
        print(f"mean of {', '.join(choices[-1]['networks'])}: {told}", flush=True)
    record = {
        **environment(),
        "sha256": {Path(name).stem: weights_hash(name) for name in models},
        "n": {data.name: len(data) for data in sets},
        "choices": choices,
    }
    options.out.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(options.out.name)


if __name__ == "__main__":
    main()
