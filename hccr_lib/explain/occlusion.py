"""What a character loses without one of its strokes: the image is painted over and read again."""

import numpy as np

from hccr_lib.explain.gradients import logits_of
from hccr_lib.explain.inputs import checked_classes, checked_images


def stroke_drops(model, images, masks, classes=None, *, batch_size=64):
    """By how much a class's logit falls when a stroke is painted over with paper.

    Pixels that another stroke covers too stay as they are.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        images, classes: As for `hccr_lib.explain.cam`; paper is 0.
        masks: For each of the n images a bool array `(strokes, H, W)`, the pixels of each stroke,
            as `hccr_lib.datasets.synthesis.write` tells them.
        batch_size: Images in one pass, at most.

    Returns:
        A list of n float32 arrays `(k, strokes)`: the logit of the image minus that of the image
        without the stroke. Positive: the stroke spoke for the class.

    Raises:
        TypeError, ValueError: As for `hccr_lib.explain.grad_cam`; or masks that do not fit.
    """
    images = checked_images(model, images, batch_size)
    classes = checked_classes(classes, len(images), model.output_shape[-1])
    if len(masks) != len(images):
        raise ValueError(f"masks must be one array for each of {len(images)} images: {len(masks)}")
    variants = []
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        if mask.dtype != bool or mask.ndim != 3 or mask.shape[1:] != image.shape[:2]:
            raise ValueError(
                f"masks must be bool of shape (strokes, {image.shape[0]}, {image.shape[1]}). "
                f"Received: {mask.dtype} {mask.shape} for image {number}"
            )
        alone = mask & (mask.sum(axis=0) == 1)
        variants.append(np.concatenate([image[None], np.where(alone[..., None], 0, image)]))
    return logit_drops(model, variants, classes, batch_size)


def stroke_occlusion(model, images, masks, classes=None, *, batch_size=64):
    """`stroke_drops` as maps: each stroke's drop, spread evenly over its pixels.

    After Zeiler and Fergus 2014, who cover squares. Strength: asks the network, and nothing about
    its inside. Limit: an image with a stroke painted over may be one that nobody would write.

    Args:
        model, images, masks, classes, batch_size: As for `stroke_drops`.

    Returns:
        float32 `(n, k, H, W)`; the sum of a map is the sum of the drops.

    Raises:
        TypeError, ValueError: As for `stroke_drops`.
    """
    drops = stroke_drops(model, images, masks, classes, batch_size=batch_size)
    maps = []
    for mask, drop in zip(masks, drops, strict=True):
        pixels = np.maximum(mask.sum((1, 2), keepdims=True), 1)
        maps.append(np.einsum("ks,shw->khw", drop, mask / pixels))
    return np.stack(maps).astype(np.float32)


def logit_drops(model, variants, classes, batch_size):
    """By how much logits fall from the first of several images to each of the others.

    Args:
        model: A functional or sequential `keras.Model` whose output is that of a dense layer.
        variants: A list of n arrays `(1 + S, H, W, c)`: an image, then S changed ones.
        classes: As `checked_classes` returns them; None: the class predicted for the first.
        batch_size: Images in one pass, at most.

    Returns:
        A list of n float32 arrays `(k, S)`.
    """
    logits = logits_of(model, np.concatenate(variants), batch_size)
    ends = np.cumsum([len(each) for each in variants])
    drops = []
    for number, each in enumerate(np.split(logits, ends[:-1])):
        if classes is None:
            asked = [each[0].argmax()]
        else:
            asked = classes if classes.ndim == 1 else classes[number]
        drops.append((each[0] - each[1:])[:, asked].T)
    return drops
