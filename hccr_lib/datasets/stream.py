"""Handwriting that never repeats: every image from a writer of its own, made when it is needed."""

import numpy as np

from .normalize import normalize
from .synthesis import random_writer, write


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
    if not characters:
        raise ValueError("fresh needs at least one character, received an empty string")
    rng = np.random.default_rng((seed, epoch))
    labels = rng.permutation(np.arange(n) % len(characters)).astype(np.int32)
    writers = rng.integers(2**32, 2**62, n)
    images = np.empty((n, 96, 96), np.uint8)
    for image, label, writer in zip(images, labels.tolist(), writers.tolist(), strict=True):
        normalize(write(characters[label], random_writer(writer)).bitmap, out=image)
    return images, labels
