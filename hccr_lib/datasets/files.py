"""Files that are either whole or not there: the one way in which `datasets` writes to disk."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Everything unfinished carries this ending; readers never look at it, so that what a killed
# process leaves behind is recognised and can be removed.
PART = ".part"


def part_name(path: Path) -> Path:
    """A fresh hidden neighbour of `path`: the same folder, hence the same file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a new binary file that appears at `path` only when the block ends well.

    The bytes go to a hidden file in the same folder, are flushed to disk, and take the name
    `path` in one step. When anything fails (a full disk, an interruption, an error inside the
    block) the hidden file is removed, and what was at `path` before is untouched.
    """
    path = Path(path)
    part = part_name(path)
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give an empty folder that appears at `path` only when the block ends well.

    `path` must not exist yet: the caller holds the lock that guards it.
    """
    path = Path(path)
    part = part_name(path)
    part.mkdir(parents=True)
    try:
        yield part
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def remove_parts(folder: Path) -> None:
    """Remove what killed writers left in `folder`. Call only while holding the folder's lock."""
    for part in folder.glob(f".*{PART}"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()
