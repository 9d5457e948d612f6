"""What feeds the network: images per second of the data path alone, on one core and on more.

    python benchmarks/bench_data.py [--out data/results/bench/data.json] [--images 131072]

A set on disk, larger than one pool of `shuffled_blocks`, is read in shuffled blocks and cut into
batches of 256 by 1, 2, 4, ... threads, as in training: as it is, and augmented.
The counts take turns. Then synthetic handwriting is written by as many processes. Each rate is the
median of its turns. The files' pages are in memory: how fast a disk is, this does not measure.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets.augment import augment
from hccr_lib.datasets.stream import fresh, fresh_epochs
from hccr_lib.datasets.workers import cores

# Keras is imported where it is used: the processes that write import this file, and not Keras.

BATCH = 256
DIFFERENT = 1_024  # images that the set on disk repeats
AUGMENTED = 16_384  # images of a turn with augmentation, for each thread
WRITTEN = 2_000  # synthetic images of a turn, for each process
TURNS = 5


def counts_up_to(most: int) -> list[int]:
    return sorted({*(2**k for k in range(most.bit_length())), most})


def on_disk(folder: Path, n: int) -> np.ndarray:
    """A memory map of n images uint8 (n, 96, 96), read once."""
    images, _ = fresh(LEVEL1, DIFFERENT)
    written = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (n, 96, 96))
    for start in range(0, n, DIFFERENT):
        written[start : start + DIFFERENT] = images[: n - start]
    written.flush()
    return np.load(folder / "images.npy", mmap_mode="r")


def batching(images: np.ndarray, threads: int, transform, turn: int) -> float:
    """Images per second that so many threads make into batches."""
    from hccr_lib.training.batches import Batches, shuffled_blocks

    order = shuffled_blocks(len(images), np.random.default_rng(turn))
    if transform is not None:
        order = order[: AUGMENTED * threads]
    labels = np.zeros(len(images), np.int32)
    batches = Batches(
        images, labels, order, BATCH, transform=transform, seed=(turn,), workers=threads
    )
    started = time.perf_counter()
    seen = sum(len(batches[k][1]) for k in range(len(batches)))
    return seen / (time.perf_counter() - started)


def writing(images_of, n: int, turn: int) -> float:
    """Images per second of an epoch of synthetic handwriting."""
    started = time.perf_counter()
    images_of(turn)
    return n / (time.perf_counter() - started)


def curve(rates: dict[int, list[float]]) -> list[dict]:
    medians = {count: statistics.median(several) for count, several in rates.items()}
    return [
        {
            "workers": count,
            "images_per_second": round(rate),
            "per_worker": round(rate / count),
        }
        for count, rate in medians.items()
    ]


def main() -> None:
    import keras

    from hccr_lib.training.record import environment

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/data.json"))
    parser.add_argument("--images", type=int, default=131_072, help="of the set on disk")
    parser.add_argument("--turns", type=int, default=TURNS)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    counts = counts_up_to(cores())
    rates = {name: {count: [] for count in counts} for name in ("read", "augmented", "synthetic")}
    with tempfile.TemporaryDirectory() as folder:
        images = on_disk(Path(folder), given.images)
        for turn in range(given.turns):
            for count in counts:
                rates["read"][count].append(batching(images, count, None, turn))
                rates["augmented"][count].append(batching(images, count, augment, turn))
        del images
    for count in counts:
        n = WRITTEN * count
        with fresh_epochs(LEVEL1, n, processes=count) as images_of:
            images_of(0)  # templates are read once in each process
            for turn in range(given.turns):
                rates["synthetic"][count].append(writing(images_of, n, turn + 1))
    result = {
        "command": "python benchmarks/bench_data.py",
        "what": "uint8 96x96 in batches of 256, without a network; workers: threads, or for "
        "synthetic handwriting processes",
        "images": given.images,
        "cores": cores(),
        "cpu": environment()["device"]["cpu"],
        **{name: curve(some) for name, some in rates.items()},
        "target": {"augmented images_per_second": 30_000, "cores": 16},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "keras": keras.__version__,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
