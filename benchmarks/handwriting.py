"""What is each trait of the synthetic handwriting worth? One small experiment, several seeds.

A small network, the course's student at 48x48 and half its width, learns the characters of the real
samples (some 540) from plain synthetic handwriting. From there it goes on, once for each row, with
as many new images of the row's handwriting; and it reads real handwriting: the neat images of
`icdar2013-sample`, and the cursive ones of `hwdb-sample`, of both of its splits, since nothing real
is learnt from. Rows differ in the handwriting alone: one trait of the writers is taken away, a
share of the images is copied from running hand, a stroke is left out, the paper is not clean; in a
second table, with four times as many images, from which copybooks it is copied. Each seed is other
characters in another order, by other hands.

What was measured goes into data/results/handwriting.json, or copybooks.json for the second table,
after each training. Interrupted, it goes on where it stopped; more seeds are added to those that
are there.

    python benchmarks/handwriting.py                  three seeds, an hour on two cores
    python benchmarks/handwriting.py --table books    the second table, as long
    python benchmarks/handwriting.py --seeds 5        two more
    python benchmarks/handwriting.py --begin 2000 --images 1000 --seeds 1 --out try.json --runs try

It needs HCCR_DATA_DIR with both samples.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from distillation import hits

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import load
from hccr_lib.datasets.augment import augment, on_paper
from hccr_lib.datasets.copybooks import copybooks
from hccr_lib.datasets.normalize import normalize, resize_images
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, copy, random_writer, write
from hccr_lib.datasets.workers import cores, worker_pool
from hccr_lib.files import atomic_file
from hccr_lib.models import student
from hccr_lib.training import train
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "data" / "results"
REAL = (("icdar2013-sample", None), ("hwdb-sample", "test"), ("hwdb-sample", "train"))
SIDE, WIDTH, BATCH = 48, 0.25, 128
BEGIN_RATE, RATE = 2e-3, 1e-3
BEGIN_EPOCHS, EPOCHS = 12, 2  # over the same images in the beginning, over new ones then
SEED = 60_000
_CHUNK = 500


@dataclass(frozen=True)
class Row:
    """How the images of a row are made.

    Attributes:
        style: fields of `Writer` and what they are multiplied by.
        copied: share of images copied from `books`.
        books: copybooks; () for the three in running hand that hold every character.
        left_out: share of the images from strokes, of characters of five strokes and more, that
            lack one.
        paper: whether contrast, noise and light vary.
    """

    style: dict[str, float] = field(default_factory=dict)
    copied: float = 0.0
    books: tuple[str, ...] = ()
    left_out: float = 0.0
    paper: bool = False


RUNNING = ("long-cang", "ma-shan-zheng", "zhi-mang-xing")
BRUSH = ("aoyagi-kouzan", "aoyagi-soseki", "kouzan", "kouzan-gyosho", "kouzan-sosho")
PEN = ("kiloji", "seto", "yoz")
SPREAD = ("components", "strokes", "proportion", "warp")
ROWS = {
    "strokes": Row(),
    "calmer hands": Row(dict.fromkeys(SPREAD, 0.5)),
    "wilder hands": Row(dict.fromkeys(SPREAD, 1.4)),
    "no joins": Row({"join": 0.0}),
    "no rounded corners": Row({"speed": 0.0}),
    "no running forms": Row({"running": 0.0}),
    "components stay": Row({"components": 0.0}),
    "strokes stay": Row({"strokes": 0.0}),
    "a stroke left out": Row(left_out=0.3),
    "paper": Row(paper=True),
    "0.3 copied": Row(copied=0.3),
    "0.6 copied": Row(copied=0.6),
    "0.9 copied": Row(copied=0.9),
    **{f"0.6 copied, {book}": Row(copied=0.6, books=(book,)) for book in RUNNING},
    "0.6 copied, paper": Row(copied=0.6, paper=True),
}
BOOKS = {
    "three in running hand": Row(copied=0.6),
    "and five with the brush": Row(copied=0.6, books=RUNNING + BRUSH),
    "and three with a pen": Row(copied=0.6, books=RUNNING + PEN),
    "all eleven": Row(copied=0.6, books=RUNNING + BRUSH + PEN),
}
# Each with its record, and how many images a row has: more hands take longer to learn.
TABLES = {"traits": (ROWS, "handwriting.json", 16_000), "books": (BOOKS, "copybooks.json", 64_000)}


def written(row: Row, characters: list[str], seeds: list[int]) -> np.ndarray:
    """One image for each character and writer, uint8 (n, 96, 96)."""
    images = np.empty((len(seeds), 96, 96), np.uint8)
    for image, character, seed in zip(images, characters, seeds, strict=True):
        writer = random_writer(seed)
        writer = replace(
            writer, **{name: k * getattr(writer, name) for name, k in row.style.items()}
        )
        rng = np.random.default_rng((seed, 1))
        strokes = len(stroke_template(character))
        if rng.random() < row.copied:
            held = [book for book in row.books or RUNNING if book in copybooks(character)]
            made = copy(character, writer, str(rng.choice(held)))
        elif strokes >= 5 and rng.random() < row.left_out:
            made = write(character, writer, without=(int(rng.integers(strokes)),))
        else:
            made = write(character, writer)
        normalize(made.bitmap, out=image)
    return images


def images_of(row: Row, characters: str, n: int, seed: int, pool, epoch: int):
    """One epoch: images uint8 (n, 96, 96) and labels int32 (n,)."""
    rng = np.random.default_rng((SEED, seed, epoch))
    labels = rng.permutation(np.arange(n) % len(characters)).astype(np.int32)
    seeds = rng.integers(2**32, 2**62, n).tolist()
    which = [characters[label] for label in labels]
    parts = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
    made = pool.map(partial(written, row), [which[p] for p in parts], [seeds[p] for p in parts])
    return np.concatenate(list(made)), labels


def as_read(row: Row, images: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    if rng is not None:
        images = augment(images, rng)
        if row.paper:
            images = on_paper(images, rng)
    return resize_images(images, SIDE)


def network_of(characters: str) -> keras.Model:
    return student(num_classes=len(characters), input_size=SIDE, width=WIDTH, dropout=0.0)


def begun(characters: str, arguments, pool) -> list[np.ndarray]:
    """The weights that all rows go on from."""
    keras.utils.set_random_seed(SEED)
    network = network_of(characters)
    train(
        network,
        images_of(Row(), characters, arguments.begin, 0, pool, 0),
        run_dir=arguments.runs / "begun",
        epochs=BEGIN_EPOCHS,
        batch_size=BATCH,
        learning_rate=BEGIN_RATE,
        transform=partial(as_read, Row()),
        seed=SEED,
        characters=characters,
        description=f"synthetic, version {SYNTHESIS_VERSION}, the beginning",
    )
    return network.get_weights()


def trained(row, where, name, seed, weights, characters, arguments, pool):
    """The network of one row and seed, and the record of its training."""
    keras.utils.set_random_seed(seed)
    network = network_of(characters)
    network.set_weights(weights)
    record = train(
        network,
        lambda epoch: images_of(row, characters, arguments.images // EPOCHS, seed, pool, 1 + epoch),
        run_dir=where,
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        transform=partial(as_read, row),
        seed=seed,
        characters=characters,
        description=f"synthetic, version {SYNTHESIS_VERSION}, {name}",
        verbose=0,
    )
    return network, record


def real_sets(characters: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The real images as the network reads them, and once more on paper that is not clean."""
    label = {character: k for k, character in enumerate(characters)}
    sets = {}
    for name, split in REAL:
        data = load(name, split=split)
        labels = np.array([label[LEVEL1[k]] for k in data.labels])
        title = name if split is None else f"{name}/{split}"
        sets[title] = resize_images(np.asarray(data.images), SIDE), labels
        rough = on_paper(np.asarray(data.images), np.random.default_rng(0))
        sets[f"{title}, paper"] = resize_images(rough, SIDE), labels
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", choices=TABLES, default="traits", help="default: traits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--begin", type=int, default=40_000, help="images of the beginning")
    parser.add_argument("--images", type=int, help="images of a row; default: 16,000 or 64,000")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "handwriting")
    parser.add_argument("--out", type=Path, help="the record; default: the table's, data/results")
    arguments = parser.parse_args()
    table, record_file, images = TABLES[arguments.table]
    arguments.images = arguments.images or images
    arguments.out = arguments.out or RESULTS / record_file
    try:
        present = [load(name, split=split).present for name, split in REAL]
    except (ValueError, OSError) as error:
        sys.exit(f"{error}; HCCR_DATA_DIR names the folder that holds the samples")
    characters = "".join(c for c in LEVEL1 if any(c in text for text in present))
    sets = real_sets(characters)
    budget = {
        "characters": len(characters),
        "side": SIDE,
        "width": WIDTH,
        "begin": {"images": arguments.begin, "epochs": BEGIN_EPOCHS, "learning_rate": BEGIN_RATE},
        "images": arguments.images,
        "epochs": EPOCHS,
        "learning_rate": RATE,
        "batch_size": BATCH,
        "seed": SEED,
        "synthesis": SYNTHESIS_VERSION,
        "copybooks": list(RUNNING),
        "rows": {name: {**asdict(row), "books": list(row.books)} for name, row in table.items()},
    }
    made = environment()
    rows = {name: {} for name in table}
    if arguments.out.exists():
        try:
            earlier = json.loads(arguments.out.read_text(encoding="utf-8"))
            same = earlier["budget"] == budget
            rows |= earlier["rows"]
        except (ValueError, KeyError, TypeError) as error:
            parser.error(f"{arguments.out}: not a record of this experiment ({error})")
        if not same:
            parser.error(f"{arguments.out} holds another experiment; choose another --out")
    if all(str(seed) in rows[name] for seed in range(arguments.seeds) for name in table):
        return
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with worker_pool(cores()) as pool:
        weights = begun(characters, arguments, pool)
        for seed in range(arguments.seeds):
            for number, (name, row) in enumerate(table.items()):
                if str(seed) in rows[name]:
                    continue
                where = arguments.runs / f"{arguments.table}-{seed}-{number}"
                network, record = trained(
                    row, where, name, seed, weights, characters, arguments, pool
                )
                rows[name][str(seed)] = {
                    "git_commit": made["git_commit"],
                    "seconds": record["seconds"],
                    "accuracy": record["epochs"][-1]["accuracy"],
                    "sets": hits(network, sets),
                }
                share = {
                    key: round(100 * each["top1"] / each["n"], 1)
                    for key, each in rows[name][str(seed)]["sets"].items()
                }
                print(f"seed {seed}, {name}: {share}, {record['seconds']:.0f} s", flush=True)
                keras.backend.clear_session()
                known = {**made, "budget": budget, "rows": rows}
                text = json.dumps(known, ensure_ascii=False, indent=1)
                with atomic_file(arguments.out) as file:
                    file.write(f"{text}\n".encode())


if __name__ == "__main__":
    main()
