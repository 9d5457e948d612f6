"""What a student hears from its teacher: the two losses, the model that adds them, its training."""

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from hccr_lib.models import melnyk_net, resnet18
from hccr_lib.models.backend import fastest_jit
from hccr_lib.training import train
from hccr_lib.training.distillation import (
    Distiller,
    attention_loss,
    attention_map,
    logits_loss,
)

RNG = np.random.default_rng(3)
CLASSES = 7


def small(width=0.125, variant="C", **settings):
    return melnyk_net(variant, num_classes=CLASSES, width=width, input_size=16, **settings)


def images(n=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 16, 16), np.uint8), rng.integers(0, CLASSES, n, np.int32)


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


@pytest.mark.parametrize("temperature", [1.0, 2.5, 4.0])
def test_the_logits_loss_is_hintons(temperature):
    student, teacher = (RNG.normal(scale=4, size=(6, 11)) for _ in range(2))
    expected = 0.0
    for z, v in zip(student, teacher, strict=True):  # the paper's: from logits, image by image
        p, q = softmax(v / temperature), softmax(z / temperature)
        expected += temperature**2 * sum(p * (np.log(p) - np.log(q))) / len(student)
    given = logits_loss(
        softmax(student).astype("float32"), softmax(teacher).astype("float32"), temperature
    )
    assert number(given) == pytest.approx(expected, rel=1e-4)


def test_the_logits_loss_is_zero_only_for_the_teachers_own_answer():
    p = softmax(RNG.normal(size=(4, 9))).astype("float32")
    other = softmax(RNG.normal(size=(4, 9))).astype("float32")
    assert abs(number(logits_loss(p, p, 4.0))) < 1e-5
    assert number(logits_loss(other, p, 4.0)) > 0.01


def test_probabilities_of_zero_are_no_infinity():
    sure, other = np.eye(5, dtype="float32")[:2], np.eye(5, dtype="float32")[2:4]
    assert np.isfinite(number(logits_loss(sure, other, 4.0)))


def test_the_attention_loss_is_zagoruykos():
    ours, theirs = RNG.normal(size=(3, 4, 5, 6)), RNG.normal(size=(3, 4, 5, 8))
    expected = 0.0
    for a, b in zip(ours, theirs, strict=True):
        q, r = (np.sum(each**2, axis=-1).ravel() for each in (a, b))
        q, r = q / np.linalg.norm(q), r / np.linalg.norm(r)
        expected += np.mean((q - r) ** 2) / len(ours)
    given = attention_loss(ours.astype("float32"), theirs.astype("float32"))
    assert number(given) == pytest.approx(expected, rel=1e-4)


@given(st.floats(1e-3, 1e4), st.integers(1, 5))
def test_attention_has_no_scale_and_no_order_of_channels(scale, channels):
    maps = np.abs(np.random.default_rng(channels).normal(size=(2, 3, 3, channels))) + 0.1
    plain = ops.convert_to_numpy(attention_map(maps.astype("float32")))
    other = ops.convert_to_numpy(attention_map((scale * maps[..., ::-1]).astype("float32")))
    np.testing.assert_allclose(plain, other, rtol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, rtol=1e-4)


def test_maps_without_activity_have_no_attention():
    assert not ops.convert_to_numpy(attention_map(np.zeros((2, 3, 3, 4), "float32"))).any()


def test_without_weights_the_distiller_is_the_student():
    student = small()
    distiller = Distiller(student, small(0.25), logits=0.0, attention=0.0)
    for model in (student, distiller):
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=fastest_jit())
    pictures, labels = images()
    plain, distilled = (m.evaluate(pictures, labels, verbose=0) for m in (student, distiller))
    assert distilled == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("only", ["logits", "attention"])
def test_each_term_alone_is_what_fit_adds_to_the_cross_entropy(only):
    student, teacher = small(dropout=0.0), small(0.25)
    weights = {"logits": 0.0, "attention": 0.0} | {only: 2.0}
    for model, seed in ((student, 1), (teacher, 2)):  # a new head says nothing yet
        kernel = model.get_layer("characters").kernel
        kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape))
    distiller = Distiller(student, teacher, temperature=3.0, **weights)
    for model in (student, distiller):
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=fastest_jit())
    pictures, labels = images()
    pairs = [f"conv{block}_{2 if block == 1 else 3}_relu" for block in (1, 2, 3, 4, 5)]
    seen = [
        keras.Model(model.input, [model.output, *(model.get_layer(p).output for p in pairs)])(
            pictures[..., None].astype("float32"), training=False
        )
        for model in (student, teacher)
    ]
    if only == "logits":
        term = number(logits_loss(seen[0][0], seen[1][0], 3.0))
    else:
        both = zip(seen[0][1:], seen[1][1:], strict=True)
        term = sum(number(attention_loss(a, b)) for a, b in both)
    plain, distilled = (
        m.evaluate(pictures, labels, batch_size=len(labels), verbose=0)
        for m in (student, distiller)
    )
    assert term > 1e-4
    assert distilled - plain == pytest.approx(2 * term, rel=2e-3)


