"""Handwriting from strokes: images per second on one core.

    python benchmarks/bench_synthesis.py [--out data/results/bench/synthesis.json]

Random level 1 characters, each by a random writer of its own: the bitmap alone, the bitmap with
the mask of every stroke, and the bitmap normalised to 96x96 as training streams it. The three take
turns; each rate is the median of the turns, so that a busy machine slows all alike.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import normalize
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer, write

IMAGES = 1_000
TURNS = 7


def bitmaps(jobs: list[tuple[str, int]]) -> None:
    for character, seed in jobs:
        write(character, random_writer(seed))


def bitmaps_with_masks(jobs: list[tuple[str, int]]) -> None:
    for character, seed in jobs:
        write(character, random_writer(seed), masks=True)


def normalised(jobs: list[tuple[str, int]]) -> None:
    for character, seed in jobs:
        normalize(write(character, random_writer(seed)).bitmap)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/synthesis.json"))
    out = parser.parse_args().out
    cv2.setNumThreads(1)
    labels = np.random.default_rng(0).integers(0, len(LEVEL1), IMAGES)
    jobs = [(LEVEL1[label], seed) for seed, label in enumerate(labels.tolist())]
    bitmaps(jobs)  # templates are read and plans are made once, as in any longer run
    sizes = np.array([write(c, random_writer(seed)).bitmap.shape for c, seed in jobs])
    seconds = {make: [] for make in (bitmaps, bitmaps_with_masks, normalised)}
    for _ in range(TURNS):
        for make, times in seconds.items():
            started = time.perf_counter()
            make(jobs)
            times.append(time.perf_counter() - started)
    rates = {make.__name__: IMAGES / statistics.median(times) for make, times in seconds.items()}
    result = {
        "command": "python benchmarks/bench_synthesis.py",
        "what": "level 1 characters by random writers, one core",
        "synthesis_version": SYNTHESIS_VERSION,
        "images": IMAGES,
        "median_height_width": np.median(sizes, axis=0).tolist(),
        "images_per_second": round(rates["bitmaps"]),
        "with_masks_images_per_second": round(rates["bitmaps_with_masks"]),
        "normalised_images_per_second": round(rates["normalised"]),
        "target": {"images_per_second": 2_000},
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
