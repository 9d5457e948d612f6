"""Handwriting that never repeats: every image from a writer of its own, made when it is needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from .normalize import normalize
from .synthesis import random_writer, write
from .workers import worker_pool

_CHUNK = 250  # images that a worker process writes at a time


def fresh(
    characters: str, n: int, *, seed: int = 0, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """n new images of some characters, each by another writer; another `epoch` gives others.

    The characters come equally often (within one), in random order. The writers' seeds are drawn
    from 2**62: not one of these writers is, but for a chance of one in 10**10 or so, in a
    synthetic dataset, so that those can serve for validation.

    Returns:
        images uint8 (n, 96, 96), ink bright on 0, and labels int32 (n,), indices into
        `characters`.

    Raises:
        ValueError: no characters, or one outside GB2312 level 1.

    >>> images, labels = fresh("大小", 4)
    >>> images.shape, sorted(labels.tolist())
    ((4, 96, 96), [0, 0, 1, 1])
    """
    labels, writers = _whom(characters, n, seed, epoch)
    return _images([characters[label] for label in labels], writers), labels


@contextmanager
def fresh_epochs(
    characters: str, n: int, *, seed: int = 0, processes: int
) -> Iterator[Callable[[int], tuple[np.ndarray, np.ndarray]]]:
    """`fresh` by worker processes, for whoever computes something else meanwhile.

    Yields a function of the epoch. What it returns is what `fresh` returns, on any number of
    processes; see `worker_pool` for what a script has to mind.

    Raises:
        ValueError, ChildProcessError: as `fresh` and `worker_pool`.
    """
    with worker_pool(processes) as pool:

        def images_of(epoch: int) -> tuple[np.ndarray, np.ndarray]:
            labels, writers = _whom(characters, n, seed, epoch)
            which = [characters[label] for label in labels]
            parts = [slice(start, start + _CHUNK) for start in range(0, n, _CHUNK)]
            images = np.empty((n, 96, 96), np.uint8)
            made = pool.map(_images, [which[p] for p in parts], [writers[p] for p in parts])
            for part, some in zip(parts, made, strict=True):
                images[part] = some
            return images, labels

        yield images_of


def _whom(characters: str, n: int, seed: int, epoch: int) -> tuple[np.ndarray, list[int]]:
    """Labels int32 (n,) and the seeds of the writers."""
    if not characters:
        raise ValueError("fresh needs at least one character, received an empty string")
    rng = np.random.default_rng((seed, epoch))
    labels = rng.permutation(np.arange(n) % len(characters)).astype(np.int32)
    return labels, rng.integers(2**32, 2**62, n).tolist()


def _images(characters: list[str], writers: list[int]) -> np.ndarray:
    """One image for each pair, uint8 (n, 96, 96)."""
    images = np.empty((len(writers), 96, 96), np.uint8)
    for image, character, writer in zip(images, characters, writers, strict=True):
        normalize(write(character, random_writer(writer)).bitmap, out=image)
    return images
