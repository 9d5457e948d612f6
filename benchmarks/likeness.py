"""How far synthetic handwriting lies from real handwriting, without any network.

The squared maximum mean discrepancy (Gretton et al., 2012, eq. 3) between the real training images
of `hwdb-sample` and synthetic ones, for each of its 40 characters, on maps of stroke direction of
the images with their ink stretched to one square. 0 means the same distribution; what two halves
of the real images score says how near to 0 so few images can come. The test images are not read.
What it measured goes into data/results/likeness.json.

    python benchmarks/likeness.py        a minute; needs HCCR_DATA_DIR with hwdb-sample
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from hccr_lib.datasets import read_gnt
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer, write

OUT = Path(__file__).resolve().parent.parent / "data" / "results" / "likeness.json"
WRITERS = 120  # synthetic images of each character


def direction_maps(bitmap: np.ndarray) -> np.ndarray:
    """float32 (257,): strength of 4 directions on a grid of 8 by 8, and the ink's aspect."""
    x, y, width, height = cv2.boundingRect((bitmap < 200).astype(np.uint8))
    if width == 0:
        raise ValueError("a bitmap without ink")
    ink = (255 - bitmap[y : y + height, x : x + width].astype(np.float32)) / 110
    return np.append(strengths(np.minimum(ink, 1)), 1.5 * np.log(width / height))


def strengths(ink: np.ndarray) -> np.ndarray:
    """float32 (256,): of 4 directions at 8 by 8 places, of ink (h, w) of 0 to 1, made a square."""
    ink = cv2.resize(ink, (64, 64), interpolation=cv2.INTER_AREA)
    across, down = cv2.Sobel(ink, cv2.CV_32F, 1, 0), cv2.Sobel(ink, cv2.CV_32F, 0, 1)
    strength, angle = np.hypot(across, down), np.arctan2(down, across)
    maps = []
    for direction in np.arange(4) * np.pi / 4:
        off = np.abs((angle - direction + np.pi / 2) % np.pi - np.pi / 2)
        part = cv2.GaussianBlur(strength * np.maximum(0, 1 - off / (np.pi / 4)), (0, 0), 4)
        maps.append(cv2.resize(part, (8, 8), interpolation=cv2.INTER_AREA))
    return np.sqrt(np.ravel(maps) + 1e-4)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances of the rows of two arrays."""
    return ((a[:, None] - b[None]) ** 2).sum(axis=2)


def discrepancy(real: np.ndarray, other: np.ndarray, scale: float) -> float:
    """The unbiased estimate of MMD squared, with a sum of three Gaussian kernels."""

    def kernel(a, b):
        return np.mean([np.exp(-distances(a, b) / (c * scale)) for c in (0.3, 0.6, 1.2)], axis=0)

    def within(a):
        return (kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))

    return float(within(real) + within(other) - 2 * kernel(real, other).mean())


def main() -> None:
    file = find("hwdb-sample", "train")
    if file is None:
        sys.exit("likeness needs hwdb-sample: name the folder that holds it in HCCR_DATA_DIR")
    real = {}
    for sample in read_gnt(file):
        real.setdefault(sample.character, []).append(direction_maps(sample.bitmap))
    real = {character: np.array(maps) for character, maps in real.items()}
    scale = float(np.median([np.median(distances(maps, maps)) for maps in real.values()]))
    halves, apart = {}, {}
    for number, (character, maps) in enumerate(real.items()):
        writers = range(number * WRITERS, (number + 1) * WRITERS)
        made = [direction_maps(write(character, random_writer(w)).bitmap) for w in writers]
        halves[character] = discrepancy(maps[::2], maps[1::2], scale)
        apart[character] = discrepancy(maps, np.array(made), scale)
    result = {
        "command": "python benchmarks/likeness.py",
        "synthesis_version": SYNTHESIS_VERSION,
        "real_images": sum(map(len, real.values())),
        "synthetic_images": WRITERS * len(real),
        "mmd2_halves_of_real": round(float(np.mean(list(halves.values()))), 4),
        "mmd2_real_and_synthetic": round(float(np.mean(list(apart.values()))), 4),
        "characters": {c: round(apart[c], 3) for c in sorted(apart, key=apart.get, reverse=True)},
    }
    OUT.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(OUT.read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main()
