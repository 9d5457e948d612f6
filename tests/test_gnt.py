"""read_gnt and write_gnt: round trips, and every way in which a file can be wrong."""

import errno
import os
import struct
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hccr_lib import files
from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import GntError, Sample, read_gnt, write_gnt
from hccr_lib.datasets.gnt import (
    EMPTY_FILE,
    FAULTS,
    NO_PIXELS,
    TRUNCATED,
    UNKNOWN_TAG,
    WRONG_SIZE,
)

LEVEL2_AND_SYMBOLS = "亍齄。、Ａа"


def entry(tag=b"\xb0\xa1", width=3, height=2, size=None, pixels=None):
    """One sample's bytes, spelled out independently of write_gnt."""
    if pixels is None:
        pixels = bytes(range(width * height))
    if size is None:
        size = 10 + width * height
    return struct.pack("<I", size) + tag + struct.pack("<HH", width, height) + pixels


samples = st.lists(
    st.builds(
        Sample,
        st.sampled_from(LEVEL1 + LEVEL2_AND_SYMBOLS),
        hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)),
    ),
    min_size=1,
    max_size=8,
)


@given(written=samples)
def test_what_is_written_is_read(written, tmp_path_factory):
    path = tmp_path_factory.mktemp("gnt") / "a.gnt"
    assert write_gnt(path, iter(written)) == len(written)
    assert path.stat().st_size == sum(10 + sample.bitmap.size for sample in written)
    read = list(read_gnt(path))
    assert [sample.character for sample in read] == [sample.character for sample in written]
    for one, other in zip(read, written, strict=True):
        assert one.bitmap.dtype == np.uint8
        np.testing.assert_array_equal(one.bitmap, other.bitmap)


def test_the_layout_is_casias(tmp_path):
    path = tmp_path / "a.gnt"
    path.write_bytes(entry(b"\xb0\xa1", 3, 2) + entry(b"\xd7\xf9", 1, 1, pixels=b"\xff"))
    first, second = read_gnt(path)
    assert (first.character, second.character) == ("啊", "座")
    assert first.bitmap.tolist() == [[0, 1, 2], [3, 4, 5]]  # row by row
    assert second.bitmap.tolist() == [[255]]
    again = tmp_path / "b.gnt"
    write_gnt(again, read_gnt(path))
    assert again.read_bytes() == path.read_bytes()


def test_bitmaps_outlive_the_iterator_and_cannot_be_written(tmp_path):
    path = tmp_path / "a.gnt"
    path.write_bytes(entry())
    bitmap = next(iter(read_gnt(path))).bitmap
    path.unlink()
    assert bitmap.sum() == 15
    with pytest.raises(ValueError):
        bitmap[0, 0] = 1


good = entry()
FAULTY = {
    "empty": (b"", EMPTY_FILE, 0),
    "cut in a header": (good + good[:7], TRUNCATED, 16),
    "cut in a bitmap": (good + good[:-1], TRUNCATED, 16),
    "size too small": (entry(size=14, pixels=b"1234"), WRONG_SIZE, 0),
    "size too large": (good + entry(size=4_000_000_000), WRONG_SIZE, 16),
    "size zero": (good + entry(size=0), WRONG_SIZE, 16),
    "zero width": (good + entry(width=0), NO_PIXELS, 16),
    "zero height": (good + entry(height=0), NO_PIXELS, 16),
    "claims four gigabytes": (entry(width=65535, height=65535, pixels=b"abc"), TRUNCATED, 0),
    "ASCII tag": (good + entry(tag=b"a\x00"), UNKNOWN_TAG, 16),
    "no code point": (good + entry(tag=b"\xd7\xfa"), UNKNOWN_TAG, 16),
    "two ASCII letters": (good + entry(tag=b"ab"), UNKNOWN_TAG, 16),
    "not a .gnt": (b"<!DOCTYPE html><html>no such file</html>", WRONG_SIZE, 0),
}


@pytest.mark.parametrize("content, reason, offset", FAULTY.values(), ids=FAULTY.keys())
def test_every_fault_is_named_with_its_place_or_counted(content, reason, offset, tmp_path):
    path = tmp_path / "faulty.gnt"
    path.write_bytes(content)
    with pytest.raises(GntError, match=rf"faulty\.gnt, byte {offset}: ") as caught:
        list(read_gnt(path))
    assert "\n" not in str(caught.value)
    skipped = Counter()
    read = list(read_gnt(path, skipped=skipped))
    assert skipped == {reason: 1}
    assert len(read) == (offset > 0)
    with pytest.raises(GntError):  # skipping other reasons does not skip this one
        list(read_gnt(path, skipped=Counter(), skip=set(FAULTS) - {reason}))


def test_reading_goes_on_where_the_size_says(tmp_path):
    path = tmp_path / "a.gnt"
    lying = entry(width=9, height=9, size=16, pixels=b"123456")
    path.write_bytes(good + lying + entry(tag=b"ab") + entry(width=0) + good)
    skipped = Counter()
    assert len(list(read_gnt(path, skipped=skipped))) == 2
    assert skipped == {WRONG_SIZE: 1, UNKNOWN_TAG: 1, NO_PIXELS: 1}


