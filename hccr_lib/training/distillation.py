"""A network learns from what another one says and where it looks.

- Logits: Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015
  (arXiv:1503.02531). With z the logits and T a temperature, the student's softmax(z / T) is to
  become the teacher's: T^2 KL(teacher || student). The factor keeps the size of the gradients,
  which T divides twice.
- Attention: Zagoruyko and Komodakis, "Paying more attention to attention", ICLR 2017
  (arXiv:1612.03928), eq. 2. A map of attention is the sum over channels of squared activations,
  divided by its Euclidean norm. The student's are to become the teacher's: the squared distance,
  averaged over the map and the batch as in the authors' code.

The classes of both networks must be the same, their channels need not be.
"""

import zlib

import keras
from keras import layers, ops

from hccr_lib.models.transfer import folded


class Distiller(keras.Model):
    """A student that hears its teacher: what `fit` trains in the student's place.

    It shares the student's layers, so training it trains the student. The loss that is given to
    `compile`, the cross-entropy with the true classes, is one term; this adds the others. The
    teacher is frozen: it predicts as in use, and no training changes it.

    Args:
        student, teacher: Functional models, images in, class probabilities out, of the same input
            shape and classes. Of any layers.
        temperature: T, above 0. Above 1 the classes that the teacher finds less likely count more.
        logits: Weight of the logits' term, 0 for none.
        attention: Weight of the attention's term, summed over `pairs`, 0 for none. Distances of
            normalized maps are small: the authors use 1000.
        pairs: Pairs of names, a layer of the student and one of the teacher that give maps of
            the same height and width. None: every layer that ends a block in both, by the same
            name; of networks that share no names, the last layers of each height and width.

    Raises:
        ValueError: Networks or layers that don't fit together, or weights that are no weights.

    Example:

    >>> from hccr_lib.models import melnyk_net
    >>> small = melnyk_net("C", num_classes=10, width=0.125, input_size=32)
    >>> large = melnyk_net("C", num_classes=10, width=0.25, input_size=32)
    >>> distiller = Distiller(small, large)
    >>> distiller.compile("adamw", "sparse_categorical_crossentropy")
    """

    def __init__(self, student, teacher, *, temperature=4.0, logits=1.0, attention=1e3, pairs=None):
        _check(student, teacher, temperature, logits, attention)
        pairs = _common_ends(student, teacher) if pairs is None else list(pairs)
        if attention and not pairs:
            raise ValueError(
                f"{student.name} and {teacher.name} have no layers of the same size, whose "
                f"attention could be transferred: name pairs, or take attention=0"
            )
        if not attention:
            pairs = []
        heard = [student.output, *(student.get_layer(name).output for name, _ in pairs)]
        in_use = folded(teacher)
        taught = [in_use.output, *(in_use.get_layer(name).output for _, name in pairs)]
        for (name, other), ours, theirs in zip(pairs, heard[1:], taught[1:], strict=True):
            if len(ours.shape) != 4 or ours.shape[1:3] != theirs.shape[1:3]:
                raise ValueError(
                    f"layers {name!r} and {other!r} must give maps of the same height and width. "
                    f"Received: {tuple(ours.shape)} and {tuple(theirs.shape)}"
                )
        # As one layer, told by `training=False` to drop nothing.
        taught = keras.Model(in_use.input, taught, name="teacher")(student.input, training=False)
        teaching = Teaching(
            temperature, logits, attention, teacher=_told(teacher), pairs=pairs, name="teaching"
        )
        output = teaching([*heard, *taught])
        super().__init__(student.input, output, name=f"{student.name}_distilled")


