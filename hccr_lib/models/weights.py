"""Weights from files: those that come with the course, Keras 3's, and the authors' published ones.

The course's own are `data/weights/synthetic/melnyk_net_c.npz` and so on, made by `make weights`:
one array for each weight, float16, batch normalization float32 because its variances exceed the
range of float16. The largest dense kernels, those of MCANet at full width, are int8 with a step for
each unit: its 35 million weights are to fit in one file of 45 MB. A JSON of the same name beside it
says of which network they are, how it was trained, and the SHA-256 of the file.

The published file, `Melnyk-Net.hdf5`, was saved by Keras 2.1.6; its address is in the README of
github.com/pavlo-melnyk/offline-HCCR. Keras 3 can't rebuild its layers, but its arrays are those
of our Model C in the same order: the convolutions have no biases, and the weights of the pooling
are called W. Its classes come in an order of their own, which `label2tagcode.npy`, in the same
repository, lists as GB tag codes.
"""

import hashlib
import io
import json
import warnings
from pathlib import Path
from zipfile import BadZipFile

import h5py
import keras
import numpy as np

from hccr_lib.characters import LEVEL1
from hccr_lib.files import atomic_file

#: The folder (`Path`) of the weights that come with the course; its README tells what is there.
PRETRAINED = Path(__file__).resolve().parents[2] / "data" / "weights"
LABELS = "label2tagcode.npy"
# A dense kernel of more weights than this is kept as int8.
MANY = 2**22
_SCALE = "/step"


def save_pretrained(model, path, *, settings, record):
    """Writes the weights of a network in the course's format, and what is known about them.

    Args:
        model: A network as `melnyk_net` or `mcanet` builds it.
        path: The `.npz` file; a `.json` of the same name goes beside it.
        settings: Dict of the arguments that built it, num_classes, width and input_size among
            them; weights fit another network only where all of them agree.
        record: Dict that fits in JSON: how the weights were made.

    Raises:
        ValueError: A weight beyond the range of float16, or no number.
    """
    path = Path(path)
    arrays = {}
    for layer in model.layers:
        statistics = isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights:
            value = keras.ops.convert_to_numpy(weight).astype("float32")
            with np.errstate(over="ignore"):  # said below
                kept = value if statistics else value.astype("float16")
            if not np.isfinite(kept).all():
                raise ValueError(
                    f"{weight.name} of {layer.name} does not fit in {kept.dtype}; "
                    f"its largest magnitude is {np.abs(value).max()}"
                )
            name = f"{layer.name}/{weight.name}"
            if value.ndim == 2 and value.size > MANY:
                kept, arrays[f"{name}{_SCALE}"] = _quantized(value)
            arrays[name] = kept
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(content.getvalue())
    known = {
        "sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        **settings,
        "parameters": model.count_params(),
        **record,
    }
    with atomic_file(path.with_suffix(".json")) as file:
        file.write((json.dumps(known, indent=1, ensure_ascii=False) + "\n").encode())


def pretrained_networks():
    """The names of the networks whose weights come with the course, such as "melnyk_net_c"."""
    return sorted(path.stem for path in (PRETRAINED / "synthetic").glob("*.json"))


def pretrained_file(network):
    """Where the weights of a network are, or will be; `network` as in `pretrained_networks`."""
    return PRETRAINED / "synthetic" / f"{network}.npz"


def pretrained_record(path):
    """What is known about weights of the course: the JSON beside the `.npz` file `path`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A JSON of another kind.
    """
    path = Path(path).with_suffix(".json")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such weights come with the course; `make weights` makes them"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _ = [record[name] for name in ("sha256", "num_classes", "width", "input_size")]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: does not describe weights ({type(error).__name__}: {error})"
        ) from error
    return record


def pretrained(network, asked):
    """The weights of the course for a network, and what the network is built from.

    Args:
        network: As in `pretrained_networks`.
        asked: Dict of arguments of `melnyk_net` or `mcanet`; None stands for that of the weights.

    Returns:
        Dict of the same arguments, without None; and the arrays, see `pretrained_arrays`.

    Raises:
        FileNotFoundError: There are none.
        ValueError: They are of a network with other arguments, or damaged.
    """
    file = pretrained_file(network)
    record = pretrained_record(file)
    settings = {name: record.get(name) if value is None else value for name, value in asked.items()}
    for name, value in settings.items():
        if value != record.get(name):
            raise ValueError(
                f'The weights "synthetic" are of a network with {name}={record.get(name)!r}. '
                f"Received: {name}={value!r}"
            )
    return settings, pretrained_arrays(file, record)


def pretrained_arrays(path, record):
    """The arrays of an `.npz` file by "layer/weight", float16 or float32.

    Raises:
        FileNotFoundError: No such file.
        ValueError: Not the file that the record describes.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: is missing; its description is there")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        raise ValueError(
            f"{path}: is damaged or not the file that {path.stem}.json describes (its SHA-256 "
            f"differs); `git checkout` it, or make both anew with `make weights`"
        )
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    for name in [name for name in arrays if name.endswith(_SCALE)]:
        scale = arrays.pop(name)
        arrays[name.removesuffix(_SCALE)] = arrays[name.removesuffix(_SCALE)] * scale
    return arrays


def _quantized(kernel):
    """int8 weights and the float32 step of each unit, by which they are multiplied."""
    step = np.abs(kernel).max(axis=0) / 127
    step[step == 0] = 1  # a unit that reads nothing
    return np.rint(kernel / step).astype(np.int8), step


def assign_arrays(model, arrays):
    """Puts the arrays of a file of the course into a network of the same settings."""
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(arrays[f"{layer.name}/{weight.name}"].astype("float32"))


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
            'weights must be None, "synthetic" for a network of those that `hccr info` names, or '
            "the path of a .keras, .weights.h5 or .hdf5 file. "
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
