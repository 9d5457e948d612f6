"""Training recipes: which optimizer, which learning rate, how long.

`melnyk` and `mcanet` are the papers'. `fast` reaches a useful network in a few epochs on a CPU;
`muon` is the same with another optimizer for convolutions.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import keras
from keras import ops


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
            "muon": As "fast", but convolutions after the first learn by Muon
            (`ConvolutionalMuon`); batch 128.

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
    if name in ("fast", "muon"):
        fast = name == "fast"
        return Recipe(
            name=name,
            epochs=12,
            batch_size=64 if fast else 128,
            learning_rate=2e-3,
            keeps_regularizers=False,
            optimizer=partial(_decaying, keras.optimizers.AdamW if fast else ConvolutionalMuon),
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


class ConvolutionalMuon(keras.optimizers.AdamW):
    """Muon for the kernels of convolutions, AdamW for everything else.

    Adam gives every weight a step of about the same size. But a layer's gradient, as a matrix, has
    a few directions that are far longer than the rest, and so have Adam's steps. Muon makes all
    directions of a step equally long (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), and here with a root mean square of about 0.2 of
    the learning rate, as Adam's usually have, so that one rate and one decay serve both (Liu et al.
    2025, arXiv:2502.16982, eq. 4). A kernel `(height, width, in, out)` is a matrix of
    `height * width * in` rows. One with a single channel on either side, such as the first layer's,
    is left to Adam.

    `keras.optimizers.Muon` leaves all convolutions to Adam, and older Keras does not have it.
    """

    def update_step(self, gradient, variable, learning_rate):
        if len(variable.shape) != 4 or 1 in tuple(variable.shape)[2:]:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = ops.cast(gradient, variable.dtype)
        momentum = self._momentums[self._get_variable_index(variable)]
        self.assign(momentum, 0.95 * momentum + gradient)
        ahead = ops.reshape(gradient + 0.95 * momentum, (-1, variable.shape[-1]))  # Nesterov's
        step = 0.2 * math.sqrt(max(ahead.shape)) * orthogonalized(ahead)
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, rate * ops.reshape(step, variable.shape))


def orthogonalized(matrix):
    """The matrix with its singular values made alike: U V^T of U S V^T, approximately.

    Each Newton-Schulz iteration applies an odd polynomial to all singular values. Jordan's is so
    steep at 0 that five of them bring whatever lies between about 1/100 and 1 of the matrix's
    Frobenius norm to 0.7 to 1.2; there they stay, and do not converge to 1.

    Args:
        matrix: `(n, m)`.

    Returns:
        `(n, m)`, of the same dtype.
    """
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else ops.transpose(matrix)
    x = x / (ops.norm(x) + 1e-7)
    for _ in range(5):
        square = x @ ops.transpose(x)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x if wide else ops.transpose(x)


def _decaying(optimizer_class, learning_rate, total_steps):
    warmup = max(1, total_steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 20,
        warmup_target=learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, total_steps - warmup),
        alpha=0.005,
    )
    optimizer = optimizer_class(schedule, weight_decay=0.05)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
