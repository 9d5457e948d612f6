"""Handwriting that never repeats: every image from a writer of its own, made when it is needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .copybooks import copybook
from .normalize import normalize
from .synthesis import copy, random_writer, write
from .workers import worker_pool

_CHUNK = 250  # images that a worker process writes at a time


def fresh(
    characters: str, n: int, *, seed: int = 0, epoch: int = 0, copied: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """n new images of some characters, each by another writer; another `epoch` gives others.

    The characters come equally often (within one), in random order. The writers' seeds are drawn
    from 2**62: not one of these writers is, but for a chance of one in 10**10 or so, in a
    synthetic dataset, so that those can serve for validation.

    Args:
        characters: those to write.
        n: how many images.
        seed, epoch: decide which.
        copied: share of the images, by chance, whose writer copies one of the copybooks that hold
            the character (`hccr_lib.datasets.synthesis.copy`; which one, `copybook` says), instead
            of writing the strokes that are taught. 0 to 1; with 0 the images are what they were
            without it.

    Returns:
        images uint8 (n, 96, 96), ink bright on 0, and labels int32 (n,), indices into
        `characters`.

    Raises:
        ValueError: no characters, one outside GB2312 level 1, or a share that is none.

    >>> images, labels = fresh("大小", 4)
    >>> images.shape, sorted(labels.tolist())
    ((4, 96, 96), [0, 0, 1, 1])
    """
    labels, writers, books = _whom(characters, n, seed, epoch, copied)
    return _images([characters[label] for label in labels], writers, books), labels


@contextmanager
def fresh_epochs(
    characters: str, n: int, *, seed: int = 0, copied: float = 0.0, processes: int
) -> Iterator[Callable[[int], tuple[np.ndarray, np.ndarray]]]:
    """`fresh` by worker processes, for whoever computes something else meanwhile.

    Yields a function of the epoch. What it returns is what `fresh` returns, on any number of
    processes; see `worker_pool` for what a script has to mind.

    Raises:
        ValueError, ChildProcessError: as `fresh` and `worker_pool`.
    """
    with worker_pool(processes) as pool:

        def images_of(epoch: int) -> tuple[np.ndarray, np.ndarray]:
            labels, writers, books = _whom(characters, n, seed, epoch, copied)
            which = [characters[label] for label in labels]
            parts = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
            images = np.empty((n, 96, 96), np.uint8)
            whose = ([each[p] for p in parts] for each in (which, writers, books))
            made = pool.map(_images, *whose)
            for part, some in zip(parts, made, strict=True):
                images[part] = some
            return images, labels

        yield images_of


def _whom(
    characters: str, n: int, seed: int, epoch: int, copied: float
) -> tuple[np.ndarray, list[int], list[str | None]]:
    """Labels int32 (n,), the seeds of the writers, and the copybooks that they copy, if any."""
    if not characters:
        raise ValueError("fresh needs at least one character, received an empty string")
    if not 0 <= copied <= 1:
        raise ValueError(f"copied is a share of the images, 0 to 1, received {copied}")
    rng = np.random.default_rng((seed, epoch))
    labels = rng.permutation(np.arange(n) % len(characters)).astype(np.int32)
    writers = rng.integers(2**32, 2**62, n).tolist()
    if not copied:
        return labels, writers, [None] * n  # without the file of the copybooks, too
    which, from_strokes = rng.random(n).tolist(), rng.random(n) >= copied
    books = [
        None if no else copybook(characters[label], at)
        for label, at, no in zip(labels, which, from_strokes, strict=True)
    ]
    return labels, writers, books


def _images(characters: list[str], writers: list[int], books: list[str | None]) -> np.ndarray:
    """One image for each character, by its writer, uint8 (n, 96, 96)."""
    images = np.empty((len(writers), 96, 96), np.uint8)
    for image, character, seed, book in zip(images, characters, writers, books, strict=True):
        writer = random_writer(seed)
        written = write(character, writer) if book is None else copy(character, writer, book)
        normalize(written.bitmap, out=image)
    return images
