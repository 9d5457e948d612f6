"""ONNX files answer as the networks that they were made from."""

import keras
import numpy as np
import onnx
import pytest

pytest.importorskip("tensorflow", reason="the course writes ONNX on TensorFlow")
if keras.backend.backend() != "tensorflow":
    pytest.skip("the course writes ONNX on TensorFlow", allow_module_level=True)

import onnxruntime
from test_small_networks import opinionated
from typer.testing import CliRunner

from hccr_lib.cli import app
from hccr_lib.datasets.stream import fresh
from hccr_lib.evaluation import shipped
from hccr_lib.explain import cam
from hccr_lib.export import compare, export
from hccr_lib.inference import ONNX_FOLDER
from hccr_lib.models import mcanet, melnyk_net, resnet18, student
from hccr_lib.recognizer import DEFAULT_MODEL

CHARACTERS = "己已巳土士大太"
SETTINGS = {"num_classes": len(CHARACTERS), "width": 0.125, "input_size": 32}
NETWORKS = {
    "gap": lambda: melnyk_net("A", **SETTINGS),
    "gwoap": lambda: melnyk_net("B", **SETTINGS),
    "gwap": lambda: melnyk_net("C", **SETTINGS),
    "student": lambda: student(**SETTINGS),
    "resnet18": lambda: resnet18(**SETTINGS),
}


def random(model):
    """As if trained: statistics of normalization that are not those of the beginning, logits."""
    keras.utils.set_random_seed(7)
    rng = np.random.default_rng(7)
    for weight in model.weights:
        if "moving_variance" in weight.name:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
        elif "beta" in weight.name or "moving_mean" in weight.name:
            weight.assign(rng.normal(0, 0.1, weight.shape))
    return opinionated(model, pictures(16, model.input_shape[1]))


