"""What training reads: which images, in which order, cut into batches; and checks of them all.

A set may be larger than memory: arrays may be maps of files, of which a batch reads its own images
only, and what is done to images is done to a batch.
"""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from hccr_lib.datasets.rows import Rows
from hccr_lib.datasets.workers import cores

# 512 images of 96x96 are a run of 4.7 MB, and 128 such runs 600 MB of memory for files. Shorter
# runs read more that is not theirs, where the system reads megabytes ahead.
_BLOCK = 512
_POOL = 128


class Batches(keras.utils.PyDataset):
    """One epoch, as uint8 (the network casts).

    Args:
        images: `(n, h, w)` or `(n, h, w, c)`: an array, a map of a file, or `Rows`.
        labels: `(n,)`.
        order: The indices of the images, in the order of reading; the last batch may be smaller.
        batch_size: Number of images in a batch.
        transform: `(images, rng) -> images`, done to each batch; None does nothing.
        labels_too: Whether the model reads the labels beside the images.
        seed: Tuple of numbers. Batch k is transformed with a generator made of these and k, so
            that it is the same whoever makes it, and when. None: `transform` gets None for `rng`.
        workers: Threads that make batches ahead, while the network computes. Keras has threads of
            its own for this, but on JAX and PyTorch (Keras 3.15) they lose a batch of the first
            epoch of a process, which then is not the same epoch resumed.
    """

    def __init__(
        self,
        images,
        labels,
        order,
        batch_size,
        *,
        transform=None,
        labels_too=False,
        seed=None,
        workers=1,
    ):
        super().__init__()
        self.threads = ThreadPoolExecutor(workers) if workers > 1 else None
        self.ahead, self.most_ahead = {}, 2 * workers
        self.images, self.labels, self.order = images, labels, order
        self.batch_size, self.transform, self.seed = batch_size, transform, seed
        self.labels_too = labels_too

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, index):
        ready = self.ahead.pop(index, None)
        if self.threads is not None:
            for later in range(index + 1, min(index + self.most_ahead, len(self))):
                if later not in self.ahead:
                    self.ahead[later] = self.threads.submit(self.made, later)
        return self.made(index) if ready is None else ready.result()

    def for_fit(self):
        """What `fit` is to read, in this order: itself, or on TensorFlow a `tf.data.Dataset`.

        Keras would wrap it into one that tunes itself. Such a one lets go of an epoch only when
        its tuner next wakes up, which in a long epoch is after a minute (TensorFlow 2.21): seen
        here, up to half of the time of a training.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        signature = keras.tree.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), self.made(0)
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        dataset = tf.data.Dataset.from_generator(
            lambda: (self[index] for index in range(len(self))), output_signature=signature
        )
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return dataset.prefetch(2).with_options(options)

    def release(self):
        """Lets go of the images, once the epoch is over: TensorFlow keeps what it has read from."""
        if self.threads is not None:
            self.threads.shutdown()
        self.ahead.clear()
        self.images = self.labels = None

    def made(self, index):
        """Batch `index`: `(images, labels)`, or `((images, labels), labels)`."""
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.images[chosen]
        if self.transform is not None:
            # numpy takes (1, 2) and (1, 2, 0) for the same seed, hence + 1.
            rng = None if self.seed is None else np.random.default_rng((*self.seed, index + 1))
            images = self.transform(images, rng)
        images, labels = with_channels(images), self.labels[chosen]
        return ((images, labels), labels) if self.labels_too else (images, labels)


def worker_threads(transform):
    """How many threads are worth it; one where there is nothing to do but to read."""
    return 1 if transform is None else min(cores(), 16)


def with_channels(images):
    """`(n, h, w)` -> `(n, h, w, 1)`; four axes stay as they are."""
    return images[..., None] if images.ndim == 3 else images


def shuffled_blocks(n, rng, *, block=_BLOCK, pool=_POOL):
    """A random order of n images that reads a file in long runs.

    Runs of `block` images are taken in random order, and the images of `pool` of them at a time
    are shuffled. So a disk reads runs, memory needs to keep the files' pages of one pool only, and
    a batch is still a mixture of many runs from all over the set.

    Returns:
        A permutation of `range(n)`; where all fits into one pool, the plain `rng.permutation(n)`.
    """
    if n <= block * pool:
        return rng.permutation(n)
    starts = rng.permutation(np.arange(0, n, block))
    order = (starts[:, None] + np.arange(block)).ravel()
    order = order[order < n]
    for start in range(0, n, block * pool):
        rng.shuffle(order[start : start + block * pool])
    return order


def hold_out(labels, share, *, seed=0, characters=None):
    """Chooses a share of the images of each class to be measured, not learned.

    Args:
        labels: int `(n,)`.
        share: Between 0 and 1. Of each class so many are held out, rounded, but at least one, and
            at least one is left.
        seed: Decides which.
        characters: The classes in label order, for messages.

    Returns:
        Indices of the kept and of the held-out images, both ascending. A class without any image
        has none in either.

    Raises:
        ValueError: No images, a share that is none, or a class with a single image.
    """
    if not 0 < share < 1:
        raise ValueError(f"The share held out must lie between 0 and 1. Received: {share}")
    if len(labels) == 0:
        raise ValueError("There are no images of which a share could be held out.")
    counts = np.bincount(labels)
    single = np.flatnonzero(counts == 1)
    if len(single):
        names = [characters[k] if characters else str(k) for k in single[:10]]
        raise ValueError(
            f"{len(single)} classes have one image only, none of which can be held out, among "
            f"them {' '.join(names)}"
        )
    held = np.clip(np.rint(share * counts), 1, counts - 1)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    place_in_class = np.arange(len(labels)) - (np.cumsum(counts) - counts)[labels[by_class]]
    is_held = np.empty(len(labels), bool)
    is_held[by_class] = place_in_class < held[labels[by_class]]
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def check_examples(model, images, labels, transform, what):
    """Says at once what would fail, or go wrong in silence, hours later. Reads one image.

    Args:
        model: The classifier to be trained, input `(batch, h, w, c)`, output `(batch, classes)`.
        images: Expected: uint8 or float32, which `transform` makes `(n, h, w)` or `(n, h, w, c)`.
        labels: Expected: integer array `(n,)`, values in `range(classes)`.
        transform: As for `Batches`.
        what: Where the arrays come from, for the message.

    Raises:
        TypeError: Not arrays.
        ValueError: No examples, or shapes, dtypes or labels that do not fit the model.
    """
    for name, array, kinds in (
        ("images", images, (np.ndarray, Rows)),
        ("labels", labels, np.ndarray),
    ):
        if not isinstance(array, kinds):
            raise TypeError(f"{what}: {name} must be a numpy array. Received: {type(array)}")
    if len(images) == 0:
        raise ValueError(f"{what}: there are no images. Received: shape {images.shape}")
    sample = images[:1] if transform is None else transform(images[:1], None)
    if sample.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"{what}: images must be uint8 or float32 in 0..255. Received: dtype {sample.dtype}"
        )
    expected = tuple(model.input_shape[1:])
    shape = (len(images), *sample.shape[1:])
    if with_channels(sample).shape[1:] != expected:
        raise ValueError(f"{what}: the model reads images of shape {expected}. Received: {shape}")
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{what}: labels must be integers of shape ({len(images)},). "
            f"Received: {labels.dtype} {labels.shape}"
        )
    classes = model.output_shape[-1]
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise ValueError(
            f"{what}: labels must be in 0..{classes - 1}; {len(wrong)} are not, "
            f"the first at index {wrong[0]}. Received: {labels[wrong[0]]}"
        )


def check_every_class(labels, classes, characters, what):
    """Raises ValueError if a class has no example to learn from."""
    missing = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(missing):
        names = [characters[k] if characters else str(k) for k in missing[:10]]
        raise ValueError(
            f"{what}: {len(missing)} of {classes} classes have no image, among them "
            f"{' '.join(names)} (allow_missing_classes=True trains nevertheless). "
            f"Received: {classes - len(missing)} classes"
        )
