"""Downloads that can be cut anywhere: resumed, checked, and in place only when whole."""

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests

from ..files import PART, atomic_folder, locked, named_when_full, remove_parts
from ..progress import progress

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a byte
_BLOCK = 1 << 13  # small: what has come of a block when the connection breaks is lost


class DownloadError(OSError):
    """A file that cannot be had; one line with its URL and where to put it by hand."""


def download(
    urls: tuple[str, ...], path: Path, *, size: int | None = None, sha256: str | None = None
) -> Path:
    """Fetch a file to `path`, unless it is there already, from the first URL that answers.

    An interrupted download is resumed where it stopped (HTTP Range), in this call or the next.
    One process downloads while others wait.

    Raises:
        DownloadError: no URL gives the file with this size and SHA-256.
    """
    with locked(path):
        if path.exists():
            return path
        reasons = []
        for url in urls:
            try:
                _download(url, path, size, sha256)
                return path
            except (requests.RequestException, DownloadError) as error:
                reasons.append(f"{url} ({_reason(error)})")
    raise DownloadError(
        f"{path.name} cannot be downloaded from {' or '.join(reasons)}: "
        f"get it by hand and put it at {path}"
    )


def _reason(error: Exception) -> str:
    """One short line: requests wraps the operating system's message in several others."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error).splitlines()[0]


def _download(url: str, path: Path, size: int | None, sha256: str | None) -> None:
    part = path.with_name(f".{path.name}{PART}")  # one name, so that the next call finds it
    for _ in range(ATTEMPTS):
        cut = _fetch(url, part)
        if cut is None:
            break
    else:
        raise DownloadError(f"{cut}; run again to resume")
    got = part.stat().st_size
    if size is not None and got != size:
        part.unlink()
        raise DownloadError(f"expected {size} bytes, received {got}")
    if sha256 is not None:
        with open(part, "rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != sha256:
            part.unlink()
            raise DownloadError(f"expected SHA-256 {sha256}, received {actual}")
    os.replace(part, path)


def _fetch(url: str, part: Path) -> str | None:
    """Append to `part` what it lacks of the file at `url`.

    Returns None when it is whole, else where the connection was cut.
    """
    start = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # sizes are those of the file, not of a packing
    if start:
        headers["Range"] = f"bytes={start}-"
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{start}":
                return None  # all of it was here already
            part.unlink()
            return "the file has changed on the server"
        response.raise_for_status()
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if response.status_code != requests.codes.partial_content or not resumed:
            start = 0  # the server sends the file from its beginning
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else None
        with (
            named_when_full(part),
            open(part, "ab" if start else "wb") as file,
            progress(
                f"Downloading {part.name[1 : -len(PART)]}", total, done=start, in_bytes=True
            ) as advance,
        ):
            try:
                for block in response.iter_content(_BLOCK):
                    file.write(block)
                    advance(len(block))
            except requests.RequestException:
                return f"the connection was cut at byte {file.tell()} of {total or '?'}"
            if total is not None and file.tell() != total:
                return f"the connection was cut at byte {file.tell()} of {total}"
    return None


def unpack(archive: Path, folder: Path, wanted: Callable[[PurePosixPath], bool]) -> Path:
    """Unpack the wanted members of a zip file, without their folders, to `folder`, whole or not.

    Raises:
        DownloadError: `archive` is no zip file, a damaged one or one without the wanted members;
            it is removed.
    """
    with locked(folder):
        if folder.exists():
            return folder
        remove_parts(folder.parent, folder.name)
        try:
            with zipfile.ZipFile(archive) as packed, atomic_folder(folder) as part:
                members = [m for m in packed.infolist() if wanted(PurePosixPath(m.filename))]
                if not members:
                    raise zipfile.BadZipFile("it holds none of the expected files")
                total = sum(member.file_size for member in members)
                with progress(f"Unpacking {archive.name}", total, in_bytes=True) as advance:
                    for member in members:
                        name = PurePosixPath(member.filename).name
                        with packed.open(member) as source, open(part / name, "xb") as target:
                            shutil.copyfileobj(source, target)
                        advance(member.file_size)
        except (zipfile.BadZipFile, zlib.error) as error:
            archive.unlink()
            raise DownloadError(
                f"{archive}: not the zip file that it should be ({error}); it is removed, run "
                "again to fetch it"
            ) from error
    return folder
