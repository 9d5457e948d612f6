"""Melnyk-Net: 14 convolutions, one pooling, one dense layer.

Melnyk, You and Li, "A high-performance CNN method for offline handwritten Chinese character
recognition and visualization", Soft Computing 2020 (arXiv:1812.11489), table 1.

From the second block on, a block is wide - narrow - wide: the narrow convolution in the middle is
the bottleneck that saves multiplications (eqs. 2-5, see `hccr_lib.models.cost`). The three models
differ only in the pooling that turns 6 x 6 maps into one vector: A averages (GAP), B weighs each
map (GWOAP), C weighs each position of each map (GWAP).
"""

import keras
from keras import layers

from hccr_lib.models.layers import (
    FusedBatchNormalization,
    GlobalWeightedAveragePooling2D,
    GlobalWeightedOutputAveragePooling2D,
)
from hccr_lib.models.weights import (
    assign_arrays,
    load_weights,
    pretrained,
)

#: Channels of the 14 convolutions by block, at width 1 (table 1).
BLOCKS = ((64, 64), (96, 64, 96), (128, 96, 128), (256, 192, 256), (448, 256, 448))
WIDEST = 16  # times these channels: 1.6 billion parameters
POOLINGS = {
    "A": ("gap", layers.GlobalAveragePooling2D),
    "B": ("gwoap", GlobalWeightedOutputAveragePooling2D),
    "C": ("gwap", GlobalWeightedAveragePooling2D),
}
L2 = 1e-3


def melnyk_net(
    variant="C",
    *,
    num_classes=3755,
    width=None,
    include_top=True,
    weights=None,
    input_size=None,
    dropout=0.5,
    pooling_starts_as="sum",
):
    """Builds model A, B or C.

    Args:
        variant: "A" (GAP), "B" (GWOAP) or "C" (GWAP).
        num_classes: Number of characters, 3,755 for GB2312 level 1.
        width: Multiplies the channels of every convolution; each is rounded to a multiple of 8,
            at least 8. None: 1.0, the paper's, or that of the weights "synthetic".
        include_top: False leaves dropout and the dense layer out; the output is then the pooled
            features, `(batch, channels)`, 448 channels at width 1.
        weights: None (random); "synthetic", those that come with the course, trained on
            synthetic handwriting (`data/weights/README.md`); or the path of a `.keras` or
            `.weights.h5` file that was saved from the same variant, num_classes, width and
            input_size with its top. Also the authors' published `Melnyk-Net.hdf5`, with
            `label2tagcode.npy` beside it, for variant C with the defaults.
        input_size: Height and width of the images, a multiple of 16; the kernel of GWAP has
            input_size / 16 rows and columns. None: 96, the paper's, or that of "synthetic".
        dropout: Share of the pooled features that is dropped while training, 0 to below 1. 0.5 is
            the paper; a narrow network that never sees an image twice needs less.
        pooling_starts_as: "sum": the weights of GWOAP and GWAP start at one, as published.
            "mean": at one over the number of positions, which is what GAP computes. Adam's steps
            do not shrink with the features that they are multiplied by: with thousands of classes
            one step on a sum throws the logits about, and nothing is learnt.

    Returns:
        An uncompiled functional `keras.Model`. Input: `(batch, input_size, input_size, 1)`, ink
        bright on 0, values in 0..255 (the first batch normalization scales them). Output:
        `(batch, num_classes)` float32 probabilities.

    Raises:
        ValueError: A setting that no network can be built from, or weights of another network.
        FileNotFoundError: `weights` names no file.

    Example:

    >>> melnyk_net("C").count_params()
    6523819
    """
    if variant not in POOLINGS:
        choices = ", ".join(repr(name) for name in POOLINGS)
        raise ValueError(f"variant must be one of {choices}. Received: variant={variant!r}")
    arrays = None
    if weights == "synthetic":
        asked = {"num_classes": num_classes, "width": width, "input_size": input_size}
        settings, arrays = pretrained(
            f"melnyk_net_{variant.lower()}", {"variant": variant, **asked}
        )
        width, input_size = settings["width"], settings["input_size"]
    width = 1.0 if width is None else width
    input_size = 96 if input_size is None else input_size
    check_settings(num_classes, width, input_size, dropout)
    if pooling_starts_as not in ("sum", "mean"):
        raise ValueError(
            "pooling_starts_as must be 'sum' or 'mean'. "
            f"Received: pooling_starts_as={pooling_starts_as!r}"
        )
    # Features may be computed in half precision, the head that reads them never is.
    head_dtype = keras.config.dtype_policy().variable_dtype
    pooling_name, pooling = POOLINGS[variant]

    image, x = convolutions(input_size, width)
    start = {}
    if pooling_starts_as == "mean" and variant != "A":
        share = 1 / (x.shape[1] * x.shape[2])
        start["kernel_initializer"] = keras.initializers.Constant(share)
    pooled = pooling(name=pooling_name, dtype=head_dtype, **start)(x)
    x = layers.Dropout(dropout, name="dropout", dtype=head_dtype)(pooled)
    probabilities = characters(x, num_classes)
    model = keras.Model(image, probabilities, name=f"melnyk_net_{variant.lower()}")
    if arrays is not None:
        assign_arrays(model, arrays)
    elif weights is not None:
        load_weights(model, weights)
    return model if include_top else keras.Model(image, pooled, name=f"{model.name}_features")


def check_settings(num_classes, width, input_size, dropout):
    """ValueError for a setting that no network of this backbone can be built from."""
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1. Received: num_classes={num_classes!r}")
    if not 0 < width <= WIDEST:
        raise ValueError(f"width must be above 0, at most {WIDEST}. Received: width={width!r}")
    if input_size < 16 or input_size % 16:
        raise ValueError(
            f"input_size must be a multiple of 16, at least 16: four poolings halve it. "
            f"Received: input_size={input_size!r}"
        )
    check_dropout(dropout)


def check_dropout(dropout):
    """ValueError for what is no share of features that could be dropped."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 to below 1. Received: dropout={dropout!r}")


def convolutions(input_size, width):
    """The 14 convolutions of table 1, symbolic: the image and the last feature maps.

    Returns:
        `(batch, input_size, input_size, 1)` and `(batch, input_size / 16, input_size / 16,
        channels)`, 448 channels at width 1.
    """
    image = x = keras.Input((input_size, input_size, 1), name="image")
    for number, block in enumerate(BLOCKS, start=1):
        if number > 1:
            x = layers.AveragePooling2D(3, strides=2, padding="same", name=f"pool{number - 1}")(x)
        for position, channels in enumerate(block, start=1):
            x = conv_bn_relu(x, scaled(channels, width), f"conv{number}_{position}")
    return image, x


def characters(features, num_classes):
    """The probabilities of all characters, by one dense layer that starts next to zero."""
    return layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.001),
        kernel_regularizer=keras.regularizers.L2(L2),
        bias_regularizer=keras.regularizers.L2(L2),
        name="characters",
        dtype=keras.config.dtype_policy().variable_dtype,
    )(features)


def scaled(channels, width):
    """Channels times width, rounded to a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


def conv_bn_relu(x, channels, name, *, stride=1):
    """A 3 x 3 convolution without biases, batch normalization and ReLU, symbolic."""
    return layers.ReLU(name=f"{name}_relu")(conv_bn(x, channels, name, stride=stride))


def conv_bn(x, channels, name, *, size=3, stride=1):
    """A convolution without biases, `size` x `size`, and batch normalization, symbolic."""
    x = layers.Conv2D(
        channels,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(L2),
        name=name,
    )(x)
    return FusedBatchNormalization(name=f"{name}_bn")(x)
