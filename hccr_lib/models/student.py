"""The course's small network: Model C where it is cheap, something cheaper where it is not.

Of half-width Model C's multiplications, 60 % are in the first two blocks, whose maps are large. Of
its parameters, 38 % are in the last block. Here a stem of three convolutions, two of which stride,
takes the place of the first two blocks, and a last block with a narrower waist that of the last
one. Blocks 3 and 4, the weighted pooling and the dense layer are Model C's own in shape and name,
so that they can be taken from a trained one: `hccr_lib.models.transfer.slimmed`. The head is global
pooling and one dense layer, so the class activation map is exact, as Model C's.

It was made to be a student: `hccr_lib.training.distillation`.
"""

import keras
from keras import layers

from hccr_lib.models.layers import GlobalWeightedAveragePooling2D
from hccr_lib.models.melnyk_net import BLOCKS, characters, check_settings, conv_bn_relu, scaled
from hccr_lib.models.weights import assign_arrays, load_weights, pretrained

# Channels at width 1: of the strided stem, and of each block's convolutions. Blocks are numbered
# as in Melnyk-Net; there are no first two.
STEM = (32, 64, 96)
LAST = (128, 448)


def student(*, num_classes=3755, width=None, input_size=None, weights=None, dropout=0.2):
    """Builds the student.

    Args:
        num_classes: Number of characters, 3,755 for GB2312 level 1.
        width: Multiplies the channels of every convolution; each is rounded to a multiple of 8,
            at least 8. None: 0.5, for which it was designed: 1,455,771 parameters, 117 million
            multiply-accumulates for an image of 96x96.
        input_size: Height and width of the images, a multiple of 16. None: 96, or that of
            "synthetic".
        weights: None (random); "synthetic", those that come with the course, distilled from its
            Model C on synthetic handwriting; or the path of a `.keras` or `.weights.h5` file that
            was saved from the same settings.
        dropout: Share of the pooled features that is dropped while training, 0 to below 1.

    Returns:
        An uncompiled functional `keras.Model`. Input: `(batch, input_size, input_size, 1)`, ink
        bright on 0, values in 0..255. Output: `(batch, num_classes)` float32 probabilities.

    Raises:
        ValueError: A setting that no network can be built from, or weights of another network.
        FileNotFoundError: `weights` names no file.

    Example:

    >>> student().get_layer("gwap").input.shape
    (None, 6, 6, 224)
    """
    arrays = None
    if weights == "synthetic":
        asked = {"num_classes": num_classes, "width": width, "input_size": input_size}
        settings, arrays = pretrained("student", asked)
        width, input_size = settings["width"], settings["input_size"]
    width = 0.5 if width is None else width
    input_size = 96 if input_size is None else input_size
    check_settings(num_classes, width, input_size, dropout)
    # Features may be computed in half precision, the head that reads them never is.
    head_dtype = keras.config.dtype_policy().variable_dtype

    image = x = keras.Input((input_size, input_size, 1), name="image")
    for number, (channels, stride) in enumerate(zip(STEM, (2, 1, 2), strict=True), start=1):
        x = conv_bn_relu(x, scaled(channels, width), f"stem{number}", stride=stride)
    for number, block in ((3, BLOCKS[2]), (4, BLOCKS[3]), (5, LAST)):
        if number > 3:
            x = layers.AveragePooling2D(3, strides=2, padding="same", name=f"pool{number - 1}")(x)
        for position, channels in enumerate(block, start=1):
            x = conv_bn_relu(x, scaled(channels, width), f"conv{number}_{position}")
    share = keras.initializers.Constant(1 / (x.shape[1] * x.shape[2]))
    x = GlobalWeightedAveragePooling2D(share, name="gwap", dtype=head_dtype)(x)
    x = layers.Dropout(dropout, name="dropout", dtype=head_dtype)(x)
    model = keras.Model(image, characters(x, num_classes), name="student")
    if arrays is not None:
        assign_arrays(model, arrays)
    elif weights is not None:
        load_weights(model, weights)
    return model
