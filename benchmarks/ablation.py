"""Which part of MCANet is worth what? Eight networks under one budget, several seeds.

Xu, Bai and Liu (ICDAR 2019) compare, in their table II, the baseline without attention, numbers of
attentions, and the losses. Here eight such networks learn the 157 characters of the course's
groups of look-alikes from synthetic handwriting, and read writers whom none of them has met.

To afford several seeds on two cores, the first four blocks of convolutions are those of the
shipped Model C, and stay: every image goes through them once. What is trained is the fifth block,
from Model C's weights, and all that follows it, from chance; so the losses have their say in what
the attentions see. Every network of a seed learns from the same images, in two stages. In the
first one the cross-entropy alone teaches; networks with as many attentions share it. In the second
one each goes on with its losses. Centers that pull from the first step on can silence the features
before they have learnt anything; the chapter From one gaze to several shows it.

What was measured goes into data/results/ablation.json after each seed. Interrupted, it goes on
where it stopped; more seeds are added to those that are there.

    python benchmarks/ablation.py                    three seeds, half an hour on two quiet cores
    python benchmarks/ablation.py --seeds 5          two more
    python benchmarks/ablation.py --each 2 --tested 2 --seeds 1 --out try.json       a trial
"""

import argparse
import gc
import json
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np

from hccr_lib.characters import LOOK_ALIKES, label_of
from hccr_lib.datasets import choose, load
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.stream import fresh
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION
from hccr_lib.evaluation import load_model
from hccr_lib.explain import centred, grad_cam, hires_cam
from hccr_lib.explain.attention import attention_maps, correlation, overlap
from hccr_lib.models.comparative_losses import comparative
from hccr_lib.models.mcanet import head
from hccr_lib.training import train
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "ablation.json"
CHARACTERS = "".join(sorted(set("".join(LOOK_ALIKES)), key=label_of))
# Attentions, whether the contrastive loss, and which centers. Image-level centers are those of the
# baseline: of several attentions' concatenated features they are the same as region-level ones, as
# the squared distance of the whole is the sum of those of its parts.
ROWS = {
    "baseline": (0, False, None),
    "A = 1": (1, False, None),
    "A = 2": (2, False, None),
    "A = 3": (3, False, None),
    "A = 2, contrastive": (2, True, None),
    "A = 2, region centers": (2, False, "region"),
    "baseline, centers": (0, False, "image"),
    "A = 2, contrastive, region centers": (2, True, "region"),
}
NETWORK, KEPT, LAST = "melnyk_net_c", "pool4", "conv5_3_relu"
UNITS, BATCH, RATES = 192, 64, (1e-3, 1e-4)
FIRST, SECOND = 2, 2  # epochs of the two stages; both see the same images
PRECISION = "mixed_bfloat16"
REAL = (("icdar2013-sample", None), ("hwdb-sample", "test"))
TRAINING_SEED, TEST_SEED = 77, 7_000_000
METHODS = {"Grad-CAM": grad_cam, "HiResCAM": hires_cam}
EXPLAINED = 4  # images of each character whose maps are compared


class Images:
    """What is learnt from and read: the maps of the kept blocks, computed once, in a folder."""

    def __init__(self, folder, each, tested):
        """`each`, `tested`: images of a character in one epoch, and to be read."""
        self.folder, self.model = folder, load_model(NETWORK)[0]
        n = len(CHARACTERS)
        self.epochs = [
            self._kept(
                f"learnt-{each}-{epoch}",
                lambda e=epoch: fresh(CHARACTERS, each * n, seed=TRAINING_SEED, epoch=e),
            )
            for epoch in range(FIRST)
        ]
        self.tested = self._kept(
            f"tested-{tested}", lambda: fresh(CHARACTERS, tested * n, seed=TEST_SEED)
        )
        self.real = {}
        for name, split in REAL:
            if find(name, split) is not None:
                known = choose(load(name, split=split), CHARACTERS)
                if len(known):
                    self.real[name] = self.mapped(known.images), known.labels

    def _kept(self, name, written):
        file = self.folder / f"{name}.npz"
        if not file.exists():
            print(f"writing {name}", flush=True)
            images, labels = written()
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"part-{file.name}")
            np.savez(part, maps=self.mapped(images), labels=labels)
            part.replace(file)
        with np.load(file) as kept:
            return kept["maps"], kept["labels"]

    def mapped(self, images):
        """Images uint8 `(n, 96, 96)` -> the maps that the trained part reads, float16."""
        trunk = keras.Model(self.model.inputs[0], self.model.get_layer(KEPT).output)
        maps = trunk.predict(images[..., None], batch_size=128, verbose=0)
        return maps.astype(np.float16)

    def epoch(self, number):
        """The images of an epoch of either stage."""
        return self.epochs[number]

    def tail(self, attentions):
        """The part that is trained, in the precision that is set: maps -> probabilities."""
        image = x = keras.Input(self.model.get_layer(KEPT).output.shape[1:])
        names = [layer.name for layer in self.model.layers]
        block = self.model.layers[names.index(KEPT) + 1 : names.index(LAST) + 1]
        copies = []
        for layer in block:
            config = {**layer.get_config(), "dtype": keras.config.dtype_policy().name}
            copies.append(layer.__class__.from_config(config))
            x = copies[-1](x)
        for copy, layer in zip(copies, block, strict=True):
            copy.set_weights(layer.get_weights())
        output = head(x, attentions, len(CHARACTERS), UNITS, dropout=0.5)
        return keras.Model(image, output, name=f"mcanet_{attentions}")


def as_read(maps, _):
    """Half precision is for the disk."""
    return maps.astype(np.float32)


