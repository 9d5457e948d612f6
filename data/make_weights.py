"""Make `data/weights/synthetic/`: networks that read 3,755 characters, taught by made handwriting.

    make weights                               at full size on a GPU, else at half the width
    make weights SCALE=full                    one scale whatever the machine
    make weights SCALE=tiny                    minutes, into weights-tiny; to try the program

Every step is a command that you can type; a step that was interrupted goes on where it stopped.
`HCCR_SCALE` chooses the scale where `--scale` does not.

=====  =======================================================  ==============================
tiny   C, width 1/8, 16x16 then 32x32, 1,024 images each, and   a minute; reads nothing
       MCANet from it
quick  C at 48x48, from it A, B and C at 96x96, and from C      about 20 hours on two cores,
       MCANet and the student: 6.1 million images from          more than a day without AMX
       strokes; then running hand: the student on 1.1 million
       images, C on 2.4, A, B and MCANet on 0.1 each; width 1/2
full   A, B, C and MCANet (two attentions) as published,        a large GPU with 16 CPU cores
       96x96, 6.8 million images each; a half-width C, and from
       it the student of full-width C, 6.8 million images each
=====  =======================================================  ==============================
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hccr_lib.cli_networks import started  # noqa: E402  (all need the path above)
from hccr_lib.models import mcanet, melnyk_net, student  # noqa: E402
from hccr_lib.models.backend import accelerators, emulates_bfloat16  # noqa: E402
from hccr_lib.models.weights import PRETRAINED, save_pretrained  # noqa: E402
from hccr_lib.training.record import read_record  # noqa: E402

_NEW = "--characters level1 --pooling-starts-as mean"
# What is read: six of ten images copied from running hand, and not all of them on clean paper.
_HANDS = "--copied 0.6 --augment --paper"
# At last as it will be read: normalised, and not slanted, shifted and bent once more.
_AS_READ = "--copied 0.6 --paper"
_FULL = (
    f"--characters level1 --width 1 {_HANDS} --precision mixed_bfloat16 --batch-size 1024"
    " --learning-rate 0.002 --images-per-epoch 375500 --epochs 18"
)
_QUICK = "--precision mixed_bfloat16 --batch-size 128 --images-per-epoch 37550"
_SHORT = "--precision mixed_bfloat16 --batch-size 128 --images-per-epoch 18775"
_LOSSES = "--losses contrastive,region"
# First from strokes alone: Model C, small and then at full size, and the student taught by it.
# Then running hand: the student alone, being the fastest to learn it, and the others taught by it;
# Model C at last by the student and MCANet together.
# The later stages take seeds of their own: images that no stage before has seen.
# Then Model C goes on taught by nobody, with another optimizer, each time from the mean of all that
# it has been since. Each of these alone reads less of real cursive handwriting than what it began
# as; a mean of them, which ships, reads more (data/results/averages.json).
_FROM_48 = (
    f"--start-from {{c-48}} --input-size 96 --augment {_QUICK} --learning-rate 0.0005 --epochs 13"
)
_STUDENT = {
    "c-48": f"{_NEW} --width 0.5 --input-size 48 --dropout 0.2 --augment {_QUICK}"
    " --learning-rate 0.001 --epochs 60",
    "c-96": f"{_FROM_48} --variant C",
    "s-96": f"--network student --start-from {{c-96}} --teacher {{c-96}} --augment {_QUICK}"
    " --learning-rate 0.001 --epochs 40 --seed 2",
    "s-96-hands": f"--start-from {{s-96}} {_HANDS} {_QUICK}"
    " --learning-rate 0.001 --epochs 28 --seed 3",
}
_MCANET = {name: _STUDENT[name] for name in ("c-48", "c-96")} | {
    # The losses wait until the cross-entropy has taught the features something.
    "m-96-apart": "--start-from {c-96} --attentions 2 --losses none --dropout 0.2"
    f" --augment {_QUICK} --learning-rate 0.001 --epochs 8",
    "m-96": f"--start-from {{m-96-apart}} {_LOSSES} --augment {_QUICK}"
    " --learning-rate 0.0005 --epochs 6",
    "m-96-on": f"--start-from {{m-96}} {_LOSSES} --augment {_QUICK}"
    " --learning-rate 0.00025 --epochs 5",
    "m-96-last": f"--start-from {{m-96-on}} {_LOSSES} --augment {_QUICK}"
    " --learning-rate 0.0002 --epochs 3 --seed 1",
    "m-96-hands": f"--start-from {{m-96-last}} {_LOSSES} {_AS_READ} {_SHORT}"
    " --learning-rate 0.0005 --epochs 4 --seed 5",
}
_TAUGHT = "--teacher {s-96-hands}"
_MUON = f"--recipe muon {_AS_READ} {_SHORT} --learning-rate 0.0015"
_FOUR = f"{_TAUGHT} {_AS_READ} {_SHORT} --learning-rate 0.0007 --epochs 4 --seed 5"
_TINY = {
    "c-16": f"{_NEW} --width 0.125 --input-size 16 --images-per-epoch 512 --epochs 2",
    "c-32": "--start-from {c-16} --input-size 32 --images-per-epoch 512 --epochs 2",
}


class Plan(NamedTuple):
    """How the weights of one network are made."""

    settings: dict  # what its function builds it from
    trainings: dict[str, str]  # the options of each, by the name of its folder, in order
    mean_of: dict[str, int] | None = None  # whose mean ships, in how many parts; else the last

    @property
    def parts(self) -> list[str]:
        """The trainings whose mean ships, each as often as it counts."""
        counted = self.mean_of or {list(self.trainings)[-1]: 1}
        return [name for name, times in counted.items() for _ in range(times)]


# For each scale and network.
SCALES = {
    "tiny": {
        "C": Plan(
            {"variant": "C", "width": 0.125, "input_size": 32},
            _TINY,
        ),
        "M": Plan(
            {"attentions": 2, "width": 0.125, "input_size": 32},
            _TINY
            | {"m-32": "--start-from {c-32} --attentions 2 --images-per-epoch 512 --epochs 2"},
        ),
        "S": Plan(
            {"width": 0.125, "input_size": 32},
            _TINY
            | {
                "s-32": "--network student --start-from {c-32} --teacher {c-32}"
                " --images-per-epoch 512 --epochs 2"
            },
        ),
    },
    "quick": {
        "C": Plan(
            {"variant": "C", "width": 0.5, "input_size": 96},
            _STUDENT
            | _MCANET
            | {
                "c-96-hands": f"--start-from {{c-96}} {_TAUGHT} {_HANDS} {_SHORT}"
                " --learning-rate 0.0007 --epochs 16 --seed 4",
                "c-96-more": f"--start-from {{c-96-hands}} {_TAUGHT} {_HANDS} {_SHORT}"
                " --learning-rate 0.0008 --epochs 32 --seed 9",
                "c-96-last": f"--start-from {{c-96-more}} {_TAUGHT} {_AS_READ} {_SHORT}"
                " --learning-rate 0.0005 --epochs 4 --seed 5",
                "c-96-two": "--start-from {c-96-last} --teacher {s-96-hands},{m-96-hands}"
                f" {_AS_READ} {_SHORT} --learning-rate 0.0008 --epochs 22 --seed 11",
                "c-96-books": "--start-from {c-96-two} --dropout 0"
                f" {_MUON} --epochs 18 --seed 13",
                "c-96-mean": "--start-from {c-96-two},{c-96-books} --dropout 0.2"
                f" {_MUON} --epochs 20 --seed 14",
                "c-96-thirds": "--start-from {c-96-two},{c-96-books},{c-96-mean} --dropout 0.2"
                f" --augment {_MUON} --epochs 16 --seed 15",
            },
            # The first two are in what the others began with, too.
            {"c-96-two": 2, "c-96-books": 2, "c-96-mean": 1, "c-96-thirds": 1},
        ),
        "A": Plan(
            {"variant": "A", "width": 0.5, "input_size": 96},
            _STUDENT
            | {
                "a-96": f"{_FROM_48} --variant A",
                "a-96-hands": f"--start-from {{a-96}} {_FOUR}",
            },
        ),
        "B": Plan(
            {"variant": "B", "width": 0.5, "input_size": 96},
            _STUDENT
            | {
                "b-96": f"{_FROM_48} --variant B",
                "b-96-hands": f"--start-from {{b-96}} {_FOUR}",
            },
        ),
        "M": Plan(
            {"attentions": 2, "width": 0.5, "input_size": 96},
            _MCANET,
        ),
        "S": Plan({"width": 0.5, "input_size": 96}, _STUDENT),
    },
    "full": {
        variant: Plan(
            {"variant": variant, "width": 1.0, "input_size": 96},
            {variant.lower(): f"{_FULL} --variant {variant} --pooling-starts-as mean"},
        )
        for variant in "CBA"
    }
    | {
        "M": Plan(
            {"attentions": 2, "width": 1.0, "input_size": 96},
            {
                "m-apart": f"{_FULL} --attentions 2 --losses none",
                "m": f"--start-from {{m-apart}} {_LOSSES} {_HANDS}"
                " --precision mixed_bfloat16 --batch-size 1024 --learning-rate 0.001"
                " --images-per-epoch 375500 --epochs 6",
            },
        ),
        "S": Plan(
            {"width": 0.5, "input_size": 96},
            {
                "c": f"{_FULL} --variant C --pooling-starts-as mean",
                "c-half": f"{_FULL} --variant C --pooling-starts-as mean".replace(
                    "--width 1", "--width 0.5"
                ),
                "s": f"--network student --start-from {{c-half}} --teacher {{c}} {_HANDS}"
                " --precision mixed_bfloat16 --learning-rate 0.001 --batch-size 1024"
                " --images-per-epoch 375500 --epochs 18 --seed 2",
            },
        ),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", choices=SCALES, default=os.environ.get("HCCR_SCALE"))
    parser.add_argument(
        "--variants",
        default="ABCMS",
        help="which of the scale's, M for MCANet, S for the student; default: all",
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where trainings are kept")
    parser.add_argument(
        "--out",
        type=Path,
        help="where the weights go; default: data/weights/synthetic, which is what ships, and "
        "weights-tiny for the scale that reads nothing",
    )
    arguments = parser.parse_args()
    scale = arguments.scale or usual_scale()
    if scale not in SCALES:
        parser.error(f"HCCR_SCALE must be one of {', '.join(SCALES)}, received {scale!r}")
    if not set(arguments.variants) & set(SCALES[scale]):
        parser.error(f"scale {scale} has none of the variants {arguments.variants!r}")
    shipped = PRETRAINED / "synthetic"
    out = arguments.out or (Path("weights-tiny") if scale == "tiny" else shipped)
    runs = arguments.runs / f"weights-{scale}"
    asked: set[str] = set()  # what networks have in common is asked for once
    for variant, plan in SCALES[scale].items():
        if variant in arguments.variants:
            make(variant, plan, runs, out, asked)


def usual_scale() -> str:
    return "full" if accelerators() else "quick"


def lineage(plan: Plan) -> list[str]:
    """The trainings that the weights which ship went through, in order: no teacher's."""
    found = set(plan.parts)
    for name in reversed(plan.trainings):  # each goes on from earlier ones
        if name in found and (start := re.search(r"--start-from (\S+)", plan.trainings[name])):
            found |= set(re.findall(r"{([\w-]+)}", start[1]))
    return [name for name in plan.trainings if name in found]


