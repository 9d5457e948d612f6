"""Several networks that answer as one."""

import keras
from keras import layers, ops

from hccr_lib.models.transfer import folded


def ensemble(networks):
    """One network that answers with the geometric mean of what several say.

    The mean of the logits, in other words, but for a constant: a class needs the support of all.
    It is made to be asked, by a student for example (`hccr_lib.training.distillation.Distiller`):
    normalisations are folded, weights are frozen. The layers of the first network keep their
    names; each of the others is one layer.

    Args:
        networks: Functional models, two or more, images in, class probabilities out, of the same
            input shape and classes. They are copied, and left as they are. The first is no
            ensemble itself.

    Returns:
        An uncompiled model, named after all of them.

    Raises:
        ValueError: Fewer than two networks, or some that don't fit together.

    Example:

    >>> from hccr_lib.models import melnyk_net
    >>> several = [melnyk_net(name, num_classes=9, width=0.125, input_size=32) for name in "AC"]
    >>> ensemble(several).name
    'melnyk_net_a_and_melnyk_net_c'
    """
    if len(networks) < 2:
        raise ValueError(f"an ensemble takes two networks or more. Received: {len(networks)}")
    if any(isinstance(layer, GeometricMean) for layer in networks[0].layers):
        raise ValueError("the first network must not be an ensemble; name its members instead")
    for what in ("input_shape", "output_shape"):
        shapes = [getattr(network, what)[1:] for network in networks]
        if len(set(shapes)) > 1:
            names = ", ".join(network.name for network in networks)
            raise ValueError(f"{names} must have the same {what}. Received: {shapes}")
    first, *others = (folded(network) for network in networks)
    answers = [first.output]
    for number, other in enumerate(others, start=2):
        one = keras.Model(other.input, other.output, name=f"{other.name}_{number}")
        answers.append(one(first.input, training=False))
    name = "_and_".join(network.name for network in networks)
    together = keras.Model(first.input, GeometricMean(name="together")(answers), name=name)
    together.trainable = False
    return together


@keras.saving.register_keras_serializable(package="hccr_lib")
class GeometricMean(layers.Layer):
    """The normalised geometric mean of several distributions.

    Call arguments:
        inputs: List of probabilities, each `(batch, classes)`.

    Returns:
        Probabilities `(batch, classes)`, float32.
    """

    def __init__(self, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, inputs):
        logs = [ops.log(ops.maximum(ops.cast(each, "float32"), 1e-37)) for each in inputs]
        return ops.softmax(sum(logs) / len(logs), axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape[0]