def test_the_student_learns_and_the_teacher_stays():
    student, teacher = small(), small(0.25, "A")
    before = [np.array(weight) for weight in teacher.get_weights()]
    start = [np.array(weight) for weight in student.get_weights()]
    distiller = Distiller(student, teacher)
    distiller.compile("adam", "sparse_categorical_crossentropy", jit_compile=fastest_jit())
    pictures, labels = images(64)
    history = distiller.fit(pictures, labels, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert all(map(np.array_equal, before, teacher.get_weights()))
    assert not all(map(np.array_equal, start, student.get_weights()))
    # Nothing but the student is trained: not the teacher's copy either.
    assert {id(w) for w in distiller.trainable_weights} == {
        id(w) for w in student.trainable_weights
    }
    answers = [model.predict(pictures, verbose=0) for model in (student, distiller)]
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-6)


def test_networks_of_another_kind_are_taught_by_named_pairs():
    teacher = resnet18(num_classes=CLASSES, width=0.125, input_size=16)
    pairs = [("conv3_3_relu", "block1_2_relu"), ("conv4_3_relu", "block2_2_relu")]
    distiller = Distiller(small(), teacher, pairs=pairs)
    distiller.compile("adam", "sparse_categorical_crossentropy", jit_compile=fastest_jit())
    pictures, labels = images()
    assert np.isfinite(distiller.fit(pictures, labels, verbose=0).history["loss"][0])


def test_networks_without_common_names_are_paired_by_the_size_of_their_maps():
    teacher = resnet18(num_classes=CLASSES, width=0.125, input_size=32)
    student = melnyk_net("C", num_classes=CLASSES, width=0.125, input_size=32)
    paired = Distiller(student, teacher).get_layer("teaching").pairs
    assert paired == [
        ["conv2_3_relu", "stem_relu"],
        ["conv3_3_relu", "block1_2_relu"],
        ["conv4_3_relu", "block2_2_relu"],
        ["conv5_3_relu", "block3_2_relu"],
    ]
    back = Distiller(teacher, student).get_layer("teaching").pairs
    assert sorted(pair[::-1] for pair in back) == sorted(paired)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"logits": -1.0}, "logits must be 0 or more"),
        ({"attention": float("nan")}, "attention must be 0 or more"),
        ({"pairs": [("conv1_2_relu", "conv2_3_relu")]}, "same height and width"),
        ({"pairs": [("nothing", "conv2_3_relu")]}, "nothing"),
    ],
)
def test_what_cannot_be_learnt_is_said(settings, message):
    with pytest.raises(ValueError, match=message):
        Distiller(small(), small(0.25), **settings)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="same output shape"):
        Distiller(small(), melnyk_net("C", num_classes=8, width=0.125, input_size=16))
    with pytest.raises(ValueError, match="same input shape"):
        Distiller(small(), melnyk_net("C", num_classes=CLASSES, width=0.125, input_size=32))
    image = keras.Input((16, 16, 1))
    flat = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.Flatten()(image))
    with pytest.raises(ValueError, match="name pairs"):
        Distiller(small(), keras.Model(image, flat))


def test_a_distillation_goes_on_where_it_was_killed(tmp_path):
    def fresh(epoch):
        if epoch == stop:
            raise KeyboardInterrupt
        return images(32, seed=epoch)

    def run(folder):
        keras.utils.set_random_seed(0)
        student = small()
        keras.utils.set_random_seed(1)
        losses = partial(Distiller, teacher=small(0.25))
        record = train(
            student, fresh, run_dir=folder, losses=losses, epochs=3, batch_size=16, verbose=0
        )
        return student, record

    stop = None
    whole, record = run(tmp_path / "whole")
    assert record["settings"]["losses"]["teaching"]["temperature"] == 4.0
    assert record["settings"]["losses"]["teaching"]["teacher"].startswith("melnyk_net_c ")
    stop = 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed")
    stop = None
    resumed, _ = run(tmp_path / "killed")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # What is saved is the student alone.
    saved = keras.models.load_model(tmp_path / "whole" / "model.keras", compile=False)
    assert saved.count_params() == whole.count_params()


def test_another_teacher_is_another_run(tmp_path):
    def run(seed):
        keras.utils.set_random_seed(seed)
        losses = partial(Distiller, teacher=small(0.25))
        return train(
            small(),
            images(32),
            run_dir=tmp_path,
            losses=losses,
            epochs=1,
            verbose=0,
            allow_missing_classes=True,
        )

    run(0)
    with pytest.raises(ValueError, match="choose another run_dir"):
        run(1)