def pictures(n, side=32, seed=0):
    """Strokes of pens: what is quantized for these is not what it would be for noise."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, side, side), np.uint8)
    for image in images:
        for _ in range(3):
            row, column = rng.integers(2, side - 8, 2)
            image[row : row + 2, column : column + rng.integers(4, side - column)] = 255
            image[row : row + rng.integers(4, side - row), column : column + 2] = 200
    return images


def answers(path, images):
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    given = session.run(names, {"images": images[..., None].astype("float32")})
    return dict(zip(names, given, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_answers_as_the_network(name, tmp_path):
    model, file = random(NETWORKS[name]()), tmp_path / "net.onnx"
    assert export(model, file, CHARACTERS)
    for n in (1, 5):
        images = pictures(n)
        given = answers(file, images)
        known = model.predict(images[..., None], verbose=0)
        np.testing.assert_allclose(given["probabilities"], known, atol=1e-5)
        order = np.argsort(-known, axis=1, kind="stable")[:, :5]
        np.testing.assert_array_equal(given["classes"], order)
        assert given["classes"].dtype == np.int64
        maps = cam(model, images, order)
        np.testing.assert_allclose(given["maps"], maps, atol=1e-4 * np.ptp(maps))


@pytest.mark.parametrize("calibration", [None, 32], ids=["float32", "int8"])
def test_the_maps_of_a_file_add_up_to_the_logits(calibration, tmp_path):
    model, file = random(NETWORKS["gwap"]()), tmp_path / "net.onnx"
    images = None if calibration is None else pictures(calibration, seed=1)
    export(model, file, CHARACTERS, calibration=images, top=len(CHARACTERS))
    given = answers(file, pictures(3))
    bias = np.array(model.get_layer("characters").get_weights()[1])
    logits = given["maps"].sum((2, 3)) + bias[given["classes"]]
    known = np.log(np.take_along_axis(given["probabilities"], given["classes"], axis=1))
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True), known - known.mean(1, keepdims=True), atol=1e-3
    )


def test_a_head_without_maps_gives_probabilities_alone(tmp_path):
    model, file = mcanet(2, **SETTINGS), tmp_path / "net.onnx"
    assert not export(model, file, CHARACTERS)
    images = pictures(4)
    given = answers(file, images)
    assert list(given) == ["probabilities"]
    np.testing.assert_allclose(
        given["probabilities"], model.predict(images[..., None], verbose=0), atol=1e-5
    )


def test_a_network_trained_in_half_precision_is_written_in_full(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = random(NETWORKS["gwap"]())
    finally:
        keras.config.set_dtype_policy("float32")
    full = NETWORKS["gwap"]()
    full.set_weights(half.get_weights())
    export(half, tmp_path / "net.onnx", CHARACTERS)
    images = pictures(4)
    np.testing.assert_allclose(
        answers(tmp_path / "net.onnx", images)["probabilities"],
        full.predict(images[..., None], verbose=0),
        atol=1e-5,
    )


def test_int8_is_smaller_and_answers_nearly_alike(tmp_path):
    model = random(melnyk_net("C", **SETTINGS | {"width": 0.5}))
    files = [tmp_path / "float32.onnx", tmp_path / "int8.onnx"]
    for file, calibration in zip(files, (None, pictures(64, seed=1)), strict=True):
        export(model, file, CHARACTERS, calibration=calibration)
    assert files[1].stat().st_size < files[0].stat().st_size / 2
    kinds = {array.data_type for array in onnx.load(files[1]).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    exact, near = (compare(file, model, pictures(64, seed=2)) for file in files)
    assert exact["same_answer"] == 1 and exact["probability"] < 1e-5 and exact["map"] < 1e-4
    assert near["same_answer"] > 0.9 and near["n"] == 64
    assert exact["probability"] < near["probability"] < 0.2


def test_large_arrays_of_an_int8_file_are_kept_in_half_precision(tmp_path, monkeypatch):
    model = random(NETWORKS["gwap"]())
    found = []
    for large in (2**18, 300):
        monkeypatch.setattr("hccr_lib.export._LARGE", large)
        export(model, tmp_path / "net.onnx", CHARACTERS, calibration=pictures(32, seed=1))
        kinds = {array.data_type for array in onnx.load(tmp_path / "net.onnx").graph.initializer}
        found.append(
            (
                onnx.TensorProto.FLOAT16 in kinds,
                compare(tmp_path / "net.onnx", model, pictures(32))["probability"],
            )
        )
    (plain, near), (halved, nearly) = found
    assert (plain, halved) == (False, True)
    assert nearly == pytest.approx(near, abs=0.02)


def test_a_file_knows_what_it_reads(tmp_path):
    export(student(**SETTINGS), tmp_path / "net.onnx", CHARACTERS)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert session.get_modelmeta().custom_metadata_map == {
        "network": "student",
        "characters": CHARACTERS,
        "input_size": "32",
        "precision": "float32",
    }


@pytest.mark.parametrize(
    ("characters", "calibration", "message"),
    [
        ("己已", None, "each of the 7 classes"),
        (["己己", *"已巳土士大太"], None, "by one character"),
        (CHARACTERS, np.zeros((3, 16, 16), np.uint8), r"must have the shape \('n', 32, 32, 1\)"),
        (CHARACTERS, np.zeros((0, 32, 32), np.uint8), "n at least 1"),
        (CHARACTERS, np.full((3, 32, 32), np.nan), "finite"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    characters, calibration, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        export(student(**SETTINGS), tmp_path / "net.onnx", characters, calibration=calibration)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_and_compares(tmp_path, monkeypatch):
    model = random(NETWORKS["gwap"]())
    model.save(tmp_path / "model.keras")
    record = f'{{"finished": true, "settings": {{}}, "epochs": [], "characters": "{CHARACTERS}"}}'
    (tmp_path / "record.json").write_text(record, encoding="utf-8")
    out = tmp_path / "new" / "net.onnx"
    result = CliRunner().invoke(app, ["export", str(tmp_path), str(out)])
    assert result.exit_code == 0, result.output
    assert "with maps" in result.output and "100.0 %" in result.output
    assert answers(out, pictures(2))["probabilities"].shape == (2, 7)
    for arguments in ([str(tmp_path), str(tmp_path / "net.pb")], ["no-such-network", str(out)]):
        result = CliRunner().invoke(app, ["export", *arguments])
        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("file", sorted(ONNX_FOLDER.glob("*.onnx")), ids=lambda file: file.stem)
def test_the_files_that_ship_are_of_the_weights_that_ship(file):
    images, _ = fresh("大小木口山永汉字学习土士未末", 56, seed=11)
    found = compare(file, shipped(file.stem), images)
    assert found["same_answer"] > 0.9
    assert found["map"] < 0.1  # of other weights they would be other maps altogether


def test_the_recognizers_network_ships():
    assert (ONNX_FOLDER / f"{DEFAULT_MODEL}.onnx").is_file()
