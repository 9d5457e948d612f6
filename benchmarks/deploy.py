"""What each network costs where it is used: as an ONNX file on one thread, one character at a time.

    python benchmarks/deploy.py                    all networks that come with the course
    python benchmarks/deploy.py student            these
    python benchmarks/deploy.py --resnet18 runs/resnet18        and ResNet18 as a run has trained it
    python benchmarks/deploy.py --keep-times         and the times as recorded

Each network is written as float32 and as int8, as `hccr export` does it, into runs/deploy. Then
every file reads the real images that are there and synthetic handwriting, and is compared with the
network in Keras image by image. ResNet18 does not come with the course. Where no run of
`hccr train --network resnet18` is named, it is untrained: its time and size do not depend on what
it has learnt. How a trained one read is then kept from the record that is there, with its commit.

Latencies: ONNX Runtime, one thread, one image. All files take turns, in another order each turn;
the medians over the turns go into data/results/deploy.json, and the ratios to the student's, which
a busy machine changes less. A network's time does not depend on its weights: with `--keep-times`,
new weights are read where no clock can be trusted, and the times stay with the machine and commit
that `timed` names. Ten minutes on two quiet cores, most of them for calibration. The published
ones, which are quoted beside them, are of other machines: 9.7 ms for 97.09 % (Xiao et al., Pattern
Recognition 2017, arXiv:1702.07975, one thread of a CPU) and 6.9 ms for 97.11 % (Li et al., IJDAR
2018, arXiv:1804.01259, the mean of a cascade).
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import onnxruntime

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import load
from hccr_lib.datasets.sources import find
from hccr_lib.datasets.stream import fresh
from hccr_lib.datasets.synthesis import SYNTHESIS_VERSION
from hccr_lib.evaluation import load_model, mcnemar, predict, wilson_interval
from hccr_lib.export import compare, export
from hccr_lib.models import count_macs, resnet18
from hccr_lib.models.weights import pretrained_networks
from hccr_lib.training.record import environment

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "deploy.json"
CALIBRATION, MAPS = 64, 128  # images to calibrate by, and whose maps are compared
TURNS, CALLS = 15, 20
REAL = (("icdar2013-sample", None), ("hwdb-sample", "test"))
SEED = 2018  # of writers that no training has met
RESNET = "resnet18"
TIMED = ("git_commit", "device", "onnxruntime")  # of a record: where its times are from


def session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options)


def probabilities(file: Path, images: np.ndarray) -> np.ndarray:
    """What a file says to images uint8 (n, side, side)."""
    runtime = onnxruntime.InferenceSession(file)
    return np.concatenate(
        [
            runtime.run(["probabilities"], {"images": batch[..., None].astype("float32")})[0]
            for batch in np.array_split(images, -(-len(images) // 64))
        ]
    )


def compared(known: dict[str, np.ndarray], file: Path, sets: dict) -> dict:
    """How a file reads each set, and how far that is from what Keras says, image by image."""
    result = {}
    for name, (images, labels) in sets.items():
        given = probabilities(file, images)
        right, before = given.argmax(1) == labels, known[name].argmax(1) == labels
        low, high = wilson_interval(int(right.sum()), len(right))
        result[name] = {
            "n": len(images),
            "same_answer": float((given.argmax(1) == known[name].argmax(1)).mean()),
            "probability": float(np.abs(known[name] - given).max()),
            "hits": int(right.sum()),
            "share": round(float(right.mean()), 5),
            "from": round(low, 5),
            "to": round(high, 5),
            "hits_in_keras": int(before.sum()),
            "p": mcnemar(int((right & ~before).sum()), int((~right & before).sum())),
        }
    return result


def latencies(files: dict[str, Path], image: np.ndarray) -> dict[str, dict]:
    """Milliseconds for one image by one thread, all files in turn."""
    runtimes = {name: session(file) for name, file in files.items()}
    given = {"images": image[None, ..., None].astype("float32")}
    times = {name: [] for name in files}
    rng = np.random.default_rng(0)
    for turn in range(TURNS + 1):
        for name in rng.permutation(list(files)):
            started = time.perf_counter()
            for _ in range(CALLS):
                runtimes[name].run(None, given)
            if turn:  # the first one warms up
                times[name].append((time.perf_counter() - started) / CALLS * 1e3)
    smallest = times.get("student int8") or next(iter(times.values()))
    return {
        name: {
            "milliseconds": round(statistics.median(each), 3),
            "fastest": round(min(each), 3),
            "slowest": round(max(each), 3),
            "ratio": round(
                statistics.median(a / b for a, b in zip(each, smallest, strict=True)), 3
            ),
        }
        for name, each in times.items()
    }


def learnt(run: Path) -> dict:
    """How the network of a training run came about, from its record."""
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    settings = record["settings"]
    known = ("command", "git_commit", "dtype_policy", "device", "seconds")
    return {
        **{name: record[name] for name in known},
        "images": settings["epochs"] * settings["data"]["images"],
        "losses": settings.get("losses"),
        "accuracy": [round(epoch["accuracy"], 5) for epoch in record["epochs"]],
    }


def read_before(record: Path, file: str) -> dict:
    """What a record says of how a ResNet18 read, if it was trained, and the record's commit."""
    if not record.exists():
        return {}
    known = json.loads(record.read_text(encoding="utf-8"))
    each = known["files"].get(file, {})
    if not each.get("trained"):
        return {}
    kept = {name: each[name] for name in ("trained", "run", "datasets")}
    return {**kept, "git_commit": each.get("git_commit", known["git_commit"])}


