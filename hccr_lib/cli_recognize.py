"""`hccr recognize`: from pictures on the command line to the characters in them."""

import glob
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TextIO

import typer

from .cli_common import bad_input_is_one_line, import_backend

STDIN = "-"
_BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended


@dataclass(frozen=True)
class _Found:
    """What a PATH leads to: a picture, or nothing."""

    file: str
    place: Path  # where the picture of its map belongs, below the folder of maps
    fault: str | None = None  # why there is nothing to read


def recognize(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Pictures, folders of them, patterns such as 'photos/*.jpg', or - for stdin.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many candidates for each picture.")] = 5,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A network that comes with the course (see hccr info), an .onnx file of hccr "
            "export, or whatever hccr evaluate takes. Default: student, the fastest.",
        ),
    ] = None,
    cam: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT_DIR",
            help="Write there a PNG for each picture: where the network sees its first "
            "candidate. Orange speaks for it, purple against it.",
        ),
    ] = None,
    single: Annotated[
        bool, typer.Option("--single", help="Read each as one character, whatever it seems.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
):
    """Say which character each picture shows.

    A picture shows one handwritten character: a photograph, a scan, a screenshot, of any size
    and colour, dark on light or light on dark. One that seems to hold several is not guessed at.
    Whatever stands out from the paper is taken for ink, also the edge of a shadow or of the sheet:
    crop a photograph to the character.

    - `hccr recognize photo.jpg`
    - `hccr recognize scans/ 'more/**/*.png' --top 3 --cam maps/`
    - `hccr recognize scans/ --json | jq -r '.candidates[0].character'`
    - `curl -s https://example.org/a.png | hccr recognize -`
    - `hccr recognize scans/ --model melnyk_net_c`

    With --json a line is {"file", "candidates": [{"character", "pinyin", "probability"}]}, with
    "cam" where --cam is given. For what could not be read it is {"file", "error"}, with
    "several": true where the reason is that a picture holds several characters.

    The exit code is 0, or 1 if there were pictures that could not be read, or 2 if the command
    was wrong.
    """
    with bad_input_is_one_line():
        found = [each for path in paths for each in _find(path)]
        files = [each.file for each in found if each.fault is None]
        if not files:
            for each in found:
                _complain(each.file, each.fault)
            raise typer.Exit(2)
        # Its list of words takes as long to import as all else; characters need none of it.
        os.environ.setdefault("PYPINYIN_NO_PHRASES", "true")
        from .inference import onnx_file
        from .recognizer import DEFAULT_MODEL, Recognizer

        name = model or DEFAULT_MODEL
        if onnx_file(name) is None:
            import_backend()
        pictures = (_stdin() if file == STDIN else file for file in files)
        readings = Recognizer(name).stream(pictures, top, maps=cam is not None, single=single)
        draw = None if cam is None else _drawing(cam, files)
        with closing(readings), _output(len(files)) as write:
            faults = 0
            for each in found:
                result = _result(each, readings, draw)
                if "error" in result:
                    faults += 1
                    _complain(each.file, result["error"])
                if as_json:
                    write(json.dumps(result, ensure_ascii=False))
                elif "error" not in result:
                    write(_in_words(result))
    if faults:
        raise typer.Exit(1)


def _find(path: str) -> list[_Found]:
    """The pictures that a PATH leads to, in a fixed order; or the one reason why there are none."""
    from .datasets.prepare import PICTURES

    if path == STDIN:
        return [_Found(STDIN, Path("stdin"))]
    path = os.path.expanduser(path)
    if not os.path.lexists(path) and glob.has_magic(path):
        matches = [
            each for match in sorted(glob.glob(path, recursive=True)) for each in _find(match)
        ]
        if not matches:
            return [_Found(path, Path(), "nothing matches this pattern")]
        # ** matches a folder, and what is in it once more.
        return list({os.path.normpath(each.file): each for each in reversed(matches)}.values())[
            ::-1
        ]
    if not os.path.isdir(path):
        fault = None if os.path.exists(path) else "there is no such file or folder"
        return [_Found(path, Path(Path(path).stem), fault)]
    faults: list[_Found] = []

    def fault(error: OSError) -> None:
        faults.append(_Found(error.filename, Path(), error.strerror))

    files = []
    for folder, folders, names in os.walk(path, onerror=fault):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and file.suffix.lower() in PICTURES and file.is_file():
                files.append(file)
    files.sort(key=lambda file: file.parts)
    if not files and not faults:
        return [_Found(path, Path(), f"there is no picture in it ({' '.join(sorted(PICTURES))})")]
    return faults + [_Found(str(f), f.relative_to(path).with_suffix("")) for f in files]


def _stdin() -> bytes:
    from .recognizer import LARGEST_STREAM

    return typer.get_binary_stream("stdin").read(LARGEST_STREAM + 1)


def _result(found: _Found, readings: Iterator, draw: Callable | None) -> dict:
    """What is known of one picture, as --json says it."""
    from .datasets.normalize import PictureError
    from .datasets.several import SeveralCharacters

    result = {"file": os.fsencode(found.file).decode("utf-8", "replace")}
    if found.fault is not None:
        return {**result, "error": found.fault}
    reading = next(readings)
    if isinstance(reading, SeveralCharacters):
        return {**result, "error": f"{reading}, or give --single", "several": True}
    if isinstance(reading, PictureError):
        return {**result, "error": str(reading)}
    result["candidates"] = [
        {
            "character": candidate.character,
            "pinyin": candidate.pinyin,
            "probability": round(candidate.probability, 6),
        }
        for candidate in reading.candidates
    ]
    if draw is not None:
        result["cam"] = str(draw(found.place, reading))
    return result


def _drawing(folder: Path, files: list[str]) -> Callable:
    """What draws the map of a reading below `folder`, over no picture that is read or drawn."""
    from .files import atomic_file
    from .overlay import overlay_png

    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: --cam takes a folder, and this is a file")
    folder.mkdir(parents=True, exist_ok=True)
    taken = {Path(file).resolve() for file in files}
    numbers: dict[Path, int] = {}

    def draw(place: Path, reading) -> Path:
        while True:
            number = numbers[place] = numbers.get(place, 0) + 1
            ending = ".png" if number == 1 else f"-{number}.png"
            path = folder / place.with_name(place.name + ending)
            if path.resolve() not in taken:
                break
        taken.add(path.resolve())
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(overlay_png(reading.image, reading.best.map))
        return path

    return draw


@contextmanager
def _output(total: int) -> Iterator[Callable[[str], None]]:
    """Give the function that writes a line to stdout and moves the bar on stderr on.

    Where stdout is a terminal its lines are progress enough, and a bar would mingle with them.
    """
    from .progress import progress

    stdout: TextIO = sys.stdout  # which a bar replaces, on a terminal, by its own
    try:
        # Decoders warn about damaged pictures; what matters of it is said in one line.
        with warnings.catch_warnings(), progress("Reading", total) as advance:
            warnings.simplefilter("ignore")
            yield lambda line: (typer.echo(line, file=stdout), advance(1))
    except BrokenPipeError:  # who reads the answers wants no more of them
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), stdout.fileno())
        raise typer.Exit(_BROKEN_PIPE) from None


def _complain(file: str, fault: str) -> None:
    # Not typer.echo: it would write into the bar that is there, which lets print pass above it.
    print(f"hccr: {_printable(file)}: {fault}", file=sys.stderr, flush=True)


def _in_words(result: dict) -> str:
    answers = (
        f"{each['character']} {each['pinyin']} {100 * each['probability']:.1f} %"
        for each in result["candidates"]
    )
    return f"{_printable(result['file'])}\t" + "  ".join(answers)


def _printable(name: str) -> str:
    """A file's name in one line of UTF-8, whatever the file system takes for a name."""
    name = os.fsencode(name).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
