"""Training: the recipes' schedules, runs that are killed, and data that cannot be learned from."""

import csv
import gc
import json
import math
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from test_batches import OnDisk

from hccr_lib.datasets.rows import Rows
from hccr_lib.models import GlobalWeightedAveragePooling2D, count_macs
from hccr_lib.training import recipe, train
from hccr_lib.training import record as record_module
from hccr_lib.training.batches import Batches, hold_out
from hccr_lib.training.folder import alone


def tiny_net():
    """Has all that a run must restore: batch statistics, dropout, L2, and a weighted pooling."""
    l2 = keras.regularizers.L2(0.01)
    image = keras.Input((16, 16, 1))
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, kernel_regularizer=l2)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(6, 3, use_bias=False, kernel_regularizer=l2)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dropout(0.5)(GlobalWeightedAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(3, "softmax", kernel_regularizer=l2)(x), name="tiny")


def tiny_data(epoch=0, n=70):
    """Three kinds of stripes, under noise."""
    rng = np.random.default_rng((7, epoch))
    labels = (np.arange(n) % 3).astype(np.int32)
    stripes = np.arange(16) // (labels[:, None] + 1) % 2
    images = 180 * stripes[:, :, None] + rng.uniform(0, 75, (n, 16, 16))
    return images.astype(np.uint8), labels


def flickering(images, rng):
    """Makes images brighter or darker by chance, which each batch has of its own."""
    if rng is None:
        return images
    return np.uint8(np.clip(images + rng.normal(0, 20, (len(images), 1, 1)), 0, 255))


OPTIONS = {"epochs": 3, "batch_size": 16, "transform": flickering, "workers": 2, "verbose": 0}


