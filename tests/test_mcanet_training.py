"""MCANet trained with its losses in a run: resumed with its centers, saved without them."""

import keras
import numpy as np
import pytest
from keras import ops

from hccr_lib import cli_networks
from hccr_lib.evaluation import load_model
from hccr_lib.models import comparative_losses, melnyk_net, transfer
from hccr_lib.models.mcanet import mcanet
from hccr_lib.training import recipe, train

CLASSES = "一二三"
SMALL = {"num_classes": len(CLASSES), "width": 0.1, "input_size": 16}
OPTIONS = {"epochs": 3, "batch_size": 8, "verbose": 0, "characters": CLASSES}


def data(epoch=0):
    rng = np.random.default_rng(epoch)
    labels = np.arange(24, dtype=np.int32) % 3
    images = rng.integers(0, 100, (24, 16, 16)) + 50 * labels[:, None, None]
    return images.astype(np.uint8), labels


def small_mcanet(seed):
    keras.utils.set_random_seed(seed)
    return mcanet(2, **SMALL)


def with_losses(model):
    return comparative_losses.comparative(model)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("whole") / "run"
    model, fitted = small_mcanet(1), []

    def remembered(network):
        fitted.append(with_losses(network))
        return fitted[0]

    record = train(model, data, run_dir=run_dir, losses=remembered, **OPTIONS)
    return model, fitted[0], record, run_dir


def test_interrupted_it_ends_with_the_same_weights_and_centers(whole, tmp_path):
    expected, fitted, record, _ = whole
    again = []

    def remembered(network):
        again.append(with_losses(network))
        return again[-1]

    def stopping(epoch):
        if epoch == 2:
            raise RuntimeError("killed")
        return data(epoch)

    options = {"run_dir": tmp_path, "losses": remembered, **OPTIONS}
    with pytest.raises(RuntimeError, match="killed"):
        train(small_mcanet(1), stopping, **options)
    resumed = small_mcanet(2)
    received = train(resumed, data, **options)
    for one, other in zip(resumed.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for number in (1, 2):
        centers = [
            ops.convert_to_numpy(model.get_layer(f"centers{number}").centers)
            for model in (again[-1], fitted)
        ]
        np.testing.assert_array_equal(*centers)
    assert [epoch["loss"] for epoch in received["epochs"]] == [
        epoch["loss"] for epoch in record["epochs"]
    ]


def test_the_losses_are_part_of_the_loss_and_of_the_record(whole, tmp_path):
    _, _, record, _ = whole
    plain = train(small_mcanet(1), data, run_dir=tmp_path, **OPTIONS)
    # At the start centers are far off: lambda times half of 80 squares, twice.
    assert record["epochs"][0]["loss"] > plain["epochs"][0]["loss"] + 2
    named = record["settings"]["losses"]
    assert named["contrastive"] == {"margin": 40, "weight": 0.1}
    assert named["centers2"] == {"num_classes": 3, "rate": 0.5, "weight": 0.1, "seed": 2}
    assert plain["settings"]["losses"] is None


def test_what_is_saved_is_the_network_alone(whole):
    trained, _, _, run_dir = whole
    saved, characters = load_model(run_dir)
    assert characters == list(CLASSES) or characters == CLASSES
    assert saved.name == "mcanet_2"
    images = data(5)[0][..., None]
    np.testing.assert_allclose(
        saved.predict(images, verbose=0), trained.predict(images, verbose=0), rtol=1e-5
    )


@pytest.mark.parametrize(
    "losses", [None, lambda model: comparative_losses.comparative(model, margin=1.0)]
)
def test_a_run_with_other_losses_is_refused(whole, losses):
    with pytest.raises(ValueError, match="holds a run with losses="):
        train(small_mcanet(1), data, run_dir=whole[3], losses=losses, **OPTIONS)


def test_validation_reads_the_labels_too(tmp_path):
    record = train(
        small_mcanet(1),
        data,
        run_dir=tmp_path,
        losses=with_losses,
        validation=data(7),
        **{**OPTIONS, "epochs": 1},
    )
    assert 0 <= record["epochs"][0]["val_accuracy"] <= 1


def test_the_mcanet_schedule():
    plan = recipe("mcanet")
    rates = [plan.epoch_rate(plan.learning_rate, [0.5] * done) for done in range(plan.epochs)]
    np.testing.assert_allclose(rates, np.repeat([0.1, 0.01, 0.001, 0.0001], 4))
    assert plan.keeps_regularizers
    assert plan.optimizer(0.1, 1).momentum == 0.9


@pytest.mark.parametrize("attentions", [0, 2])
def test_attending_keeps_the_convolutions(attentions):
    keras.utils.set_random_seed(4)
    model = melnyk_net("C", **SMALL)
    other = transfer.attending(model, attentions, dropout=0.25)
    built = mcanet(attentions, **SMALL)
    assert other.name == built.name
    assert [w.shape for w in other.weights] == [w.shape for w in built.weights]
    assert other.get_layer("dropout").rate == 0.25
    trunks = [keras.Model(m.inputs[0], m.get_layer("conv5_3_relu").output) for m in (model, other)]
    images = data()[0][..., None]
    np.testing.assert_allclose(*(t.predict(images, verbose=0) for t in trunks), rtol=1e-5)
    for weight in other.weights:  # the two share nothing
        weight.assign(np.zeros(weight.shape))
    assert trunks[0].predict(images, verbose=0).any()


def test_what_cannot_attend_or_grow():
    with pytest.raises(ValueError, match="has no pooling of a Melnyk-Net"):
        transfer.attending(mcanet(1, **SMALL), 2)
    with pytest.raises(ValueError, match="mcanet_1 reads images of one size only"):
        transfer.enlarged(mcanet(1, **SMALL), 32)


@pytest.mark.parametrize(
    "attentions, names, layers",
    [
        (0, None, None),
        (1, None, ["centers1"]),
        (2, None, ["contrastive", "centers1", "centers2"]),
        (3, "image,contrastive", ["contrastive", "centers"]),
        (2, "none", None),
    ],
)
def test_losses_by_name(attentions, names, layers):
    model = mcanet(attentions, **SMALL)
    losses = cli_networks.losses_of(model, names, new_head=False)
    if layers is None:
        assert losses is None
    else:
        added = {layer.name for layer in losses(model).layers} - {x.name for x in model.layers}
        assert added >= set(layers)
        assert not {"contrastive", "centers", "centers1"} & (added - set(layers))


@pytest.mark.parametrize(
    "attentions, names, message",
    [
        (2, "region,image", "must be none, or contrastive"),
        (2, "contrast", "Received: contrast"),
        (2, "", "must be none"),
        (1, "contrastive", "needs two attentions; the network has 1"),
        (0, "contrastive,region", "needs two attentions; the network has 0"),
    ],
)
def test_losses_that_cannot_be(attentions, names, message):
    with pytest.raises(ValueError, match=message):
        cli_networks.losses_of(mcanet(attentions, **SMALL), names, new_head=True)
    with pytest.raises(ValueError, match="--losses is for MCANet"):
        cli_networks.losses_of(melnyk_net("A", **SMALL), names, new_head=True)


def test_a_new_head_learns_by_the_cross_entropy_first():
    model = mcanet(2, **SMALL)
    assert cli_networks.losses_of(model, None, new_head=True) is None
    assert cli_networks.losses_of(model, "region", new_head=True) is not None
