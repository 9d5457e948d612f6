"""Class activation maps beside the compiled forward pass that they need anyway.

    python benchmarks/bench_cam.py [--out data/results/bench/cam.json]

Model C, full width, 3,755 classes, random weights. The three take turns on the same batch, in
another order each turn; each ratio is the median over the turns.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from hccr_lib.explain import cam
from hccr_lib.models import melnyk_net
from hccr_lib.models.backend import fastest_jit
from hccr_lib.training.record import environment

BATCH = 32
TURNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/cam.json"))
    out = parser.parse_args().out
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = melnyk_net("C")
    model.compile(jit_compile=fastest_jit())
    images = rng.integers(0, 256, (BATCH, 96, 96), dtype=np.uint8)
    some, every = np.arange(5), np.arange(3755)
    calls = {
        "forward": lambda: model.predict_on_batch(images[..., None]),
        "cam_5": lambda: cam(model, images, some),
        "cam_3755": lambda: cam(model, images, every),
    }
    for call in calls.values():  # trace and compile
        call()
        call()
    seconds = {name: [] for name in calls}
    for _ in range(TURNS):
        for name in rng.permutation(list(calls)):
            started = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ratios = {
        name: statistics.median(np.divide(seconds[name], seconds["forward"]).tolist())
        for name in ("cam_5", "cam_3755")
    }
    facts = environment()
    result = {
        "command": "python benchmarks/bench_cam.py",
        "what": "closed-form CAM, Model C at 96x96, ratio to the compiled forward pass",
        "batch": BATCH,
        "turns": TURNS,
        "seconds": {name: round(median, 4) for name, median in medians.items()},
        "cam_5_classes_over_forward": round(ratios["cam_5"], 3),
        "cam_3755_classes_over_forward": round(ratios["cam_3755"], 3),
        "backend": facts["backend"],
        "device": facts["device"],
        "versions": facts["versions"],
        "platform": platform.platform(),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
