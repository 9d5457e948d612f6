"""A network of eight characters in an ONNX file of the kind that `hccr export` writes, in 20 kB.

It reads like the networks of the course, only badly: the image's 6 x 6 means, weighted by class.
"""

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hccr_lib.datasets import normalize
from hccr_lib.datasets.synthesis import random_writer, write

CLASSES = "一十口大小木己山"
TOP = 5


def means(images):
    """float64 (n, 6, 6) of images (n, 96, 96): the mean of each 16 x 16 pixels, 0 to 1."""
    images = np.asarray(images, np.float64)
    return images.reshape(len(images), 6, 16, 6, 16).mean((2, 4)) / 255


def weights():
    """float32 (8, 6, 6) and (8,): what a linear classifier of the means of handwriting would learn,
    by the shortest way: the logit is the less, the farther an image's means are from a class's.
    """
    written = [
        [normalize(write(character, random_writer(seed)).bitmap) for seed in range(12)]
        for character in CLASSES
    ]
    centres = np.stack([means(images).mean(0) for images in written])
    return (
        (60 * centres).astype(np.float32),
        (-30 * (centres**2).sum((1, 2))).astype(np.float32),
    )


def tiny_onnx(path, *, maps=True, metadata=None, name="images", batch="N", scale=1.0, side=96):
    """Writes the file; the settings make it another one than `hccr_lib.inference` asks for."""
    kernel, bias = weights()
    constants = {
        "mean": np.full((1, 1, 16, 16), scale / 256 / 255, np.float32),
        "kernel": kernel[None],
        "bias": bias,
        "top": np.array([TOP], np.int64),
        "last": np.array([-1], np.int64),
        "space": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", [name], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "mean"], ["means"], strides=[16, 16]),
        helper.make_node("Mul", ["means", "kernel"], ["all_maps"]),
        helper.make_node("ReduceSum", ["all_maps", "space"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 8])]
    if maps:
        nodes += [
            helper.make_node("TopK", ["probabilities", "top"], ["best", "classes"], axis=1),
            helper.make_node("Unsqueeze", ["classes", "last"], ["indices"]),
            helper.make_node("GatherND", ["all_maps", "indices"], ["maps"], batch_dims=1),
        ]
        outputs += [
            helper.make_tensor_value_info("classes", TensorProto.INT64, ["N", TOP]),
            helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["N", TOP, 6, 6]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, side, side, 1])],
        outputs,
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(
        model, {"network": "tiny", "characters": CLASSES} if metadata is None else metadata
    )
    onnx.save(model, path)
    return path


def picture(character, seed=119, margin=12):
    """uint8 (h, w): a character on white paper, by a writer whom the network does not know."""
    bitmap = write(character, random_writer(seed)).bitmap
    return np.pad(bitmap, margin, constant_values=255)


def row(text, seed=119, gap=0.2):
    """uint8 (h, w): characters on one line, `gap` of the largest side apart."""
    bitmaps = [picture(character, seed, margin=0) for character in text]
    side = max(max(bitmap.shape) for bitmap in bitmaps)
    height = max(bitmap.shape[0] for bitmap in bitmaps)
    parts = []
    for bitmap in bitmaps:
        above = (height - bitmap.shape[0]) // 2
        below = height - bitmap.shape[0] - above
        space = ((above, below), (0, round(gap * side)))
        parts.append(np.pad(bitmap, space, constant_values=255))
    return np.pad(np.concatenate(parts, axis=1), 12, constant_values=255)


def search_path():
    """PYTHONPATH with which another process, in any folder, imports what this one does."""
    root = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
