"""Networks that are only to be read with: ONNX files by onnxruntime, all others by Keras.

Keras and its backend take seconds to import, so they are imported only for a network that needs
them. An ONNX file is one that `hccr_lib.export` writes:

    input   images         float32 (N, 96, 96, 1), 0..255, ink bright on 0
    output  probabilities  float32 (N, classes)
    output  classes        int64 (N, k), the most probable first; where there is a pooling head
    output  maps           float32 (N, k, h, w), the class activation map of each of these

and metadata in which `characters` holds all classes in the order of their labels.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .datasets.normalize import resize_images

DATA = Path(__file__).resolve().parents[1] / "data"
ONNX_FOLDER = DATA / "onnx"


class NetworkError(ValueError):
    """A network that cannot be found or used; the message names it."""


@dataclass(frozen=True)
class Answers:
    """What a network says of n images.

    Attributes:
        labels: int (n, top), the most probable first.
        probabilities: float32 (n, top).
        maps: float32 (n, k, h, w) of the first k <= top of these, or None if not asked for.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    maps: np.ndarray | None


def onnx_file(name_or_path: str | os.PathLike) -> Path | None:
    """The ONNX file that is meant, or None where the network is one for Keras.

    Args:
        name_or_path: The name of a file in `data/onnx`, the path of an .onnx file, or else what
            `hccr_lib.evaluation.load_model` takes.

    Raises:
        NetworkError: There is nothing of that name.
    """
    name = os.fspath(name_or_path)
    shipped = ONNX_FOLDER / f"{name}.onnx"
    if os.path.basename(name) == name and shipped.is_file():
        return shipped
    path = Path(name).expanduser()
    if os.path.isfile(path) and path.suffix.lower() == ".onnx":
        return path
    if os.path.exists(path) or name in _names(DATA / "weights" / "synthetic", ".json"):
        return None
    names = sorted(
        {*_names(ONNX_FOLDER, ".onnx"), *_names(DATA / "weights" / "synthetic", ".json")}
    )
    raise NetworkError(
        f"{name}: no such network or file; take one of {', '.join(names)}, an .onnx or .keras "
        "file, or the folder of a training run"
    )


def open_network(name_or_path: str | os.PathLike) -> "OnnxNetwork | KerasNetwork":
    """Load a network, as `onnx_file` finds it.

    Raises:
        NetworkError: None of that name, or an ONNX file of another kind.
        ValueError: A file that Keras does not read.
    """
    file = onnx_file(name_or_path)
    if file is not None:
        return OnnxNetwork(file)
    return KerasNetwork(os.fspath(name_or_path))


class OnnxNetwork:
    """A network in an ONNX file.

    Attributes:
        name: What the file calls it.
        characters: The classes in the order of their labels.
        has_maps: Whether it can say where it looks.
    """

    def __init__(self, file: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised
        # Idle threads would spin on the cores that decode the next pictures.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                os.fspath(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has classes of its own for each
            reason = str(error).strip().splitlines()[0].rpartition(" : ")[2]
            raise NetworkError(f"{file}: not a network that onnxruntime reads ({reason})") from None
        known = self._session.get_modelmeta().custom_metadata_map
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        images = inputs.get("images")
        if len(inputs) != 1 or images is None or images.type != "tensor(float)":
            raise NetworkError(f"{file}: must have one input, images, of float32")
        shape = images.shape
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 1 or isinstance(shape[1], str):
            raise NetworkError(f"{file}: reads images {shape}, not (N, side, side, 1)")
        if isinstance(shape[0], int):
            raise NetworkError(f"{file}: reads {shape[0]} images at once; N must be free")
        if "probabilities" not in outputs:
            raise NetworkError(f"{file}: has no output named probabilities")
        self.characters = known.get("characters", "")
        classes = outputs["probabilities"].shape[-1:]
        if classes != [len(self.characters)]:
            raise NetworkError(
                f"{file}: has {classes} classes, and names {len(self.characters)} characters in "
                "its metadata; hccr export writes files that hccr recognize reads"
            )
        self.name = known.get("network", file.stem)
        self.has_maps = {"classes", "maps"} <= outputs.keys()
        self._side = shape[1]

    def read(self, images: np.ndarray, top: int, maps: bool) -> Answers:
        """The `top` answers to images uint8 (n, 96, 96), with the maps of those that have one."""
        pixels = resize_images(images, self._side)[..., None].astype(np.float32)
        wanted = ["probabilities", "classes", "maps"] if maps else ["probabilities"]
        found = dict(zip(wanted, self._session.run(wanted, {"images": pixels}), strict=True))
        labels, probabilities = _best(self.name, found["probabilities"], top)
        if not maps:
            return Answers(labels, probabilities, None)
        k = min(top, found["classes"].shape[1])
        # Of equal probabilities the file may name another one first.
        labels[:, :k] = found["classes"][:, :k]
        probabilities = np.take_along_axis(found["probabilities"], labels, axis=1)
        return Answers(labels, probabilities, found["maps"][:, :k])


class KerasNetwork:
    """A network that Keras loads, with the attributes and the method of `OnnxNetwork`."""

    def __init__(self, name_or_path: str):
        from . import evaluation

        self._model, self.characters = evaluation.load_model(name_or_path)
        self.name = name_or_path
        from .explain.parts import pooled_head

        try:
            pooled_head(self._model)
            self.has_maps = True
        except (ValueError, TypeError):
            self.has_maps = False

    def read(self, images: np.ndarray, top: int, maps: bool) -> Answers:
        from . import evaluation
        from .explain import cam

        labels, probabilities = _best(self.name, evaluation.predict(self._model, images), top)
        if not maps:
            return Answers(labels, probabilities, None)
        pixels = resize_images(images, self._model.input_shape[1])
        return Answers(labels, probabilities, cam(self._model, pixels, labels))


def _best(name: str, probabilities: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    if not np.isfinite(probabilities).all():
        raise NetworkError(f"{name}: its probabilities are not all finite numbers")
    # Sorting all classes would take a fifth of the student's time.
    labels = np.sort(np.argpartition(-probabilities, top - 1, axis=1)[:, :top], axis=1)
    best = np.take_along_axis(probabilities, labels, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(labels, order, axis=1), np.take_along_axis(best, order, axis=1)


def _names(folder: Path, ending: str) -> list[str]:
    return sorted(file.stem for file in folder.glob(f"*{ending}"))
