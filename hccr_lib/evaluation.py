"""Find a trained network, and measure it on a dataset."""

import json
import math
import os
import time
from pathlib import Path

import keras
import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from .characters import LEVEL1
from .datasets import Dataset, DatasetError, choose
from .datasets.normalize import resize_images
from .models import (
    mcanet,
    melnyk_net,
    student,
)  # also registers the layers that saved networks name
from .models.weights import (
    assign_arrays,
    pretrained_arrays,
    pretrained_file,
    pretrained_networks,
    pretrained_record,
)
from .progress import progress

DEFAULT_MODEL = "melnyk_net_c"

_CHUNK = 2048


class ModelError(ValueError):
    """A network that cannot be found or used; the message names the file."""


def load_model(name_or_path: str | os.PathLike) -> tuple[keras.Model, str]:
    """A trained network and its classes in label order.

    Args:
        name_or_path: one of `pretrained_networks()`, the `.npz` file of another that `make
            weights` wrote, the folder of a training run, a .keras file beside the run's
            record.json, or the authors' published `Melnyk-Net.hdf5`. Without a record, a network
            of 3,755 classes is taken to tell GB2312 level 1 apart.

    Raises:
        ModelError: no such network, not one that Keras reads, or of unknown classes.
    """
    name = os.fspath(name_or_path)
    if name in pretrained_networks():
        try:
            return shipped(name), LEVEL1
        except (ValueError, FileNotFoundError) as error:
            raise ModelError(str(error)) from error
    path = Path(name).expanduser()
    file = path / "model.keras" if path.is_dir() else path
    if not file.exists():
        if (path / "record.json").exists():
            raise ModelError(f"{path}: this run is not finished; repeat its command to resume it")
        names = ", ".join(pretrained_networks()) or "none"
        raise ModelError(
            f"{name}: no such run, .keras file or shipped network (shipped: {names}); "
            "train one with hccr train"
        )
    if file.suffix == ".hdf5":
        try:
            return melnyk_net("C", weights=file), LEVEL1
        except (ValueError, FileNotFoundError) as error:
            raise ModelError(f"{file}: {error}") from error
    if file.suffix == ".npz":
        try:
            return _stored(file), LEVEL1
        except (ValueError, FileNotFoundError) as error:
            raise ModelError(str(error)) from error
    try:
        model = keras.models.load_model(file, compile=False)
        classes = int(model.output_shape[-1])
        _, side, width, channels = model.input_shape
    except Exception as error:  # Keras raises nearly anything on files of other kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{file}: not a network that Keras reads ({reason})") from error
    if side is None or side != width or channels != 1:
        raise ModelError(f"{file}: reads images {model.input_shape[1:]}, not (side, side, 1)")
    characters = _classes(file.with_name("record.json"))
    if characters is None and classes == len(LEVEL1):
        characters = LEVEL1
    if characters is None or len(characters) != classes:
        named = "does not name them" if characters is None else f"names {len(characters)}"
        raise ModelError(f"{file}: has {classes} classes, and the record.json beside it {named}")
    return model, characters


def shipped(name: str) -> keras.Model:
    """A network of `pretrained_networks()` with its weights; "mcanet_2" has two attentions."""
    model = _stored(pretrained_file(name))
    if model.name != name:
        raise ValueError(f"{pretrained_file(name)}: holds the weights of {model.name}")
    return model


def _stored(file: Path) -> keras.Model:
    """The network that an `.npz` file of `make weights` and the JSON beside it describe."""
    record = pretrained_record(file)
    if record["num_classes"] != len(LEVEL1):
        raise ValueError(f"{file}: is of {record['num_classes']} classes, which it does not name")
    settings = {name: record[name] for name in ("num_classes", "width", "input_size")}
    if "attentions" in record:
        model = mcanet(record["attentions"], **settings)
    elif "variant" in record:
        model = melnyk_net(record["variant"], **settings)
    else:
        model = student(**settings)
    try:
        assign_arrays(model, pretrained_arrays(file, record))
    except KeyError as error:
        raise ValueError(
            f"{file}: is not of the network that its JSON describes ({error})"
        ) from None
    return model


