"""The record of a training run: what was done, with what, on what."""

import csv
import errno
import io
import json
import os
import platform
import shlex
import subprocess
import sys
import zlib
from importlib.metadata import PackageNotFoundError, version
from math import prod
from pathlib import Path
from shutil import disk_usage

import keras
import numpy as np

from hccr_lib.datasets.workers import cores
from hccr_lib.files import atomic_file
from hccr_lib.models.backend import accelerators

# Room to be left on the disk beside the weights: for the names in their file, and the record.
_SPARE = 4 << 20


def environment():
    """The facts that a reader needs to repeat a run, as a dict that fits in JSON."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "git_commit": _git_commit(),
        "backend": keras.backend.backend(),
        "dtype_policy": keras.config.dtype_policy().name,
        "device": _device(),
        "versions": _versions(),
    }


def check_room(folder, variables):
    """Raises OSError if the disk of `folder` has not twice the room that the variables take.

    Asked before every save: HDF5 takes the process down with it when the disk fills up under it.
    """
    size = sum(4 * prod(variable.shape) for variable in variables)
    if disk_usage(folder).free < 2 * size + _SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def read_record(run_dir):
    """The record of the run in a folder; None if there is none.

    Raises:
        ValueError: a record.json of other origin.
    """
    path = run_dir / "record.json"
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _ = record["finished"], record["settings"], record["characters"], len(record["epochs"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: not the record of a training run; choose another run_dir "
            f"({type(error).__name__}: {error})"
        ) from error
    return record


def write_record(run_dir, record):
    """Writes `record.json`, and its epochs as `log.csv`."""
    if record["epochs"]:
        table = io.StringIO()
        # A run that goes on with or without validation has other columns from then on.
        columns = dict.fromkeys(name for epoch in record["epochs"] for name in epoch)
        rows = csv.DictWriter(table, columns, lineterminator="\n")
        rows.writeheader()
        rows.writerows(record["epochs"])
        _write(run_dir / "log.csv", table.getvalue())
    _write(run_dir / "record.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _write(path, text):
    with atomic_file(path) as file:
        file.write(text.encode())


def _git_commit():
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None  # an installed package, not a clone
    return f"{commit}+changes" if changed else commit


def _device():
    return {
        "accelerators": accelerators(),
        "accelerator": _accelerator_model(),
        "cpu": _cpu_model(),
        "cores": cores(),
    }


def device_found():
    """What a training here runs on, in words.

    Returns:
        A str such as "the GPU, a Tesla T4" or "the CPU: 2 cores, no GPU".
    """
    accelerator = _accelerator_model()
    if accelerator:
        return f"the GPU, a {accelerator}"
    return f"the CPU: {cores()} core{'s' * (cores() != 1)}, no GPU"


def _accelerator_model():
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(gpu).get("device_name")
    elif backend == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    elif backend == "torch":
        import torch

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return None


def _cpu_model():
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions():
    found = {"python": platform.python_version()}
    for name in ("keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def network_described(model):
    """What must agree for weights to fit: kinds of layers and shapes of weights."""
    kinds = [type(layer).__name__ for layer in model.layers]
    shapes = [list(weight.shape) for weight in model.weights]
    crc = zlib.crc32(json.dumps([kinds, shapes]).encode())
    return f"{model.name} {tuple(model.input_shape[1:])} {model.count_params()} {crc:08x}"


def losses_described(fitted, model):
    """What the layers that learn beside the network were made with, by their names."""
    common = keras.layers.Layer().get_config()
    known = (*model.layers, *(each for each in fitted.layers if isinstance(each, keras.Model)))
    return {
        layer.name: {key: v for key, v in layer.get_config().items() if key not in common}
        for layer in fitted.layers
        if layer not in known and not isinstance(layer, keras.layers.InputLayer)
    }


def data_described(data, model, images, labels):
    """What the examples are, as far as that can be told from some of them."""
    facts = {"images": len(images), "shape": list(model.input_shape[1:3])}
    if callable(data):
        return {**facts, "fresh_every_epoch": True}
    some = np.linspace(0, len(images) - 1, num=min(len(images), 64)).astype(int)
    crc = zlib.crc32(np.ascontiguousarray(images[some]), zlib.crc32(labels.astype("<i4")))
    return {**facts, "fresh_every_epoch": False, "crc32": f"{crc:08x}"}
