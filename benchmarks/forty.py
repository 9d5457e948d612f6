"""The main job, on real handwriting: 40 characters, synthetic images alone, then real ones as well.

A small Model C learns the 40 characters of `hwdb-sample` from synthetic handwriting and reads the
sample's 800 real test images; then it goes on with the sample's 2,400 real training images, by
other writers, and reads the same 800 again. Every step is a command that you can type. What the
steps did goes into data/results/forty.json. Interrupted, it goes on where it stopped.

    make forty            about 40 minutes on two cores; needs HCCR_DATA_DIR with hwdb-sample
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "data" / "results" / "forty.json"
STEPS = (
    "train runs/forty-synthetic --characters hwdb-sample --width 0.5 --input-size 48 --augment"
    " --epochs 30",
    "evaluate hwdb-sample --model runs/forty-synthetic --json",
    "train runs/forty-real --data hwdb-sample --start-from runs/forty-synthetic"
    " --augment --with-synthetic 4800 --epochs 24 --learning-rate 0.001",
    "evaluate hwdb-sample --model runs/forty-real --json",
)


def main() -> None:
    steps = []
    for step in STEPS:
        print(f"hccr {step}", flush=True)
        command = [sys.executable, "-m", "hccr_lib", *step.split()]
        evaluates = step.startswith("evaluate")
        done = subprocess.run(
            command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE if evaluates else None
        )
        if evaluates:
            print(done.stdout, end="")
            steps.append({"command": f"hccr {step}", "result": json.loads(done.stdout)})
        else:
            record = ROOT / step.split()[1] / "record.json"
            record = json.loads(record.read_text(encoding="utf-8"))
            steps.append({"command": f"hccr {step}", "record": record})
    OUT.write_text(
        json.dumps({"steps": steps}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    print(OUT.relative_to(ROOT))


if __name__ == "__main__":
    main()
