"""CASIA's .gnt files: many handwritten characters in one file, each with its tag code.

One sample after the other, with nothing in front, between or behind:

    offset  type           meaning
    0       uint32, little endian  size of this sample in bytes, 10 + width * height
    4       2 bytes        tag code: the character in GB2312 (啊 ā is B0 A1, in this order)
    6       uint16, little endian  width
    8       uint16, little endian  height
    10      uint8 × width × height  the bitmap, row by row, ink dark on 255

C.-L. Liu et al., "CASIA Online and Offline Chinese Handwriting Databases", ICDAR 2011.
"""

import mmap
import os
import struct
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..characters import character_of, tag_of
from ..files import atomic_file

HEADER = struct.Struct("<I2sHH")

EMPTY_FILE = "empty file"
TRUNCATED = "truncated"
WRONG_SIZE = "size does not match"
NO_PIXELS = "no pixels"
UNKNOWN_TAG = "unknown tag"
FAULTS = (EMPTY_FILE, TRUNCATED, WRONG_SIZE, NO_PIXELS, UNKNOWN_TAG)


class GntError(ValueError):
    """A .gnt file that is not what it should be; the message names the file and byte offset."""


class Sample(NamedTuple):
    """A handwritten character: `character` (one str), `bitmap` uint8 (h, w), ink dark on 255."""

    character: str
    bitmap: np.ndarray


def read_gnt(
    path: str | os.PathLike,
    *,
    skipped: Counter | None = None,
    skip: Collection[str] = FAULTS,
) -> Iterator[Sample]:
    """Yield the samples of a .gnt file, in its order, every GB2312 character.

    The file is mapped, not read: each bitmap is a read-only view, so that memory stays small
    however large the file is, whatever its headers say.

    Args:
        path: the file.
        skipped: None, and the first fault raises; or a Counter, which counts faulty samples by
            reason (one of `FAULTS`) while reading goes on where the size field says that the
            next sample begins. Where it cannot say so, reading ends.
        skip: with `skipped`, the reasons that may be skipped; all others still raise. CASIA's
            own files hold symbols whose tag is no GB2312 character: `skip={UNKNOWN_TAG}`.

    Raises:
        GntError: for a fault that is not skipped, with the file and the byte offset.
        OSError: the file cannot be opened.

    >>> for character, bitmap in read_gnt("1001-c.gnt"):  # doctest: +SKIP
    ...     print(character, bitmap.shape)
    """
    path = Path(path)

    def fault(reason: str, offset: int, details: str) -> None:
        if skipped is None or reason not in skip:
            raise GntError(f"{path}, byte {offset}: {details}")
        skipped[reason] += 1

    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # an empty file cannot be mapped
            fault(EMPTY_FILE, 0, "the file is empty, and a .gnt holds at least one sample")
            return
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    # No close: the bitmaps are views into the map, which lives exactly as long as they do.
    data = np.frombuffer(mapped, np.uint8)
    end = len(data)
    characters: dict[bytes, str | None] = {}
    offset = 0
    while offset < end:
        if offset + HEADER.size > end:
            fault(
                TRUNCATED,
                offset,
                f"{end - offset} bytes are left where a header of {HEADER.size} begins; "
                "is the file cut?",
            )
            return
        size, tag, width, height = HEADER.unpack_from(mapped, offset)
        pixels = width * height
        if size != HEADER.size + pixels:
            hint = "; is this a .gnt file?" if offset == 0 else ""
            fault(
                WRONG_SIZE,
                offset,
                f"the sample's size is {size}, but {width}×{height} pixels and the header take "
                f"{HEADER.size + pixels}{hint}",
            )
            if size < HEADER.size or offset + size > end:
                return
        elif offset + size > end:
            fault(
                TRUNCATED,
                offset,
                f"the sample takes {size} bytes, and only {end - offset} are left; "
                "is the file cut?",
            )
            return
        elif pixels == 0:
            fault(NO_PIXELS, offset, f"the bitmap has no pixels (width {width}, height {height})")
        else:
            if tag not in characters:
                characters[tag] = _character_or_none(tag)
            character = characters[tag]
            if character is None:
                fault(UNKNOWN_TAG, offset, f"tag code {tag.hex(' ').upper()} is not GB2312")
            else:
                start = offset + HEADER.size
                yield Sample(character, data[start : start + pixels].reshape(height, width))
        offset += size


def _character_or_none(tag: bytes) -> str | None:
    try:
        return character_of(tag)
    except ValueError:
        return None


def write_gnt(path: str | os.PathLike, samples: Iterable[Sample]) -> int:
    """Write samples to a .gnt file and return how many.

    The file appears at once and whole: when anything fails on the way (a bad sample, a full
    disk, an interruption), whatever was at `path` before is still there, and nothing else.

    Args:
        path: the file; an existing one is replaced.
        samples: anything with `.character` (in GB2312) and `.bitmap`, uint8 (h, w), ink dark
            on 255, 1 to 65,535 pixels a side. May be a generator, even one that reads `path`.

    Raises:
        GntError: a sample that the format cannot hold, with its number, counted from 0.
        OSError: the file cannot be written.
    """
    count = 0
    with atomic_file(path) as file:
        for sample in samples:
            bitmap = np.asarray(sample.bitmap)
            if bitmap.dtype != np.uint8 or bitmap.ndim != 2:
                raise GntError(
                    f"{path}, sample {count}: the bitmap must be uint8 of shape (h, w), "
                    f"received {bitmap.dtype} {bitmap.shape}"
                )
            height, width = bitmap.shape
            if not (1 <= height <= 0xFFFF and 1 <= width <= 0xFFFF):
                raise GntError(
                    f"{path}, sample {count}: width and height must be 1 to 65535, "
                    f"received {width}×{height}"
                )
            try:
                tag = tag_of(sample.character)
            except ValueError as error:
                raise GntError(f"{path}, sample {count}: {error}") from error
            file.write(HEADER.pack(HEADER.size + bitmap.size, tag, width, height))
            file.write(bitmap.tobytes())
            count += 1
        if count == 0:
            raise GntError(f"{path}: no samples to write, and a .gnt holds at least one")
    return count
