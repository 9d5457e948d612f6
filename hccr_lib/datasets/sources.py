"""Where the named datasets come from: a folder on this machine, or an address.

HCCR_DATA_DIR names a folder in which datasets are looked for first, and which is never written;
what is downloaded goes to HCCR_CACHE_DIR.
"""

import os
from pathlib import Path, PurePosixPath

import platformdirs

from ..characters import LEVEL1
from .download import download, unpack
from .prepare import DatasetError

CASIA = "https://nlpr.ia.ac.cn/Download"
CASIA_OLD = "http://www.nlpr.ia.ac.cn/databases/Download"
ICDAR_SAMPLE = (
    "https://github.com/HCIILAB/Forward-Implementation-of-Fast-and-Compact-CNN-for-Offline-HCCR"
    "/archive/1c31ba1cdb7e6fbfabd0df6a61d0679cdcceb856.zip"
)

# (dataset, split): the archives that it is made of and where each can be had, first choice
# first. File names on CASIA's site have changed over the years: this is the one list.
ARCHIVES: dict[tuple[str, str | None], dict[str, tuple[str, ...]]] = {
    ("icdar2013-sample", None): {"icdar2013-sample.zip": (ICDAR_SAMPLE,)},
    ("casia-hwdb", "train"): {
        f"{name}.zip": (f"{CASIA}/Offline/CharData/{name}.zip",)
        for name in (
            "Gnt1.0TrainPart1",
            "Gnt1.0TrainPart2",
            "Gnt1.0TrainPart3",
            "Gnt1.0Test",
            "Gnt1.1TrainPart1",
            "Gnt1.1TrainPart2",
            "Gnt1.1Test",
        )
    },
    ("casia-hwdb", "test"): {
        "competition-gnt.zip": (
            f"{CASIA}/competition/competition-gnt.zip",
            f"{CASIA_OLD}/competition/competition-gnt.zip",
        )
    },
}

# The splits of every named dataset; () for those that have none.
NAMES: dict[str, tuple[str, ...]] = {
    "synthetic": (),
    "icdar2013-sample": (),
    "hwdb-sample": ("train", "test"),
    "casia-hwdb": ("train", "test"),
}


def data_dir() -> Path | None:
    """The folder that HCCR_DATA_DIR names, or None."""
    value = os.environ.get("HCCR_DATA_DIR")
    return Path(value).expanduser() if value else None


def cache_dir() -> Path:
    """The folder for what is generated, downloaded and prepared: HCCR_CACHE_DIR or the usual."""
    value = os.environ.get("HCCR_CACHE_DIR")
    return Path(value).expanduser() if value else platformdirs.user_cache_path("hccr")


def named_folder(name: str, split: str | None) -> Path:
    """The folder or file of a dataset of `NAMES`, downloaded if need be."""
    if (split or None) not in (NAMES[name] or (None,)):
        choices = " or ".join(f'"{choice}"' for choice in NAMES[name]) or "none"
        raise DatasetError(f"{name}: the split must be {choices}, received {split!r}")
    found = find(name, split)
    if found is not None:
        return found
    archives = ARCHIVES.get((name, split))
    if archives is None:
        raise DatasetError(
            f"{name}: not found; put it in a folder {name} of the folder that HCCR_DATA_DIR names"
        )
    cache = cache_dir()
    folder = cache / name / (split or "")
    is_wanted = _is_icdar_picture if name == "icdar2013-sample" else _is_gnt
    for archive, urls in archives.items():
        target = folder / Path(archive).stem if split else folder
        if not target.exists():
            downloaded = download(urls, cache / "downloads" / archive)
            unpack(downloaded, target, is_wanted)
            downloaded.unlink(missing_ok=True)  # another process may have unpacked it, too
    return folder


def find(name: str, split: str | None) -> Path | None:
    """Where an unpacked named dataset lies, in HCCR_DATA_DIR or the cache; None if nowhere."""
    archives = ARCHIVES.get((name, split), {})
    for base in filter(None, (data_dir(), cache_dir())):
        folder = base / name
        file = folder / f"{split}.gnt"
        if split is None and folder.is_dir():
            return folder
        if split is not None and file.is_file():
            return file
        if split is not None and (folder / split).is_dir():
            if base != data_dir() and not all(
                (folder / split / Path(archive).stem).is_dir() for archive in archives
            ):
                continue  # downloads of the others were interrupted
            return folder / split
    return None


def _is_gnt(member: PurePosixPath) -> bool:
    return member.suffix.lower() == ".gnt" and not member.name.startswith(".")


def _is_icdar_picture(member: PurePosixPath) -> bool:
    return member.parent.name == "Image" and member.suffix == ".png" and member.stem in LEVEL1
