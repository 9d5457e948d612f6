"""What the networks read: the benchmark that records it, and the record."""

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import Dataset
from hccr_lib.models.weights import pretrained_file, pretrained_networks, pretrained_record

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "data" / "results" / "real.json"
spec = importlib.util.spec_from_file_location("real", ROOT / "benchmarks" / "real.py")
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)


def toy_network(bias):
    """A network of 7 classes on 16x16 images whose bias decides many answers."""
    layers = [keras.Input((16, 16, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(7, "softmax", name="characters")])
    rng = np.random.default_rng(0)
    model.get_layer("characters").set_weights([rng.normal(0, 0.2, (256, 7)), bias])
    return model


def toy_images(n=50):
    return np.random.default_rng(1).integers(0, 256, (n, 16, 16), np.uint8)


def test_answers_with_and_without_bias_are_those_of_the_logits(monkeypatch):
    monkeypatch.setattr(real, "_CHUNK", 16)  # 50 images: three chunks and a rest
    bias = np.linspace(-3, 3, 7)
    model = toy_network(bias)
    read = real.answers(model, toy_images(), temperature=2.5)
    kernel = ops.convert_to_numpy(model.get_layer("characters").kernel).astype(float)
    logits = toy_images().reshape(50, 256) / 255 @ kernel
    best = np.argsort(-(logits + bias), axis=1)[:, :5]
    np.testing.assert_array_equal(read["top5"], best)
    np.testing.assert_array_equal(read["without_bias"], logits.argmax(axis=1))
    assert (read["without_bias"] != best[:, 0]).any()
    p = np.exp(logits + bias)
    np.testing.assert_allclose(read["probability"], (p / p.sum(1, keepdims=True)).max(1), rtol=1e-4)
    p = p ** (1 / 2.5)
    np.testing.assert_allclose(read["tempered"], (p / p.sum(1, keepdims=True)).max(1), rtol=1e-4)


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_the_temperature_is_fitted_to_the_lesson(monkeypatch, scale):
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 2, (3000, 9))
    # Labels drawn with just the probabilities that these logits state.
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    asked = {}

    def fresh(characters, n, **options):
        asked.update(options, characters=characters, n=n)
        return np.zeros((3000, 96, 96), np.uint8), labels

    def predict(model, images):
        assert (images == 7).all(), "not on paper"
        p = np.exp(scale * logits)
        return p / p.sum(axis=1, keepdims=True)

    monkeypatch.setattr(real, "fresh", fresh)
    monkeypatch.setattr(real, "on_paper", lambda images, rng: images + np.uint8(7))
    monkeypatch.setattr(real, "predict", predict)
    assert real.temperature_of(None) == pytest.approx(scale, rel=0.05)
    assert asked == {"characters": LEVEL1, "n": 3755, "seed": 2014, "copied": 0.6}


