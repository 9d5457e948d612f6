"""What the benchmark of stroke truth compares: maps of all methods, and means with intervals."""

from functools import partial

import numpy as np

from hccr_lib import explain
from hccr_lib.datasets.normalize import resize_images
from hccr_lib.evaluation import load_model
from hccr_lib.explain.faithfulness import edge_map, ink_map, random_map, stretched
from hccr_lib.models.weights import pretrained_networks

NETWORK = "melnyk_net_c"
SEED, BOOTSTRAPS = 0, 2000
# Of 255, what leaves nearly all answers as they are; the published 15 % leaves none.
LITTLE_NOISE = 8.0
INNER = "conv4_3_relu"
OF_LAYERS = {
    "Grad-CAM": explain.grad_cam,
    "HiResCAM": explain.hires_cam,
    "LayerCAM": explain.layer_cam,
    "Grad-CAM++": explain.grad_cam_plus_plus,
}
# Signed maps throughout: an order of strokes has use for what speaks against the class.
CAMS = {"": explain.cam, ", centred": partial(explain.cam, centred=True)}
METHODS = {
    **{f"CAM{kind}": method for kind, method in CAMS.items()},
    **{f"{name}, pooled maps": partial(m, relu=False) for name, m in OF_LAYERS.items()},
    **{f"{name}, {INNER}": partial(m, relu=False, layer=INNER) for name, m in OF_LAYERS.items()},
}
OF_PIXELS = {
    "integrated gradients": partial(explain.integrated_gradients, steps=16),
    "SmoothGrad": partial(explain.smooth_grad, samples=8),
    "SmoothGrad, little noise": partial(explain.smooth_grad, samples=8, noise=LITTLE_NOISE),
}
BASELINES = {
    "random map": random_map,
    "random map, mean 0": lambda images: random_map(images) - 0.5,
    "ink": ink_map,
    "edges": edge_map,
}


def interval(scores, clusters):
    """Mean of scores and its 95 % interval, a bootstrap of whole clusters; NaN is left out."""
    scores, clusters = np.asarray(scores, float), np.asarray(clusters)
    known = ~np.isnan(scores)
    if not known.any():
        return {"n": 0}
    _, where = np.unique(clusters[known], return_inverse=True)
    sums, counts = np.bincount(where, scores[known]), np.bincount(where)
    # Draws of its own: no image depends on how many rows the table has.
    drawn = np.random.default_rng(SEED).integers(len(sums), size=(BOOTSTRAPS, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    found = {"mean": scores[known].mean(), "from": low, "to": high}
    return {key: round(float(value), 4) for key, value in found.items()} | {"n": int(known.sum())}


def other_names():
    """The other networks of the course that have a class activation map."""
    return [n for n in pretrained_networks() if n.startswith("melnyk_net") and n != NETWORK]


def other_networks():
    """These networks, by the names of the rows of their maps."""
    return {f"CAM of Model {name[-1].upper()}": load_model(name)[0] for name in other_names()}


def all_maps(model, images, masks, classes, few):
    """Maps of every method, each `(n, k, h, w)`; those of pixels for the first `few` images."""
    maps = {}
    for name, method in (METHODS | OF_PIXELS).items():
        part = few if name in OF_PIXELS else len(images)
        maps[name] = method(model, images[:part], classes[:part])
        print(f"  {name}", flush=True)
    maps["stroke occlusion"] = explain.stroke_occlusion(
        model, images, masks, classes, batch_size=256
    )
    print("  stroke occlusion", flush=True)
    return maps


def cams(name, model, images, classes):
    """Class activation maps of another network, by the names of their rows."""
    print(f"  {name}", flush=True)
    images = resize_images(images, model.input_shape[1])
    return {name + kind: method(model, images, classes) for kind, method in CAMS.items()}


def one_map(maps, row):
    """The maps of one image, `(k, 96, 96)`; None for a method that did not get as far."""
    return stretched(maps[row : row + 1], 96, 96)[0] if row < len(maps) else None


def kinds(maps):
    """The map of a class, and if there are two, its difference from that of the other class."""
    both = {"plain": maps[:, :1]}
    return both | {"contrast": maps[:, :1] - maps[:, 1:]} if maps.shape[1] == 2 else both
