"""Make `data/atlas.npz`: what the student sees in each of the 3,755 characters of GB2312 level 1.

The same hands, none of which it has learnt from, write every character, and some of them write it
again without each of its strokes. The page *The atlas* shows what the network says to that; its
pictures of handwriting are written anew when the book is built (`book/atlas.py`).

    python data/make_atlas.py               half an hour on two cores; interrupted, it goes on
    python data/make_atlas.py --characters 己已巳 --out try.npz

The arrays, with C characters, S strokes in all (writing order, character after character), W hands:

    maps          float16 (C, 5, 6, 6)  means over the hands, in units of the logit: the map of the
                                        character, and that map minus the map of each `rivals`
    rivals        uint16 (C, 4)         the other characters that it is taken for most, as labels
    rival_chance  float32 (C, 4)        mean probability of each of these
    own_strokes   uint32 (C, 4)         the strokes that tell the character from each of these, and
    rival_strokes uint32 (C, 4)         those that tell that one from it: stroke i is bit i
    read          uint16 (C, W)         the label that the network gives to each hand's character
    falls         float16 (S,)          mean fall of the log probability without the stroke
    still_read    uint8 (S,)            how many of the hands' characters are read all the same
    read_instead  uint16 (S,)           what is read without the stroke most often, as a label
    read_so       uint8 (S,)            by how many of the hands

`about` is a string, JSON: the command, the network, the seeds of the hands, and the versions.
What the book says about all characters together goes into `data/results/atlas.json`.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hccr_lib.characters import LEVEL1, label_of  # noqa: E402  (needs the path above)
from hccr_lib.datasets import normalize  # noqa: E402
from hccr_lib.datasets.strokes import stroke_template  # noqa: E402
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION, random_writer, write  # noqa: E402
from hccr_lib.datasets.workers import cores, worker_pool  # noqa: E402
from hccr_lib.files import atomic_file  # noqa: E402
from hccr_lib.progress import progress  # noqa: E402

RECORD = ROOT / "data" / "results" / "atlas.json"
NETWORK = "student"
# Small numbers: no training has drawn them (hccr_lib/datasets/stream.py).
HANDS = range(5_000_000, 5_000_032)
ERASING = 8  # hands that also write without each stroke
RIVALS = 4
BATCH = 64
BLOCK = 10  # characters: their maps of all classes fit into memory


def handwriting(character: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (W, 96, 96) by all hands, and (E, S, 96, 96) by some, without each stroke."""
    writers = [random_writer(hand) for hand in HANDS]
    strokes = range(len(stroke_template(character)))
    whole = [normalize(write(character, writer).bitmap) for writer in writers]
    without = [
        [normalize(write(character, writer, without=(stroke,)).bitmap) for stroke in strokes]
        for writer in writers[:ERASING]
    ]
    return np.stack(whole), np.array(without)


def seen(model, characters: str, written: list) -> dict[str, np.ndarray]:
    """The arrays of some characters, from what `handwriting` gives for each."""
    from scipy.special import log_softmax

    from hccr_lib.explain.cam import cam_and_logits
    from hccr_lib.explain.gradients import logits_of
    from hccr_lib.explain.inputs import checked_images

    classes = np.arange(len(LEVEL1))
    maps, logits = cam_and_logits(model, np.concatenate([whole for whole, _ in written]), classes)
    logs = log_softmax(logits.astype(float), axis=1).reshape(len(written), len(HANDS), -1)
    maps = maps.reshape(*logs.shape, *maps.shape[2:]).mean(axis=1)
    erased = [without.reshape(-1, *without.shape[2:]) for _, without in written]
    ends = np.cumsum([len(each) for each in erased])[:-1]
    logits = logits_of(model, checked_images(model, np.concatenate(erased), BATCH), BATCH)
    erased = np.split(log_softmax(logits.astype(float), axis=1), ends)

    found = []
    for character, one, chances, without in zip(characters, maps, logs, erased, strict=True):
        label = label_of(character)
        chance = np.exp(chances).mean(axis=0)
        others = np.argsort(-np.where(classes == label, -1, chance), kind="stable")[:RIVALS]
        without = without.reshape(ERASING, -1, len(LEVEL1))
        reads = without.argmax(axis=2)
        votes = [np.unique(each, return_counts=True) for each in reads.T]
        found.append(
            {
                "maps": np.stack([one[label], *(one[label] - one[others])])[None],
                "rivals": others[None],
                "rival_chance": chance[others][None],
                "read": chances.argmax(axis=1)[None],
                "falls": (chances[:ERASING, None, label] - without[..., label]).mean(axis=0),
                "still_read": (reads == label).sum(axis=0),
                "read_instead": np.array([labels[counts.argmax()] for labels, counts in votes]),
                "read_so": np.array([counts.max() for _, counts in votes]),
            }
        )
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def bits(strokes: tuple[int, ...]) -> int:
    return sum(1 << stroke for stroke in strokes)