def make(variant: str, plan: Plan, runs: Path, out: Path, asked: set[str]) -> None:
    """Trains one network, and writes its weights once all of its trainings are finished."""
    folders = {name: runs / name for name in plan.trainings}
    for name, options in plan.trainings.items():
        if emulates_bfloat16():
            options = options.replace("mixed_bfloat16", "float32")
        command = ["train", str(folders[name]), *options.format_map(folders).split()]
        line = f"hccr {' '.join(command)}"
        if line in asked:
            continue
        asked.add(line)
        print(line, flush=True)
        subprocess.run([sys.executable, "-m", "hccr_lib", *command], check=True)

    # Built anew, it computes in float32 whatever it was trained in.
    build = {"M": mcanet, "S": student}.get(variant, melnyk_net)
    network = build(**plan.settings)
    trained, _ = started(",".join(str(folders[each]) for each in plan.parts))
    network.set_weights(trained.get_weights())
    records = [read_record(folders[each]) for each in lineage(plan)]
    for record in records:
        del record["characters"]  # level 1, as the settings say
    file = out / f"{network.name}.npz"
    save_pretrained(
        network,
        file,
        settings={"num_classes": 3755, **plan.settings},
        record={"runs": records} | ({"mean_of": plan.mean_of} if plan.mean_of else {}),
    )
    print(file)


if __name__ == "__main__":
    main()
