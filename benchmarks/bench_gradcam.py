"""Grad-CAM beside the compiled forward pass of the same network, at its end and at inner layers.

    python benchmarks/bench_gradcam.py [--out data/results/bench/gradcam.json]

Model C, full width, 3,755 classes, random weights. All take turns on the same batch, in another
order each turn; each ratio is the median over the turns.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from hccr_lib.explain import cam, grad_cam
from hccr_lib.models import melnyk_net
from hccr_lib.models.backend import fastest_jit
from hccr_lib.training.record import environment

BATCH = 32
TURNS = 11
INNER = ("conv3_3_relu", "conv1_2_relu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/gradcam.json"))
    out = parser.parse_args().out
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = melnyk_net("C")
    model.compile(jit_compile=fastest_jit())
    images = rng.integers(0, 256, (BATCH, 96, 96), dtype=np.uint8)
    one, some = np.arange(1), np.arange(5)
    calls = {
        "forward": lambda: model.predict_on_batch(images[..., None]),
        "cam_5_classes": lambda: cam(model, images, some),
        "grad_cam_last_maps": lambda: grad_cam(model, images, one),
    }
    for layer in INNER:
        calls[f"grad_cam_{layer}"] = lambda layer=layer: grad_cam(model, images, one, layer=layer)
    for call in calls.values():  # trace and compile
        call()
        call()
    seconds = {name: [] for name in calls}
    for _ in range(TURNS):
        for name in rng.permutation(list(calls)):
            started = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - started)
    facts = environment()
    result = {
        "command": "python benchmarks/bench_gradcam.py",
        "what": "Grad-CAM of one class, Model C at 96x96, ratio to the compiled forward pass",
        "batch": BATCH,
        "turns": TURNS,
        "seconds": {name: round(statistics.median(times), 4) for name, times in seconds.items()},
        "over_forward": {
            name: round(statistics.median(np.divide(times, seconds["forward"]).tolist()), 3)
            for name, times in seconds.items()
            if name != "forward"
        },
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