def _classes(record: Path) -> str | None:
    if not record.exists():
        return None
    try:
        return json.loads(record.read_text(encoding="utf-8"))["characters"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{record}: not the record of a training run ({error})") from error


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The probabilities float32 (N, classes) of images uint8 (N, h, w), at the network's size."""
    images = resize_images(images, model.input_shape[1])
    return model.predict(images[..., None], batch_size=256, verbose=0)


def evaluate(model: keras.Model, characters: str, dataset: Dataset, top: int = 5) -> dict:
    """How often a network is right, and right among its first five and first `top` answers.

    A network of fewer classes than the dataset chooses among its own; samples of all others are
    left out and counted in "skipped".

    Returns:
        {"n", "top1", "top5", f"top{top}", "seconds", "images_per_second", "classes", "skipped"}.

    Raises:
        ValueError: `top` below 1 or above the number of classes.
        DatasetError: no sample of any of the network's classes.
        ModelError: probabilities that are no numbers.
    """
    if not 1 <= top <= max(5, len(characters)):
        raise ValueError(f"top must be 1 to {max(5, len(characters))}, received {top}")
    chosen = choose(dataset, characters)
    n = len(chosen)
    if n == 0:
        raise DatasetError(
            f"{dataset.name}: none of its {len(dataset)} samples shows one of the "
            f"{len(characters)} characters that the network knows"
        )
    started = time.perf_counter()
    hits = dict.fromkeys(sorted({1, 5, top}), 0)
    with progress("Reading", n) as advance:
        for start in range(0, n, _CHUNK):
            labels = chosen.labels[start : start + _CHUNK]
            probabilities = predict(model, chosen.images[start : start + _CHUNK])
            if not np.isfinite(probabilities).all():
                raise ModelError("the network's probabilities are not all finite numbers")
            order = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(hits)]
            right = order == labels[:, None]
            for k in hits:
                hits[k] += int(right[:, :k].any(axis=1).sum())
            advance(len(labels))
    seconds = time.perf_counter() - started
    return {
        "n": n,
        **{f"top{k}": count / n for k, count in hits.items()},
        "seconds": round(seconds, 3),
        "images_per_second": round(n / seconds, 1),
        "classes": len(characters),
        "skipped": chosen.skipped,
    }


def wilson_interval(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of an accuracy, given `hits` of `n`: 95 % with the default `z`.

    All accuracies p from which the share hits / n is at most z standard deviations away, with the
    deviation that p itself has: sqrt(p (1 - p) / n). Wilson, "Probable inference, the law of
    succession, and statistical inference", JASA 22 (1927).

    Returns:
        (low, high), 0 <= low <= hits / n <= high <= 1.

    Raises:
        ValueError: not 0 <= hits <= n with n at least 1.

    >>> "{:.3f} to {:.3f}".format(*wilson_interval(480, 500))
    '0.939 to 0.974'
    """
    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"hits must lie in 0..n and n be at least 1, received {hits} of {n}")
    middle = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(hits * (n - hits) / n + z**2 / 4)
    # At the ends of the scale the formula gives 0 and 1 but for a rounding error.
    low = 0.0 if hits == 0 else middle - half
    high = 1.0 if hits == n else middle + half
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """How surprising the difference of two networks on the same images is: a p-value.

    Images that both read rightly, or neither, say nothing about which is better. The others are
    coins: if neither is better, each falls to one side with probability 1/2. The p-value is the
    chance of a split at least as uneven as the one seen, to either side, computed exactly.
    McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947), in its binomial form.

    Args:
        only_first: images that only the first network reads rightly.
        only_second: images that only the second one reads rightly.

    Returns:
        The two-sided p-value, 0 to 1; 1 where the networks never differ.

    Raises:
        ValueError: a negative count.

    >>> mcnemar(1, 9)
    0.021484375
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts cannot be negative, received {only_first} and {only_second}")
    n = only_first + only_second
    ways = total = 1  # of choosing none of n coins
    for k in range(min(only_first, only_second)):
        ways = ways * (n - k) // (k + 1)
        total += ways
    # Whole numbers of any size; the division of two of them is rounded only once.
    return min(1.0, 2 * total / 2**n)


def fitted_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature T at which a network's probabilities, softmax(logits / T), fit best.

    It minimises the cross-entropy. Below 1 the network was too modest, above 1 too sure of itself;
    which class has the highest logit, it doesn't change. Guo et al., "On calibration of modern
    neural networks", ICML 2017 (arXiv:1706.04599), section 4.2.

    Args:
        logits: (n, classes), finite. Logarithms of probabilities will do, as they differ from
            logits by a number that all classes share.
        labels: int (n,), the right classes.

    Returns:
        T, from 0.01 to 100: 0.01 where all answers are right, so that none can be too sure, and
        100 where they are no better than guesses.

    Raises:
        ValueError: no logits, other shapes, labels that are no classes, logits that aren't finite
            or so far apart that they can't be computed with.

    >>> logits = np.log([[0.9, 0.1]] * 10)
    >>> round(fitted_temperature(2 * logits, np.array([0] * 9 + [1])), 6)
    2.0
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise ValueError(
            "logits must be (n, classes) and labels (n,), with n at least 1. "
            f"Received: {logits.shape} and {labels.shape}"
        )
    if not np.isin(labels, np.arange(logits.shape[1])).all():
        raise ValueError(f"labels must be whole numbers from 0 to {logits.shape[1] - 1}")
    lowest, highest = 0.01, 100.0
    with np.errstate(over="ignore", invalid="ignore"):
        ahead = logits - np.take_along_axis(logits, labels.astype(int)[:, None], axis=1)
        if not np.isfinite(ahead / lowest).all():
            raise ValueError("logits must be finite, and so must a hundred times their differences")

    def slope(sharpness: float) -> float:
        """Of the cross-entropy over 1 / T. It never falls, since the cross-entropy is convex."""
        return (softmax(sharpness * ahead, axis=1) * ahead).sum(axis=1).mean()

    # A slope has a sign also where the cross-entropy itself is 0 to the last digit.
    if slope(1 / lowest) <= 0:
        return lowest
    if slope(1 / highest) >= 0:
        return highest
    return 1 / brentq(slope, 1 / highest, 1 / lowest)