def trained(row, seed, data, folder):
    """The network of one row and seed, in float32, and the records of its trainings."""
    attentions, contrastive, centers = ROWS[row]
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(PRECISION)
    network = data.tail(attentions)
    common = {"batch_size": BATCH, "seed": seed, "characters": CHARACTERS, "verbose": 0}
    common |= {"transform": as_read, "description": f"synthetic, version {SYNTHESIS_VERSION}"}
    run = folder / f"{seed}-first-{attentions}"
    first = train(network, data.epoch, run_dir=run, epochs=FIRST, learning_rate=RATES[0], **common)
    losses = None
    if contrastive or centers:
        losses = partial(comparative, contrastive=contrastive, centers=centers)
    run = folder / f"{seed}-{list(ROWS).index(row)}"
    second = train(
        network,
        data.epoch,
        run_dir=run,
        epochs=SECOND,
        learning_rate=RATES[1],
        losses=losses,
        **common,
    )
    keras.config.set_dtype_policy("float32")
    exact = data.tail(attentions)
    exact.set_weights(network.get_weights())
    return exact, (first, second)


def read(network, maps):
    """What the network answers, int `(n,)`."""
    return network.predict(maps, batch_size=256, verbose=0).argmax(axis=1)


def measured(network, records, data):
    """All that is recorded of one trained network."""
    images, labels = as_read(data.tested[0], None), data.tested[1]
    found = {
        "parameters": network.count_params(),
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "losses": [records[0]["epochs"][-1]["loss"], records[1]["epochs"][-1]["loss"]],
        "hits": int((read(network, images) == labels).sum()),
        "real": {
            name: int((read(network, as_read(real, None)) == meant).sum())
            for name, (real, meant) in data.real.items()
        },
    }
    names = [layer.name for layer in network.layers if layer.name.startswith("features")]
    parts = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    features = parts.predict(images, batch_size=256, verbose=0)
    features = np.stack(features if isinstance(features, list) else [features])
    found["features"] = {
        "silent": round(float((features.max(axis=1) == 0).mean()), 4),
        "within_by_between": [round(scatter(each, labels), 4) for each in features],
    }
    if len(features) > 1:
        half = ((features[0] - features[1]) ** 2).sum(axis=1) / 2
        found["features"]["half_square_distance"] = round(float(half.mean()), 3)
    network = centred(network)
    attentions = sum(layer.name.startswith("attended") for layer in network.layers)
    if attentions:
        found["maps"] = {
            name: compared(network, images, labels, method) for name, method in METHODS.items()
        }
    return found


def scatter(features, labels):
    """The variance within characters by that between their means."""
    known = np.unique(labels)
    means = np.stack([features[labels == label].mean(axis=0) for label in known])
    within = ((features - means[np.searchsorted(known, labels)]) ** 2).sum(axis=1).mean()
    between = ((means - means.mean(axis=0)) ** 2).sum(axis=1).mean()
    return float(within / between) if between else float("nan")


def compared(network, images, labels, method):
    """How much the attentions of a network have in common, and each with itself elsewhere."""
    order = np.argsort(labels, kind="stable")
    chosen = np.concatenate(
        [order[labels[order] == label][:EXPLAINED] for label in np.unique(labels)]
    )
    images, labels = images[chosen], labels[chosen]
    signed = attention_maps(network, images, labels[:, None], method=method, relu=False)[:, 0]
    positive = np.maximum(signed, 0)
    other_writer = np.array(
        [np.flatnonzero((labels == label) & (np.arange(len(labels)) != n))[0]
         for n, label in enumerate(labels)]
    )  # fmt: skip
    other_character = np.roll(np.arange(len(labels)), len(labels) // 2)
    found = {"images": len(images)}
    mean = lambda values: round(float(np.nanmean(values)), 4)  # noqa: E731
    pairs = [(a, b) for b in range(signed.shape[1]) for a in range(b)]
    if pairs:
        found["iou"] = mean([overlap(positive[:, a], positive[:, b]) for a, b in pairs])
        found["correlation"] = mean([correlation(signed[:, a], signed[:, b]) for a, b in pairs])
    found["other_writer"] = mean(correlation(signed, signed[other_writer]))
    found["other_character"] = mean(correlation(signed, signed[other_character]))
    found["empty"] = mean(positive.max(axis=(-2, -1)) == 0)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--each", type=int, default=120, help="images of a character an epoch")
    parser.add_argument("--tested", type=int, default=100, help="images of a character to read")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablation")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    data = Images(options.runs, options.each, options.tested)
    folder = options.runs / f"each-{options.each}"
    tested = len(data.tested[1])
    settings = {
        "characters": CHARACTERS,
        "convolutions": {"network": NETWORK, "kept_to": KEPT},
        "units": UNITS,
        "batch_size": BATCH,
        "learning_rates_of_the_stages": RATES,
        "precision": PRECISION,
        "images_of_an_epoch": len(data.epochs[0][1]),
        "epochs_of_the_stages": [FIRST, SECOND],
        "synthesis_version": SYNTHESIS_VERSION,
        "tested": {
            "synthetic": tested,
            **{name: len(labels) for name, (_, labels) in data.real.items()},
        },
    }
    kept = folder / "measured.json"
    seeds = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for seed in range(options.seeds):
        rows = seeds.setdefault(str(seed), {})
        for row in ROWS:
            if row in rows:
                continue
            started = time.perf_counter()
            network, records = trained(row, seed, data, folder)
            rows[row] = measured(network, records, data)
            share = rows[row]["hits"] / tested
            print(
                f"seed {seed}, {row}: {share:.2%}, {time.perf_counter() - started:.0f} s",
                flush=True,
            )
            kept.write_text(json.dumps(seeds), encoding="utf-8")
            gc.collect()
        result = {**environment(), "settings": settings, "seeds": seeds}
        text = json.dumps(result, ensure_ascii=False, indent=1)
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
