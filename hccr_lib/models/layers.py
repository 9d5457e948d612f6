"""The two trainable poolings of Melnyk-Net, and a faster batch normalization.

Global average pooling (GAP) gives every position of a feature map the same say. Melnyk et al.
let the network learn what each position, or each map, is worth:

=================  =======================================  ====================
GAP                mean over (x, y) of  f(x, y, c)          no weights
GWOAP (model B)    sum over (x, y) of   w(c) f(x, y, c)     c weights
GWAP (model C)     sum over (x, y) of   w(x, y, c) f(x, y, c)   h * w * c weights
=================  =======================================  ====================

Both weighted poolings *sum*. Their weights start at one, as in the authors' released code, so an
untrained GWAP is h * w times GAP (36 times for the 6 x 6 maps of a 96 x 96 image).
"""

import keras
from keras import ops


class _WeightedPooling2D(keras.layers.Layer):
    """What both poolings share: one `kernel` that multiplies the maps before they are summed.

    `weighted` says which axes of the input the kernel spans.
    """

    weighted: slice

    def __init__(self, kernel_initializer="ones", kernel_regularizer=None, **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        shape = tuple(input_shape[self.weighted])
        if None in shape:
            raise ValueError(
                f"{type(self).__name__} needs feature maps of a known size, "
                f"one weight for each value. Received: input_shape={tuple(input_shape)}"
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )

    def call(self, inputs):
        return ops.sum(inputs * self.kernel, axis=(1, 2))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package="hccr_lib")
class GlobalWeightedAveragePooling2D(_WeightedPooling2D):
    """GWAP: the sum over positions of each feature map times its own map of weights.

    Melnyk, You and Li, "A high-performance CNN method for offline handwritten Chinese character
    recognition and visualization", Soft Computing 2020, section 3.2 (model C).

    Args:
        kernel_initializer: Initial weights. Ones, as published: the pooling starts as a sum.
        kernel_regularizer: Optional regularizer of the weights.

    Input shape:
        `(batch, h, w, c)` with h, w and c known.

    Output shape:
        `(batch, c)`.

    Example:

    >>> maps = keras.ops.ones((2, 6, 6, 448))
    >>> tuple(GlobalWeightedAveragePooling2D()(maps).shape)
    (2, 448)
    """

    weighted = slice(1, None)


@keras.saving.register_keras_serializable(package="hccr_lib")
class GlobalWeightedOutputAveragePooling2D(_WeightedPooling2D):
    """GWOAP: the sum over positions of each feature map, times one weight for the map.

    Melnyk, You and Li, Soft Computing 2020, section 3.2 (model B).

    Args:
        kernel_initializer: Initial weights. Ones, as published: the pooling starts as a sum.
        kernel_regularizer: Optional regularizer of the weights.

    Input shape:
        `(batch, h, w, c)` with c known; h and w may vary.

    Output shape:
        `(batch, c)`.

    Example:

    >>> maps = keras.ops.ones((2, 6, 6, 448))
    >>> tuple(GlobalWeightedOutputAveragePooling2D()(maps).shape)
    (2, 448)
    """

    weighted = slice(-1, None)


@keras.saving.register_keras_serializable(package="hccr_lib")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization in one operation of TensorFlow's instead of a dozen, while it trains.

    The same function with the same weights as `keras.layers.BatchNormalization`: Ioffe and
    Szegedy, "Batch Normalization", 2015 (arXiv:1502.03167). Keras composes it of elementary
    operations, each of which reads the whole feature map from memory; on a CPU that takes longer
    than the convolutions. Other backends compile it into as few operations by themselves.

    Only `momentum` and `epsilon` may be other than Keras's defaults, of its own arguments.

    Input shape, output shape:
        `(batch, h, w, c)`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs, training=None):
        if keras.backend.backend() != "tensorflow" or not training or not self.trainable:
            return super().call(inputs, training=training)
        import tensorflow as tf

        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            # Statistics of the whole batch, not of a device's part of it; on JAX it is so anyway.
            self.synchronized = True
            try:
                return super().call(inputs, training=training)
            finally:
                self.synchronized = False  # it would be saved, and other backends refuse it

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, "float32"),
            offset=tf.cast(self.beta, "float32"),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # It returns the unbiased variance, n / (n - 1) times that of the batch, which Keras keeps.
        n = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), "float32")
        for moving, seen in (
            (self.moving_mean, mean),
            (self.moving_variance, variance * (n - 1) / n),
        ):
            moving.assign(moving * self.momentum + seen * (1 - self.momentum))
        return outputs
