"""What training reads: checked arrays, cut into batches."""

import keras
import numpy as np


class Batches(keras.utils.PyDataset):
    """One epoch: full batches in a given order, as uint8 (the network casts).

    Args:
        images: `(n, h, w)` or `(n, h, w, c)`.
        labels: `(n,)`.
        order: Permutation of `range(n)`. What does not fill a batch is left out; the next epoch
            has another order.
        batch_size: At most n.
    """

    def __init__(self, images, labels, order, batch_size):
        super().__init__()
        self.images, self.labels, self.order = images, labels, order
        self.batch_size = batch_size

    def __len__(self):
        return len(self.order) // self.batch_size

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return with_channels(self.images[chosen]), self.labels[chosen]


def with_channels(images):
    """`(n, h, w)` -> `(n, h, w, 1)`; four axes stay as they are."""
    return images[..., None] if images.ndim == 3 else images


def check_examples(model, images, labels, what):
    """Says at once what would fail, or go wrong in silence, hours later.

    Args:
        model: The classifier to be trained, input `(batch, h, w, c)`, output `(batch, classes)`.
        images: Expected: uint8 or float32 array `(n, h, w)` or `(n, h, w, c)`.
        labels: Expected: integer array `(n,)`, values in `range(classes)`.
        what: Where the arrays come from, for the message.

    Raises:
        TypeError: Not arrays.
        ValueError: No examples, or shapes, dtypes or labels that do not fit the model.
    """
    for name, array in (("images", images), ("labels", labels)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{what}: {name} must be a numpy array. Received: {type(array)}")
    if len(images) == 0:
        raise ValueError(f"{what}: there are no images. Received: shape {images.shape}")
    if images.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"{what}: images must be uint8 or float32 in 0..255. Received: dtype {images.dtype}"
        )
    expected = tuple(model.input_shape[1:])
    received = images.shape[1:] if images.ndim == 4 else (*images.shape[1:], 1)
    if received != expected:
        raise ValueError(
            f"{what}: the model reads images of shape {expected}. Received: {images.shape}"
        )
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
