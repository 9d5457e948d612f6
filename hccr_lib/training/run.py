"""One training run: a folder that can be killed at any moment and resumed.

The folder holds `record.json` (what was done), `log.csv` (its epochs), `model.keras` (when
finished) and, until then, `backup/` with the weights and optimizer of the last whole epoch.

Nothing random is carried from epoch to epoch: batch order, what is done to batches, and dropout
follow from seed and epoch. So the weights after a resumed epoch are those of a run that was never
interrupted.
"""

import math
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import keras
import numpy as np

from hccr_lib.models.backend import fastest_jit
from hccr_lib.models.cost import count_macs
from hccr_lib.training.batches import (
    Batches,
    check_every_class,
    check_examples,
    shuffled_blocks,
    worker_threads,
)
from hccr_lib.training.folder import alone, backup, check_same, commit, finish
from hccr_lib.training.recipes import recipe as find_recipe
from hccr_lib.training.record import (
    data_described,
    environment,
    losses_described,
    network_described,
    read_record,
)


def train(
    model,
    data,
    *,
    run_dir,
    losses=None,
    recipe="fast",
    epochs=None,
    batch_size=None,
    learning_rate=None,
    validation=None,
    transform=None,
    workers=None,
    seed=0,
    characters=None,
    description=None,
    allow_missing_classes=False,
    jit_compile=None,
    verbose="auto",
):
    """Trains a classifier, or resumes where an earlier call was interrupted.

    Args:
        model: A functional model, images in, class probabilities out. It is trained in place,
            from the weights that it has (unless the run resumes).
        data: `(images, labels)`, or a function `epoch -> (images, labels)` for examples that are
            made anew for every epoch; it is called in a thread while the epoch before trains.
            images: uint8 or float32 in 0..255, `(n, h, w)` or `(n, h, w, c)`: an array, a map of
            a file, or `hccr_lib.datasets.rows.Rows` of them; only what a batch needs is read.
            labels: int array `(n,)`.
        run_dir: Folder of the run; created.
        losses: None, or a function that takes `model` and returns the model that is fitted in its
            place, with losses of its own; its inputs are images, or [images, labels]. Such as
            `hccr_lib.models.comparative_losses.comparative`, or one that makes a
            `hccr_lib.training.distillation.Distiller`. What is saved at the end is `model`.
        recipe: "fast", "muon", "melnyk" or "mcanet", see `hccr_lib.training.recipe`.
        epochs, batch_size, learning_rate: Instead of the recipe's.
        validation: `(images, labels)`, measured after each epoch.
        transform: `(images, rng) -> images`, done to the images of each batch: augmentation,
            resizing. `rng` is a `numpy.random.Generator` of that batch, or None for validation,
            where nothing is left to chance. Called in threads; the images must not be changed
            in place.
        workers: Threads that make batches ahead; the result is the same for any number of them.
            None: as many as there are cores where there is a `transform`, else one.
        seed: Decides batch order, what `transform` draws, and dropout.
        characters: The classes in label order; kept in the record.
        description: One line about the data; kept in the record.
        allow_missing_classes: Whether classes without any example are intended.
        jit_compile: As for `Model.compile`; None chooses what measured fastest, see
            `hccr_lib.models.backend`.
        verbose: "auto": a progress bar on a terminal, two lines an epoch elsewhere. 0: silent.

    Returns:
        The record, a dict: settings, parameters, macs, the environment (command, commit, backend,
        device, versions), `epochs` (one dict of metrics for each), `seconds`,
        `images_per_second` (of the median epoch), `characters`, `finished`.

    Raises:
        ValueError: Examples or settings that do not fit the model, or a `run_dir` that holds a
            run with another recipe, rate, seed, description, number of epochs, set of losses or
            kind of network (layers and shapes, but not their dropout). Of a run that is not
            finished, examples and batch size are compared as well.
    """
    plan = find_recipe(recipe)
    run_dir = Path(run_dir)
    source = data if callable(data) else lambda epoch: data
    classes = model.output_shape[-1]
    if characters is not None and not isinstance(characters, str):
        characters = list(characters)
    if characters is not None and not classes == len(characters) == len(set(characters)):
        raise ValueError(
            f"characters must name each of the {classes} classes once. "
            f"Received: {len(characters)} names, {len(set(characters))} different"
        )
    if validation is not None:
        check_examples(model, *validation, transform, "validation")
    with alone(run_dir):
        started = time.perf_counter()
        record = read_record(run_dir)
        done = len(record["epochs"]) if record else 0
        settings = {
            "recipe": plan.name,
            "epochs": plan.epochs if epochs is None else epochs,
            "learning_rate": plan.learning_rate if learning_rate is None else learning_rate,
            "seed": seed,
            "description": description,
            "network": network_described(model),
            "losses": None,
        }
        fitted = model
        if losses is not None:
            fitted = losses(model)
            settings["losses"] = losses_described(fitted, model)
        if record and record["finished"]:
            check_same(run_dir, record, settings, characters)
            print(f"{run_dir} is finished ({done} epochs): nothing to train.")
            shutil.rmtree(run_dir / "backup", ignore_errors=True)  # if killed while leaving
            model.load_weights(run_dir / "model.keras")
            return record

        images, labels = source(done)
        check_examples(model, images, labels, transform, "training data")
        if not callable(data) and not allow_missing_classes:
            check_every_class(labels, classes, characters, "training data")
        batch_size = min(plan.batch_size if batch_size is None else batch_size, len(images))
        settings["batch_size"] = batch_size
        settings["data"] = data_described(data, model, images, labels)
        if not 0 < settings["learning_rate"] < math.inf:
            raise ValueError(
                "learning_rate must be positive and finite. "
                f"Received: learning_rate={settings['learning_rate']}"
            )
        for name in ("epochs", "batch_size"):
            if settings[name] < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={settings[name]}")

        steps = len(images) // batch_size
        fitted.compile(
            plan.optimizer(settings["learning_rate"], steps * settings["epochs"]),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=fastest_jit() if jit_compile is None else jit_compile,
        )
        optimizer = fitted.optimizer  # with mixed_float16, Keras's loss scaling is around it
        optimizer.build(fitted.trainable_variables)
        if record:
            check_same(run_dir, record, settings, characters)
            fitted.load_weights(backup(run_dir, done))
        else:
            record = {
                "finished": False,
                "settings": settings,
                "characters": characters,
                "parameters": model.count_params(),
                "macs": count_macs(model),
                **environment(),
                "seconds": 0.0,
                "images_per_second": None,
                "epochs": [],
            }
            commit(fitted, run_dir, record)

        made = {
            "labels_too": len(fitted.inputs) > 1,
            "batch_size": batch_size,
            "transform": transform,
            "workers": worker_threads(transform) if workers is None else workers,
        }
        if validation is not None:
            order = np.arange(len(validation[1]))
            validation = Batches(*validation, order, **made).for_fit()
        if verbose == "auto":
            verbose = 1 if sys.stdout.isatty() else 2
        with _regularizers(fitted, plan.keeps_regularizers), ThreadPoolExecutor(1) as background:
            while done < settings["epochs"]:
                if done + 1 < settings["epochs"]:
                    upcoming = background.submit(source, done + 1)
                if plan.epoch_rate:
                    past = [epoch["accuracy"] for epoch in record["epochs"]]
                    optimizer.learning_rate = plan.epoch_rate(settings["learning_rate"], past)
                rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
                _reseed_dropout(fitted, seed, done)
                # What does not fill a batch is left out; the next epoch has another order.
                order = shuffled_blocks(len(images), np.random.default_rng((seed, done)))
                order = order[: steps * batch_size]
                clock = _OneEpoch()
                batches = Batches(images, labels, order, seed=(seed, done), **made)
                history = fitted.fit(
                    batches.for_fit(),
                    initial_epoch=done,
                    epochs=settings["epochs"],
                    validation_data=validation,
                    shuffle=False,
                    callbacks=[clock],
                    verbose=verbose,
                )
                batches.release()
                done += 1
                seconds = time.perf_counter() - started
                record["epochs"].append(
                    {
                        "epoch": done,
                        **{name: float(values[-1]) for name, values in history.history.items()},
                        "learning_rate": float(f"{rate:.6g}"),
                        "seconds": round(seconds, 3),
                        "images_per_second": round(len(order) / clock.seconds, 1),
                    }
                )
                record["seconds"] = round(record["seconds"] + seconds, 3)
                record["images_per_second"] = median(
                    epoch["images_per_second"] for epoch in record["epochs"]
                )
                commit(fitted, run_dir, record)
                if done < settings["epochs"]:
                    started = time.perf_counter()
                    n = len(images)
                    images, labels = upcoming.result()
                    check_examples(
                        model, images, labels, transform, f"training data of epoch {done}"
                    )
                    if len(images) != n:
                        raise ValueError(
                            f"Every epoch must have as many images as the first, {n}. "
                            f"Received: {len(images)} in epoch {done}"
                        )
        return finish(model, run_dir, record)


class _OneEpoch(keras.callbacks.Callback):
    """Ends `fit` after one epoch and knows how long its batches took."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds = time.perf_counter() - self.started

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def _reseed_dropout(model, seed, epoch):
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    keys = np.random.SeedSequence((seed, epoch)).generate_state(2 * len(states)) >> 1
    for state, key in zip(states, keys.reshape(-1, 2), strict=True):
        state.assign(key)
    if keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(keys.sum())  # there Keras's dropout draws from the global generator


@contextmanager
def _regularizers(model, kept):
    """Leaves the L2 terms out of the loss for a while unless they are `kept`."""
    saved = [(weight, weight.regularizer) for weight in model.trainable_weights]
    if not kept:
        for weight, _ in saved:
            weight.regularizer = None
    try:
        yield
    finally:
        for weight, regularizer in saved:
            weight.regularizer = regularizer
