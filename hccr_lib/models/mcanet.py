"""MCANet: several attentions look at the same feature maps, and are made to differ.

Xu, Bai and Liu, "Multiple Comparative Attention Network for Offline Handwritten Chinese Character
Recognition", ICDAR 2019. The convolutions are those of Melnyk-Net. Each of A channel attentions
(squeeze and excitation: Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018) weighs the
last maps X, X'a = s_a X, and a dense layer of its own makes a vector of them, f_a. The network
reads all f_a together. Two losses shape them while it trains, see
`hccr_lib.models.comparative_losses`.

The layers of attention a, counted from 1, and what they give:

=====================  ==========================================  ===================
name                   what                                        shape
=====================  ==========================================  ===================
`attention{a}`         s_a, one weight of 0 to 1 for each channel  `(batch, c)`
`attended{a}`          X'a                                         `(batch, h, w, c)`
`features{a}`          f_a, after its ReLU                         `(batch, 768)`
=====================  ==========================================  ===================
"""

import keras
from keras import layers

from hccr_lib.models.melnyk_net import L2, characters, check_settings, convolutions, scaled
from hccr_lib.models.weights import (
    assign_arrays,
    load_weights,
    pretrained,
)

FEATURES = 768
RATIO = 16


def mcanet(
    attentions=2,
    *,
    num_classes=3755,
    width=None,
    input_size=None,
    weights=None,
    dropout=0.5,
):
    """Builds MCANet, or its baseline without attention.

    X'a is flattened before its dense layer. The paper does not say how maps become a vector; but
    its losses compare *regions*, and the mean over all places would leave none.

    Args:
        attentions: How many attentions look, 0 or more; 2 in the paper's best network. 0: its
            baseline, X itself, flattened, and two dense layers.
        num_classes: Number of characters, 3,755 for GB2312 level 1.
        width: Multiplies the channels of every convolution and the 768 features, each rounded to
            a multiple of 8. None: 1.0, the paper's, or that of the weights "synthetic".
        input_size: Height and width of the images, a multiple of 16. None: 96, or that of
            "synthetic".
        weights: None (random); "synthetic", those that come with the course for two attentions,
            trained on synthetic handwriting; or the path of a `.keras` or `.weights.h5` file that
            was saved from the same settings.
        dropout: Share of the features that is dropped while training, 0 to below 1.

    Returns:
        An uncompiled functional `keras.Model`. Input: `(batch, input_size, input_size, 1)`, ink
        bright on 0, values in 0..255. Output: `(batch, num_classes)` float32 probabilities.

    Raises:
        ValueError: A setting that no network can be built from, or weights of another network.
        FileNotFoundError: `weights` names no file.

    Example:

    >>> mcanet(2).get_layer("features1").output.shape
    (None, 768)
    """
    if not isinstance(attentions, int) or attentions < 0:
        raise ValueError(f"attentions must be 0 or more. Received: attentions={attentions!r}")
    arrays = None
    if weights == "synthetic":
        asked = {"num_classes": num_classes, "width": width, "input_size": input_size}
        settings, arrays = pretrained(f"mcanet_{attentions}", {"attentions": attentions, **asked})
        width, input_size = settings["width"], settings["input_size"]
    width = 1.0 if width is None else width
    input_size = 96 if input_size is None else input_size
    check_settings(num_classes, width, input_size, dropout)
    image, maps = convolutions(input_size, width)
    output = head(maps, attentions, num_classes, scaled(FEATURES, width), dropout)
    model = keras.Model(image, output, name=f"mcanet_{attentions}")
    if arrays is not None:
        assign_arrays(model, arrays)
    elif weights is not None:
        load_weights(model, weights)
    return model


def head(maps, attentions, num_classes, units, dropout):
    """All that follows the convolutions.

    Args:
        maps: Symbolic feature maps `(batch, h, w, c)`.
        attentions, num_classes, dropout: As for `mcanet`.
        units: Length of each f_a.

    Returns:
        Symbolic probabilities `(batch, num_classes)`.
    """
    looks = [channel_attention(maps, str(number)) for number in range(1, attentions + 1)]
    each = [
        _features(look, units, str(number)) for number, look in enumerate(looks or [maps], start=1)
    ]
    x = each[0] if len(each) == 1 else layers.Concatenate(name="all_features")(each)
    head_dtype = keras.config.dtype_policy().variable_dtype
    x = layers.Dropout(dropout, name="dropout", dtype=head_dtype)(x)
    return characters(x, num_classes)


def channel_attention(maps, name):
    """Squeeze and excitation: each channel times a weight that follows from all channels' means.

    Hu, Shen, Sun 2018, eqs. 2 to 4: s = sigmoid(W2 relu(W1 mean(X))), with a hidden
    layer of c / 16 units, at least one.

    Args:
        maps: Symbolic feature maps `(batch, h, w, c)`.
        name: Ends the names of the layers: `attention{name}` gives s, `attended{name}` the result.

    Returns:
        Symbolic maps of the same shape.
    """
    channels = maps.shape[-1]
    regular = {"kernel_regularizer": keras.regularizers.L2(L2)}
    x = layers.GlobalAveragePooling2D(name=f"squeeze{name}")(maps)
    x = layers.Dense(
        max(1, channels // RATIO),
        activation="relu",
        kernel_initializer="he_normal",
        name=f"reduce{name}",
        **regular,
    )(x)
    weights = layers.Dense(channels, activation="sigmoid", name=f"attention{name}", **regular)(x)
    shaped = layers.Reshape((1, 1, channels), name=f"excite{name}")(weights)
    return layers.Multiply(name=f"attended{name}")([maps, shaped])


def _features(maps, units, name):
    # The losses take distances of these vectors, whose squares leave the range of half precision.
    head_dtype = keras.config.dtype_policy().variable_dtype
    flat = layers.Flatten(name=f"flat{name}")(maps)
    return layers.Dense(
        units,
        activation="relu",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(L2),
        name=f"features{name}",
        dtype=head_dtype,
    )(flat)
