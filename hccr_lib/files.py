"""Files that are either whole or not there: the one way in which the library writes to disk."""

import contextlib
import errno
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import filelock

from .progress import say

# Everything unfinished carries this ending; readers never look at it, so that what a killed
# process leaves behind is recognised and can be removed.
PART = ".part"


def part_name(path: Path) -> Path:
    """A fresh hidden neighbour of `path`: the same folder, hence the same file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")


@contextlib.contextmanager
def named_when_full(path: Path) -> Iterator[None]:
    """Let the error of a full disk name `path`: that of a `write` names no file."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and error.filename is None:
            error.filename = str(path)
        raise


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
        with named_when_full(path), open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give an empty folder for files that appears at `path` only when the block ends well.

    `path` must not exist yet: the caller holds the lock that guards it.
    """
    path = Path(path)
    part = part_name(path)
    part.mkdir(parents=True)
    try:
        with named_when_full(path):
            yield part
            for file in part.iterdir():
                with open(file, "rb+") as written:
                    os.fsync(written.fileno())
        os.rename(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Remove what killed writers of `folder / name`, or of anything in `folder`, left there.

    Call only while holding the lock that those writers held.
    """
    pattern = "*" if name is None else glob.escape(name)
    for part in folder.glob(f".{pattern}.*{PART}"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


@contextlib.contextmanager
def locked(path: str | os.PathLike) -> Iterator[None]:
    """Hold the lock of `path` among all processes of this machine; wait while another has it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        say(f"waiting for another process that is filling {path}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
