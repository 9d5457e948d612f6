"""Explanations, ours and other libraries', beside the forward pass that they all need.

    KERAS_BACKEND=tensorflow python benchmarks/bench_explain.py
    KERAS_BACKEND=torch python benchmarks/bench_explain.py

Model C, random weights. All take turns on the same batch, in another order each turn; each ratio
to the compiled forward pass is the median over the turns. A run measures the libraries of its
backend, and leaves what another backend's run has written. `requirements-peers.txt` has them.

Each library explains the logit of one class for all images in one call, at the network's last
maps. It gets what makes it fast: float images, a network without softmax, on PyTorch frozen
weights, no smoothing, and neither stretching nor normalization where they can be turned off.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from unittest.mock import MagicMock

import keras
import numpy as np

from hccr_lib.explain import cam, grad_cam
from hccr_lib.models import melnyk_net
from hccr_lib.models.backend import fastest_jit
from hccr_lib.training.record import environment

BATCH = 32
TURNS = 11
SIZE = 96
LAST = "conv5_3_relu"  # the maps that the head pools
INNER = ("conv3_3_relu", "conv1_2_relu")


# One function for each library: (network, images, label) -> (call, alike). call() gives the
# library's maps; alike(maps) does to ours, (n, h, w) and not negative, what it does to its own.


def tf_keras_vis(network, images, label):
    from tf_keras_vis.gradcam import Gradcam

    # In every call it builds a model, runs it op by op and goes back through all of it, to the
    # images: no setting changes that.
    gradcam = Gradcam(network, clone=False)

    def call():
        return gradcam(
            lambda logits: logits[:, label],  # its CategoricalScore takes image by image
            images,
            penultimate_layer=LAST,
            seek_penultimate_conv_layer=False,
            expand_cam=False,
            normalize_cam=False,
        )

    return call, lambda maps: maps


def xplique(network, images, label):
    import tensorflow as tf
    from xplique.attributions import GradCAM

    explainer = GradCAM(network, batch_size=BATCH, conv_layer=LAST)
    images = tf.convert_to_tensor(images)
    targets = tf.one_hot([label] * BATCH, network.output_shape[-1])

    def alike(maps):  # it always stretches them
        return tf.image.resize(maps[..., None], (SIZE, SIZE), method="bicubic")

    return lambda: explainer.explain(images, targets), alike


def grad_cam_of_torch(network, images, label):
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        # There is none for every build of PyTorch. The library names it, to load pictures and to
        # compare boxes, but uses nothing of it here.
        for part in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
            sys.modules[part] = MagicMock()
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    module, images = _channels_first(network, images)
    gradcam = GradCAM(module, [module.maps])
    targets = [ClassifierOutputTarget(label)] * BATCH

    def alike(maps):  # it always scales, stretches and scales again
        return scale_cam_image(scale_cam_image(maps, (SIZE, SIZE)))

    return lambda: gradcam(images, targets), alike


def torchcam(network, images, label):
    from torchcam.methods import GradCAM

    module, images = _channels_first(network, images)
    extractor = GradCAM(module, "maps")
    return lambda: extractor(label, module(images), normalized=False)[0], lambda maps: maps


def captum(network, images, label):
    from captum.attr import LayerGradCam

    module, images = _channels_first(network, images)
    gradcam = LayerGradCam(module, module.maps)
    return lambda: gradcam.attribute(images, label, relu_attributions=True), lambda maps: maps


PEERS = {
    "tensorflow": {"tf-keras-vis": tf_keras_vis, "xplique": xplique},
    "torch": {"grad-cam": grad_cam_of_torch, "torchcam": torchcam, "captum": captum},
}


def _channels_first(network, images):
    """A network and images as PyTorch's libraries read them: `(n, channels, h, w)`.

    Gradients begin at the last maps, its layer `maps`: with weights that learn, grad-cam would go
    back through the whole network.
    """
    import torch

    class ChannelsFirst(torch.nn.Module):
        def __init__(self):
            super().__init__()
            last = network.get_layer(LAST).output
            self.trunk = keras.Model(network.input, last)
            self.maps = torch.nn.Identity()
            self.head = keras.Model(last, network.output)
            self.requires_grad_(False)

        def forward(self, images):
            with torch.no_grad():
                maps = self.trunk(images.permute(0, 2, 3, 1))
            maps = self.maps(maps.permute(0, 3, 1, 2).requires_grad_())
            return self.head(maps.permute(0, 2, 3, 1))

    return ChannelsFirst().eval(), keras.ops.convert_to_tensor(images.transpose(0, 3, 1, 2).copy())


def peers(model, images, label):
    """What the libraries of this backend say: calls, agreement with our maps, and who can't run."""
    ours = grad_cam(model, images, np.array([label]))[:, 0]
    calls, agreement, not_run = {}, {}, {}
    for name, library in PEERS.get(keras.backend.backend(), {}).items():
        network = keras.models.clone_model(model)
        network.set_weights(model.get_weights())
        network.layers[-1].activation = keras.activations.linear
        try:
            call, alike = library(network, images[..., None].astype(np.float32), label)
            theirs, expected = numbers(call()), numbers(alike(ours))
            agreement[name] = difference(theirs.reshape(expected.shape), expected)
            calls[name] = lambda call=call: numbers(call())
        except Exception as error:  # whatever it is, it is part of the result
            line = " ".join(f"{type(error).__name__}: {error}".split())
            not_run[name] = line.replace(sys.prefix, "")[:300]
    return calls, agreement, not_run


