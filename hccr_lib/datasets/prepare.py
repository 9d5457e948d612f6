"""From files to arrays: every dataset becomes three .npy files, and is then only mapped.

images.npy   uint8 (N, 96, 96), ink bright on 0
labels.npy   int32 (N,), the index in GB2312 level 1
writers.npy  int32 (N,), the number of the file that the sample is from
info.json    where it is from, and what was skipped
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..characters import LEVEL1
from ..files import atomic_folder, locked, remove_parts
from ..progress import progress
from .gnt import FAULTS, UNKNOWN_TAG, read_gnt
from .normalize import SIDE, PictureError, normalize, read_bitmap

# Part of every cache key: raise it when the same files would give other arrays.
PREPARE_VERSION = 3

PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

OUTSIDE = "outside level 1"
NAMELESS = "no character in the file name"
UNREADABLE = "unreadable picture"

_LABELS = {character: label for label, character in enumerate(LEVEL1)}
_CHUNK = 512  # images that are written at once


class DatasetError(ValueError):
    """A dataset that is not there, or holds nothing to read; the message says what to do."""


def prepared(path: Path, cache: Path, *, skip_faulty: bool) -> Path:
    """The folder of prepared arrays of a .gnt file, or a folder of .gnt files or pictures.

    Made on first use, whole or not at all, by one process while others wait; found again as
    long as the files keep their names, sizes and dates.

    Raises:
        DatasetError: no sample of a level 1 character in `path`.
        GntError, PictureError: a faulty file, unless `skip_faulty`, which counts them.
    """
    files = find_files(path)
    stats = [file.stat() for file in files]
    identity = [
        PREPARE_VERSION,
        skip_faulty,
        str(path.resolve()),
        [
            # A picture may be named by its folder.
            (str(file.relative_to(path.parent)), stat.st_size, stat.st_mtime_ns)
            for file, stat in zip(files, stats, strict=True)
        ],
    ]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    folder = cache / "prepared" / f"{path.resolve().stem[:50]}-{key}"
    if folder.exists():
        return folder
    with locked(folder):
        if folder.exists():  # another process was faster
            return folder
        remove_parts(folder.parent, folder.name)
        with atomic_folder(folder) as part:
            _prepare(path, files, [stat.st_size for stat in stats], part, skip_faulty)
    return folder


def find_files(path: Path) -> list[Path]:
    """The .gnt files of a dataset in fixed order or, where it has none, its pictures."""
    if path.is_file():
        return [path]
    visible = [
        file
        for file in path.rglob("*")
        if file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    ]
    for endings in ({".gnt"}, PICTURES):
        found = [file for file in visible if file.suffix.lower() in endings]
        if found:
            return sorted(found, key=lambda file: file.relative_to(path).parts)
    raise DatasetError(f"{path}: neither a .gnt file nor a folder with .gnt files or pictures")


def _prepare(path: Path, files: list[Path], sizes: list[int], folder: Path, skip_faulty: bool):
    skipped: Counter[str] = Counter()
    labels: list[int] = []
    writers: list[int] = []
    buffer = np.empty((_CHUNK, SIDE, SIDE), np.uint8)
    filled = 0
    with (
        open(folder / "images.npy", "xb") as images,
        progress(f"Preparing {path.name}", sum(sizes), in_bytes=True) as advance,
    ):
        _write_header(images, 0)
        for writer, (file, size) in enumerate(zip(files, sizes, strict=True)):
            read = _picture if file.suffix.lower() in PICTURES else _bitmaps
            for label, bitmap in read(file, skipped, skip_faulty):
                normalize(bitmap, out=buffer[filled])
                labels.append(label)
                writers.append(writer if read is _bitmaps else 0)
                filled += 1
                if filled == _CHUNK:
                    images.write(buffer)
                    filled = 0
            advance(size)
        images.write(buffer[:filled])
        if not labels:
            reasons = ", ".join(f"{count:,}: {reason}" for reason, count in skipped.items())
            hint = "; name pictures 丁.png, 丁_2.png or 丁/2.png" if skipped[NAMELESS] else ""
            raise DatasetError(
                f"{path}: no sample of a level 1 character among {len(files)} files "
                f"(skipped {reasons or 0}){hint}"
            )
        images.seek(0)
        _write_header(images, len(labels))
    for name, values in (("labels", labels), ("writers", writers)):
        array = io.BytesIO()  # numpy itself does not say of a full disk that it is full
        np.save(array, np.array(values, np.int32))
        (folder / f"{name}.npy").write_bytes(array.getbuffer())
    info = {"source": path.name, "files": len(files), "n": len(labels), "skipped": skipped}
    (folder / "info.json").write_text(json.dumps(info, ensure_ascii=False), encoding="utf-8")


def _write_header(file: BinaryIO, n: int) -> None:
    """Write the .npy header for n images; numpy leaves room in it for n to grow later."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, SIDE, SIDE)}
    np.lib.format.write_array_header_1_0(file, header)


def _bitmaps(file: Path, skipped: Counter, skip_faulty: bool) -> Iterator[tuple[int, np.ndarray]]:
    # CASIA's files hold letters and symbols, which are no fault of theirs.
    skip = FAULTS if skip_faulty else {UNKNOWN_TAG}
    for character, bitmap in read_gnt(file, skipped=skipped, skip=skip):
        label = _LABELS.get(character)
        if label is None:
            skipped[OUTSIDE] += 1
        else:
            yield label, bitmap


def _picture(file: Path, skipped: Counter, skip_faulty: bool) -> Iterator[tuple[int, np.ndarray]]:
    character = character_in_name(file)
    if character is None:
        skipped[NAMELESS] += 1
        return
    try:
        bitmap = read_bitmap(file)
    except PictureError:
        if not skip_faulty:
            raise
        skipped[UNREADABLE] += 1
    else:
        yield _LABELS[character], bitmap


def character_in_name(file: Path) -> str | None:
    """The level 1 character that a picture is named by: 丁.png, 丁_2.png, 丁/2.png; or None."""
    first, rest = file.stem[:1], file.stem[1:2]
    if first in _LABELS and rest not in _LABELS:
        return first
    return file.parent.name if file.parent.name in _LABELS else None
