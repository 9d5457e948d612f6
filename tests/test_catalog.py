"""Datasets by name and path: what they hold, and that a cache is whole or not there."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hccr_lib.characters import LEVEL1, label_of
from hccr_lib.datasets import (
    DatasetError,
    GntError,
    PictureError,
    Sample,
    bitmap_of_photo,
    choose,
    generate,
    load,
    normalize,
    prepare,
    read_gnt,
    read_picture,
    split_by_writer,
    write_gnt,
)
from hccr_lib.datasets.catalog import NOT_ASKED_FOR
from hccr_lib.datasets.prepare import NAMELESS, OUTSIDE, UNREADABLE, character_in_name
from hccr_lib.datasets.rows import Rows

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and no data folder, for every test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HCCR_CACHE_DIR", str(folder))
    monkeypatch.delenv("HCCR_DATA_DIR", raising=False)
    return folder


def bitmap(seed, height=40, width=30):
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def written(path, characters, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_gnt(path, [Sample(c, bitmap(seed + i)) for i, c in enumerate(characters)])
    return path


def leftovers(cache):
    """Everything in the cache that is neither a lock nor part of a complete result."""
    unfinished = [p for p in cache.rglob("*") if ".part" in p.name]
    incomplete = [
        p for p in (cache / "prepared").glob("*") if p.is_dir() and len(list(p.iterdir())) != 4
    ]
    return unfinished + incomplete


def test_a_gnt_file_gives_its_normalised_samples(tmp_path):
    path = written(tmp_path / "a.gnt", "座啊大")
    data = load(path)
    assert data.characters == LEVEL1
    assert data.labels.tolist() == [3754, 0, label_of("大")]
    assert data.present == "啊大座"
    assert (data.images.dtype, data.images.shape) == (np.uint8, (3, 96, 96))
    assert (data.labels.dtype, data.writers.dtype) == (np.int32, np.int32)
    for image, sample in zip(data.images, read_gnt(path), strict=True):
        np.testing.assert_array_equal(image, normalize(sample.bitmap))


def test_more_samples_than_are_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "_CHUNK", 4)
    for count in (3, 4, 9):
        path = written(tmp_path / f"{count}.gnt", LEVEL1[:count])
        data = load(path)
        assert data.labels.tolist() == list(range(count))
        expected = np.stack([normalize(sample.bitmap) for sample in read_gnt(path)])
        np.testing.assert_array_equal(data.images, expected)
        size = os.path.getsize(data.images.filename)
        assert size == data.images.offset + data.images.nbytes


def test_a_long_name_is_as_good_as_a_short_one(tmp_path):
    path = written(tmp_path / "a.gnt", "己已").rename(tmp_path / f"{'大' * 80}.gnt")
    assert len(load(path)) == 2


def test_a_folder_has_one_writer_a_file_in_the_order_of_names(tmp_path):
    for name, characters in (("b/2.gnt", "己"), ("a.gnt", "己已"), ("b/1.gnt", "巳")):
        written(tmp_path / "set" / name, characters)
    (tmp_path / "set" / ".hidden.gnt").write_bytes(b"")
    data = load(tmp_path / "set", characters="己已巳")
    assert data.labels.tolist() == [0, 1, 2, 0]
    assert data.writers.tolist() == [0, 0, 1, 2]


def test_the_second_time_nothing_is_read(tmp_path, monkeypatch):
    path = written(tmp_path / "a.gnt", "啊大")
    first = load(path)

    def forbidden(*args, **kwargs):
        raise AssertionError("read again")

    monkeypatch.setattr(prepare, "read_gnt", forbidden)
    again = load(path)
    assert isinstance(again.images, np.memmap)
    np.testing.assert_array_equal(again.images, first.images)
    assert load(path, characters="大啊").labels.tolist() == [1, 0]
    assert isinstance(load(path, characters="大啊").images, np.memmap)


def test_a_changed_file_is_read_again(tmp_path):
    path = written(tmp_path / "a.gnt", "啊大")
    assert load(path).present == "啊大"
    written(path, "座大")
    assert load(path).present == "大座"


def test_what_is_outside_is_counted(tmp_path):
    path = tmp_path / "a.gnt"
    written(path, "啊亍。大")
    content = path.read_bytes()
    path.write_bytes(content + content[:4] + b"A\x00" + content[6 : 10 + 40 * 30])
    data = load(path)
    assert data.present == "啊大"
    assert data.skipped == {OUTSIDE: 2, "unknown tag": 1}
    only = load(path, characters="大座")
    assert only.labels.tolist() == [0]
    assert only.skipped == {OUTSIDE: 2, "unknown tag": 1, NOT_ASKED_FOR: 1}


def test_a_faulty_file_raises_or_is_counted_and_leaves_nothing(tmp_path, cache):
    path = written(tmp_path / "cut.gnt", "啊大")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(GntError, match=r"cut\.gnt, byte 1210: "):
        load(path)
    assert leftovers(cache) == []
    assert list((cache / "prepared").glob("cut-*/")) == []
    data = load(path, skip_faulty=True)
    assert data.present == "啊"
    assert data.skipped == {"truncated": 1}
    with pytest.raises(GntError):  # what was skipped once is not forgotten
        load(path)


def test_choose_keeps_images_with_their_labels(tmp_path):
    data = load(written(tmp_path / "a.gnt", "啊大座太犬大"))
    some = choose(data, "犬大丁")
    assert some.labels.tolist() == [1, 0, 1]
    assert some.present == "犬大"
    np.testing.assert_array_equal(some.images, data.images[[1, 4, 5]])
    assert len(choose(some, "丁")) == 0
    noted = choose(data, "犬大丁", copy=False)
    assert isinstance(noted.images, Rows)
    np.testing.assert_array_equal(noted.images[:], some.images)
    assert choose(noted, "犬", copy=False).images[:].tolist() == data.images[[4]].tolist()


@pytest.mark.parametrize(
    "characters, message",
    [("", "at least one"), ("大大", "2 times"), ("大亍", "亍"), ("a", "'a'")],
)
def test_characters_must_be_distinct_and_of_level_1(characters, message, tmp_path):
    with pytest.raises(DatasetError, match=message):
        load(written(tmp_path / "a.gnt", "啊"), characters=characters)


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((50, 40), 250, np.uint8)
    image[10:14, 5:35] = image[5:45, 18 + seed : 22 + seed] = 20
    Image.fromarray(image).save(path)
    return path


def test_a_folder_of_pictures_is_named_by_character(tmp_path):
    folder = tmp_path / "photos"
    paths = [
        picture(folder / name, i) for i, name in enumerate(("丁.png", "大/001.png", "大_2.jpg"))
    ]
    picture(folder / "scan.png")
    (folder / "notes.txt").write_text("大")
    data = load(folder)
    assert "".join(data.characters[label] for label in data.labels) == "丁大大"
    assert data.skipped == {NAMELESS: 1}
    expected = [normalize(bitmap_of_photo(read_picture(path))) for path in sorted(paths)]
    np.testing.assert_array_equal(data.images, expected)


@pytest.mark.parametrize(
    "name, character",
    [
        ("丁.png", "丁"),
        ("丁_2.png", "丁"),
        ("丁 (3).PNG", "丁"),
        ("丁12.png", "丁"),
        ("丁/7.png", "丁"),
        ("大/丁.png", "丁"),
        ("丁大.png", None),
        ("大/丁大.png", "大"),
        ("scan.png", None),
        ("亍.png", None),
    ],
)
def test_which_character_a_name_means(name, character):
    assert character_in_name(Path("folder") / name) == character


@pytest.mark.parametrize("content", ["blank", "text"])
def test_a_bad_picture_raises_or_is_counted(content, tmp_path, cache):
    folder = tmp_path / "photos"
    picture(folder / "大.png")
    if content == "blank":
        Image.new("L", (30, 30), 255).save(folder / "丁.png")
    else:
        (folder / "丁.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"丁\.png"):
        load(folder)
    assert leftovers(cache) == []
    data = load(folder, skip_faulty=True)
    assert (data.present, data.skipped) == ("大", {UNREADABLE: 1})


def test_nothing_to_read_is_said(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match=r"empty: neither a \.gnt file nor a folder with"):
        load(empty)
    with pytest.raises(DatasetError, match=r"symbols\.gnt: no sample of a level 1 character"):
        load(written(tmp_path / "symbols.gnt", "。亍"))


def test_pictures_of_a_folder_that_was_renamed_are_others(tmp_path):
    folder = tmp_path / "pictures"
    picture(folder / "丁" / "1.png")
    assert load(folder).present == "丁"
    (folder / "丁").rename(folder / "七")
    assert load(folder).present == "七"


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("syntetic", {}, "did you mean synthetic"),
        ("大" * 300, {}, "known names"),
        ("nothing/here", {}, "known names: synthetic, icdar2013-sample"),
        ("hwdb-sample", {}, '"train" or "test", received None'),
        ("hwdb-sample", {"split": "dev"}, '"train" or "test", received \'dev\''),
        ("hwdb-sample", {"split": "test"}, "HCCR_DATA_DIR"),
        ("icdar2013-sample", {"split": "test"}, "received 'test'"),
        ("synthetic", {"split": "test"}, "no split"),
        ("synthetic", {"characters": "大", "writers": 0}, "writers must be at least 1"),
        ("synthetic", {"characters": "大", "seed": -1}, "seed must be at least 0"),
        ("synthetic", {"characters": "大", "seeds": 3}, "there is no option seeds"),
        ("nothing", {"writers": 3}, "only the synthetic dataset takes writers"),
    ],
)
def test_what_is_not_there_is_one_helpful_line(name, options, message):
    with pytest.raises(DatasetError, match=re.escape(message)) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)


def test_no_writer_is_on_both_sides(tmp_path):
    for number in range(10):
        written(tmp_path / "set" / f"{number}.gnt", LEVEL1[: number + 1], seed=100 * number)
    data = load(tmp_path / "set")
    rest, held = split_by_writer(data, 0.3, seed=1)
    assert not set(rest.writers) & set(held.writers)
    assert len(set(held.writers)) == 3
    assert len(rest) + len(held) == len(data)
    both = np.concatenate([rest.images, held.images])
    assert Counter(map(bytes, both)) == Counter(map(bytes, data.images))
    again = split_by_writer(data, 0.3, seed=1)[1]
    np.testing.assert_array_equal(again.images, held.images)
    others = {tuple(np.unique(split_by_writer(data, 0.3, seed)[1].writers)) for seed in range(9)}
    assert len(others) > 1
    for extreme in (0.001, 0.999):
        assert all(len(side) for side in split_by_writer(data, extreme, seed=0))


def test_one_writer_cannot_be_split(tmp_path):
    data = load(written(tmp_path / "a.gnt", "啊大"))
    with pytest.raises(DatasetError, match="one writer only"):
        split_by_writer(data, 0.5, seed=0)


def test_the_data_folder_comes_first_and_is_not_written(tmp_path, monkeypatch, cache):
    base = tmp_path / "data"
    written(base / "hwdb-sample" / "test.gnt", "完垦")
    picture(base / "icdar2013-sample" / "丁.png")
    monkeypatch.setenv("HCCR_DATA_DIR", str(base))
    before = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    assert load("hwdb-sample", split="test").present == "垦完"
    assert load("icdar2013-sample").present == "丁"
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == before
    assert cache.exists()
    with pytest.raises(DatasetError, match="hwdb-sample: not found"):
        load("hwdb-sample", split="train")


FEW = dict(characters="己已巳", writers=3, samples=2, seed=5)


def gnt_bytes(cache):
    return {path.name: path.read_bytes() for path in (cache / "synthetic").rglob("*.gnt")}


def test_synthetic_is_one_gnt_a_writer_and_walks_the_same_corridor(cache):
    data = load("synthetic", **FEW)
    assert data.labels.tolist() == [0, 1, 2] * 6
    assert data.writers.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    assert data.characters == data.present == "己已巳"
    files = sorted((cache / "synthetic").rglob("*.gnt"))
    assert [path.name for path in files] == [f"writer-0000{i}.gnt" for i in range(3)]
    expected = [normalize(s.bitmap) for path in files for s in read_gnt(path)]
    np.testing.assert_array_equal(data.images, expected)
    assert len(np.unique(data.images, axis=0)) == 18


def test_synthetic_is_the_same_on_any_number_of_processes(cache, monkeypatch, tmp_path):
    load("synthetic", **FEW, processes=1)
    alone = gnt_bytes(cache)
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "other"))
    load("synthetic", **FEW, processes=2)
    assert gnt_bytes(tmp_path / "other") == alone
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "more"))
    load("synthetic", **{**FEW, "writers": 4}, processes=1)
    more = gnt_bytes(tmp_path / "more")  # further writers do not change the first
    assert {name: more[name] for name in alone} == alone


@pytest.mark.parametrize(
    "change", [{"seed": 6}, {"samples": 1}, {"writers": 2}, {"characters": "己已"}]
)
def test_every_setting_has_its_own_cache(change, cache):
    load("synthetic", **FEW)
    load("synthetic", **{**FEW, **change})
    assert len([p for p in (cache / "synthetic").iterdir() if p.is_dir()]) == 2


def test_another_version_of_the_synthesis_has_its_own_cache(cache, monkeypatch):
    load("synthetic", **FEW)
    monkeypatch.setattr(generate, "SYNTHESIS_VERSION", "another")
    load("synthetic", **FEW)
    assert len([p for p in (cache / "synthetic").iterdir() if p.is_dir()]) == 2


def test_an_interrupted_generation_goes_on_where_it_stopped(cache, monkeypatch, tmp_path):
    real = generate.write
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 10:  # in the middle of the second writer
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(generate, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load("synthetic", **FEW)
    assert list(gnt_bytes(cache)) == ["writer-00000.gnt"]
    assert leftovers(cache) == []
    load("synthetic", **FEW)
    assert len(calls) == 10 + 12  # the first writer was not written again
    monkeypatch.setattr(generate, "write", real)
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "other"))
    load("synthetic", **FEW)
    assert gnt_bytes(cache) == gnt_bytes(tmp_path / "other")


def test_what_a_killed_process_left_is_removed(cache):
    load("synthetic", **FEW)
    arrays = next((cache / "prepared").glob("*/"))
    (made,) = (p for p in (cache / "synthetic").iterdir() if p.is_dir())
    shutil.move(arrays, arrays.with_name(f".{arrays.name}.12345678.part"))
    (made / ".writer-00001.gnt.12345678.part").write_bytes(b"half")
    load("synthetic", **FEW)
    assert leftovers(cache) == []


def test_a_disk_that_fills_up_leaves_nothing_and_costs_nothing(tmp_path, cache):
    resource = pytest.importorskip("resource")
    path = written(tmp_path / "a.gnt", LEVEL1[:100])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        with pytest.raises(OSError, match="prepared/a-"):  # says where
            load(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert leftovers(cache) == []
    assert len(load(path)) == 100


def test_two_processes_may_fill_the_same_cache(cache):
    code = (
        "from hccr_lib.datasets import load\n"
        "d = load('synthetic', characters='己已巳大太犬', writers=8, seed=1, processes=1)\n"
        "print(len(d), int(d.images.astype(int).sum()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    outputs = {run.communicate(timeout=120)[0] for run in runs}
    assert all(run.returncode == 0 for run in runs)
    assert len(outputs) == 1
    assert outputs.pop().startswith("48 ")
    assert leftovers(cache) == []
    assert len(list((cache / "prepared").glob("*/"))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_process_does_not_harm_the_next(cache):
    code = (
        "from hccr_lib.datasets import load\n"
        "load('synthetic', characters='己已巳', writers=3000, processes=1)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    while len(gnt_bytes(cache)) < 3:
        assert run.poll() is None
    run.kill()
    run.wait()
    for path in (cache / "synthetic").rglob("*.gnt"):
        assert len(list(read_gnt(path))) == 3
    assert len(load("synthetic", characters="己已巳", writers=2)) == 6


def die(path, *_):
    """In place of `write_writer`: half a file, and then what the system does for want of memory."""
    path.with_name(f".{path.name}.12345678.part").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_worker_that_is_killed_is_said_in_one_line_and_leaves_nothing(cache, monkeypatch):
    monkeypatch.setattr(generate, "write_writer", die)
    with pytest.raises(ChildProcessError, match=r"was killed.*run again"):
        load("synthetic", **FEW, processes=2)
    assert leftovers(cache) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_all_processes_at_once_and_the_next_call_goes_on(cache):
    settings = dict(characters=LEVEL1[:200], writers=200)
    code = (
        # A test in the background of a shell ignores Ctrl-C, and so do the processes it starts.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from hccr_lib.datasets import load\n"
        f"if __name__ == '__main__': load('synthetic', **{settings}, processes=2)"
    )
    script = cache.parent / "script.py"
    script.write_text(code, encoding="utf-8")
    run = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not gnt_bytes(cache):
        assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to the workers as well
    errors = run.communicate(timeout=30)[1]
    assert errors.count("Traceback") == 1  # this process's own, none of the workers'
    assert "KeyboardInterrupt" in errors
    found = gnt_bytes(cache)
    assert 0 < len(found) < 200
    for path in (cache / "synthetic").rglob("*.gnt"):
        assert len(list(read_gnt(path))) == 200