class Teaching(layers.Layer):
    """Adds the two terms of distillation to the loss of a model.

    Args:
        temperature, logits, attention: As for `Distiller`.
        teacher, pairs: What it is made for; kept in its config, which a record quotes.

    Call arguments:
        inputs: `[probabilities, *maps]` of the student, then the same of the teacher.

    Returns:
        The student's probabilities, unchanged.
    """

    def __init__(self, temperature, logits, attention, *, teacher=None, pairs=(), **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.temperature, self.logits, self.attention = temperature, logits, attention
        self.teacher, self.pairs = teacher, [list(pair) for pair in pairs]

    def call(self, inputs):
        half = len(inputs) // 2
        (output, *ours), (taught, *theirs) = inputs[:half], inputs[half:]
        if self.logits:
            self.add_loss(self.logits * logits_loss(output, taught, self.temperature))
        for mine, other in zip(ours, theirs, strict=True):
            self.add_loss(self.attention * attention_loss(mine, other))
        return output

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        settings = ("temperature", "logits", "attention", "teacher", "pairs")
        return {**super().get_config(), **{name: getattr(self, name) for name in settings}}


def logits_loss(student, teacher, temperature):
    """Hinton's term: T^2 KL(softmax(z_teacher / T) || softmax(z_student / T)), a batch's mean.

    Args:
        student, teacher: Probabilities `(batch, classes)`, float32. Their logarithms are the
            logits but for a constant, which a softmax does not see.
        temperature: T.

    Returns:
        Scalar, 0 or more.
    """
    soft = [
        ops.log_softmax(ops.log(ops.maximum(each, 1e-37)) / temperature, axis=-1)
        for each in (teacher, student)
    ]
    divergence = ops.sum(ops.exp(soft[0]) * (soft[0] - soft[1]), axis=-1)
    return temperature**2 * ops.mean(divergence)


def attention_map(maps):
    """Where a layer is active: `(batch, h, w, c)` to `(batch, h * w)`, of Euclidean norm 1.

    The sum over channels of squared values, float32. Maps without any activity stay 0.
    """
    maps = ops.cast(maps, "float32")
    activity = ops.reshape(ops.sum(ops.square(maps), axis=-1), (-1, maps.shape[1] * maps.shape[2]))
    squared = ops.sum(ops.square(activity), axis=-1, keepdims=True)
    return activity * ops.rsqrt(ops.maximum(squared, 1e-30))


def attention_loss(student, teacher):
    """Zagoruyko's term for one pair of layers: the mean squared distance of attention maps.

    Args:
        student, teacher: `(batch, h, w, c)`, the channels of both need not agree.

    Returns:
        Scalar, 0 or more.
    """
    return ops.mean(ops.square(attention_map(student) - attention_map(teacher)))


def _common_ends(student, teacher):
    """The last layer of each block that both have; of each size of maps, if they share no names."""
    for by_name in (True, False):
        ours, theirs = (_ends(network, by_name) for network in (student, teacher))
        pairs = [
            (ours[key].name, theirs[key].name)
            for key in ours
            if key in theirs and ours[key].output.shape[1:3] == theirs[key].output.shape[1:3]
        ]
        if pairs:
            break
    return pairs


def _ends(network, by_name):
    """The last ReLU of each block, named up to "_"; or the last layer of each height and width."""
    last = {}
    for layer in network.layers:
        shape = getattr(layer.output, "shape", ())  # some layers have several outputs
        if len(shape) != 4 or max(shape[1:3]) == 1 or isinstance(layer, layers.InputLayer):
            continue
        if not by_name:
            last[shape[1:3]] = layer
        elif isinstance(layer, layers.ReLU):
            last[layer.name.split("_")[0]] = layer
    return last


def _told(teacher):
    """A name for the teacher that another one, or the same one trained on, would not have."""
    weights = b"".join(weight.tobytes() for weight in teacher.get_weights())
    return f"{teacher.name} {zlib.crc32(weights):08x}"


def _check(student, teacher, temperature, logits, attention):
    for what, of in (
        ("input", (student.input_shape[1:], teacher.input_shape[1:])),
        ("output", (student.output_shape[1:], teacher.output_shape[1:])),
    ):
        if of[0] != of[1]:
            raise ValueError(
                f"student and teacher must have the same {what} shape. "
                f"Received: {of[0]} and {of[1]}"
            )
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be positive and finite. Received: {temperature}")
    for name, weight in (("logits", logits), ("attention", attention)):
        if not 0 <= weight < float("inf"):
            raise ValueError(f"{name} must be 0 or more, and finite. Received: {name}={weight}")
