"""Is a second opinion worth having? Real handwriting, read by several networks or several times.

Every choice of one to all of the networks that come with the course reads the images of
`icdar2013-sample` and the test images of `hwdb-sample` together: by the mean of their logits, which
is the geometric mean of their probabilities (`hccr_lib.models.ensemble`). And each network reads
them alone in nine views, three slants by three widths, and by the mean of those.

Each result is compared image by image with the best of its members, or with the network's single
view. What was read goes into data/results/opinions.json, without any picture.

    python benchmarks/opinions.py                        two minutes on two cores
    python benchmarks/opinions.py --networks student melnyk_net_a --out try.json

The real images are in HCCR_DATA_DIR.
"""

import argparse
import json
import sys
from itertools import combinations, product
from pathlib import Path

import cv2
import numpy as np
from real import REAL, logits, weights_hash

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import load
from hccr_lib.evaluation import load_model, predict
from hccr_lib.models.weights import pretrained_networks
from hccr_lib.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "opinions.json"
SLANTS, WIDTHS = (-0.1, 0.0, 0.1), (0.9, 1.0, 1.1)
_CHUNK = 1024


def seen(images: np.ndarray, slant: float, width: float) -> np.ndarray:
    """Images uint8 (n, side, side) leaning right by `slant` (tangent) and so much wider."""
    middle = (images.shape[1] - 1) / 2
    matrix = np.array([[width, -slant, (1 - width + slant) * middle], [0, 1, 0]])
    return np.stack([cv2.warpAffine(image, matrix, images.shape[1:]) for image in images])


def says(model, images: np.ndarray) -> np.ndarray:
    """A network's logits float32 (n, classes), but for a constant of each image."""
    parts = [predict(model, images[i : i + _CHUNK]) for i in range(0, len(images), _CHUNK)]
    return logits(np.concatenate(parts))


def compared(right: np.ndarray, with_one: np.ndarray) -> dict:
    """How many are right, and how many are in one way only; both bool (n,)."""
    return {
        "hits": int(right.sum()),
        "only_together": int((right & ~with_one).sum()),
        "only_alone": int((~right & with_one).sum()),
    }


def voted(said: dict[str, np.ndarray], labels: np.ndarray) -> dict:
    """What some networks read by the mean of their logits, beside the best of them alone.

    Args:
        said: of each, by name, its logits (n, classes).
        labels: int (n,).
    """
    alone = {name: each.argmax(axis=1) == labels for name, each in said.items()}
    best = max(alone, key=lambda name: alone[name].sum())
    together = sum(said.values()).argmax(axis=1) == labels
    return {**compared(together, alone[best]), "best_alone": best}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=pretrained_networks())
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    try:
        sets = [load(name, split=split) for name, split in REAL]
    except (ValueError, OSError) as error:
        sys.exit(f"{error}; HCCR_DATA_DIR names the folder that holds the samples")
    said, views = {}, {}
    for name in options.networks:
        model, characters = load_model(name)
        if characters != LEVEL1:
            sys.exit(f"{name}: tells {len(characters)} characters apart; this needs all 3,755")
        for data in sets:
            images = np.asarray(data.images)
            said[name, data.name] = says(model, images)
            several = sum(says(model, seen(images, *how)) for how in product(SLANTS, WIDTHS))
            views.setdefault(name, {})[data.name] = compared(
                several.argmax(axis=1) == data.labels,
                said[name, data.name].argmax(axis=1) == data.labels,
            )
        print(f"{name}: {views[name]}", flush=True)

    together = []
    for many in range(1, len(options.networks) + 1):
        for members in combinations(options.networks, many):
            read = {
                data.name: voted({name: said[name, data.name] for name in members}, data.labels)
                for data in sets
            }
            together.append({"networks": list(members), "datasets": read})
    record = {
        **environment(),
        "sha256": {name: weights_hash(name) for name in options.networks},
        "n": {data.name: len(data) for data in sets},
        "slants": SLANTS,
        "widths": WIDTHS,
        "views": views,
        "together": together,
    }
    options.out.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", "utf-8")
    print(options.out.name)


if __name__ == "__main__":
    main()
