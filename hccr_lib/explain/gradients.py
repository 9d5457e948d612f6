"""The gradient of logits with respect to a layer: the one thing that differs by backend."""

import keras
import numpy as np
from keras import layers, ops

from hccr_lib.explain.inputs import batches, filled
from hccr_lib.explain.parts import all_comes_from, last_dense, maps_of, remembered
from hccr_lib.models.backend import fastest_jit


class _Logits(layers.Layer):
    """A dense layer without its activation; the weights are that layer's."""

    def __init__(self, dense):
        super().__init__(dtype=dense.dtype_policy)
        self.dense = dense

    def call(self, inputs):
        logits = ops.matmul(inputs, self.dense.kernel)
        return logits + self.dense.bias if self.dense.use_bias else logits


def logit_model(model):
    """The same network without the softmax: images -> logits `(n, classes)`; compiled."""

    def make():
        dense, before = last_dense(model)
        return _compiled(keras.Model(model.inputs[0], _Logits(dense)(before)))

    return remembered(model, "logits", make)


def logits_of(model, images, batch_size):
    """Logits of checked images, numpy float32 `(n, classes)`."""
    network = logit_model(model)
    parts = batches(len(images), batch_size)
    logits = [network.predict_on_batch(filled(images[part], part)) for part in parts]
    return np.concatenate(logits)[: len(images)].astype(np.float32)


def input_gradient(model):
    """Gradients with respect to the image, as a function.

    Args:
        model: A functional model that ends in a dense layer.

    Returns:
        A function `(images, labels) -> (logits, gradient)`. images: float `(n, h, w, c)`. labels:
        int32 `(n,)`, the class of each image whose logit is differentiated; -1: the predicted
        one. logits: `(n, classes)`; gradient: as images. numpy float32.
    """
    return remembered(model, "input gradient", lambda: _gradient(logit_model(model)))


def layer_gradient(model, layer):
    """Feature maps and gradients with respect to them, in two functions.

    Only what comes after the layer is differentiated, so at the last convolution a gradient costs
    next to nothing beside the forward pass.

    Args:
        model: A functional model that ends in a dense layer.
        layer: Name of the layer; None: the one whose maps the head pools.

    Returns:
        `(trunk, gradient)`: a compiled model, images -> maps `(n, h, w, c)`, and a function
        `(maps, labels, images) -> (logits, gradient)`, as `input_gradient` but with respect to
        the maps.
    """

    def make():
        maps = maps_of(model, layer)
        dense, before = last_dense(model)
        logits = _Logits(dense)(before)
        trunk = _compiled(keras.Model(model.inputs[0], maps))
        if not all_comes_from(model, maps):
            return trunk, _gradient(keras.Model([maps, *model.inputs], logits))
        gradient = _gradient(keras.Model(maps, logits))
        return trunk, lambda maps, labels, images: gradient(maps, labels)

    return remembered(model, ("layer gradient", layer), make)


def _compiled(model):
    model.compile(optimizer=None, jit_compile=fastest_jit())
    return model


def _gradient(model):
    """`input_gradient`, with respect to the first input; the other inputs come last."""
    compute = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    gradient = compute(model)

    def called(inputs, labels, *others):
        inputs, *others = (ops.convert_to_tensor(each, "float32") for each in (inputs, *others))
        results = gradient(inputs, ops.convert_to_tensor(labels, "int32"), others)
        return tuple(ops.convert_to_numpy(ops.cast(each, "float32")) for each in results)

    return called


def _score(logits, labels):
    """The sum of each image's logit: images do not see each other, so its gradient is theirs."""
    labels = ops.where(labels < 0, ops.cast(ops.argmax(logits, axis=1), "int32"), labels)
    return ops.sum(ops.take_along_axis(logits, labels[:, None], axis=1))


def _tensorflow(model):
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def gradient(inputs, labels, others):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            logits = model([inputs, *others] if others else inputs, training=False)
            score = _score(logits, labels)
        return logits, tape.gradient(score, inputs)

    return gradient


def _jax(model):
    import jax

    def score(inputs, labels, others, trained, others_kept):
        logits, _ = model.stateless_call(
            trained, others_kept, [inputs, *others] if others else inputs, training=False
        )
        return _score(logits, labels), logits

    # The weights are arguments: as constants of the compiled program they would never change.
    compiled = jax.jit(jax.value_and_grad(score, has_aux=True))

    def gradient(inputs, labels, others):
        variables = (
            [variable.value for variable in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        )
        (_, logits), slope = compiled(inputs, labels, others, *variables)
        return logits, slope

    return gradient


def _torch(model):
    import torch

    def gradient(inputs, labels, others):
        inputs = inputs.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = model([inputs, *others] if others else inputs, training=False)
            (slope,) = torch.autograd.grad(_score(logits, labels), inputs)
        return logits.detach(), slope

    return gradient
