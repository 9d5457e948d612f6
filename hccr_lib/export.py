"""Write a network as an ONNX file, which runs where Keras is not: a server, a phone, a browser.

The file answers with more than a class. Its input and outputs, N images in one call:

=================  ===========================  ================================================
`images`           float32 `(N, side, side, 1)` ink bright on 0, values in 0..255
`probabilities`    float32 `(N, classes)`
`classes`          int64 `(N, 5)`               the most probable classes, the best first
`maps`             float32 `(N, 5, h, w)`       the class activation map of each of them
=================  ===========================  ================================================

A map's sum (for GAP its mean) and the bias of its class are the logit, as in
`hccr_lib.explain.cam`. A network whose head is no global pooling, such as MCANet, has no such map:
its file has `probabilities` alone. The file's metadata name `network`, `characters` (all classes
in the order of their labels), `input_size` and `precision`.

int8 is static quantization: weights and activations become whole numbers of 8 bits, with scales
that are measured beforehand on images like those to come. Jacob et al., "Quantization and training
of neural networks for efficient integer-arithmetic-only inference", CVPR 2018.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
from keras import layers, ops
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from hccr_lib.explain.cam import cam
from hccr_lib.explain.inputs import checked_images
from hccr_lib.explain.parts import WEIGHTED, pooled_head
from hccr_lib.files import atomic_file
from hccr_lib.models.transfer import folded

TOP = 5
# The first operator set with what the graphs need; every runtime of the last years reads it.
_OPSET = 17
# Networks that have learnt from clean paper read worse when the values that the first layer gives
# for empty paper move, however little. So the convolution that makes these values and the one that
# reads them stay in float32.
_LEFT_ALONE = 2
# The range of an activation ends where all but one in a hundred thousand values lie.
_PERCENTILE = 99.999
# Arrays of more numbers than this, the dense kernels, are float16 in an int8 file.
_LARGE = 2**18


def export(model, path, characters, *, calibration=None, top=TOP):
    """Writes a network as an ONNX file.

    Args:
        model: A functional `keras.Model`, one image of one channel in, class probabilities out.
        path: The `.onnx` file; it appears when it is whole.
        characters: The classes in label order, a string or list of characters.
        calibration: None writes float32. Images as the network reads them, uint8 or float32
            `(n, side, side)` or `(n, side, side, 1)`, in 0..255: writes int8, its scales measured
            on these. Some dozens are enough: each gives thousands of values to every scale.
        top: Of how many classes the file computes maps.

    Returns:
        Whether the file has maps.

    Raises:
        ImportError: A package is missing that the backend needs to write ONNX.
        ValueError: Characters or calibration images that do not fit the model.
    """
    path = Path(path)
    if len(characters) != model.output_shape[-1] or any(len(each) != 1 for each in characters):
        raise ValueError(
            f"characters must name each of the {model.output_shape[-1]} classes by one character. "
            f"Received: {len(characters)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "float32.onnx"
        answering, has_maps = _answering(model, min(top, len(characters)))
        _write_float32(answering, plain)
        if calibration is not None:
            plain = _quantized(plain, checked_images(model, calibration, 1))
        made = onnx.load(plain)
        if calibration is not None:
            _halved(made.graph)
        known = {
            "network": model.name,
            "characters": "".join(characters),
            "input_size": str(model.input_shape[1]),
            "precision": "float32" if calibration is None else "int8",
        }
        onnx.helper.set_model_props(made, known)
        with atomic_file(path) as file:
            file.write(made.SerializeToString())
    return has_maps


def compare(path, model, images):
    """How far the answers of a file are from those of the network that it was made from.

    Args:
        path: An `.onnx` file as `export` writes it.
        model: The network.
        images: As the network reads them, uint8 or float32 `(n, side, side)`.

    Returns:
        Dict: `n`; `same_answer`, the share of images with the same most probable class;
        `probability`, the largest difference of a probability; `map`, the largest difference of a
        map of a class that the file names, as a share of the range of that image's maps; None
        where the file has no maps.

    Raises:
        ValueError: Images that do not fit.
    """
    images = checked_images(model, images, 64)
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    answers, same, worst, apart = 0, 0, 0.0, None if "maps" not in names else 0.0
    for batch in np.array_split(images, -(-len(images) // 64)):
        given = session.run(names, {"images": batch.astype("float32")})
        given = dict(zip(names, given, strict=True))
        known = np.asarray(model.predict_on_batch(batch), "float32")
        same += int((known.argmax(1) == given["probabilities"].argmax(1)).sum())
        worst = max(worst, float(np.abs(known - given["probabilities"]).max()))
        if apart is not None:
            maps = cam(model, batch, given["classes"])
            ranges = np.ptp(maps, axis=(1, 2, 3), keepdims=True)
            apart = max(apart, float((np.abs(maps - given["maps"]) / ranges).max()))
        answers += len(batch)
    return {"n": answers, "same_answer": same / answers, "probability": worst, "map": apart}


def _answering(model, top):
    """The network as it is in use, float32, with the outputs of the file; whether it has maps."""
    in_use = _in_float32(folded(model))
    try:
        features, pooling, _, dense = pooled_head(in_use)
    except ValueError:
        return keras.Model(in_use.input, {"probabilities": in_use.output}), False
    classes, maps = _TopMaps(pooling, dense, top)([features, in_use.output])
    outputs = {"probabilities": in_use.output, "classes": classes, "maps": maps}
    return keras.Model(in_use.input, outputs), True


def _in_float32(model):
    def rebuilt(layer):
        return layer.__class__.from_config(layer.get_config() | {"dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=rebuilt)
    copy.set_weights(model.get_weights())
    return copy


class _TopMaps(layers.Layer):
    """The most probable classes `(n, top)` and their maps `(n, top, h, w)`, as `explain.cam`."""

    def __init__(self, pooling, dense, top, **kwargs):
        super().__init__(**kwargs)
        self.pooling, self.dense, self.top = pooling, dense, top

    def call(self, inputs):
        features, probabilities = inputs
        _, h, w, c = features.shape
        classes = ops.top_k(probabilities, self.top)[1]
        if isinstance(self.pooling, WEIGHTED):
            features = features * self.pooling.kernel
        evidence = ops.transpose(ops.reshape(features, (-1, h * w, c)), (0, 2, 1))
        weights = ops.transpose(ops.take(self.dense.kernel, classes, axis=1), (1, 2, 0))
        maps = ops.reshape(ops.matmul(weights, evidence), (-1, self.top, h, w))
        return ops.cast(classes, "int64"), maps


def _write_float32(model, path):
    side = model.input_shape[1]
    images = keras.InputSpec(shape=(None, side, side, 1), dtype="float32", name="images")
    model(np.zeros((1, side, side, 1), "float32"))  # Keras exports what has been called
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converter, about names of numpy's
            model.export(
                path, format="onnx", verbose=False, input_signature=[images], opset_version=_OPSET
            )
    except ImportError as error:
        raise ImportError(
            f"Keras on {keras.backend.backend()} needs more packages to write ONNX; the course "
            f"installs those for KERAS_BACKEND=tensorflow ({error})"
        ) from error


def _quantized(path, images):
    """The file `path` with its convolutions in int8, as a new file beside it."""
    out = path.with_name("int8.onnx")
    nodes = onnx.load(path).graph.node
    kinds = [[node.name for node in nodes if node.op_type == kind] for kind in ("Conv", "Relu")]
    with _quietly():
        quantize_static(
            path,
            out,
            _Images(images),
            quant_format=QuantFormat.QDQ,
            # With ReLU among them a convolution and its ReLU become one, whose range ends at 0;
            # without, half of the 256 steps would go to what the ReLU removes.
            # The head stays as it is: maps must add up to logits in int8 too.
            op_types_to_quantize=["Conv", "Relu", "AveragePool"],
            nodes_to_exclude=[name for names in kinds for name in names[:_LEFT_ALONE]],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": _PERCENTILE},
        )
    return out


@contextlib.contextmanager
def _quietly():
    """Without what ONNX Runtime prints of its work, and its advice to do what `folded` has done."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)


class _Images(CalibrationDataReader):
    def __init__(self, images):
        self.batches = iter(np.array_split(images, -(-len(images) // 64)))

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.astype("float32")}


def _halved(graph):
    """Keeps large float32 arrays as float16, for half of the file; a runtime widens them once."""
    for array in [each for each in graph.initializer if _is_large(each)]:
        value = onnx.numpy_helper.to_array(array)
        half = onnx.numpy_helper.from_array(value.astype("float16"), f"{array.name}_float16")
        graph.initializer.remove(array)
        graph.initializer.append(half)
        widen = onnx.helper.make_node("Cast", [half.name], [array.name], to=onnx.TensorProto.FLOAT)
        graph.node.insert(0, widen)


def _is_large(array):
    return array.data_type == onnx.TensorProto.FLOAT and np.prod(array.dims) > _LARGE
