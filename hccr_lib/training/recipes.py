"""Training recipes: which optimizer, which learning rate, how long.

`melnyk` and `mcanet` are the papers'. `fast` reaches a useful network in a few epochs on a CPU, and
`muon` one that reads more from as many images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Recipe:
    """How to train; made by `recipe(name)`.

    Attributes:
        name: "melnyk", "mcanet", "fast" or "muon".
        epochs: Number of epochs unless told otherwise.
        batch_size: Images in a batch unless told otherwise.
        learning_rate: The highest learning rate unless told otherwise.
        keeps_regularizers: Whether the L2 terms of the layers are part of the loss.
        optimizer: `(learning_rate, total_steps) -> keras.optimizers.Optimizer`.
        epoch_rate: `(learning_rate, accuracies) -> float`, the learning rate of the next epoch
            given the training accuracies of all epochs before it. None if the optimizer follows
            its own schedule from step to step.
    """

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    keeps_regularizers: bool
    optimizer: Callable
    epoch_rate: Callable | None


def recipe(name):
    """Looks a recipe up by name.

    Args:
        name: "melnyk": Melnyk et al. 2020, section 4.1. SGD with momentum 0.9; learning rate 0.1
            for one epoch, then divided by ten, and by ten again after each epoch in which the
            training accuracy did not improve; batch 256; at most 40 epochs.
            "mcanet": Xu, Bai and Liu 2019. As "melnyk", but the learning rate is divided by ten
            after every four epochs; 16 epochs, at whose end it is a thousandth of the first.
            "fast": AdamW with a short warmup and cosine decay; batch 64; 12 epochs. The decay of
            the weights is the optimizer's: an L2 term in the loss would be rescaled by Adam.
            "muon": As "fast", but convolutions learn by Muon (`ConvolutionalMuon`), and all by
            batches of 128.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: Unknown name.
    """
    if name in ("melnyk", "mcanet"):
        return Recipe(
            name=name,
            epochs=40 if name == "melnyk" else 16,
            batch_size=256,
            learning_rate=0.1,
            keeps_regularizers=True,
            optimizer=lambda learning_rate, steps: keras.optimizers.SGD(learning_rate, 0.9),
            epoch_rate=_divide_when_stuck if name == "melnyk" else _divide_every_four,
        )
    if name == "fast":
        return Recipe(
            name="fast",
            epochs=12,
            batch_size=64,
            learning_rate=2e-3,
            keeps_regularizers=False,
            optimizer=_adamw_cosine,
            epoch_rate=None,
        )
    if name == "muon":
        return Recipe(
            name="muon",
            epochs=12,
            batch_size=128,
            learning_rate=2e-3,
            keeps_regularizers=False,
            optimizer=_muon_cosine,
            epoch_rate=None,
        )
    raise ValueError(
        f"recipe must be one of 'melnyk', 'mcanet', 'fast', 'muon'. Received: {name!r}"
    )


def _divide_every_four(learning_rate, accuracies):
    return learning_rate / 10 ** (len(accuracies) // 4)


def _divide_when_stuck(learning_rate, accuracies):
    stuck = sum(
        accuracy <= max(accuracies[:epoch])
        for epoch, accuracy in enumerate(accuracies)
        if epoch > 0
    )
    first_epoch_is_over = len(accuracies) > 0
    return learning_rate / 10 ** (first_epoch_is_over + stuck)


class ConvolutionalMuon(keras.optimizers.Muon):
    """Muon for the kernels of convolutions, AdamW for everything else.

    Adam gives every weight a step of about the same size. The gradient of a layer, as a matrix,
    has a few directions far larger than the rest, and so have Adam's steps. Muon makes all
    directions of a step equally long, by a few Newton-Schulz iterations (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon); scaled to steps as large as Adam's (Liu et al.
    2025, arXiv:2502.16982, eq. 4), one learning rate serves both. Keras's own is for matrices
    alone. A kernel `(height, width, in, out)` is one here, of `height * width * in` rows, as in
    Jordan's networks for images; the first layer's, which sees one channel, is Adam's.
    """

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4 or variable.shape[2] == 1

    def zeropower_via_newtonschulz5(self, x, steps):
        matrix = keras.ops.reshape(x, (-1, x.shape[-1]))
        return keras.ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x):
        return 0.2 * math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * x


def _muon_cosine(learning_rate, total_steps):
    optimizer = ConvolutionalMuon(
        _cosine(learning_rate, total_steps), weight_decay=0.05, adam_weight_decay=0.05
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _adamw_cosine(learning_rate, total_steps):
    optimizer = keras.optimizers.AdamW(_cosine(learning_rate, total_steps), weight_decay=0.05)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


def _cosine(learning_rate, total_steps):
    warmup = max(1, total_steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 20,
        warmup_target=learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, total_steps - warmup),
        alpha=0.005,
    )
