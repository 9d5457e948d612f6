"""The datasets of the course, by name or by path, as arrays ready for a network.

    synthetic         handwriting made from strokes, on first use
    icdar2013-sample  1,000 images of the ICDAR-2013 competition (downloaded)
    casia-hwdb        split "train": HWDB1.0 and 1.1; "test": ICDAR-2013 (downloaded)
    hwdb-sample       splits "train" and "test": 40 characters of HWDB, if you have them

A path is a .gnt file, a folder of .gnt files (one file = one writer), or a folder of pictures
named by character. HCCR_DATA_DIR names a folder in which datasets are looked for first, and
which is never written; HCCR_CACHE_DIR is where the rest goes.
"""

import difflib
import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..characters import LEVEL1, label_of
from .prepare import DatasetError, prepared
from .rows import Rows
from .sources import NAMES, cache_dir, named_folder

NOT_ASKED_FOR = "not among the characters asked for"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of characters with what is known about them.

    Attributes:
        name: where they are from.
        images: uint8 (N, 96, 96), ink bright on 0; usually a read-only map of a file, and `Rows`
            where `choose` was asked not to copy.
        labels: int32 (N,), indices into `characters`.
        writers: int32 (N,), a number for each writer (0 for all where it is not known).
        skipped: how many samples were left out, by reason.
        characters: the classes in label order; GB2312 level 1 unless others were asked for.
    """

    name: str
    images: np.ndarray | Rows
    labels: np.ndarray
    writers: np.ndarray
    skipped: dict[str, int]
    characters: str = LEVEL1

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def present(self) -> str:
        """Those of `characters` that have at least one image, in label order."""
        return "".join(self.characters[label] for label in np.unique(self.labels))


def load(
    name_or_path: str | os.PathLike,
    *,
    characters: str | None = None,
    split: str | None = None,
    skip_faulty: bool = False,
    **synthesis,
) -> Dataset:
    """Load a dataset: a name of the catalog, or a path. Slow the first time, then only mapped.

    Args:
        name_or_path: "synthetic", "icdar2013-sample", "hwdb-sample", "casia-hwdb"; or a .gnt
            file, a folder of .gnt files, a folder of pictures named by character.
        characters: the classes, distinct characters of level 1 in the order of their labels;
            samples of others are left out and counted. Default: all of level 1.
        split: "train" or "test" for the datasets that have both.
        skip_faulty: count faulty samples and pictures instead of raising.
        **synthesis: for "synthetic": `writers` (10), `samples` of each character by each writer
            (1), `seed` (0), `processes` (None: as many as are worth it).

    Raises:
        DatasetError: nothing to be found there, or options that do not fit.
        GntError, PictureError: a faulty file, unless `skip_faulty`.
        DownloadError: a file that cannot be had, with its URL and where to put it by hand.

    >>> data = load("synthetic", characters="己已巳", writers=2)  # doctest: +SKIP
    >>> data.images.shape, data.labels.tolist()  # doctest: +SKIP
    ((6, 96, 96), [0, 1, 2, 0, 1, 2])
    """
    if characters is not None:
        check_characters(characters)
    name = os.fspath(name_or_path)
    if name == "synthetic":
        if unknown := set(synthesis) - {"writers", "samples", "seed", "processes"}:
            raise DatasetError(f"synthetic: there is no option {', '.join(sorted(unknown))}")
        path = _synthetic(LEVEL1 if characters is None else characters, split, **synthesis)
    elif synthesis:
        raise DatasetError(f"{name}: only the synthetic dataset takes {', '.join(synthesis)}")
    elif name in NAMES:
        path = named_folder(name, split)
    else:
        path = _path(name, split)
    folder = prepared(path, cache_dir(), skip_faulty=skip_faulty)
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    dataset = Dataset(
        name=name if split is None else f"{name}/{split}",
        images=np.load(folder / "images.npy", mmap_mode="r"),
        labels=np.load(folder / "labels.npy"),
        writers=np.load(folder / "writers.npy"),
        skipped=info["skipped"],
    )
    return dataset if characters is None else choose(dataset, characters)


def _synthetic(
    characters: str,
    split: str | None,
    *,
    writers: int = 10,
    samples: int = 1,
    seed: int = 0,
    processes: int | None = None,
) -> Path:
    from .generate import synthetic_folder

    if split is not None:
        raise DatasetError("synthetic: there is no split; take another seed, or split_by_writer")
    for option, value, least in (
        ("characters", len(characters), 1),
        ("writers", writers, 1),
        ("samples", samples, 1),
        ("seed", seed, 0),
    ):
        if value < least:
            raise DatasetError(f"synthetic: {option} must be at least {least}, received {value}")
    return synthetic_folder(
        cache_dir(),
        characters,
        writers=writers,
        samples=samples,
        seed=seed,
        processes=processes,
    )


def _path(name: str, split: str | None) -> Path:
    path = Path(name).expanduser()
    if not os.path.exists(path):  # which takes a name that is too long for one that is not there
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known names: {', '.join(NAMES)}"
        raise DatasetError(f"{name}: no dataset, file or folder of this name; {hint}")
    if split is not None:
        raise DatasetError(f"{name}: a path has no split, received {split!r}")
    return path


def check_characters(characters: str) -> str:
    """Return `characters` if they are one or more distinct characters of level 1, else raise."""
    if not characters:
        raise DatasetError("characters: at least one is needed")
    for character, count in Counter(characters).items():
        if count > 1:
            raise DatasetError(f"characters: {character!r} stands there {count} times")
        try:
            label_of(character)
        except ValueError as error:
            raise DatasetError(f"characters: {error}") from error
    return characters


def choose(dataset: Dataset, characters: str, *, copy: bool = True) -> Dataset:
    """The samples of `characters` only, labelled by their order in `characters`.

    Where these are not all samples, their images are copied into memory, or without `copy` become
    `Rows` of those that there are.

    Raises:
        DatasetError: characters that are not distinct, or not of level 1.
    """
    check_characters(characters)
    table = np.full(len(dataset.characters), -1, np.int32)
    for label, character in enumerate(characters):
        old = dataset.characters.find(character)
        if old >= 0:
            table[old] = label
    labels = table[dataset.labels]
    chosen = labels >= 0
    relabelled = replace(dataset, labels=labels, characters=characters)
    if chosen.all():
        return relabelled  # the images stay mapped
    skipped = Counter(dataset.skipped)
    skipped[NOT_ASKED_FOR] += int((~chosen).sum())
    return replace(_where(relabelled, chosen, copy=copy), skipped=dict(skipped))


def split_by_writer(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split into (rest, held out) such that no writer is in both.

    `fraction` of the writers, rounded, but at least one on either side, are held out; which
    ones depends on `seed` only. The images are copied into memory.

    Raises:
        DatasetError: fewer than two writers, or a fraction that is not between 0 and 1.
    """
    writers = np.unique(dataset.writers)
    if len(writers) < 2:
        raise DatasetError(f"{dataset.name}: one writer only, it cannot be split by writer")
    if not 0 < fraction < 1:
        raise DatasetError(f"fraction must lie between 0 and 1, received {fraction}")
    count = min(max(1, round(fraction * len(writers))), len(writers) - 1)
    held_out = np.random.default_rng(seed).permutation(writers)[:count]
    held = np.isin(dataset.writers, held_out)
    return _where(dataset, ~held), _where(dataset, held)


def _where(dataset: Dataset, mask: np.ndarray, *, copy: bool = True) -> Dataset:
    images = dataset.images
    return replace(
        dataset,
        images=images[mask] if copy else Rows([images], np.flatnonzero(mask)),
        labels=dataset.labels[mask],
        writers=dataset.writers[mask],
    )
