"""Weights from files: those that Keras 3 writes, and the authors' published ones of Model C.

The published file, `Melnyk-Net.hdf5`, was saved by Keras 2.1.6; its address is in the README of
github.com/pavlo-melnyk/offline-HCCR. Keras 3 can't rebuild its layers, but its arrays are those
of our Model C in the same order: the convolutions have no biases, and the weights of the pooling
are called W. Its classes come in an order of their own, which `label2tagcode.npy`, in the same
repository, lists as GB tag codes.
"""

import warnings
from pathlib import Path
from zipfile import BadZipFile

import h5py
import numpy as np

from hccr_lib.characters import LEVEL1

LABELS = "label2tagcode.npy"


def load_weights(model, weights):
    """Puts the weights of a file into a Melnyk-Net.

    Args:
        model: A network with its top, as `melnyk_net` builds it.
        weights: Path of a `.keras` or `.weights.h5` file, or of a `.hdf5` file of Keras 2 with
            `label2tagcode.npy` beside it. The classes of the latter are put into GB2312 level 1
            order.

    Raises:
        FileNotFoundError: No such file, or none that names a Keras 2 file's classes.
        ValueError: Another kind of file, a damaged one, or weights of another network. The model
            may hold some of its weights.
    """
    path = Path(weights)
    if not path.name.endswith((".keras", ".weights.h5", ".hdf5")):
        raise ValueError(
            f"weights must be None or the path of a .keras, .weights.h5 or .hdf5 file. "
            f"Received: weights={str(weights)!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no such file. Received: weights={str(weights)!r}")
    try:
        if path.suffix == ".hdf5":
            _load_keras2(model, path)
        else:
            with warnings.catch_warnings():
                # Keras only warns when a file lacks layers, and leaves them untrained.
                warnings.filterwarnings("error", message="Skipping nested container")
                model.load_weights(path)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, KeyError, BadZipFile, UserWarning) as error:
        raise ValueError(
            f"These weights do not fit {model.name} with {model.count_params():,} parameters, "
            f"input {model.input_shape[1:]} and {model.output_shape[-1]} classes, or the file is "
            f"damaged ({str(error).splitlines()[0]}). Received: weights={str(weights)!r}"
        ) from error


def _load_keras2(model, path):
    """As `load_weights`, from a model or the weights of one that Keras 2 saved."""
    order = _order(path.with_name(LABELS))
    with h5py.File(path) as file:
        group = file.get("model_weights", file)
        saved = [_arrays(group[_text(name)]) for name in group.attrs["layer_names"]]
    saved = [arrays for arrays in saved if arrays]
    ours = [layer for layer in model.layers if layer.weights]
    if len(saved) != len(ours):
        raise ValueError(f"it has {len(saved)} layers with weights, the network {len(ours)}")
    values = []
    for layer, arrays in zip(ours, saved, strict=True):
        if layer.name == "characters":
            if arrays["bias"].shape != (len(order),):
                raise ValueError(f"{LABELS} names {len(order)} classes")
            arrays = {name: array[..., order] for name, array in arrays.items()}
        for weight in layer.weights:
            if weight.name not in arrays or arrays[weight.name].shape != tuple(weight.shape):
                found = {name: array.shape for name, array in arrays.items()}
                raise ValueError(f"{layer.name} needs {weight.name} {weight.shape}, has {found}")
            if not np.isfinite(arrays[weight.name]).all():
                raise ValueError(f"{weight.name} of {layer.name} is not all finite numbers")
            values.append((weight, arrays[weight.name]))
    for weight, value in values:
        weight.assign(value)


def _arrays(layer):
    """The arrays of one layer by Keras 3's names for them."""
    arrays = {}
    for name in layer.attrs["weight_names"]:
        last = _text(name).rsplit("/", 1)[-1].split(":")[0]
        arrays["kernel" if last == "W" else last] = layer[_text(name)][()]
    return arrays


def _text(name):
    return name.decode() if isinstance(name, bytes) else name


def _order(path):
    """For each character of level 1, its class in the file."""
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the published weights have an order of classes of their own; put {LABELS} "
            f"of the same repository beside them"
        )
    codes = np.load(path).ravel().astype(int)
    if sorted(codes.tolist()) != sorted(int.from_bytes(c.encode("gb2312"), "big") for c in LEVEL1):
        raise ValueError(f"{path.name} does not name each character of GB2312 level 1 once")
    # Level 1 is in the order of its codes.
    return np.argsort(codes, kind="stable")
