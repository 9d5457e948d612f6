"""Several accelerators at once, through what Keras's backends have for it."""

from contextlib import contextmanager

import keras

from hccr_lib.models.backend import accelerators


@contextmanager
def every_device(devices=None):
    """What is built and trained inside uses all accelerators, each a part of every batch.

    On JAX through `keras.distribution.DataParallel`, on TensorFlow through
    `tf.distribute.MirroredStrategy`. Melnyk-Net's batch normalization takes its statistics over
    the whole batch on both, so the losses are those of one device. On PyTorch, and where there
    is only one device, nothing is changed. JAX must be able to share each batch evenly, so there
    the batch size, and the number of images that are validated, are multiples of the devices'.

    Args:
        devices: Names as `hccr_lib.models.backend.accelerators` gives them. None: all of those.

    Yields:
        The number of devices that share the work.

    Example:

    >>> with every_device() as number:
    ...     model = keras.Sequential([keras.layers.Dense(1)])
    """
    if devices is None:
        devices = accelerators()
    backend = keras.backend.backend()
    if len(devices) < 2 or backend not in ("jax", "tensorflow"):
        yield 1
        return
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.distribute.MirroredStrategy([name.upper() for name in devices]).scope():
            yield len(devices)
        return
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        yield len(devices)
    finally:
        keras.distribution.set_distribution(before)
