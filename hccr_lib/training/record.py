"""The record of a training run: what was done, with what, on what."""

import csv
import io
import json
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras


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


def write_atomically(path, text):
    """Writes a text file that is, at every moment, whole: the old one or the new one."""
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_record(run_dir, record):
    """Writes `record.json`, and its epochs as `log.csv`."""
    if record["epochs"]:
        table = io.StringIO()
        rows = csv.DictWriter(table, fieldnames=record["epochs"][-1], lineterminator="\n")
        rows.writeheader()
        rows.writerows(record["epochs"])
        write_atomically(run_dir / "log.csv", table.getvalue())
    text = json.dumps(record, indent=1, ensure_ascii=False)
    write_atomically(run_dir / "record.json", text + "\n")


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
    devices = keras.distribution.list_devices()
    return {
        "accelerators": [name for name in devices if not name.startswith("cpu")],
        "accelerator": _accelerator_model(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }


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
