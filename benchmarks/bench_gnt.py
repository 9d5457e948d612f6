"""From a .gnt file to 96x96 images: this library beside the usual loop, on one core.

    python benchmarks/bench_gnt.py [--out data/results/bench/gnt.json]

Both read the same file, made here of bitmaps with the sizes of CASIA-HWDB (median 65x85), turn by
turn; each rate is the median of the turns, so that a busy machine slows both alike.
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
from PIL import Image

from hccr_lib.datasets import Sample, normalize, read_gnt, write_gnt

SAMPLES = 5_000
TURNS = 7


def handwriting_like(rng: np.random.Generator) -> np.ndarray:
    """A bitmap of an HWDB-like size with a few blurred lines: uint8 (h, w), dark on 255."""
    width = int(np.clip(rng.normal(65, 13), 20, 140))
    height = int(np.clip(rng.normal(86, 15), 30, 170))
    bitmap = np.full((height, width), 255, np.uint8)
    for _ in range(6):
        ends = rng.integers(0, (width, height), (2, 2)).tolist()
        cv2.line(bitmap, *ends, color=int(rng.integers(0, 120)), thickness=4)
    return cv2.GaussianBlur(bitmap, (3, 3), 0)


def ours(path: Path, images: np.ndarray) -> None:
    """Every sample into `images`, uint8 (N, 96, 96)."""
    for (_, bitmap), out in zip(read_gnt(path), images, strict=True):
        normalize(bitmap, out=out)


def usual(path: Path, images: np.ndarray) -> None:
    """The same, header by header, as scripts for CASIA's files commonly do."""
    with open(path, "rb") as file:
        for out in images:
            header = np.fromfile(file, np.uint8, 10)
            width = int(header[6]) + (int(header[7]) << 8)
            height = int(header[8]) + (int(header[9]) << 8)
            bytes([header[4], header[5]]).decode("gb2312")
            bitmap = np.fromfile(file, np.uint8, width * height).reshape(height, width)
            pad = abs(height - width) // 2
            sides = ((pad, pad), (0, 0)) if height < width else ((0, 0), (pad, pad))
            bitmap = np.pad(bitmap, sides, constant_values=255)
            resized = Image.fromarray(bitmap).resize((88, 88), Image.Resampling.BILINEAR)
            out[:] = 255 - np.pad(np.asarray(resized), 4, constant_values=255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/gnt.json"))
    out = parser.parse_args().out
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    bitmaps = [handwriting_like(rng) for _ in range(SAMPLES)]
    sizes = np.array([bitmap.shape for bitmap in bitmaps])
    images = {read: np.zeros((SAMPLES, 96, 96), np.uint8) for read in (ours, usual)}
    seconds = {read: [] for read in images}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.gnt"
        write_gnt(path, (Sample("啊", bitmap) for bitmap in bitmaps))
        for _ in range(TURNS):
            for read, result in images.items():
                started = time.perf_counter()
                read(path, result)
                seconds[read].append(time.perf_counter() - started)
    difference = np.abs(images[ours].astype(int) - images[usual]).mean()
    rates = {read.__name__: SAMPLES / statistics.median(seconds[read]) for read in images}
    result = {
        "command": "python benchmarks/bench_gnt.py",
        "what": ".gnt to uint8 96x96, one core",
        "samples": SAMPLES,
        "median_height_width": np.median(sizes, axis=0).tolist(),
        "images_per_second": round(rates["ours"]),
        "usual_loop_images_per_second": round(rates["usual"]),
        "ratio": round(rates["ours"] / rates["usual"], 2),
        "target": {"images_per_second": 25_000, "ratio": 8},
        "mean_difference_grey_levels": round(float(difference), 2),
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
