"""What does a student owe to its teacher? Six ways of learning under one budget, several seeds.

The student of the course learns all 3,755 characters from 75,100 synthetic images, as many for each
row, and reads writers whom it has never met, and the real images that are there. Four rows start
from what the student takes over of its teacher, the shipped Model C, and learn by the cross-entropy
with the labels alone, with the teacher's logits, with its attention, or with both. Two start from
chance in every layer, alone and with both.

What was measured goes into data/results/distillation.json after each seed. Interrupted, it goes on
where it stopped; more seeds are added to those that are there.

    python benchmarks/distillation.py                 three seeds, an hour on two quiet cores
    python benchmarks/distillation.py --seeds 5       two more
    python benchmarks/distillation.py --images 256 --epochs 1 --tested 64 --seeds 1 --out try.json
"""

import argparse
import json
from functools import partial
from pathlib import Path

import keras
import numpy as np

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import load
from hccr_lib.datasets.augment import augment
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.stream import fresh
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION
from hccr_lib.evaluation import load_model, predict
from hccr_lib.models import student
from hccr_lib.models.transfer import slimmed
from hccr_lib.training import train
from hccr_lib.training.distillation import Distiller
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "distillation.json"
TEACHER = "melnyk_net_c"
# Whether the student takes over parts of its teacher, and the weights of the Distiller's terms;
# None: there is no teacher.
ROWS = {
    "alone": (True, None),
    "logits": (True, {"attention": 0.0}),
    "attention": (True, {"logits": 0.0}),
    "logits and attention": (True, {}),
    "from chance, alone": (False, None),
    "from chance, logits and attention": (False, {}),
}
PRECISION = "mixed_bfloat16"
BATCH, RATE = 128, 1e-3
REAL = (("icdar2013-sample", None), ("hwdb-sample", "test"))
TRAINING_SEED, TEST_SEED = 9_000, 7_000_000


def trained(row, seed, arguments):
    """The network of one row and seed in float32, and the record of its training."""
    takes_over, terms = ROWS[row]
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(PRECISION)
    teacher = load_model(TEACHER)[0]
    network = slimmed(teacher) if takes_over else student()
    record = train(
        network,
        lambda epoch: fresh(LEVEL1, arguments.images, seed=TRAINING_SEED + seed, epoch=epoch),
        run_dir=arguments.runs / f"{seed}-{list(ROWS).index(row)}",
        losses=None if terms is None else partial(Distiller, teacher=teacher, **terms),
        epochs=arguments.epochs,
        batch_size=BATCH,
        learning_rate=RATE,
        transform=lambda images, rng: images if rng is None else augment(images, rng),
        seed=seed,
        characters=LEVEL1,
        description=f"synthetic, version {SYNTHESIS_VERSION}, augmented",
        verbose=0,
    )
    keras.config.set_dtype_policy("float32")
    exact = student()
    exact.set_weights(network.get_weights())
    return exact, record


def hits(network, sets):
    """For each set: how many images, how many read rightly, and with one of the first five."""
    found = {}
    for name, (images, labels) in sets.items():
        order = np.argsort(-predict(network, images), axis=1)[:, :5]
        right = order == labels[:, None]
        found[name] = {
            "n": len(labels),
            "top1": int(right[:, 0].sum()),
            "top5": int(right.any(axis=1).sum()),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=18_775, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--tested", type=int, default=7_510, help="synthetic images to read")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "distillation")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    made = environment()
    sets = {"synthetic": fresh(LEVEL1, arguments.tested, seed=TEST_SEED, epoch=0)}
    for name, split in REAL:
        if find(name, split) is None:
            print(f"{name}: not found; HCCR_DATA_DIR names the folder that holds it", flush=True)
        else:
            data = load(name, split=split)
            sets[name] = data.images, data.labels
    budget = {
        "teacher": TEACHER,
        "images": arguments.images * arguments.epochs,
        "epochs": arguments.epochs,
        "batch_size": BATCH,
        "learning_rate": RATE,
        "synthesis": SYNTHESIS_VERSION,
    }
    rows = {row: {} for row in ROWS}
    if arguments.out.exists():
        earlier = json.loads(arguments.out.read_text(encoding="utf-8"))
        if earlier["budget"] != budget:
            parser.error(f"{arguments.out} holds another budget; choose another --out")
        rows |= earlier["rows"]
    teacher_reads = hits(load_model(TEACHER)[0], sets)
    for seed in range(arguments.seeds):
        for row in ROWS:
            if str(seed) in rows[row]:
                continue
            network, record = trained(row, seed, arguments)
            rows[row][str(seed)] = {
                "losses": record["settings"]["losses"],
                "seconds": record["seconds"],
                "accuracy": [round(epoch["accuracy"], 5) for epoch in record["epochs"]],
                "sets": hits(network, sets),
            }
            print(f"seed {seed}, {row}: {rows[row][str(seed)]['sets']}", flush=True)
            keras.backend.clear_session()
        known = {**made, "budget": budget, "teacher_reads": teacher_reads, "rows": rows}
        text = json.dumps(known, ensure_ascii=False, indent=1)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
