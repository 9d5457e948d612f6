"""ResNet18, with channel attention in every block.

He et al., "Deep residual learning for image recognition", CVPR 2016, table 1, for images of one
channel; the squeeze and excitation of Hu, Shen and Sun, CVPR 2018, at the end of each residual
branch as in their figure 3. Hongli He et al., JACIII 28(2), 2024, distil into such a network.
"""

import keras
from keras import layers

from hccr_lib.models.mcanet import channel_attention
from hccr_lib.models.melnyk_net import characters, check_settings, conv_bn, scaled
from hccr_lib.models.weights import load_weights

# Channels of the four stages of two blocks each, at width 1.
STAGES = (64, 128, 256, 512)


def resnet18(
    *,
    num_classes=3755,
    width=None,
    input_size=None,
    weights=None,
    attention=True,
    dropout=0.0,
):
    """Builds ResNet18 with or without channel attention.

    Args:
        num_classes: Number of characters, 3,755 for GB2312 level 1.
        width: Multiplies the channels of every convolution; each is rounded to a multiple of 8,
            at least 8. None: 1.0, as published.
        input_size: Height and width of the images, a multiple of 16. None: 96.
        weights: None (random), or the path of a `.keras` or `.weights.h5` file that was saved
            from the same settings.
        attention: Whether each block weighs its channels.
        dropout: Share of the pooled features that is dropped while training, 0 to below 1.

    Returns:
        An uncompiled functional `keras.Model`. Input: `(batch, input_size, input_size, 1)`, ink
        bright on 0, values in 0..255. Output: `(batch, num_classes)` float32 probabilities. Its
        head is global average pooling and one dense layer, so its class activation map is exact.

    Raises:
        ValueError: A setting that no network can be built from, or weights of another network.
        FileNotFoundError: `weights` names no file.

    Example:

    >>> resnet18(attention=False).count_params()
    13106155
    """
    width = 1.0 if width is None else width
    input_size = 96 if input_size is None else input_size
    check_settings(num_classes, width, input_size, dropout)
    head_dtype = keras.config.dtype_policy().variable_dtype

    image = keras.Input((input_size, input_size, 1), name="image")
    x = conv_bn(image, scaled(STAGES[0], width), "stem", size=7, stride=2)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(x)
    for stage, channels in enumerate(STAGES, start=1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, scaled(channels, width), f"block{stage}_{block}", stride, attention)
    x = layers.GlobalAveragePooling2D(name="gap", dtype=head_dtype)(x)
    x = layers.Dropout(dropout, name="dropout", dtype=head_dtype)(x)
    model = keras.Model(image, characters(x, num_classes), name="resnet18")
    if weights is not None:
        load_weights(model, weights)
    return model


def _block(x, channels, name, stride, attention):
    """Two convolutions and what goes around them: relu(x + s F(x)), s the channels' weights."""
    around = x
    if stride > 1 or x.shape[-1] != channels:
        around = conv_bn(x, channels, f"{name}_around", size=1, stride=stride)
    x = conv_bn(x, channels, f"{name}_conv1", stride=stride)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv_bn(x, channels, f"{name}_conv2")
    if attention:
        x = channel_attention(x, f"_{name}")
    x = layers.Add(name=f"{name}_add")([around, x])
    return layers.ReLU(name=f"{name}_relu")(x)
