"""The losses that make MCANet's attentions comparative, as layers that work in `model.fit`.

Xu, Bai and Liu, ICDAR 2019, with f_a the features of attention a and y the character:

- contrastive, eq. (6): the attentions of one image shall see different things,
  sum over pairs a < b of max(0, m - ||f_a - f_b||^2 / 2), m = 40. The paper's double sum counts
  each pair twice and each attention with itself; a pair counts once here.
- region-level center loss, eq. (7): one attention shall see the same in all images of a character,
  sum over a of ||f_a - c_ay||^2 / 2, with a center c_ay for each attention and character.
- image-level center loss, of the ablation (Wen et al., "A discriminative feature learning
  approach for deep face recognition", ECCV 2016): the same for all f_a concatenated, with one
  center for each character.

The paper is silent about how the terms of a batch are put together. Here they are averaged, as
the cross-entropy is: with sums, lambda would mean something else for every size of batch.

Both layers hand the network's output on and change nothing about it: being on its way is what
makes them part of a model.
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable(package="hccr_lib")
class ContrastiveLoss(layers.Layer):
    """Adds `weight` times eq. (6), averaged over the batch, to the loss of the model.

    Args:
        margin: m; no pair is pushed once half of its squared distance is above it.
        weight: lambda of eq. (8).

    Call arguments:
        inputs: `[output, features_1, ..., features_A]`: what the network gives, and a tensor
            `(batch, d)` for each of A >= 2 attentions.

    Returns:
        The output, unchanged.

    Raises:
        ValueError: Fewer than two attentions: there is nothing to compare.
    """

    def __init__(self, margin=40.0, weight=0.1, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin
        self.weight = weight

    def build(self, input_shape):
        if len(input_shape) < 3:
            raise ValueError(
                f"the contrastive loss compares the features of two or more attentions. "
                f"Received: {len(input_shape) - 1}"
            )

    def call(self, inputs):
        # The squares of a distance leave the range of half precision.
        features = [ops.cast(each, "float32") for each in inputs[1:]]
        pairs = 0.0
        for b, other in enumerate(features):
            for each in features[:b]:
                half = ops.sum(ops.square(each - other), axis=1) / 2
                pairs = pairs + ops.maximum(self.margin - half, 0.0)
        self.add_loss(self.weight * ops.mean(pairs))
        return inputs[0]

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "weight": self.weight}


@keras.saving.register_keras_serializable(package="hccr_lib")
class CenterLoss(layers.Layer):
    """Adds `weight` times the squared distance to the class's center / 2, averaged over the batch.

    The centers are no parameters of the optimizer. After each batch of training those of its
    classes move by Wen et al. 2016, eq. (4): with n images of class y in the batch,
    c_y <- c_y - rate * sum(c_y - f) / (1 + n). The others stay.

    Args:
        num_classes: Number of characters, each with a center that starts as N(0, 1).
        rate: How far a center follows, 0 to 1.
        weight: lambda of eq. (8).
        seed: Of the first centers.

    Call arguments:
        inputs: `[output, features, labels]`: what the network gives, `(batch, d)` float, and
            `(batch,)` or `(batch, 1)` int. A label outside of 0 .. num_classes - 1 makes the loss
            NaN and moves no center.

    Returns:
        The output, unchanged.
    """

    def __init__(self, num_classes, rate=0.5, weight=0.1, seed=0, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.rate = rate
        self.weight = weight
        self.seed = seed

    def build(self, input_shape):
        self.centers = self.add_weight(
            name="centers",
            shape=(self.num_classes, input_shape[1][-1]),
            initializer=keras.initializers.RandomNormal(stddev=1.0, seed=self.seed),
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    def call(self, inputs, training=False):
        output, features, labels = inputs
        features = ops.cast(features, "float32")
        labels = ops.cast(ops.reshape(labels, (-1,)), "int32")
        known = ops.logical_and(labels >= 0, labels < self.num_classes)
        inside = ops.clip(labels, 0, self.num_classes - 1)
        centers = ops.take(self.centers, inside, axis=0)
        half = ops.sum(ops.square(features - centers), axis=1) / 2
        self.add_loss(self.weight * ops.mean(ops.where(known, half, float("nan"))))
        if training:
            self._move(ops.stop_gradient(features), centers, inside, known)
        return output

    def _move(self, features, centers, labels, known):
        # Every image of a class computes its center's new place from all of them, so it does not
        # matter whose result is written last.
        alike = ops.logical_and(labels[:, None] == labels[None, :], known[None, :])
        alike = ops.cast(alike, "float32")
        number = ops.sum(alike, axis=1, keepdims=True)
        shift = (number * centers - ops.matmul(alike, features)) / (1 + number)
        moved = centers - self.rate * shift
        self.centers.assign(ops.scatter_update(self.centers, labels[:, None], moved))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        settings = ("num_classes", "rate", "weight", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in settings}}


def comparative(network, *, contrastive=True, centers="region", weight=0.1, margin=40.0, rate=0.5):
    """The network with its losses, to be trained: eq. (8), cross-entropy + lambda (eq. 6 + eq. 7).

    It shares all layers with the network, so training the one trains the other. The cross-entropy
    is given to `compile`; images and labels to `fit([images, labels], labels)`.

    Args:
        network: What `mcanet` returns.
        contrastive: Whether eq. (6) is part of the loss.
        centers: "region", eq. (7); "image", one center for all attentions together; or None.
        weight: lambda, 0.1 in the paper.
        margin: m of eq. (6).
        rate: How far centers follow their images, 0.5 in the paper.

    Returns:
        An uncompiled `keras.Model` of two inputs, `image` as the network's and `label`, `(batch,)`
        int32; its output is the network's. Saved, it keeps the centers.

    Raises:
        ValueError: A contrastive loss for fewer than two attentions, or unknown centers.
    """
    if centers not in ("region", "image", None):
        raise ValueError(f"centers must be 'region', 'image' or None. Received: {centers!r}")
    features = [
        layer.output for layer in network.layers if layer.name.removeprefix("features").isdigit()
    ]
    labels = keras.Input((), dtype="int32", name="label")
    output, num_classes = network.output, network.output.shape[-1]
    if contrastive:
        output = ContrastiveLoss(margin, weight, name="contrastive")([output, *features])
    seen = {"region": features, "image": [ops.concatenate(features, axis=1)], None: []}[centers]
    for number, each in enumerate(seen, start=1):
        name = f"centers{number}" if centers == "region" else "centers"
        loss = CenterLoss(num_classes, rate, weight, seed=number, name=name, dtype="float32")
        output = loss([output, each, labels])
    if not seen:  # Keras 3.10, which Colab has, refuses an input that nothing is made of
        output, _ = layers.Identity(name="beside_labels")([output, labels])
    return keras.Model([network.input, labels], output, name=f"{network.name}_training")
