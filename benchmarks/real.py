"""What the networks of the course read, image by image: real handwriting, and synthetic.

Each network reads every real image that is there, among all 3,755 characters: `icdar2013-sample`
(single characters of the ICDAR-2013 competition) and the test images of `hwdb-sample` (CASIA-HWDB,
40 characters, cursive). Then it reads synthetic handwriting by writers that it has never seen. The
real images are only read; the record holds their characters and what was answered, no picture.
How sure an answer is stands there twice: as the network says it, and at the temperature that was
fitted on synthetic images such as Model C learnt from in its last stage but one. Models A, B and
MCANet knew three of the copybooks; so did the student, whose images were augmented, as C's are in
its last stage.
What it read goes into data/results/real.json, from which a chapter of the book is made.

    python benchmarks/real.py                        all networks that come with the course
    python benchmarks/real.py runs/a runs/b          these; a name, or the folder of a training

What is known of those that come with the course stays in the record as long as their weights do. A
few minutes for each network on two quiet cores; one whose weights are in the record already, read
on the same images, is not read again. The real images are in HCCR_DATA_DIR.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import keras
import numpy as np
from scipy.special import softmax

from hccr_lib.characters import LEVEL1
from hccr_lib.cli_images import synthetic_described
from hccr_lib.datasets import Dataset, load
from hccr_lib.datasets.augment import on_paper
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.stream import fresh
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION
from hccr_lib.evaluation import fitted_temperature, load_model, predict, wilson_interval
from hccr_lib.models import count_macs
from hccr_lib.models.weights import pretrained_file, pretrained_networks, pretrained_record
from hccr_lib.training.record import environment

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "real.json"
REAL = (("icdar2013-sample", None), ("hwdb-sample", "test"))
SYNTHETIC_SEED = 2013
# On what a temperature is fitted: each character once.
LESSON = {"copied": 0.6, "on_paper": True, "seed": 2014}
BINS = 10  # of the reliability diagram
PAIRS = 1500  # the most confused ones that are kept; a trained network has fewer
_CHUNK = 2048


def logits(probabilities: np.ndarray) -> np.ndarray:
    """Logits (n, classes), each row less a number that is the same for all classes: log p."""
    return np.log(np.maximum(probabilities, np.finfo(probabilities.dtype).tiny))


def temperature_of(model: keras.Model) -> float:
    """The temperature that fits a network best to the images of `LESSON`."""
    images, labels = fresh(LEVEL1, len(LEVEL1), seed=LESSON["seed"], copied=LESSON["copied"])
    images = on_paper(images, np.random.default_rng(LESSON["seed"]))
    return fitted_temperature(logits(predict(model, images)), labels)


def answers(model: keras.Model, images: np.ndarray, temperature: float) -> dict[str, np.ndarray]:
    """What a network says to images uint8 (n, h, w).

    Returns:
        "top5": int (n, 5), labels, best first; "probability": float64 (n,), of the best;
        "tempered": float64 (n,), the same if logits are divided by `temperature`; and
        "without_bias": int (n,), the best label if the bias of the dense layer were zero.
    """
    bias = keras.ops.convert_to_numpy(model.get_layer("characters").bias)
    parts = []
    for start in range(0, len(images), _CHUNK):
        p = predict(model, images[start : start + _CHUNK])
        z = logits(p)
        parts.append(
            {
                "top5": np.argsort(-p, axis=1, kind="stable")[:, :5],
                "probability": p.max(axis=1).astype(float),
                "tempered": softmax(z / temperature, axis=1).max(axis=1).astype(float),
                "without_bias": (z - bias).argmax(axis=1),
            }
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def share(hits: np.ndarray) -> dict:
    """How many of some answers are right, with the 95 % interval."""
    count, n = int(hits.sum()), len(hits)
    low, high = wilson_interval(count, n)
    return {
        "hits": count,
        "share": round(count / n, 5),
        "from": round(low, 5),
        "to": round(high, 5),
    }


def summary(dataset: Dataset, read: dict[str, np.ndarray]) -> dict:
    """The numbers of one network on one dataset."""
    right = read["top5"] == dataset.labels[:, None]
    unbiased = read["without_bias"] == dataset.labels
    result = {
        "n": len(dataset),
        "characters": len(dataset.present),
        "top1": share(right[:, 0]),
        "top5": share(right.any(axis=1)),
        "without_bias": {
            **share(unbiased),
            "only_with_bias": int((right[:, 0] & ~unbiased).sum()),
            "only_without": int((~right[:, 0] & unbiased).sum()),
        },
    }
    writers = np.unique(dataset.writers)
    if len(writers) > 1:
        result["writers"] = {
            str(writer): share(right[dataset.writers == writer, 0]) for writer in writers
        }
    return result


def each_image(dataset: Dataset, read: dict[str, np.ndarray]) -> dict:
    """What was written and what was read, one after the other."""
    return {
        "written": "".join(LEVEL1[label] for label in dataset.labels),
        "without_bias": "".join(LEVEL1[label] for label in read["without_bias"]),
        "top5": ["".join(LEVEL1[label] for label in row) for row in read["top5"]],
        **{key: [round(p, 4) for p in read[key].tolist()] for key in ("probability", "tempered")},
    }


def reliability(probability: np.ndarray, right: np.ndarray) -> list[dict]:
    """For each tenth of the scale of probabilities: how many answers, how sure, how many right."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    return [
        {
            "n": int((bins == number).sum()),
            "probability": round(float(probability[bins == number].sum()), 2),  # their sum
            "hits": int(right[bins == number].sum()),
        }
        for number in range(BINS)
    ]


