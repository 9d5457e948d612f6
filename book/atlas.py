"""Write what the page "The atlas" loads into `book/assets/atlas-data`, from `data/atlas.npz`.

    index.json     of all characters, for the search: readings, and how many strokes
    NN.json        of SHELF characters each: what the network sees in them
    NN.webp        their handwriting: a row a character, a column a hand

So a reader who looks one character up fetches one small file of each kind. `make book` runs it.
"""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hccr_lib.characters import LEVEL1  # noqa: E402
from hccr_lib.datasets import normalize  # noqa: E402
from hccr_lib.datasets.strokes import stroke_template  # noqa: E402
from hccr_lib.datasets.synthesis import random_writer, write  # noqa: E402
from hccr_lib.datasets.workers import cores, worker_pool  # noqa: E402
from hccr_lib.pinyin import readings  # noqa: E402

SEEN = ROOT / "data" / "atlas.npz"
OUTPUT = ROOT / "book" / "assets" / "atlas-data"
SHELF = 32
HANDS = 6  # whose handwriting is shown
SIDE = 72  # pixels of a picture of it
QUALITY = 60  # of WebP, 0 to 100


def index() -> dict:
    return {
        "text": LEVEL1,
        "readings": ["/".join(readings(each)) for each in LEVEL1],
        "strokes": [len(stroke_template(each)) for each in LEVEL1],
        "shelf": SHELF,
        "side": SIDE,
    }


def marked(bits: int) -> list[int]:
    """The strokes, from 0, that are marked in a number as `data/make_atlas.py` writes it."""
    return [stroke for stroke in range(32) if int(bits) >> stroke & 1]


def entries(seen: dict[str, np.ndarray], about: dict) -> list[dict]:
    """What the page says of each character."""
    ends = np.cumsum([len(stroke_template(each)) for each in LEVEL1])
    strokes = zip(
        *(seen[name].tolist() for name in ("falls", "still_read", "read_instead", "read_so")),
        strict=True,
    )
    strokes = [[round(fall, 2), *rest] for fall, *rest in strokes]
    found = []
    for label in range(len(LEVEL1)):
        maps = seen["maps"][label].astype(float).reshape(len(seen["maps"][label]), -1)
        limits = np.abs(maps).max(axis=1)
        rivals = zip(
            seen["rivals"][label].tolist(),
            [float(f"{chance:.3g}") for chance in seen["rival_chance"][label]],
            map(marked, seen["own_strokes"][label]),
            map(marked, seen["rival_strokes"][label]),
            strict=True,
        )
        found.append(
            {
                "hands": seen["read"].shape[1],
                "right": int((seen["read"][label] == label).sum()),
                "read": seen["read"][label, :HANDS].tolist(),
                # Steps of 1/127 of each map's largest value.
                "limits": [float(f"{limit:.6g}") for limit in limits],
                "maps": np.rint(127 * maps / np.maximum(limits, 1e-9)[:, None])
                .astype(int)
                .tolist(),
                "rivals": list(rivals),
                "erasing": about["erasing"],
                "strokes": strokes[ends[label - 1] if label else 0 : ends[label]],
            }
        )
    return found


def pictures(folder: Path, first_hand: int, start: int) -> None:
    """The handwriting of one shelf, dark on white."""
    rows = []
    for character in LEVEL1[start : start + SHELF]:
        written = [write(character, random_writer(first_hand + hand)) for hand in range(HANDS)]
        small = [
            cv2.resize(normalize(each.bitmap), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for each in written
        ]
        rows.append(255 - np.hstack(small))
    file = folder / f"{start // SHELF:03d}.webp"
    if not cv2.imwrite(str(file), np.vstack(rows), [cv2.IMWRITE_WEBP_QUALITY, QUALITY]):
        raise OSError(f"{file}: OpenCV could not write it")


def main() -> None:
    with np.load(SEEN) as file:
        seen = {name: file[name] for name in file.files}
    about = json.loads(str(seen.pop("about")))
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    shutil.copy(ROOT / "data" / "ARPHICPL.TXT", OUTPUT)  # the licence goes with the strokes
    whole = entries(seen, about)
    shelves = range(0, len(LEVEL1), SHELF)
    for start in shelves:
        text = json.dumps(whole[start : start + SHELF], separators=(",", ":"))
        (OUTPUT / f"{start // SHELF:03d}.json").write_text(text, encoding="utf-8")
    with worker_pool(cores()) as pool:
        list(pool.map(partial(pictures, OUTPUT, about["hands"][0]), shelves))
    text = json.dumps(index(), ensure_ascii=False, separators=(",", ":"))
    (OUTPUT / "index.json").write_text(text, encoding="utf-8")  # the last: with it all is there


if __name__ == "__main__":
    main()
