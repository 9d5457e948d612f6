"""`hccr recognize`: what it finds, prints, writes and returns; the answers are the library's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_onnx import CLASSES, picture, row, search_path, tiny_onnx
from typer.testing import CliRunner

from hccr_lib.characters import LEVEL1
from hccr_lib.cli import app
from hccr_lib.datasets.prepare import PICTURES
from hccr_lib.overlay import overlay_png
from hccr_lib.pinyin import readings
from hccr_lib.recognizer import Recognizer


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return tiny_onnx(tmp_path_factory.mktemp("onnx") / "tiny.onnx")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder, in which the commands run."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def hccr(network, *arguments, **options):
    arguments = [str(argument) for argument in ("recognize", *arguments, "--model", network)]
    return CliRunner().invoke(app, arguments, **options)


def lines(network, *arguments, code=0, **options):
    result = hccr(network, *arguments, "--json", **options)
    assert result.exit_code == code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def process(network, *arguments, **options):
    command = [sys.executable, "-m", "hccr_lib", "recognize", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": search_path(), **options.pop("env", {})}
    return subprocess.Popen([*command, "--model", str(network)], env=environment, **options)


def save(path, character):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(character)).save(path)
    return path


def test_the_answers_are_those_of_the_library(network, here):
    files = [save(f"{n}.png", character) for n, character in enumerate(CLASSES)]
    found = lines(network, *files, "--top", 3)
    expected = Recognizer(network).recognize(files, 3)
    for file, line, reading in zip(files, found, expected, strict=True):
        assert line == {
            "file": str(file),
            "candidates": [
                {
                    "character": candidate.character,
                    "pinyin": candidate.pinyin,
                    "probability": round(candidate.probability, 6),
                }
                for candidate in reading.candidates
            ],
        }
    assert "".join(line["candidates"][0]["character"] for line in found) == CLASSES


def test_in_words_a_picture_is_a_line(network, here):
    save("a.png", "大")
    save("b.png", "山")
    result = hccr(network, "b.png", "a.png", "--top", 2)
    first, second = result.stdout.splitlines()
    assert first.startswith("b.png\t山 shān ")
    assert second.startswith("a.png\t大 dà ")
    assert first.count("%") == second.count("%") == 2
    assert result.stderr == ""


def test_folders_are_searched_in_a_fixed_order(network, here):
    for name in ("p/b/2.png", "p/b/10.JPG", "p/a.webp", "p/c.png", "p/.hidden/x.png", "p/.x.png"):
        save(name, "口")
    Path("p/notes.txt").write_text("no picture")
    found = [line["file"] for line in lines(network, "p", "p/c.png")]
    assert found == ["p/a.webp", "p/b/10.JPG", "p/b/2.png", "p/c.png", "p/c.png"]
    for ending in PICTURES - {".webp", ".png", ".jpg"}:
        save(f"others/{ending[1:]}{ending}", "口")
    assert len(lines(network, "others/")) == len(PICTURES) - 3


def test_patterns_are_for_those_shells_that_leave_them(network, here):
    for name in ("p/a.png", "p/q/b.png", "p/q/r/c.png", "[1].png", "1.png"):
        save(name, "口")

    def names(*arguments):
        return [line["file"] for line in lines(network, *arguments)]

    assert names("p/*.png") == ["p/a.png"]
    assert names("p/**/*.png") == names("p") == names("p/**") == names("p*")
    assert len(names("p")) == 3
    assert names("[1].png") == ["[1].png"]  # a name that is a pattern is a name
    assert names("[12].png") == ["1.png"]


def test_stdin_holds_one_picture(network, here):
    content = save("a.png", "木").read_bytes()
    (line,) = lines(network, "-", input=content)
    assert line["file"] == "-"
    assert line["candidates"][0]["character"] == "木"
    (line,) = lines(network, "-", input=b"", code=1)
    assert "not a readable picture" in line["error"]


def test_what_can_not_be_read_is_said_and_the_rest_goes_on(network, here):
    save("good.png", "大")
    Path("text.png").write_text("no picture")
    Image.fromarray(row("木口大")).save("row.png")
    Image.new("L", (50, 50), 255).save("blank.png")
    Path("empty").mkdir()
    names = ("good.png", "text.png", "none.png", "empty", "no*.png", "row.png", "blank.png")
    result = hccr(network, *names, "good.png")
    assert result.exit_code == 1
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["good.png"] * 2
    faults = [line.split(": ", 2)[1:] for line in result.stderr.splitlines()]
    assert [name for name, _ in faults] == list(names[1:])
    reasons = (
        "not a readable picture",
        "there is no such file or folder",
        "there is no picture in it",
        "nothing matches this pattern",
        "about 3 characters; cut them apart, or give --single",
        "the picture is blank",
    )
    for (_, fault), reason in zip(faults, reasons, strict=True):
        assert reason in fault
    found = lines(network, *names, "good.png", code=1)
    assert [line["file"] for line in found] == [*names, "good.png"]
    assert [line.get("error") for line in found] == [None, *(fault for _, fault in faults), None]
    assert [line["file"] for line in found if line.get("several")] == ["row.png"]
    assert all("candidates" not in line for line in found[1:-1])
    assert lines(network, "row.png", "--single")[0]["candidates"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["none.png"], "none.png: there is no such file or folder"),
        (["."], "there is no picture in it (.bmp .gif"),
        (["*.png"], "nothing matches this pattern"),
        (["none.png", "*.png"], "none.png"),
    ],
)
def test_nothing_to_read_is_a_wrong_command(network, here, arguments, words):
    result = hccr(network, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == len(arguments)
    assert all(line.startswith("hccr: ") for line in result.stderr.splitlines())


def test_wrong_options_are_one_line(network, here, tmp_path):
    save("a.png", "大")
    Path("file").touch()
    Path("broken.onnx").write_bytes(b"broken")
    plain = tiny_onnx(tmp_path / "plain.onnx", maps=False)
    for model, arguments, words in (
        ("studnt", (), "studnt: no such network or file; take one of "),
        ("broken.onnx", (), "broken.onnx: not a network that onnxruntime reads"),
        ("file", (), "file: not a network that Keras reads"),
        (network, ("--top", 9), "top must be 1 to 8, received 9"),
        (plain, ("--cam", "out"), "has no class activation maps"),
        (network, ("--cam", "file"), "file: --cam takes a folder"),
        (network, ("--cam", "file/maps"), "hccr: file/maps: Not a directory"),
    ):
        result = hccr(model, "a.png", *arguments)
        assert result.exit_code == 2, words
        assert result.stdout == ""
        assert result.stderr.startswith("hccr: ")
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    assert not Path("out").exists()
    assert hccr(network, "a.png", "--top", 0).exit_code == 2
    assert CliRunner().invoke(app, ["recognize"]).exit_code == 2


def test_maps_are_drawn_and_nothing_is_overwritten(network, here):
    names = ["p/x/a.png", "p/y/a.png", "p/y/a.jpg", "p/b.png", "q/a.png"]
    for name, character in zip(names, CLASSES, strict=False):
        save(name, character)
    before = {name: Path(name).read_bytes() for name in names}
    found = lines(network, "p", "q/a.png", *names[:1], "--cam", "maps")
    assert sorted(line["cam"] for line in found) == [
        *("maps/a-2.png", "maps/a.png", "maps/b.png"),
        *("maps/x/a.png", "maps/y/a-2.png", "maps/y/a.png"),
    ]
    expected = Recognizer(network).recognize([line["file"] for line in found], maps=True)
    for line, reading in zip(found, expected, strict=True):
        assert Path(line["cam"]).read_bytes() == overlay_png(reading.image, reading.best.map)
        assert np.asarray(Image.open(line["cam"])).shape == (384, 384, 3)
    # Into the folder of the pictures themselves:
    found = lines(network, "p", "--cam", "p")
    assert len({line["cam"] for line in found} - set(names)) == 4
    assert {name: Path(name).read_bytes() for name in names} == before
    assert not list(here.rglob("*.part"))


def test_names_of_any_bytes_are_printed_in_one_line(network, here):
    if sys.platform != "linux":
        pytest.skip("file names are text here")
    for name in (b"new\nline.png", b"\xff\xfe.png", "大.png".encode()):
        save("a.png", "大").rename(os.fsdecode(name))
    for code in ("utf-8", "ascii"):
        for options in ((), ("--json",)):
            run = process(
                network, ".", *options, env={"PYTHONIOENCODING": code}, stdout=subprocess.PIPE
            )
            out = run.communicate()[0].decode("utf-8")
            assert run.returncode == 0
            assert out.count("\n") == 3
            assert out.count("大.png") == 1


def test_a_broken_pipe_is_quiet(network, here):
    for number in range(200):
        save(f"p/{number}.png", CLASSES[number % 8])
    run = process(network, "p", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline().startswith(b"p/0.png\t")
    run.stdout.close()
    assert run.stderr.read() == b""
    assert run.wait() == 141


def test_a_bar_on_a_terminal_leaves_the_answers_to_stdout(network, here):
    pty = pytest.importorskip("pty")
    for number in range(40):
        save(f"p/{number}.png", "大")
    Path("p/0.png").write_text("no picture")
    ours, theirs = pty.openpty()
    with open("out.txt", "wb") as out:
        environment = {"TERM": "xterm", "CI": ""}
        run = process(network, "p", stdout=out, stderr=theirs, env=environment)
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    assert run.wait() == 1
    assert Path("out.txt").read_text(encoding="utf-8").count("\n") == 39
    assert "大" not in shown.decode("utf-8")
    assert b"Reading" in shown
    assert b"p/0.png: not a readable picture" in shown


def test_readings_are_the_same_without_the_words_that_take_long_to_import():
    code = (
        "from hccr_lib.pinyin import LEVEL1, readings\n"
        "import sys\n"
        "assert 'pypinyin.phrases_dict' not in sys.modules\n"
        "print(ascii([readings(character) for character in LEVEL1]))"
    )
    environment = {**os.environ, "PYTHONPATH": search_path(), "PYPINYIN_NO_PHRASES": "true"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == ascii([readings(character) for character in LEVEL1])


def test_help_teaches():
    out = CliRunner().invoke(app, ["recognize", "--help"], env={"COLUMNS": "200"}).stdout
    for words in ("hccr recognize photo.jpg", "--cam maps/", "| hccr recognize -", '"candidates"'):
        assert words in out
    assert "recognize" in CliRunner().invoke(app, ["--help"]).stdout
