"""What the commands of `hccr` share: options, the meaning of arguments, errors in one line."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

DATASET_HELP = (
    "A name (synthetic, icdar2013-sample, hwdb-sample, casia-hwdb), a .gnt file, a folder of "
    ".gnt files (one a writer), or a folder of pictures named by character (丁.png, 丁_2.png, "
    "丁/2.png)."
)
CHARACTERS_HELP = (
    "The classes: a text of distinct characters, a text file of them, or a dataset whose "
    "characters are meant."
)

Data = Annotated[str, typer.Argument(metavar="DATASET", help=DATASET_HELP)]
Split = Annotated[str | None, typer.Option(help="train or test, for hwdb-sample and casia-hwdb.")]
SkipFaulty = Annotated[
    bool, typer.Option("--skip-faulty", help="Count faulty samples instead of stopping.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")]


@contextlib.contextmanager
def bad_input_is_one_line() -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}"  # without "[Errno 13]"
        lines = text.strip().splitlines() or [type(error).__name__]
        typer.echo(f"hccr: {lines[0]}", err=True)
        raise typer.Exit(2) from None


def import_backend() -> None:
    """Import keras and its backend without TensorFlow's greetings on stderr.

    TensorFlow takes oneDNN's kernels of its own accord only where the processor has AVX-512. They
    train faster with AVX2, too.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with open(os.devnull, "wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            import keras  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def usual_split(name: str, split: str | None, usual: str) -> str | None:
    from .datasets.sources import NAMES

    return usual if split is None and NAMES.get(name) else split


def parse_characters(given: str) -> str:
    """The classes that --characters means: a text, a text file, or a dataset."""
    from .characters import LEVEL1
    from .datasets import load
    from .datasets.catalog import check_characters
    from .datasets.sources import NAMES

    if given == "level1":
        return LEVEL1
    path = Path(given)
    if given in NAMES or os.path.isdir(path) or path.suffix.lower() == ".gnt":
        return load(given, split=usual_split(given, None, "train")).present
    if os.path.isfile(path):  # not path.is_file(), which raises where the text is a long one
        try:
            given = "".join(path.read_text(encoding="utf-8").split())
        except UnicodeDecodeError:
            raise ValueError(f"{path}: --characters reads text files in UTF-8") from None
    return check_characters(given)


def chosen(dataset, classes: str):
    from .datasets import DatasetError, choose

    chosen = choose(dataset, classes, copy=False)
    if len(chosen) == 0:
        raise DatasetError(f"{dataset.name}: no sample of the {len(classes)} classes")
    return chosen


def echo_skipped(skipped: dict[str, int]) -> None:
    for reason, count in skipped.items():
        typer.echo(f"  skipped {count:,}: {reason}")
