"""Training recipes: which optimizer, which learning rate, how long.

`melnyk` and `mcanet` are the papers'. `fast` reaches a useful network in a few epochs on a CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Recipe:
    """How to train; made by `recipe(name)`.

    Attributes:
        name: "melnyk", "mcanet" or "fast".
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
    raise ValueError(f"recipe must be one of 'melnyk', 'mcanet', 'fast'. Received: {name!r}")


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


def _adamw_cosine(learning_rate, total_steps):
    warmup = max(1, total_steps // 20)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=learning_rate / 20,
        warmup_target=learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, total_steps - warmup),
        alpha=0.005,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.05)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