def test_not_a_gnt_says_so(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"<!DOCTYPE html><html></html>")
    with pytest.raises(GntError, match=r"is this a \.gnt file\?"):
        list(read_gnt(path))


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.gnt"):
        list(read_gnt(tmp_path / "none.gnt"))


headers = st.builds(
    entry,
    st.sampled_from([b"\xb0\xa1", b"\xd7\xf9", b"ab", b"\xff\xff"]),
    st.integers(0, 65535),
    st.integers(0, 4),
    st.one_of(st.none(), st.integers(0, 2**32 - 1), st.integers(0, 64)),
    st.binary(max_size=64),
)
fuzz = st.one_of(st.binary(max_size=200), st.lists(headers, max_size=5).map(b"".join))


@settings(max_examples=300)
@given(content=fuzz)
def test_any_bytes_give_samples_or_the_documented_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "f.gnt"
    path.write_bytes(content)
    skipped = Counter()
    tolerant = list(read_gnt(path, skipped=skipped))
    assert set(skipped) <= set(FAULTS)
    # No pixel is given twice: what is read comes from bytes that the file has.
    assert sum(10 + sample.bitmap.size for sample in tolerant) <= len(content)
    strict = []
    try:
        for sample in read_gnt(path):
            strict.append(sample)
        assert not skipped
    except GntError as error:
        assert skipped
        assert str(path) in str(error)
    assert len(strict) <= len(tolerant)
    for one, other in zip(strict, tolerant, strict=False):
        assert one.character == other.character
        np.testing.assert_array_equal(one.bitmap, other.bitmap)


def test_memory_does_not_grow_with_what_headers_claim_nor_with_the_file(tmp_path):
    path = tmp_path / "large.gnt"
    bitmap = np.zeros((1000, 1000), np.uint8)
    write_gnt(path, (Sample("啊", bitmap) for _ in range(50)))
    with open(path, "ab") as file:
        file.write(entry(width=65535, height=65535, pixels=b""))
    tracemalloc.start()
    try:
        list(read_gnt(path, skipped=Counter()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize(
    "sample, message",
    [
        (Sample("€", np.zeros((2, 2), np.uint8)), "€"),
        (Sample("a", np.zeros((2, 2), np.uint8)), "'a'"),
        (Sample("啊", np.zeros((2, 2), np.float32)), "float32"),
        (Sample("啊", np.zeros((2, 2, 1), np.uint8)), r"\(2, 2, 1\)"),
        (Sample("啊", np.zeros((0, 2), np.uint8)), "2×0"),
        (Sample("啊", np.zeros((1, 65536), np.uint8)), "65536×1"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_and_leaves_nothing(sample, message, tmp_path):
    path = tmp_path / "a.gnt"
    fine = Sample("啊", np.zeros((2, 2), np.uint8))
    with pytest.raises(GntError, match=rf"a\.gnt, sample 1: .*{message}"):
        write_gnt(path, [fine, sample])
    assert list(tmp_path.iterdir()) == []


def test_no_samples_are_no_file(tmp_path):
    with pytest.raises(GntError, match="no samples"):
        write_gnt(tmp_path / "a.gnt", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("generator"), KeyboardInterrupt()])
def test_an_interrupted_write_keeps_what_was_there(error, tmp_path):
    path = tmp_path / "a.gnt"
    path.write_bytes(good)

    def interrupted():
        yield Sample("啊", np.zeros((500, 500), np.uint8))
        raise error

    with pytest.raises(type(error)):
        write_gnt(path, interrupted())
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.gnt"
    path.write_bytes(good)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_gnt(path, [Sample("啊", np.zeros((50, 50), np.uint8))])
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_half_way_keeps_what_was_there(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.gnt"
    path.write_bytes(good)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError):
            write_gnt(path, (Sample("啊", np.zeros((99, 99), np.uint8)) for _ in range(100)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == good
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_can_be_rewritten_from_itself(tmp_path):
    path = tmp_path / "a.gnt"
    path.write_bytes(good + good)
    assert write_gnt(path, (sample for sample in read_gnt(path))) == 2
    assert path.read_bytes() == good + good


@pytest.mark.skipif("HCCR_DATA_DIR" not in os.environ, reason="needs HCCR_DATA_DIR")
def test_real_files_give_every_sample():
    for name, count in (("train", 2400), ("test", 800)):
        path = Path(os.environ["HCCR_DATA_DIR"]) / "hwdb-sample" / f"{name}.gnt"
        content = path.read_bytes()
        offset = 0
        read = 0
        for character, bitmap in read_gnt(path):
            size = int.from_bytes(content[offset : offset + 4], "little")
            assert content[offset + 4 : offset + 6].decode("gb2312") == character
            width, height = struct.unpack_from("<HH", content, offset + 6)
            assert bitmap.shape == (height, width)
            assert bitmap.tobytes() == content[offset + 10 : offset + size]
            offset += size
            read += 1
        assert (read, offset) == (count, len(content))
