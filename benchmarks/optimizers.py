"""What is a step worth? The recipes `fast` and `muon`, on the same images in the same order.

A Model C of half the width learns 300 characters at 32x32, from chance, by each of the two recipes
at three learning rates, several seeds each, and reads handwriting of other writers. The recipes
differ in the optimizer of the convolutions alone: AdamW there, Muon here; rise and fall of the
rate, decay of the weights and size of the batches are the same.

What was measured goes into data/results/optimizers.json after each training. Interrupted, it goes
on where it stopped; more seeds are added to those that are there.

    python benchmarks/optimizers.py                   three seeds, half an hour on two quiet cores
    python benchmarks/optimizers.py --characters 20 --images 256 --seeds 1 --runs try --out try.json
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np

from hccr_lib.characters import LEVEL1
from hccr_lib.cli_images import synthetic_described
from hccr_lib.datasets.normalize import resize_images
from hccr_lib.datasets.stream import fresh
from hccr_lib.evaluation import predict
from hccr_lib.files import atomic_file
from hccr_lib.models import melnyk_net
from hccr_lib.models.backend import emulates_bfloat16
from hccr_lib.training import train
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "optimizers.json"
RECIPES, RATES = ("fast", "muon"), (0.001, 0.002, 0.004)
SIDE, WIDTH, DROPOUT, BATCH, COPIED = 32, 0.5, 0.2, 128, 0.6
TRAINING_SEED, TEST_SEED = 12_000, 7_100_000
PRECISION = "float32" if emulates_bfloat16() else "mixed_bfloat16"
WRITTEN = synthetic_described(COPIED)


def written(characters, n, seed, epoch=0):
    images, labels = fresh(characters, n, seed=seed, epoch=epoch, copied=COPIED)
    return resize_images(images, SIDE), labels


def trained(recipe, rate, seed, characters, arguments):
    """The network, and the record of its training."""
    keras.config.set_dtype_policy(PRECISION)  # clear_session forgets it
    keras.utils.set_random_seed(seed)
    network = melnyk_net(
        "C",
        num_classes=len(characters),
        width=WIDTH,
        input_size=SIDE,
        dropout=DROPOUT,
        pooling_starts_as="mean",
    )
    record = train(
        network,
        lambda epoch: written(characters, arguments.images, TRAINING_SEED + seed, epoch),
        run_dir=arguments.runs / f"{recipe}-{rate}-{seed}",
        recipe=recipe,
        epochs=arguments.epochs,
        batch_size=BATCH,
        learning_rate=rate,
        seed=seed,
        characters=characters,
        description=f"{arguments.images} images: {WRITTEN}",
        verbose=0,
    )
    return network, record


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--characters", type=int, default=300, help="how many of level 1")
    parser.add_argument("--images", type=int, default=12_000, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--tested", type=int, default=6_000, help="images to read")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "optimizers")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    keras.config.set_dtype_policy(PRECISION)
    chosen = np.random.default_rng(0).permutation(len(LEVEL1))[: arguments.characters]
    characters = "".join(LEVEL1[k] for k in sorted(chosen))
    images, labels = written(characters, arguments.tested, TEST_SEED)
    budget = {
        "characters": characters,
        "side": SIDE,
        "width": WIDTH,
        "dropout": DROPOUT,
        "images": arguments.images * arguments.epochs,
        "epochs": arguments.epochs,
        "batch_size": BATCH,
        "tested": arguments.tested,
        "written": WRITTEN,
    }
    rows = {recipe: {str(rate): {} for rate in RATES} for recipe in RECIPES}
    if arguments.out.exists():
        earlier = json.loads(arguments.out.read_text(encoding="utf-8"))
        if earlier["budget"] != budget:
            parser.error(f"{arguments.out} holds another budget; choose another --out")
        rows = earlier["rows"]
    made = environment()
    for seed in range(arguments.seeds):
        for rate in RATES:
            for recipe in RECIPES:
                row = rows[recipe][str(rate)]
                if str(seed) in row:
                    continue
                network, record = trained(recipe, rate, seed, characters, arguments)
                right = int((predict(network, images).argmax(axis=1) == labels).sum())
                row[str(seed)] = {
                    "hits": right,
                    "loss": [round(epoch["loss"], 4) for epoch in record["epochs"]],
                    "seconds": record["seconds"],
                    "images_per_second": record["images_per_second"],
                }
                print(f"seed {seed}, {recipe} at {rate}: {right} of {len(labels)}", flush=True)
                keras.backend.clear_session()
                known = {**made, "budget": budget, "rows": rows}
                arguments.out.parent.mkdir(parents=True, exist_ok=True)
                with atomic_file(arguments.out) as file:
                    file.write(f"{json.dumps(known, ensure_ascii=False, indent=1)}\n".encode())


if __name__ == "__main__":
    main()