def told_apart(characters: str, rivals: np.ndarray) -> dict[str, np.ndarray]:
    """The strokes by which each character and its rivals differ, as `own_strokes` says."""
    from hccr_lib.explain.stroke_truth import differing_strokes

    pairs = [
        [(character, LEVEL1[label]) for label in row]
        for character, row in zip(characters, rivals, strict=True)
    ]
    return {
        "own_strokes": np.array(
            [[bits(differing_strokes(*pair)) for pair in row] for row in pairs]
        ),
        "rival_strokes": np.array(
            [[bits(differing_strokes(*pair[::-1])) for pair in row] for row in pairs]
        ),
    }


def summary(characters: str, arrays: dict[str, np.ndarray]) -> dict:
    """What holds of all characters together."""
    right = (arrays["read"] == np.array([label_of(each) for each in characters])[:, None]).sum(1)
    counts = [len(stroke_template(character)) for character in characters]
    owner = np.repeat(np.arange(len(characters)), counts)
    labels = np.array([label_of(each) for each in characters])[owner]
    still, so = arrays["still_read"], arrays["read_so"]
    another = (arrays["read_instead"] != labels) & (so >= 0.75 * ERASING)
    needless = np.bincount(owner, still >= 0.75 * ERASING, len(characters)) == counts
    hardest = np.argsort(right, kind="stable")[:12]
    # Each character counts once, or the many strokes of some would stand for those between.
    ends = np.cumsum(counts)
    lost = [still[end - n : end] for end, n in zip(ends, counts, strict=True) if n > 2]

    def share(array: np.ndarray, of: int) -> float:
        return round(float(array.mean() / of), 4)

    by_strokes = {
        count: {
            "characters": counts.count(count),
            "read": share(right[np.equal(counts, count)], len(HANDS)),
            "read_without_a_stroke": share(still[np.equal(counts, count)[owner]], ERASING),
        }
        for count in sorted(set(counts))
    }
    return {
        "characters": len(characters),
        "images": right.size * len(HANDS),
        "right": int(right.sum()),
        "read_by_all_hands": int((right == len(HANDS)).sum()),
        "hardest": {characters[i]: int(right[i]) for i in hardest},
        "strokes": len(still),
        "read_without_a_stroke": share(still, ERASING),
        "read_without_the_first": share(np.array([each[0] for each in lost]), ERASING),
        "read_without_the_last": share(np.array([each[-1] for each in lost]), ERASING),
        "read_without_one_between": share(np.array([each[1:-1].mean() for each in lost]), ERASING),
        "strokes_missed_by_three_quarters": int((still <= 0.25 * ERASING).sum()),
        "strokes_without_which_three_quarters_read_one_other": int(another.sum()),
        "strokes_without_which_all_read_one_other": int((another & (so == ERASING)).sum()),
        "characters_that_can_lose_any_one_stroke": int(needless.sum()),
        "by_strokes": by_strokes,
    }


TYPES = {
    "maps": np.float16,
    "rivals": np.uint16,
    "rival_chance": np.float32,
    "own_strokes": np.uint32,
    "rival_strokes": np.uint32,
    "read": np.uint16,
    "falls": np.float16,
    "still_read": np.uint8,
    "read_instead": np.uint16,
    "read_so": np.uint8,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--characters", default=LEVEL1, help="only these, to try")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "atlas", help="what is done")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "atlas.npz")
    arguments = parser.parse_args()

    # The workers, which import this file, need no Keras.
    from hccr_lib.evaluation import shipped
    from hccr_lib.training.record import environment

    about = {
        **environment(),
        "network": NETWORK,
        "hands": [HANDS.start, HANDS.stop],
        "erasing": ERASING,
        "synthesis": SYNTHESIS_VERSION,
    }
    model = shipped(NETWORK)
    arguments.runs.mkdir(parents=True, exist_ok=True)
    blocks = range(0, len(arguments.characters), BLOCK)
    names = [arguments.characters[start : start + BLOCK] for start in blocks]
    files = [arguments.runs / f"{start:04d}.npz" for start in blocks]
    missing = [(name, file) for name, file in zip(names, files, strict=True) if not file.exists()]
    done = len(arguments.characters) - sum(len(name) for name, _ in missing)
    with (
        worker_pool(cores()) as pool,
        progress("Looking at characters", len(arguments.characters), done=done) as advance,
    ):
        writing = pool.map(handwriting, "".join(name for name, _ in missing))
        for name, file in missing:
            arrays = seen(model, name, [next(writing) for _ in name])
            with atomic_file(file) as stream:
                np.savez(stream, **arrays)
            advance(len(name))
    parts = [np.load(file) for file in files]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    arrays |= told_apart(arguments.characters, arrays["rivals"])
    arrays = {name: arrays[name].astype(kind) for name, kind in TYPES.items()}
    with atomic_file(arguments.out) as stream:
        np.savez_compressed(stream, about=json.dumps(about, ensure_ascii=False), **arrays)
    print(f"{arguments.out}: {len(arguments.characters)} characters")
    if arguments.characters == LEVEL1:
        record = {**about, **summary(arguments.characters, arrays)}
        text = json.dumps(record, ensure_ascii=False, indent=1)
        RECORD.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