def timed_before(record: Path, names: list[str]) -> tuple[dict, dict]:
    """The latencies that a record has of some files, and where they were measured.

    Raises:
        ValueError: it lacks one of them.
    """
    known = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {"files": {}}
    lacking = [name for name in names if "milliseconds" not in known["files"].get(name, {})]
    if lacking:
        raise ValueError(f"{record}: has no times of {', '.join(lacking)}; leave --keep-times out")
    times = ("milliseconds", "fastest", "slowest", "ratio")
    kept = {name: {key: known["files"][name][key] for key in times} for name in names}
    return kept, known.get("timed") or {name: known[name] for name in TIMED}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=[*pretrained_networks(), RESNET])
    parser.add_argument("--resnet18", type=Path, metavar="RUN", help="folder of its training")
    parser.add_argument("--keep-times", action="store_true", help="those of the record")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "deploy", help="for the files")
    parser.add_argument("--images", type=int, default=3755, help="synthetic ones to read")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    made = {**environment(), "onnxruntime": onnxruntime.__version__}
    timed = {name: made[name] for name in TIMED}
    if arguments.keep_times:  # before the work, which is in vain if they are not there
        names = [f"{name} {kind}" for name in arguments.networks for kind in ("float32", "int8")]
        try:
            times, timed = timed_before(arguments.out, names)
        except ValueError as error:
            parser.error(str(error))
    calibration, _ = fresh(LEVEL1, CALIBRATION, seed=SEED, epoch=1)
    sets = {"synthetic": fresh(LEVEL1, arguments.images, seed=SEED, epoch=0)}
    for name, split in REAL:
        if find(name, split) is None:
            print(f"{name}: not found; HCCR_DATA_DIR names the folder that holds it", flush=True)
        else:
            data = load(name, split=split)
            sets[name] = data.images, data.labels
    arguments.runs.mkdir(parents=True, exist_ok=True)
    files, results = {}, {}
    for name in arguments.networks:
        run = arguments.resnet18 if name == RESNET else None
        trained = name != RESNET or run is not None
        # Not as the run's own network, which may compute in half precision.
        model = (
            resnet18(weights=run and run / "model.keras") if name == RESNET else load_model(name)[0]
        )
        known = {}
        if trained:
            known = {each: predict(model, images) for each, (images, _) in sets.items()}
        for precision in ("float32", "int8"):
            file = arguments.runs / f"{name}-{precision}.onnx"
            int8 = precision == "int8"
            export(model, file, LEVEL1, calibration=calibration if int8 else None)
            files[f"{name} {precision}"] = file
            results[f"{name} {precision}"] = {
                "network": name,
                "precision": precision,
                "trained": trained,
                "run": run and learnt(run),
                "parameters": model.count_params(),
                "macs": count_macs(model),
                "bytes": file.stat().st_size,
                "maps": compare(file, model, sets["synthetic"][0][:MAPS])["map"],
                "datasets": compared(known, file, sets if trained else {}),
            }
            if not trained:
                results[f"{name} {precision}"] |= read_before(arguments.out, f"{name} {precision}")
            for dataset, each in results[f"{name} {precision}"]["datasets"].items():
                print(f"{name} {precision}, {dataset}: {each}", flush=True)
    if not arguments.keep_times:
        times = latencies(files, sets["synthetic"][0][0])
    for name, each in times.items():
        results[name] |= each
        print(f"{name}: {each['milliseconds']} ms, {each['ratio']} times the student's", flush=True)
    record = {
        **made,
        "timed": timed,
        "calibration_images": CALIBRATION,
        "synthetic": {"version": SYNTHESIS_VERSION, "images": arguments.images, "seed": SEED},
        "files": results,
    }
    text = json.dumps(record, ensure_ascii=False, indent=1)
    arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
