"""The command line, `hccr`. Every command does with one call what the library does.

Bad input (a faulty file, a dataset that is not there, settings that do not fit) is one line on
stderr and exit code 2.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .cli_common import (
    CHARACTERS_HELP,
    AsJson,
    Data,
    Seed,
    SkipFaulty,
    Split,
    bad_input_is_one_line,
    echo_skipped,
    import_backend,
    parse_characters,
    usual_split,
)
from .cli_export import export
from .cli_recognize import recognize
from .cli_train import train

# Nothing heavy is imported up here: `hccr --help` answers at once.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"hccr {__version__}")
        raise typer.Exit


@app.callback()
def hccr(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which, and end."),
    ] = False,
):
    """Handwritten Chinese characters: read them, make them, train a network, measure how well."""
    # A pipe or a file may have an encoding without Chinese, where a terminal has one with it.
    if (sys.stdout.encoding or "").lower() not in ("utf-8", "utf8"):
        sys.stdout.reconfigure(encoding="utf-8")


app.command()(recognize)  # first, since it needs nothing else


@app.command()
def evaluate(
    dataset: Data,
    model: Annotated[
        str | None,
        typer.Option(
            help="A run folder, .keras or .npz file, Melnyk-Net.hdf5 or shipped network (see "
            "hccr info). Default: melnyk_net_c."
        ),
    ] = None,
    split: Split = None,
    top: Annotated[int, typer.Option(min=1, help="Also count the first TOP answers.")] = 5,
    skip_faulty: SkipFaulty = False,
    as_json: AsJson = False,
):
    """Measure how well a network reads a dataset.

    A network of fewer than 3,755 classes chooses among its own; all other samples are left out
    and counted.

    - `hccr evaluate hwdb-sample --split test --model runs/forty`
    - `hccr evaluate photos/ --top 10 --json`
    """
    with bad_input_is_one_line():
        from .datasets import load

        data = load(dataset, split=usual_split(dataset, split, "test"), skip_faulty=skip_faulty)
        import_backend()
        from . import evaluation

        name = model or evaluation.DEFAULT_MODEL
        network, characters = evaluation.load_model(name)
        result = evaluation.evaluate(network, characters, data, top)
    result = {"dataset": data.name, "model": name, **result}
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
        return
    typer.echo(f"{data.name}, read by {name} ({result['classes']} classes)")
    n = result["n"]
    for k in sorted({1, 5, top}):
        share = result[f"top{k}"]
        typer.echo(f"  top-{k:<3} {100 * share:6.2f} %   {round(share * n):,} of {n:,}")
    typer.echo(f"  {result['seconds']:.1f} s, {result['images_per_second']:,.0f} images/s")
    echo_skipped(result["skipped"])


@app.command()
def prepare(dataset: Data, split: Split = None, skip_faulty: SkipFaulty = False):
    """Download, generate and normalise a dataset now, so that it opens at once later.

    - `hccr prepare casia-hwdb --split train`
    - `hccr prepare my-writers/ --skip-faulty`
    """
    with bad_input_is_one_line():
        from .datasets import load

        data = load(dataset, split=usual_split(dataset, split, "train"), skip_faulty=skip_faulty)
    writers = len(set(data.writers.tolist()))
    typer.echo(
        f"{data.name}: {len(data):,} images, {len(data.present):,} characters, "
        f"{writers:,} {'writer' if writers == 1 else 'writers'}"
    )
    echo_skipped(data.skipped)
    typer.echo(f"  {Path(data.images.filename).parent}")


@app.command()
def synthesize(
    out: Annotated[
        Path, typer.Argument(metavar="OUT_DIR", help="The folder for writer-00000.gnt and so on.")
    ],
    characters: Annotated[str, typer.Option(help=CHARACTERS_HELP)] = "level1",
    writers: Annotated[int, typer.Option(min=1, help="How many writers, one file each.")] = 10,
    samples: Annotated[int, typer.Option(min=1, help="Of each character by each writer.")] = 1,
    seed: Seed = 0,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Default: all cores where it is worth it.")
    ] = None,
):
    """Write .gnt files of synthetic handwriting. Interrupted, it goes on where it stopped.

    - `hccr synthesize out/ --characters 己已巳 --writers 20`
    - `hccr synthesize out/ --writers 100 --seed 7` (all 3,755 characters)
    """
    with bad_input_is_one_line():
        classes = parse_characters(characters)
        from .datasets.generate import generate

        generate(out, classes, writers=writers, samples=samples, seed=seed, processes=processes)
    count = writers * samples * len(classes)
    typer.echo(f"{out}: {count:,} samples of {len(classes):,} characters by {writers:,} writers")


app.command()(train)
app.command()(export)


@app.command()
def info(as_json: AsJson = False):
    """Say what is installed, which devices there are, and which datasets and networks."""
    with bad_input_is_one_line():
        import_backend()
        import platform

        import cv2
        import keras
        import numpy as np

        from . import __version__
        from .datasets.sources import NAMES, cache_dir, data_dir, find
        from .models.backend import accelerators
        from .models.weights import pretrained_networks

        found = {
            f"{name}/{split}" if split else name: find(name, split)
            for name, splits in NAMES.items()
            if name != "synthetic"
            for split in splits or (None,)
        }
        facts = {
            "hccr": __version__,
            "python": platform.python_version(),
            "keras": keras.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "backend": keras.backend.backend(),
            "devices": accelerators() or ["cpu"],
            "data_dir": None if data_dir() is None else str(data_dir()),
            "cache_dir": str(cache_dir()),
            "datasets": {name: path and str(path) for name, path in found.items()},
            "networks": pretrained_networks(),
        }
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    facts["devices"] = ", ".join(facts["devices"])
    facts["networks"] = ", ".join(facts["networks"]) or "none shipped"
    facts["data_dir"] = facts["data_dir"] or "HCCR_DATA_DIR is not set"
    for name, path in facts.pop("datasets").items():
        facts[name] = path or "not here yet"
    for name, value in facts.items():
        typer.echo(f"{name:24}{value}")