def numbers(maps):
    return keras.ops.convert_to_numpy(maps)


def difference(theirs, ours):
    """The largest difference between two maps of an image, as a share of the range of ours."""
    theirs, ours = (maps.reshape(len(maps), -1) for maps in (theirs, ours))
    return float((np.abs(theirs - ours).max(axis=1) / np.ptp(ours, axis=1)).max())


def versions(names):
    found = environment()["versions"]
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def measured(calls, turns, rng):
    """Seconds of each call, turn by turn."""
    for call in calls.values():  # trace and compile
        call()
        call()
    seconds = {name: [] for name in calls}
    for _ in range(turns):
        for name in rng.permutation(list(calls)):
            started = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/results/bench/explain.json"))
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--width", type=float, default=1.0, help="of the network's convolutions")
    parser.add_argument("--classes", type=int, default=3755)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = melnyk_net("C", num_classes=given.classes, width=given.width)
    model.compile(jit_compile=fastest_jit())
    images = rng.integers(0, 256, (BATCH, SIZE, SIZE), dtype=np.uint8)
    # The class that the network is surest of: most of the others' maps are empty after the ReLU.
    label = int(model.predict_on_batch(images[..., None]).mean(axis=0).argmax())
    one, some, every = np.array([label]), np.arange(5), np.arange(given.classes)
    theirs, agreement, not_run = peers(model, images, label)
    calls = {
        "forward": lambda: model.predict_on_batch(images[..., None]),
        "cam_5_classes": lambda: cam(model, images, some),
        f"cam_{given.classes}_classes": lambda: cam(model, images, every),
        "grad_cam_last_maps": lambda: grad_cam(model, images, one),
        **{
            f"grad_cam_{layer}": lambda layer=layer: grad_cam(model, images, one, layer=layer)
            for layer in INNER
        },
        **theirs,
    }
    seconds = measured(calls, given.turns, rng)
    backend, facts = keras.backend.backend(), environment()
    result = {
        "command": f"KERAS_BACKEND={backend} python benchmarks/bench_explain.py",
        "width": given.width,
        "classes": given.classes,
        "turns": given.turns,
        "seconds": {name: round(statistics.median(times), 4) for name, times in seconds.items()},
        "over_forward": {
            name: round(statistics.median(np.divide(times, seconds["forward"]).tolist()), 3)
            for name, times in seconds.items()
            if name != "forward"
        },
        "agreement": {name: float(f"{share:.1e}") for name, share in agreement.items()},
        "not_run": not_run,
        "device": facts["device"],
        "versions": versions(PEERS.get(backend, {})),
        "platform": platform.platform(),
    }
    kept = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    whole = {
        "what": "maps of a batch, Model C at 96x96: ratio to the compiled forward pass of the same "
        "backend; agreement: largest difference between a library's Grad-CAM and ours, as a share "
        "of the map's range",
        "batch": BATCH,
        "backends": {**kept.get("backends", {}), backend: result},
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