def mistakes(labels: np.ndarray, read: np.ndarray) -> dict:
    """Counts of wrong answers, by character and by pair of written and read character."""
    wrong = read != labels
    pairs = Counter(
        LEVEL1[a] + LEVEL1[b] for a, b in zip(labels[wrong], read[wrong], strict=True)
    ).most_common()
    return {
        "errors": dict(Counter(LEVEL1[label] for label in labels[wrong]).most_common()),
        "pairs": dict(pairs[:PAIRS]),
        "pairs_left_out": max(0, len(pairs) - PAIRS),
    }


def weights_hash(name: str) -> str:
    """The SHA-256 of the file that the weights of a network are in."""
    if name in pretrained_networks():
        return pretrained_record(pretrained_file(name))["sha256"]
    file = Path(name) / "model.keras" if Path(name).is_dir() else Path(name)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def width(name: str, model: keras.Model) -> float:
    """Times the paper's channels."""
    if name in pretrained_networks():
        return pretrained_record(pretrained_file(name))["width"]
    return model.get_layer("conv1_1").filters / 64


def evaluated(name: str, real: list[Dataset], synthetic: Dataset) -> dict:
    """All that is recorded of one network."""
    model, characters = load_model(name)
    if characters != LEVEL1:
        sys.exit(f"{name}: tells {len(characters)} characters apart; this needs all 3,755")
    record = {
        "sha256": weights_hash(name),
        "variant": model.name[-1].upper() if model.name.startswith("melnyk_net") else None,
        "width": width(name, model),
        "input_size": model.input_shape[1],
        "parameters": model.count_params(),
        "macs": count_macs(model),
        "temperature": round(temperature_of(model), 4),
        "datasets": {},
    }
    print(f"{name}: temperature {record['temperature']}", flush=True)
    for dataset in (*real, synthetic):
        read = answers(model, dataset.images, record["temperature"])
        result = summary(dataset, read)
        if dataset is synthetic:
            right = read["top5"][:, 0] == dataset.labels
            result["reliability"] = {
                key: reliability(read[key], right) for key in ("probability", "tempered")
            }
            result |= mistakes(dataset.labels, read["top5"][:, 0])
        else:
            result["images"] = each_image(dataset, read)
        record["datasets"][dataset.name] = result
        top1 = result["top1"]
        print(
            f"{name}, {dataset.name}: {top1['hits']:,} of {result['n']:,} right, "
            f"{top1['share']:.2%} ({top1['from']:.2%} to {top1['to']:.2%})",
            flush=True,
        )
    return record


def recorded(file: Path, read_on: dict, datasets: list[str]) -> dict:
    """The networks of an earlier record that were read on the same images."""
    if not file.exists():
        return {}
    earlier = json.loads(file.read_text(encoding="utf-8"))
    if earlier["synthetic"] != read_on:
        return {}
    networks = earlier["networks"].items()
    return {name: each for name, each in networks if list(each["datasets"]) == datasets}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=pretrained_networks())
    parser.add_argument("--writers", type=int, default=8, help="of the synthetic handwriting")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    if not arguments.networks:
        sys.exit("no network comes with the course yet: make weights, or name a training's folder")
    real = []
    for name, split in REAL:
        if find(name, split) is None:
            print(f"{name}: not found; HCCR_DATA_DIR names the folder that holds it", flush=True)
        else:
            real.append(load(name, split=split))
    made = environment()
    synthetic = load("synthetic", writers=arguments.writers, seed=SYNTHETIC_SEED)
    read_on = {
        "version": SYNTHESIS_VERSION,
        "writers": arguments.writers,
        "seed": SYNTHETIC_SEED,
        "lesson": {**LESSON, "written": synthetic_described(LESSON["copied"])},
    }
    known = recorded(arguments.out, read_on, [dataset.name for dataset in (*real, synthetic)])

    def is_known(name: str) -> bool:
        return known.get(name, {}).get("sha256") == weights_hash(name)

    # What is known of those that come with the course stays, though they are not asked for.
    asked = arguments.networks
    shipped = [name for name in pretrained_networks() if name in asked or is_known(name)]
    networks = {}
    for name in (*shipped, *(name for name in asked if name not in shipped)):
        if is_known(name):
            networks[name] = known[name]
            print(f"{name}: is in the record")
        else:
            networks[name] = {"git_commit": made["git_commit"]} | evaluated(name, real, synthetic)
    record = {**made, "synthetic": read_on, "networks": networks}
    # On one line: indented, the lists of what was read would take twice the space.
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.out.name}: {len(text.encode()) / 1000:.0f} KB")


if __name__ == "__main__":
    main()
