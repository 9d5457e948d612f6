"""The student and ResNet18: what they are made of."""

import keras
import numpy as np
import pytest

from hccr_lib.explain import cam
from hccr_lib.models import count_macs, resnet18, student


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def opinionated(model, images):
    """The untrained network, with a random head whose logits of the images are some units apart."""
    dense = model.get_layer("characters")
    features = keras.Model(model.input, dense.input).predict(images[..., None], verbose=0)
    rng = np.random.default_rng(1)
    kernel = rng.normal(0, 2 / np.sqrt(np.sum(features**2, axis=1).mean()), dense.kernel.shape)
    dense.set_weights([kernel, rng.normal(size=dense.bias.shape)])
    return model


def test_the_student_keeps_to_its_budget():
    model = student()
    assert model.count_params() <= 1_500_000
    assert count_macs(model) <= 120_000_000
    assert model.output_shape == (None, 3755)


def test_without_attention_and_head_resnet18_has_the_published_parameters():
    # torchvision's 11,689,512: less the head of 1,000 classes and two of three input channels.
    head = 512 * 1000 + 1000
    published = 11_689_512 - head - 2 * 7 * 7 * 64
    model = resnet18(num_classes=10, attention=False)
    assert trainable(model) - (512 * 10 + 10) == published
    # Two dense layers with biases a block, c to c/16 to c, of two blocks a stage.
    excitation = sum(2 * (2 * c * (c // 16) + c // 16 + c) for c in (64, 128, 256, 512))
    assert trainable(resnet18(num_classes=10)) == trainable(model) + excitation


def test_resnet18_multiplies_as_published():
    # He et al., table 1: 1.8 G for a picture of 224 x 224 in three channels and 1,000 classes.
    stem = 112 * 112 * 7 * 7 * 2 * 64  # of the two channels that are not here
    macs = count_macs(resnet18(num_classes=1000, attention=False, input_size=224)) + stem
    assert macs == pytest.approx(1.8e9, rel=0.02)


@pytest.mark.parametrize("build", [student, resnet18])
def test_the_map_of_either_is_complete(build):
    keras.utils.set_random_seed(0)
    images = np.random.default_rng(2).integers(0, 256, (3, 32, 32), np.uint8)
    model = opinionated(build(num_classes=6, width=0.125, input_size=32), images)
    maps = cam(model, images, np.arange(6))
    added = maps.mean((2, 3)) if build is resnet18 else maps.sum((2, 3))
    logits = added + np.array(model.get_layer("characters").get_weights()[1])
    known = np.log(model.predict(images[..., None], verbose=0))
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True), known - known.mean(1, keepdims=True), atol=1e-3
    )


@pytest.mark.parametrize("build", [student, resnet18])
@pytest.mark.parametrize(
    "setting", [{"num_classes": 0}, {"width": 0.0}, {"input_size": 40}, {"dropout": 1.0}]
)
def test_settings_that_no_network_has(build, setting):
    (name, value), *_ = setting.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value}"):
        build(**setting)


@pytest.mark.parametrize("build", [student, resnet18])
def test_saved_weights_come_back(build, tmp_path):
    settings = {"num_classes": 5, "width": 0.125, "input_size": 16}
    first = build(**settings)
    first.save(tmp_path / "model.keras")
    second = build(**settings, weights=tmp_path / "model.keras")
    assert all(map(np.array_equal, first.get_weights(), second.get_weights()))
    with pytest.raises(ValueError, match="do not fit"):
        build(**settings | {"num_classes": 6}, weights=tmp_path / "model.keras")