def test_a_summary_counts():
    labels = np.array([0, 1, 2, 3], np.int32)
    dataset = Dataset("toy", np.zeros((4, 16, 16), np.uint8), labels, labels // 2, {})
    top5 = np.array([[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [9, 8, 7, 6, 5], [3, 1, 2, 0, 4]])
    read = {"top5": top5, "without_bias": np.array([0, 1, 9, 9])}
    found = real.summary(dataset, read)
    assert (found["n"], found["characters"]) == (4, 4)
    assert (found["top1"]["hits"], found["top5"]["hits"]) == (2, 3)
    assert [found["without_bias"][k] for k in ("hits", "only_with_bias", "only_without")] == [
        2,
        1,
        1,
    ]
    assert {w: s["hits"] for w, s in found["writers"].items()} == {"0": 1, "1": 1}
    wrong = real.mistakes(labels, top5[:, 0])
    assert wrong["pairs"] == {LEVEL1[1] + LEVEL1[0]: 1, LEVEL1[2] + LEVEL1[9]: 1}
    assert wrong["errors"] == {LEVEL1[1]: 1, LEVEL1[2]: 1}


def test_reliability_leaves_no_answer_out():
    p = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    bins = real.reliability(p, np.array([True, False, True, True, False]))
    assert [b["n"] for b in bins] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert [b["hits"] for b in bins] == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert sum(b["probability"] for b in bins) == pytest.approx(p.sum(), abs=0.02)


@pytest.fixture(scope="module")
def networks():
    if not RECORD.exists():
        pytest.skip("no record yet: make weights, then benchmarks/real.py")
    return json.loads(RECORD.read_text(encoding="utf-8"))["networks"]


def test_the_record_is_of_the_weights_that_are_shipped(networks):
    shipped = {n: pretrained_record(pretrained_file(n))["sha256"] for n in pretrained_networks()}
    assert shipped == {n: each["sha256"] for n, each in networks.items() if n in shipped}


def test_the_record_agrees_with_itself(networks):
    for each in networks.values():
        surer = each["temperature"] < 1  # divided by it, logits make every first answer surer
        for result in each["datasets"].values():
            right = result["top1"]["hits"]
            without = result["without_bias"]
            assert without["hits"] == right - without["only_with_bias"] + without["only_without"]
            if "images" in result:
                images = result["images"]
                written, top5 = images["written"], images["top5"]
                assert len(written) == len(top5) == len(images["probability"]) == result["n"]
                assert len(images["tempered"]) == result["n"]
                moved = np.array(images["tempered"]) - np.array(images["probability"])
                assert (moved if surer else -moved).min() >= -1e-4
                # They move with the logarithm of the temperature, up to what rounding leaves.
                turn = abs(np.log(each["temperature"]))
                assert 0.1 * turn - 1e-4 < abs(moved).max() < 10 * turn + 1e-4
                assert abs(moved).max() > 0
                assert right == sum(w == t[0] for w, t in zip(written, top5, strict=True))
            else:
                stated = {}
                for key, bins in result["reliability"].items():
                    assert right == sum(b["hits"] for b in bins)
                    stated[key] = sum(b["probability"] for b in bins)
                assert (stated["tempered"] > stated["probability"]) == surer
                assert right == result["n"] - sum(result["errors"].values())


def test_the_record_is_small_enough_to_ship(networks):
    assert RECORD.stat().st_size < 100_000 * len(networks)


def test_a_network_is_recorded_as_it_says_it_and_at_its_temperature(monkeypatch):
    layers = [keras.Input((16, 16, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3755, "softmax", name="characters")])
    kernel = np.random.default_rng(3).normal(0, 0.5, (256, 3755))
    model.get_layer("characters").set_weights([kernel, np.zeros(3755)])
    monkeypatch.setattr(real, "load_model", lambda _: (model, LEVEL1))
    monkeypatch.setattr(real, "weights_hash", lambda _: "hash")
    monkeypatch.setattr(real, "width", lambda *_: 1)
    monkeypatch.setattr(real, "temperature_of", lambda _: 0.25)
    labels = np.arange(50, dtype=np.int32)
    seen, made = (Dataset(name, toy_images(), labels, labels % 2, {}) for name in ("seen", "made"))
    found = real.evaluated("toy", [seen], made)
    assert found["temperature"] == 0.25
    p = real.predict(model, toy_images()).astype(float)
    stated = {"probability": p.max(axis=1)}
    p = p**4
    stated["tempered"] = (p / p.sum(axis=1, keepdims=True)).max(axis=1)
    for key, expected in stated.items():
        images, bins = (found["datasets"][name] for name in ("seen", "made"))
        np.testing.assert_allclose(images["images"][key], expected, atol=1e-4)
        total = sum(each["probability"] for each in bins["reliability"][key])
        assert total == pytest.approx(expected.sum(), abs=0.06)
    assert stated["tempered"].sum() > stated["probability"].sum() + 2  # they can't be mixed up


def test_what_was_read_on_other_images_is_read_again(tmp_path):
    file, read_on = tmp_path / "real.json", {"version": 4, "writers": 8, "seed": 1}
    assert real.recorded(file, read_on, ["a"]) == {}
    networks = {"x": {"datasets": {"a": 0, "b": 0}}, "y": {"datasets": {"a": 0}}}
    file.write_text(json.dumps({"synthetic": read_on, "networks": networks}))
    assert set(real.recorded(file, read_on, ["a"])) == {"y"}
    assert set(real.recorded(file, read_on, ["a", "b"])) == {"x"}
    assert real.recorded(file, {**read_on, "version": 5}, ["a"]) == {}


def test_a_network_that_is_not_asked_for_stays_in_the_record(tmp_path, monkeypatch):
    out = tmp_path / "real.json"
    monkeypatch.setattr(real, "pretrained_networks", lambda: ["one", "two", "three"])
    monkeypatch.setattr(real, "weights_hash", lambda name: f"new {name}")
    monkeypatch.setattr(real, "find", lambda *_: None)
    toy = Dataset("synthetic", np.zeros((1, 2, 2), np.uint8), np.zeros(1), np.zeros(1), {})
    monkeypatch.setattr(real, "load", lambda *_, **__: toy)
    read = {"datasets": {"synthetic": 0}}
    monkeypatch.setattr(real, "evaluated", lambda name, *_: {"sha256": f"new {name}", **read})

    def written(*names):
        monkeypatch.setattr(real.sys, "argv", ["real.py", *names, "--out", str(out)])
        real.main()
        return json.loads(out.read_text())["networks"]

    written()
    record = json.loads(out.read_text())
    record["networks"]["three"]["sha256"] = "old three"
    for name in ("one", "two"):
        record["networks"][name]["git_commit"] = "earlier"
    out.write_text(json.dumps(record))
    found = written("two", "a-run")
    assert list(found) == ["one", "two", "a-run"]  # the third one's weights are others by now
    assert [found[name]["git_commit"] for name in ("one", "two")] == ["earlier"] * 2
    assert list(written("a-run", "three")) == ["one", "two", "three", "a-run"]