def same_weights(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module", params=["fast", "melnyk", "muon"])
def whole_run(request, tmp_path_factory):
    """A run that nothing interrupts: recipe, network, record, folder."""
    run_dir = tmp_path_factory.mktemp("whole") / request.param
    keras.utils.set_random_seed(1)
    model = tiny_net()
    record = train(model, tiny_data, run_dir=run_dir, recipe=request.param, **OPTIONS)
    return request.param, model, record, run_dir


class Killed(Exception):
    pass


def without_times(record):
    return [
        {name: value for name, value in epoch.items() if "second" not in name}
        for epoch in record["epochs"]
    ]


def fail_on_call(number, method, error, patch):
    """The given method of a class works until it is called for the `number`-th time."""
    owner, name = method
    whole, calls = getattr(owner, name), []

    def wrapper(self, *arguments, **options):
        calls.append(name)
        if len(calls) == number:
            raise error
        return whole(self, *arguments, **options)

    patch.setattr(owner, name, wrapper)


@pytest.mark.parametrize("moment", ["between epochs", "in an epoch", "while saving"])
def test_an_interrupted_run_ends_as_if_it_had_not_been(whole_run, moment, tmp_path, monkeypatch):
    name, expected, expected_record, _ = whole_run
    run_dir = tmp_path / "run"
    options = {"run_dir": run_dir, "recipe": name, **OPTIONS}
    keras.utils.set_random_seed(1)
    model = tiny_net()

    def data(epoch):
        if moment == "between epochs" and epoch == 2:
            raise Killed
        return tiny_data(epoch)

    with monkeypatch.context() as patch:
        if moment == "in an epoch":
            fail_on_call(10, (Batches, "__getitem__"), Killed(), patch)
        elif moment == "while saving":
            disk_full = OSError(28, "No space left on device")
            fail_on_call(3, (keras.Model, "save_weights"), disk_full, patch)
        with pytest.raises(Exception):  # noqa: B017 (TensorFlow wraps what a generator raises)
            train(model, data, **options)
    interrupted = json.loads((run_dir / "record.json").read_text())
    assert 1 <= len(interrupted["epochs"]) < 3
    assert not interrupted["finished"]

    keras.utils.set_random_seed(2)  # a resumed run must not depend on how the network was built
    resumed = tiny_net()
    record = train(resumed, tiny_data, **options)
    assert same_weights(resumed, expected)
    assert without_times(record) == without_times(expected_record)
    assert record["finished"]
    left = sorted(path.name for path in run_dir.iterdir())
    assert left == ["log.csv", "model.keras", "record.json"]


def test_a_run_killed_by_the_system_resumes(whole_run, tmp_path):
    name, expected, _, _ = whole_run
    if name == "melnyk":
        pytest.skip("one recipe is enough for a whole process")
    run_dir = tmp_path / "run"
    program = f"""
        import sys, time
        sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
        import keras
        from test_training import OPTIONS, tiny_data, tiny_net, train

        def data(epoch):
            if epoch == 2:
                time.sleep(600)
            return tiny_data(epoch)

        keras.utils.set_random_seed(1)
        train(tiny_net(), data, run_dir={str(run_dir)!r}, recipe={name!r}, **OPTIONS)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)]) as process:
        while not (run_dir / "backup" / "0002.weights.h5").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    resumed = tiny_net()
    train(resumed, tiny_data, run_dir=run_dir, recipe=name, **OPTIONS)
    assert same_weights(resumed, expected)


@pytest.mark.parametrize("recipe", ["fast", "muon"])
def test_half_precision_with_a_scaled_loss_resumes_too(recipe, tmp_path):
    def killed(epoch):
        if epoch == 2:
            raise Killed
        return tiny_data(epoch)

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(1)
        whole, resumed, other = tiny_net(), tiny_net(), tiny_net()
    finally:
        keras.config.set_dtype_policy(before)
    other.set_weights(whole.get_weights())
    options = {"recipe": recipe, **OPTIONS}
    train(whole, tiny_data, run_dir=tmp_path / "whole", **options)
    assert isinstance(whole.optimizer, keras.optimizers.LossScaleOptimizer)
    with pytest.raises(Killed):
        train(other, killed, run_dir=tmp_path / "run", **options)
    record = train(resumed, tiny_data, run_dir=tmp_path / "run", **options)
    assert same_weights(whole, resumed)
    assert all(np.isfinite(epoch["loss"]) for epoch in record["epochs"])


@pytest.mark.parametrize("workers", [1, 5])
def test_the_number_of_workers_changes_nothing(whole_run, workers, tmp_path):
    name, expected, _, _ = whole_run
    if name == "melnyk":
        pytest.skip("one recipe is enough")
    keras.utils.set_random_seed(1)
    model = tiny_net()
    train(model, tiny_data, run_dir=tmp_path, recipe=name, **{**OPTIONS, "workers": workers})
    assert same_weights(model, expected)


def test_without_the_transform_the_network_is_another(whole_run, tmp_path):
    name, trained, _, _ = whole_run
    keras.utils.set_random_seed(1)
    model = tiny_net()
    train(model, tiny_data, run_dir=tmp_path, recipe=name, **{**OPTIONS, "transform": None})
    assert not same_weights(model, trained)


def test_a_set_on_disk_is_read_batch_by_batch_and_what_is_held_out_is_not_learned(tmp_path):
    images, labels = tiny_data(n=320)
    on_disk = OnDisk(images)
    kept, held = hold_out(labels, 0.2, seed=0)
    keras.utils.set_random_seed(1)
    model = tiny_net()
    record = train(
        model,
        (Rows([on_disk], kept), labels[kept]),
        run_dir=tmp_path,
        validation=(Rows([on_disk], held), labels[held]),
        **{**OPTIONS, "epochs": 1},
    )
    assert 0 < max(on_disk.read) <= 64
    right = model.predict_on_batch(images[held][..., None]).argmax(axis=1) == labels[held]
    assert record["epochs"][0]["val_accuracy"] == pytest.approx(right.mean())


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_run_may_go_on_with_or_without_validation(first, tmp_path):
    def go_on(data, validated):
        keras.utils.set_random_seed(1)
        more = {"validation": tiny_data(9)} if validated else {}
        return train(tiny_net(), data, run_dir=tmp_path, **OPTIONS, **more)

    def killed(epoch):
        if epoch == 2:
            raise Killed
        return tiny_data(epoch)

    with pytest.raises(Exception):  # noqa: B017 (TensorFlow wraps what a generator raises)
        go_on(killed, first)
    epochs = go_on(tiny_data, not first)["epochs"]
    assert ["val_accuracy" in epoch for epoch in epochs] == [first, first, not first]
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert "val_accuracy" in header.split(",")
    assert [row.count(",") for row in rows] == [header.count(",")] * 3


def test_two_trainings_at_once_in_one_folder_are_refused(tmp_path):
    run_dir = tmp_path / "run"
    with alone(run_dir):
        with pytest.raises(ValueError, match="run: another training is writing there"):
            train(tiny_net(), tiny_data(), run_dir=run_dir, **OPTIONS)
        assert list(run_dir.iterdir())
    assert not run_dir.exists()


def test_a_finished_run_says_so_and_returns_its_record(whole_run, capsys):
    name, trained, record, run_dir = whole_run
    before = (run_dir / "model.keras").read_bytes()
    again = tiny_net()
    assert train(again, tiny_data, run_dir=run_dir, recipe=name, **OPTIONS) == record
    assert "is finished (3 epochs)" in capsys.readouterr().out
    assert same_weights(again, trained)
    assert (run_dir / "model.keras").read_bytes() == before


def test_the_record_says_what_was_done(whole_run):
    name, model, record, run_dir = whole_run
    assert json.loads((run_dir / "record.json").read_text()) == record
    assert record["settings"]["recipe"] == name
    assert record["parameters"] == model.count_params()
    assert record["macs"] == count_macs(model)
    assert record["backend"] == keras.backend.backend()
    assert record["versions"]["keras"] == keras.__version__
    assert {"command", "git_commit", "device", "characters"} <= set(record)
    assert [epoch["epoch"] for epoch in record["epochs"]] == [1, 2, 3]
    assert record["images_per_second"] > 0
    assert record["seconds"] == pytest.approx(sum(e["seconds"] for e in record["epochs"]), abs=0.01)
    with open(run_dir / "log.csv", newline="", encoding="utf-8") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == record["epochs"]


def test_melnyk_divides_the_rate_by_what_training_reached(whole_run):
    name, _, record, _ = whole_run
    rates = [epoch["learning_rate"] for epoch in record["epochs"]]
    first, second, _ = (epoch["accuracy"] for epoch in record["epochs"])
    if name == "melnyk":
        assert rates == [0.1, 0.01, 0.01 if second > first else 0.001]
    else:
        assert rates[0] < rates[1] > rates[2]  # as each epoch begins: warming up, cooling down


def test_the_saved_network_is_the_trained_one(whole_run):
    _, model, _, run_dir = whole_run
    loaded = keras.saving.load_model(run_dir / "model.keras")
    images = tiny_data()[0][..., None]
    np.testing.assert_array_equal(loaded.predict_on_batch(images), model.predict_on_batch(images))
    assert len(loaded.losses) == len(tiny_net().losses)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 4}, "epochs=3.*Received: epochs=4"),
        ({"seed": 1}, "seed=0.*Received: seed=1"),
        ({"learning_rate": 0.5}, "learning_rate=.*Received: learning_rate=0.5"),
        ({"characters": "abc"}, "characters=None.*Received: characters='abc'"),
        ({"description": "other"}, "description=None.*Received: description='other'"),
    ],
)
def test_a_folder_of_another_run_is_refused(whole_run, change, named):
    name, _, _, run_dir = whole_run
    with pytest.raises(ValueError, match=named):
        train(tiny_net(), tiny_data, run_dir=run_dir, recipe=name, **{**OPTIONS, **change})


def test_an_unfinished_run_is_not_continued_with_other_data(tmp_path):
    def killed(epoch):
        if epoch == 1:
            raise Killed
        return tiny_data()

    options = {"run_dir": tmp_path, **OPTIONS}
    with pytest.raises(Killed):
        train(tiny_net(), killed, **options)
    with pytest.raises(ValueError, match=r"holds a run with data=.*Received"):
        train(tiny_net(), tiny_data(), **options)
    with pytest.raises(ValueError, match=r"holds a run with batch_size=16.*Received: batch_size=8"):
        train(tiny_net(), tiny_data, **{**options, "batch_size": 8})


def test_it_learns_and_generates_ahead_in_a_thread(tmp_path):
    threads = []

    def data(epoch):
        threads.append(threading.current_thread())
        return tiny_data(epoch, n=320)

    keras.utils.set_random_seed(0)
    record = train(
        tiny_net(),
        data,
        run_dir=tmp_path,
        epochs=10,
        batch_size=16,
        learning_rate=0.01,
        validation=tiny_data(99, n=60),
        characters="一二三",
        verbose=0,
    )
    assert record["epochs"][-1]["val_accuracy"] > 0.9
    assert record["characters"] == "一二三"
    assert len(threads) == 10
    assert threading.main_thread() not in threads[1:]


def test_the_images_of_past_epochs_are_let_go(tmp_path):
    made = []

    def fresh(epoch):
        gc.collect()
        assert sum(images() is not None for images in made) <= 2  # this epoch's and the next one's
        images, labels = tiny_data(epoch)
        made.append(weakref.ref(images))
        return images, labels

    train(tiny_net(), fresh, run_dir=tmp_path, epochs=5, workers=2, verbose=0)
    assert len(made) == 5


def test_l2_is_left_out_unless_the_recipe_is_the_papers(tmp_path):
    for name in ("fast", "muon", "melnyk"):
        model = tiny_net()
        for weight in model.trainable_weights:
            if weight.regularizer is not None:
                weight.regularizer = keras.regularizers.L2(1000)
        record = train(model, tiny_data, run_dir=tmp_path / name, recipe=name, epochs=1, verbose=0)
        assert (record["epochs"][0]["loss"] > 1000) == (name == "melnyk")
        assert len(model.losses) == 3


def test_the_melnyk_schedule():
    melnyk = recipe("melnyk")
    assert (melnyk.epochs, melnyk.batch_size, melnyk.learning_rate) == (40, 256, 0.1)
    accuracies = [0.5, 0.6, 0.7, 0.7, 0.8, 0.75, 0.79, 0.9]
    rates = [melnyk.epoch_rate(0.1, accuracies[:epoch]) for epoch in range(9)]
    #        epoch 0, then ten times less; the 4th, 6th and 7th epochs bring nothing new
    expected = [1e-1, 1e-2, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-5]
    np.testing.assert_allclose(rates, expected)
    optimizer = melnyk.optimizer(0.1, 100)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.momentum == 0.9


@pytest.mark.parametrize("name", ["fast", "muon"])
def test_the_schedule_rises_then_falls(name):
    optimizer = recipe(name).optimizer(0.002, 200)
    rates = []
    for step in range(201):
        optimizer.iterations.assign(step)
        rates.append(float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
    peak = int(np.argmax(rates))
    assert peak == 10
    assert rates[peak] == pytest.approx(0.002)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 0.01 * rates[peak]


def stepped(optimizer, values, gradients):
    """What one step makes of these values, decay left out: the changes."""
    variables = [keras.Variable(value, name="kernel") for value in values]
    optimizer.exclude_from_weight_decay(variables)
    optimizer.apply(gradients, variables)
    return [keras.ops.convert_to_numpy(v) - old for v, old in zip(variables, values, strict=True)]


@pytest.mark.parametrize("shape", [(3, 3, 5, 7), (1, 1, 9, 30)])
def test_muon_makes_all_directions_of_a_convolutions_step_equally_long(shape):
    rng = np.random.default_rng(3)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    # A gradient as ill-conditioned as those of a network: singular values 1 to 1/30.
    left, _, right = np.linalg.svd(rng.normal(size=(rows, columns)), full_matrices=False)
    gradient = (left * np.geomspace(1, 1 / 30, len(right))) @ right
    gradient, value = gradient.reshape(shape).astype("float32"), rng.normal(size=shape)
    optimizer = recipe("muon").optimizer(0.02, 10)
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    (change,) = stepped(optimizer, [value.astype("float32")], [gradient])
    lengths = np.linalg.svd(change.reshape(rows, columns), compute_uv=False)
    # Five iterations bring what lies between 1/30 and 1 to between 0.7 and 1.2 (Jordan et al.).
    assert lengths / (0.2 * rate * math.sqrt(max(rows, columns))) == pytest.approx(0.95, abs=0.27)
    # As large as a step of Adam's that is 0.2 of the rate for each weight.
    assert np.sqrt(np.mean(change**2)) == pytest.approx(0.2 * rate, rel=0.25)
    # Downhill, in the directions of the gradient.
    towards = -(left.T @ change.reshape(rows, columns) @ right.T)
    assert (np.diag(towards) > 0.5 * lengths.min()).all()


def test_muon_does_not_ask_how_large_a_gradient_is():
    rng = np.random.default_rng(4)
    value, gradient = rng.normal(size=(2, 3, 3, 4, 6)).astype("float32")
    changes = [
        stepped(recipe("muon").optimizer(0.01, 10), [value], [scale * gradient])[0]
        for scale in (1.0, 1000.0)
    ]
    np.testing.assert_allclose(*changes, rtol=1e-3, atol=1e-8)


def test_muon_goes_along_what_earlier_gradients_have_left():
    rng = np.random.default_rng(6)
    value, *gradients = rng.normal(size=(4, 3, 3, 4, 6)).astype("float32")
    optimizer = recipe("muon").optimizer(0.02, 10)
    variable = keras.Variable(value, name="kernel")
    optimizer.exclude_from_weight_decay([variable])
    expected, momentum = value.astype(float), 0.0
    for gradient in gradients:
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        optimizer.apply([gradient], [variable])
        momentum = 0.95 * momentum + gradient.astype(float)
        x = (gradient + 0.95 * momentum).reshape(36, 6).T
        x /= np.linalg.norm(x)
        for _ in range(5):
            s = x @ x.T
            x = 3.4445 * x - 4.7750 * s @ x + 2.0315 * s @ s @ x
        expected -= 0.2 * 6 * rate * x.T.reshape(value.shape)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), expected, atol=1e-5)


def test_muon_leaves_what_is_no_convolution_of_features_to_adam():
    rng = np.random.default_rng(5)
    # First layer, one filter for each channel, GWAP, dense kernel, bias.
    shapes = [(3, 3, 1, 8), (3, 3, 8, 1), (6, 6, 8), (8, 9), (9,)]
    values, gradients = (
        [rng.normal(size=shape).astype("float32") for shape in shapes] for _ in range(2)
    )
    changes = [stepped(recipe(n).optimizer(0.01, 10), values, gradients) for n in ("muon", "fast")]
    for muons, adams in zip(*changes, strict=True):
        np.testing.assert_allclose(muons, adams, rtol=1e-4)


@pytest.mark.parametrize("name", ["fast", "muon"])
def test_weights_decay_but_not_those_that_normalise(name):
    optimizer = recipe(name).optimizer(0.02, 10)
    rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
    variables = {
        name: keras.Variable(np.ones(shape, "float32"), name=name)
        for name, shape in {"kernel": (3, 3, 4, 4), "dense": (4, 4), "gamma": (4,)}.items()
    }
    kernels = list(variables.values())
    optimizer.apply([keras.ops.zeros(v.shape) for v in kernels], kernels)
    left = {n: keras.ops.convert_to_numpy(v).min() for n, v in variables.items()}
    assert left["gamma"] == 1
    assert left["kernel"] == pytest.approx(1 - 0.05 * rate, abs=1e-7)
    assert left["dense"] == pytest.approx(1 - 0.05 * rate, abs=1e-7)


def test_an_unknown_recipe():
    with pytest.raises(ValueError, match=r"'mcanet', 'fast', 'muon'\. Received: 'slow'"):
        recipe("slow")


IMAGES, LABELS = tiny_data()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((IMAGES[:0], LABELS[:0]), ValueError, r"no images. Received: shape \(0, 16, 16\)"),
        ((IMAGES[:, :8], LABELS), ValueError, r"\(16, 16, 1\). Received: \(70, 8, 16\)"),
        ((IMAGES.astype(float), LABELS), ValueError, "Received: dtype float64"),
        ((IMAGES, LABELS + 1), ValueError, "0..2; 23 are not.*index 2. Received: 3"),
        ((IMAGES, LABELS - 1), ValueError, "index 0. Received: -1"),
        ((IMAGES, LABELS[1:]), ValueError, r"\(70,\). Received: int32 \(69,\)"),
        ((IMAGES, LABELS.astype(float)), ValueError, "Received: float64"),
        ((IMAGES.tolist(), LABELS), TypeError, "Received: <class 'list'>"),
        ((IMAGES[LABELS > 0], LABELS[LABELS > 0]), ValueError, "1 of 3 classes.* 一 .*Received: 2"),
        (lambda epoch: (IMAGES, LABELS + 9), ValueError, "Received: 9"),
    ],
)
def test_data_that_cannot_be_learned_from_is_named(data, error, message, tmp_path):
    run_dir = tmp_path / "run"
    with pytest.raises(error, match=message):
        train(tiny_net(), data, run_dir=run_dir, characters="一二三", **OPTIONS)
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": (IMAGES, LABELS + 1)}, "validation: labels must be in 0..2"),
        ({"validation": (IMAGES[:0], LABELS[:0])}, "validation: there are no images"),
        ({"characters": "一二"}, "3 classes once. Received: 2 names"),
        ({"characters": "一一二"}, "Received: 3 names, 2 different"),
        ({"epochs": 0}, "Received: epochs=0"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"recipe": "slow"}, "Received: 'slow'"),
        ({"learning_rate": 0.0}, "Received: learning_rate=0.0"),
        ({"learning_rate": float("nan")}, "Received: learning_rate=nan"),
    ],
)
def test_settings_that_cannot_work_are_named(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train(tiny_net(), tiny_data(), run_dir=tmp_path / "run", **{**OPTIONS, **options})


@pytest.mark.parametrize("saves", [0, 1, 4])
def test_a_full_disk_stops_a_run_which_then_resumes(whole_run, saves, tmp_path, monkeypatch):
    """HDF5 crashes the process when the disk fills up under it, so it must not come to that."""
    name, expected, _, _ = whole_run
    run_dir = tmp_path / "run"
    options = {"run_dir": run_dir, "recipe": name, **OPTIONS}
    keras.utils.set_random_seed(1)
    asked = []

    def free(folder):
        asked.append(folder)
        return shutil.disk_usage(tmp_path)._replace(free=0 if len(asked) > saves else 1 << 40)

    with monkeypatch.context() as patch:
        patch.setattr(record_module, "disk_usage", free)
        with pytest.raises(OSError, match=r"No space left on device: '.*run'"):
            train(tiny_net(), tiny_data, **options)
    assert not list(run_dir.rglob("*part*"))
    if saves == 0:
        assert not list(run_dir.rglob("*.*"))
        keras.utils.set_random_seed(1)
    resumed = tiny_net()
    train(resumed, tiny_data, **options)
    assert same_weights(resumed, expected)


@pytest.mark.parametrize("content", ["[]", "{}", '{"finished": true}', "no json"])
def test_a_record_of_other_origin_is_named(content, tmp_path):
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(ValueError, match=r"record\.json: not the record of a training run"):
        train(tiny_net(), tiny_data(), run_dir=tmp_path, **OPTIONS)
    assert (tmp_path / "record.json").read_text() == content


def test_missing_classes_can_be_intended(tmp_path):
    some = LABELS > 0
    data = (IMAGES[some], LABELS[some])
    record = train(
        tiny_net(), data, run_dir=tmp_path, allow_missing_classes=True, verbose=0, epochs=1
    )
    assert record["finished"]


def test_epochs_of_different_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"as the first, 70\. Received: 71 in epoch 1"):
        train(tiny_net(), lambda e: tiny_data(e, 70 + e), run_dir=tmp_path, **OPTIONS)
