"""The command line: what it prints, and that bad input is one line and exit code 2."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import hccr_lib
from hccr_lib import cli_common, cli_images, training
from hccr_lib.characters import LEVEL1
from hccr_lib.cli import app
from hccr_lib.datasets import Sample, load, read_gnt, write_gnt
from hccr_lib.datasets.copybooks import copybooks
from hccr_lib.datasets.normalize import resize_images
from hccr_lib.evaluation import DEFAULT_MODEL
from hccr_lib.models import backend, melnyk_net, weights
from hccr_lib.training.batches import Batches

ROOT = Path(__file__).resolve().parents[1]
CLASSES = "己已巳大太犬"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HCCR_DATA_DIR", raising=False)


@pytest.fixture(autouse=True)
def any_processor(tmp_path, monkeypatch):
    """What is said does not depend on the processor that the tests run on."""
    monkeypatch.setattr(backend, "CPUINFO", tmp_path / "none")


def hccr(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("asked", "taken"), [(None, "1"), ("0", "0")])
def test_onednn_computes_unless_told_otherwise(asked, taken, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if asked is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", asked)
    cli_common.import_backend()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == taken


def succeeds(*arguments):
    result = hccr(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def fails(*arguments):
    """The one line on stderr of a command that is given bad input."""
    result = hccr(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("hccr: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The folder of a small untrained network of six classes, as a finished run leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "six"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    model = melnyk_net("C", num_classes=len(CLASSES), width=0.1, input_size=16)
    model.save(folder / "model.keras")
    (folder / "record.json").write_text(json.dumps({"characters": CLASSES}), encoding="utf-8")
    return folder


def gnt(path, characters):
    rng = np.random.default_rng(len(characters))
    write_gnt(path, [Sample(c, rng.integers(0, 256, (50, 40), np.uint8)) for c in characters])
    return path


def test_help_is_quick_and_teaches(tmp_path):
    code = (
        "import sys\nfrom hccr_lib.cli import app\ntry: app(['--help'])\n"
        "except SystemExit: pass\nprint(sorted({'keras', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"
    for command in ("recognize", "evaluate", "prepare", "synthesize", "train", "info"):
        assert command in run.stdout
    assert DEFAULT_MODEL in succeeds("evaluate", "--help")
    for command in ("evaluate", "prepare", "synthesize", "train"):
        assert f"hccr {command} " in succeeds(command, "--help")


def test_it_runs_as_a_module(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "hccr_lib", "prepare", str(tmp_path / "none.gnt")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert run.returncode == 2
    assert run.stderr == (
        f"hccr: {tmp_path / 'none.gnt'}: no dataset, file or folder of this name; known names: "
        "synthetic, icdar2013-sample, hwdb-sample, casia-hwdb\n"
    )


def test_evaluate_counts_what_an_independent_computation_counts(network, tmp_path):
    path = gnt(tmp_path / "a.gnt", CLASSES * 9 + "丁丁亍")
    result = json.loads(succeeds("evaluate", path, "--model", network, "--json", "--top", 3))
    model = keras.models.load_model(network / "model.keras")
    data = load(path, characters=CLASSES)
    images = resize_images(data.images, 16)[..., None].astype(np.float32)
    probabilities = np.asarray(model.predict(images, verbose=0), np.float64)
    truth = probabilities[np.arange(len(data)), data.labels]
    rank = (probabilities > truth[:, None]).sum(axis=1)
    assert result["n"] == 54
    for k in (1, 3, 5):
        assert result[f"top{k}"] == pytest.approx((rank < k).mean())
    assert result["skipped"] == {"outside level 1": 1, "not among the characters asked for": 2}
    assert result["classes"] == 6
    assert result["seconds"] > 0


def test_evaluate_in_words(network, tmp_path):
    path = gnt(tmp_path / "a.gnt", CLASSES + "丁")
    out = succeeds("evaluate", path, "--model", network / "model.keras")
    assert "top-1" in out
    assert " of 6" in out
    assert "skipped 1: not among the characters asked for" in out


def test_evaluate_reads_folders_of_pictures(network, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    image = np.full((40, 40), 255, np.uint8)
    image[10:30, 18:22] = 0
    Image.fromarray(image).save(folder / "大.png")
    assert json.loads(succeeds("evaluate", folder, "--model", network, "--json"))["n"] == 1


def test_skip_faulty(network, tmp_path):
    path = gnt(tmp_path / "a.gnt", CLASSES)
    path.write_bytes(path.read_bytes()[:-1])
    assert "a.gnt, byte 10050: the sample takes 2010 bytes" in fails(
        "evaluate", path, "--model", network
    )
    result = json.loads(succeeds("evaluate", path, "--model", network, "--json", "--skip-faulty"))
    assert (result["n"], result["skipped"]) == (5, {"truncated": 1})


def test_synthesize_then_prepare(tmp_path):
    out = tmp_path / "set"
    command = ("synthesize", out, "--characters", CLASSES, "--writers", 2, "--samples", 2)
    assert "24 samples of 6 characters by 2 writers" in succeeds(*command)
    before = {path: path.read_bytes() for path in out.glob("*.gnt")}
    assert len(before) == 2
    succeeds(*command)  # nothing changes
    assert {path: path.read_bytes() for path in out.glob("*.gnt")} == before
    assert "24 images, 6 characters, 2 writers" in succeeds("prepare", out)
    assert "choose another folder" in fails(*command, "--seed", 1)


def test_characters_may_be_a_text_a_file_or_a_dataset(tmp_path):
    listing = tmp_path / "characters.txt"
    listing.write_text("己 已\n巳\n", encoding="utf-8")
    source = gnt(tmp_path / "a.gnt", "巳己已己")
    found = []
    for number, given in enumerate(("己已巳", listing, source)):
        out = tmp_path / str(number)
        succeeds("synthesize", out, "--characters", given, "--writers", 1)
        found.append({sample.character for sample in read_gnt(out / "writer-00000.gnt")})
    assert found == [set("己已巳")] * 3


STARTS_AS_MEAN = ("--pooling-starts-as", "mean")
SMALL = ("--width", 0.1, "--input-size", 16, "--batch-size", 16, "--epochs", 1)


@pytest.fixture
def precision_again():
    before = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(before)


def test_train_on_fresh_handwriting_evaluate_and_go_on_with_real_samples(tmp_path, precision_again):
    run = tmp_path / "run"
    command = ("train", run, "--characters", CLASSES, *SMALL, "--images-per-epoch", 32)
    assert "1 epochs" in succeeds(*command)
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    assert record["characters"] == CLASSES
    assert "nothing to train" in succeeds(*command)
    samples = gnt(tmp_path / "a.gnt", CLASSES * 4)
    assert json.loads(succeeds("evaluate", samples, "--model", run, "--json"))["n"] == 24
    more = tmp_path / "more"
    command = ("train", more, "--data", samples, "--start-from", run, "--epochs", 1)
    succeeds(*command, "--batch-size", 8, "--validation", samples)
    record = json.loads((more / "record.json").read_text(encoding="utf-8"))
    assert record["characters"] == CLASSES
    assert "val_accuracy" in record["epochs"][0]
    assert "leave one of them out" in fails(*command, "--width", 0.5)
    assert "Received: input_size=8" in fails(*command, "--input-size", 8)
    larger = tmp_path / "larger"
    succeeds(
        "train", larger, "--data", samples, "--start-from", run, "--epochs", 1, "--input-size", 32
    )
    record = json.loads((larger / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["data"]["shape"] == [32, 32]
    half = ("train", run, "--characters", CLASSES, *SMALL, "--images-per-epoch", 32)
    assert "with dtype_policy='float32'" in fails(*half, "--precision", "mixed_bfloat16")


@pytest.fixture
def built(monkeypatch, precision_again):
    """The networks that `hccr train` would train, and the precision that it would record."""
    found = []

    def stand_in(model, data, **options):
        found.append((model, keras.config.dtype_policy().name))
        return {"epochs": [{"accuracy": 0}], "seconds": 0, "images_per_second": 0}

    monkeypatch.setattr(training, "train", stand_in)
    return found


def test_train_builds_what_its_options_say(tmp_path, built):
    options = ("--variant", "B", "--dropout", 0.2, "--pooling-starts-as", "mean")
    more = ("--width", 0.1, "--input-size", 32, "--precision", "mixed_bfloat16")
    command = ("train", tmp_path / "run", "--characters", CLASSES, "--images-per-epoch", 8)
    succeeds(*command, *options, *more)
    assert "Model A's pooling" in fails(*command, "--variant", "A", *STARTS_AS_MEAN)
    ((model, recorded),) = built
    assert model.get_layer("dropout").rate == 0.2
    np.testing.assert_array_equal(model.get_layer("gwoap").get_weights()[0], 0.25)  # of 2 x 2
    assert model.get_layer("conv1_1").compute_dtype == "bfloat16"
    assert recorded == "mixed_bfloat16"
    assert "--precision must be one of" in fails("train", "x", "--precision", "float8")


@pytest.mark.parametrize(
    ("known", "warned"),
    [
        ("flags : fpu avx2 f16c\n", True),
        ("flags : fpu amx_bf16 amx_tile\n", False),
        ("Features : fp asimd\n", True),
        ("Features : fp asimd bf16\n", False),
        ("model name : avx2\n", False),
        (None, False),
    ],
)
def test_train_says_where_bfloat16_is_only_imitated(tmp_path, built, monkeypatch, known, warned):
    cpuinfo = tmp_path / "cpuinfo"
    if known is not None:
        cpuinfo.write_text(known)
    monkeypatch.setattr(backend, "CPUINFO", cpuinfo)
    monkeypatch.setattr(backend, "accelerators", list)
    command = ("train", tmp_path / "run", "--characters", CLASSES, "--width", 0.1)
    command += ("--input-size", 16, "--images-per-epoch", 8)
    said = hccr(*command, "--precision", "mixed_bfloat16")
    assert said.exit_code == 0
    assert ("no instructions for bfloat16" in said.stderr) == warned
    assert hccr(*command, "--precision", "float32").stderr == ""
    monkeypatch.setattr(backend, "accelerators", lambda: ["gpu:0"])
    assert hccr(*command, "--precision", "mixed_bfloat16").stderr == ""


def test_train_goes_on_with_another_pooling_in_the_precision_of_the_network(
    tmp_path, network, built
):
    command = ("train", tmp_path / "run", "--start-from", network, "--images-per-epoch", 8)
    succeeds(*command, "--variant", "A", "--input-size", 32)
    assert "computes in float32" in fails(*command, "--precision", "mixed_bfloat16")
    keras.config.set_dtype_policy("mixed_bfloat16")
    succeeds(*command, "--precision", "float32")
    (model, _), (_, recorded) = built
    assert model.get_layer("gap").output.shape == (None, 48)
    assert model.input_shape == (None, 32, 32, 1)
    assert recorded == "float32"


def test_train_puts_mcanet_on_the_convolutions_of_another_network(tmp_path, network, built):
    command = ("train", tmp_path / "run", "--images-per-epoch", 8, "--attentions", 2)
    succeeds(*command, "--start-from", network, "--dropout", 0.1)
    succeeds(*command, "--characters", CLASSES, "--width", 0.1, "--input-size", 16)
    (going_on, _), (new, _) = built
    assert going_on.name == new.name == "mcanet_2"
    assert going_on.get_layer("dropout").rate == 0.1
    assert "--variant is not for MCANet" in fails(*command, "--variant", "A")
    assert "--width is that of --start-from" in fails(
        *command, "--start-from", network, "--width", 0.5
    )
    assert "--losses must be none" in fails(*command, "--losses", "centre")


def test_train_goes_on_from_the_mean_of_several(tmp_path, network, built):
    comma, plain = tmp_path / "other, with a comma", tmp_path / "plain"
    first = keras.models.load_model(network / "model.keras")
    second = keras.models.clone_model(first)  # with weights of its own
    for folder in (comma, plain):
        shutil.copytree(network, folder)
        second.save(folder / "model.keras")
    command = ("train", tmp_path / "run", "--images-per-epoch", 8, "--start-from")
    succeeds(*command, f"{network}, {plain}")
    succeeds(*command, comma)
    (mean, _), (alone, _) = built
    weights = [model.get_weights() for model in (first, second, mean, alone)]
    for one, other, between, same in zip(*weights, strict=True):
        np.testing.assert_allclose(between, (one + other) / 2, atol=1e-6)
        np.testing.assert_array_equal(same, other)
    assert "a name is missing" in fails(*command, f"{network},")
    (plain / "record.json").write_text(json.dumps({"characters": CLASSES[::-1]}), encoding="utf-8")
    assert "read other characters" in fails(*command, f"{network},{plain}")


def test_train_goes_on_with_another_dropout(tmp_path, network, built):
    command = ("train", tmp_path / "run", "--images-per-epoch", 8, "--start-from", network)
    succeeds(*command, "--dropout", 0.125)
    succeeds(*command)
    assert [model.get_layer("dropout").rate for model, _ in built] == [0.125, 0.5]
    assert "Received: dropout=1.0" in fails(*command, "--dropout", 1)


def test_train_teaches_a_student_what_another_network_knows(tmp_path, network):
    command = ("train", tmp_path / "run", "--network", "student", "--images-per-epoch", 8)
    command += ("--epochs", 1, "--batch-size", 8, "--start-from", network, "--teacher", network)
    succeeds(*command, "--losses", "logits ")  # as in a list with a space after the comma
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["network"].startswith("student ")
    taught = record["settings"]["losses"]["teaching"]
    assert (taught["logits"], taught["attention"], taught["pairs"]) == (1.0, 0.0, [])
    assert taught["teacher"].startswith("melnyk_net_c ")
    assert "--losses must be logits" in fails(*command, "--losses", "region")
    assert "--network, --variant and" in fails(*command, "--variant", "A")
    alone = ("train", tmp_path / "other", "--images-per-epoch", 8, "--network")
    assert "--network must be one of" in fails(*alone, "lenet", "--characters", CLASSES)
    assert "only a student takes over" in fails(*alone, "resnet18", "--start-from", network)
    fewer = ("--characters", CLASSES[:2], "--width", 0.1, "--input-size", 16)
    assert "must be the same" in fails(*alone, "student", *fewer, "--teacher", network)
    second = tmp_path / "second" / "model.keras"
    second.parent.mkdir()
    second.with_name("record.json").write_bytes((network / "record.json").read_bytes())
    melnyk_net("A", num_classes=len(CLASSES), width=0.1, input_size=16).save(second)
    two = ("train", tmp_path / "two", *command[2:-1], f"{network}, {second}")
    succeeds(*two)
    record = json.loads((tmp_path / "two" / "record.json").read_text(encoding="utf-8"))
    taught = record["settings"]["losses"]["teaching"]
    assert taught["teacher"].startswith("melnyk_net_c_and_melnyk_net_a ")
    assert "conv3_3_relu" in dict(taught["pairs"])  # it looks where the first one looks
    assert "nowhere" in fails(*two[:-1], f"{network},nowhere")
    assert "a name is missing beside a comma" in fails(*two[:-1], f"{network},")
    assert "from one --teacher" in fails(*two, "--losses", "attention")


@pytest.fixture
def shown(monkeypatch):
    """What networks are trained on: a function of the epoch that gives images and labels."""
    made, whole = {}, Batches.__getitem__

    def watched(self, index):
        batch = whole(self, index)
        if self.seed is not None:
            made[self.seed[1], index] = batch
        return batch

    def of_epoch(epoch):
        batches = [made[key] for key in sorted(made) if key[0] == epoch]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return images[..., 0], labels

    monkeypatch.setattr(Batches, "__getitem__", watched)
    return of_epoch


def among(images, others):
    """Which images are among others, pixel for pixel."""
    others = {other.tobytes() for other in others}
    return np.array([image.tobytes() in others for image in images])


def test_train_on_real_samples_that_change_beside_synthetic_ones(tmp_path, shown):
    samples = gnt(tmp_path / "a.gnt", CLASSES * 3)
    command = ("train", tmp_path / "run", "--data", samples, "--characters", CLASSES)
    more = ("--augment", "--with-synthetic", 12, *SMALL, "--epochs", 2, "--batch-size", 15)
    succeeds(*command, *more)
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["data"]["images"] == 30
    assert " and synthetic, version " in record["settings"]["description"]
    plain = resize_images(load(samples, characters=CLASSES).images, 16)
    (first, labels), (second, others) = shown(0), shown(1)
    assert first.shape == second.shape == (30, 16, 16)
    for epoch in (labels, others):
        assert np.bincount(epoch).tolist() == [5] * 6
    assert not among(first, second).any()
    assert not among(plain, [*first, *second]).any()


def test_synthetic_images_can_be_augmented_too(tmp_path, shown):
    seen = []
    for name, option in (("plain", ()), ("augmented", ("--augment",))):
        options = ("--characters", CLASSES, "--images-per-epoch", 12, *SMALL, *option)
        succeeds("train", tmp_path / name, *options)
        seen.append(shown(0))
        record = json.loads((tmp_path / name / "record.json").read_text(encoding="utf-8"))
        assert record["settings"]["description"].endswith(", augmented") is bool(option)
    (plain, labels), (changed, others) = seen
    np.testing.assert_array_equal(labels, others)
    assert plain.shape == changed.shape == (12, 16, 16)
    assert not among(plain, changed).any()


def test_worker_processes_change_nothing(tmp_path, monkeypatch, shown):
    seen = []
    for name, least in (("here", 10**6), ("elsewhere", 1)):
        monkeypatch.setattr(cli_images, "_WORTH_PROCESSES", least)
        options = ("--characters", CLASSES, "--images-per-epoch", 12, *SMALL)
        succeeds("train", tmp_path / name, *options)
        seen.append(shown(0))
    (here, labels), (elsewhere, others) = seen
    np.testing.assert_array_equal(here, elsewhere)
    np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize(
    "option, images", [(("--augment",), 18), (("--with-synthetic", 6), 24), ((), 18)]
)
def test_each_of_the_two_alone(option, images, tmp_path, shown):
    samples = gnt(tmp_path / "a.gnt", CLASSES * 3)
    command = ("train", tmp_path / "run", "--data", samples, "--characters", CLASSES)
    succeeds(*command, *SMALL, *option, "--batch-size", images)
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["data"]["images"] == images
    assert record["settings"]["data"]["fresh_every_epoch"] is ("--with-synthetic" in option)
    plain = resize_images(load(samples, characters=CLASSES).images, 16)
    assert among(plain, shown(0)[0]).all() != ("--augment" in option)


def test_a_share_that_is_held_out_is_measured_and_not_learned(tmp_path, shown):
    samples = gnt(tmp_path / "a.gnt", CLASSES * 3 + "丁" * 3)
    command = ("train", tmp_path / "run", "--data", samples, "--characters", CLASSES, *SMALL)
    succeeds(*command, "--hold-out", 0.4, "--with-synthetic", 4)
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    assert record["settings"]["data"]["images"] == 2 * 6 + 4
    assert "a.gnt but for 0.4 and synthetic" in record["settings"]["description"]
    assert "val_accuracy" in record["epochs"][0]
    plain = resize_images(load(samples, characters=CLASSES).images, 16)
    assert among(plain, shown(0)[0]).sum() == 12
    assert "hccr: " in fails(*command)  # another run: all of it
    for option, message in (
        (("--hold-out", 0.0), "between 0 and 1. Received: 0.0"),
        (("--hold-out", 0.1, "--validation", samples), "leave one of them out"),
        (("--hold-out", 0.1, "--data", "synthetic"), "is for real images"),
        (("--hold-out", 0.1, "--data", gnt(tmp_path / "b.gnt", CLASSES + "大")), "己 已 巳"),
    ):
        assert message in fails(*command, *option)


def test_classes_without_an_image_are_named_also_where_images_change(tmp_path):
    samples = gnt(tmp_path / "a.gnt", "大太大太")
    command = ("train", tmp_path / "run", "--data", samples, "--characters", "大太犬", *SMALL)
    for option in ((), ("--augment",)):
        assert "1 of 3 classes have no image, among them 犬" in fails(*command, *option)
    assert not (tmp_path / "run").exists()
    succeeds(*command, "--augment", "--with-synthetic", 3)


def test_train_skips_faulty_samples_and_counts_them(tmp_path):
    samples = gnt(tmp_path / "a.gnt", CLASSES * 2 + "大")
    samples.write_bytes(samples.read_bytes()[:-1])
    command = ("train", tmp_path / "run", "--data", samples, "--validation", samples, *SMALL)
    assert "a.gnt, byte" in fails(*command)
    assert "skipped 1: truncated" in succeeds(*command, "--skip-faulty")


def test_a_network_of_three_classes_is_measured_without_a_word_about_the_first_five(tmp_path):
    keras.utils.set_random_seed(0)
    melnyk_net("C", num_classes=3, width=0.1, input_size=16).save(tmp_path / "model.keras")
    (tmp_path / "record.json").write_text(json.dumps({"characters": "大太犬"}), encoding="utf-8")
    samples = gnt(tmp_path / "a.gnt", "大太犬")
    assert json.loads(succeeds("evaluate", samples, "--model", tmp_path, "--json"))["top5"] == 1
    assert "top must be 1 to 5" in fails("evaluate", samples, "--model", tmp_path, "--top", 6)


def test_a_long_text_of_characters_is_no_file_name(tmp_path):
    text = "".join(sorted(set(LEVEL1[:120])))
    succeeds("synthesize", tmp_path / "out", "--characters", text, "--writers", 1)


def test_info(monkeypatch, tmp_path):
    (tmp_path / "data" / "icdar2013-sample").mkdir(parents=True)
    monkeypatch.setenv("HCCR_DATA_DIR", str(tmp_path / "data"))
    facts = json.loads(succeeds("info", "--json"))
    assert facts["backend"] == keras.backend.backend()
    assert facts["keras"] == keras.__version__
    assert facts["datasets"]["icdar2013-sample"] == str(tmp_path / "data" / "icdar2013-sample")
    assert facts["datasets"]["casia-hwdb/train"] is None
    assert "not here yet" in succeeds("info")


def test_a_shipped_network_is_found_by_name(tmp_path, monkeypatch):
    settings = {"variant": "C", "num_classes": 3755, "width": 0.125, "input_size": 16}
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    weights.save_pretrained(
        melnyk_net(**settings),
        tmp_path / "synthetic" / "melnyk_net_c.npz",
        settings=settings,
        record={},
    )
    path = gnt(tmp_path / "a.gnt", CLASSES)
    assert json.loads(succeeds("evaluate", path, "--json"))["model"] == "melnyk_net_c"
    assert json.loads(succeeds("info", "--json"))["networks"] == ["melnyk_net_c"]
    (tmp_path / "synthetic" / "melnyk_net_c.npz").write_bytes(b"damaged")
    assert "melnyk_net_c.npz: is damaged or not the file" in fails("evaluate", path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("evaluate", "none"), "none: no dataset, file or folder"),
        (("evaluate", "A", "--model", "none"), "none: no such run, .keras file or shipped"),
        (("evaluate", "A", "--model", "TEXT"), "notes.txt: not a network that Keras reads"),
        (("evaluate", "A", "--model", "UNFINISHED"), "this run is not finished"),
        (("evaluate", "A", "--model", "NAMELESS"), "has 6 classes, and the record.json beside"),
        (("evaluate", "A", "--model", "WRONG"), "the record.json beside it names 2"),
        (("evaluate", "A", "--model", "BROKEN"), "not the record of a training run"),
        (("evaluate", "OTHERS", "--model", "SIX"), "none of its 2 samples shows one of the 6"),
        (("evaluate", "A", "--model", "SIX", "--top", "7"), "top must be 1 to 6, received 7"),
        (("evaluate", "TEXT", "--model", "SIX"), "is this a .gnt file?"),
        (("prepare", "EMPTY"), "neither a .gnt file nor a folder"),
        (
            ("prepare", "UNNAMED"),
            "(skipped 1: no character in the file name); name pictures 丁.png",
        ),
        (("prepare", "hwdb-sample"), "hwdb-sample: not found"),
        (("prepare", "A", "--split", "test"), "a path has no split"),
        (("synthesize", "OUT", "--characters", "大大"), "'大' stands there 2 times"),
        (("synthesize", "OUT", "--characters", "abc"), "'a'"),
        (("synthesize", "OUT", "--characters", "BINARY"), "text files in UTF-8"),
        (("synthesize", "TEXT", "--characters", "大"), "notes.txt"),
        (("synthesize", "FULL", "--characters", "大"), "of other origin"),
        (("synthesize", "LIST", "--characters", "大"), "describes no set of handwriting"),
        (("train", "OUT", "--characters", "大太", "--variant", "D"), "'D'"),
        (
            ("train", "OUT", "--characters", "大", "--network", "student", *STARTS_AS_MEAN),
            "--pooling-starts-as is for B and C",
        ),
        (
            ("train", "OUT", "--characters", "大", "--variant=A", *STARTS_AS_MEAN),
            "Model A's pooling learns nothing",
        ),
        (("evaluate", "A", "--model", "FREE"), "reads images (None, None, 1), not"),
        (("train", "OUT", "--characters", "大太", "--recipe", "slow", "--width", "0.1"), "slow"),
        (("train", "OUT", "--characters", "大太", "--input-size", "50"), "50"),
        (("train", "OUT", "--characters", "大太", "--width", "-1"), "-1"),
        (("train", "OUT", "--data", "synthetic", "--split", "test"), "--split"),
        (("train", "OUT", "--data", "none"), "none: no dataset"),
        (("train", "OUT", "--data", "A", "--characters", "丁"), "no sample of the 1 classes"),
        (("train", "OUT", "--start-from", "none"), "none: no such run"),
        (("train", "OUT", "--characters", "大", "--with-synthetic", "3"), "name them with --data"),
        (("train", "OUT", "--data", "A", "--images-per-epoch", "9"), "--images-per-epoch"),
        (("train", "OUT", "--characters", "大太", "--width", "inf"), "inf"),
        (
            ("train", "BROKEN", "--data", "A", "--width", "0.1"),
            "broken/record.json: not the record",
        ),
    ],
    ids=lambda value: "-".join(value[:4]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, network, tmp_path):
    model = (network / "model.keras").read_bytes()
    for name, record in (
        ("nameless", None),
        ("wrong", '{"characters": "大太"}'),
        ("broken", "[1]"),
        ("unfinished", "{}"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        if name != "unfinished":
            (folder / "model.keras").write_bytes(model)
        if record is not None:
            (folder / "record.json").write_text(record, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "unnamed").mkdir()
    (tmp_path / "unnamed" / "a.png").touch()
    (tmp_path / "notes.txt").write_text("no network, and no handwriting either\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "full").mkdir()
    gnt(tmp_path / "full" / "other.gnt", "大")
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "synthesis.json").write_text("[]", encoding="utf-8")
    pooled = keras.layers.GlobalAveragePooling2D()
    free = [keras.Input((None, None, 1)), pooled, keras.layers.Dense(6, "softmax")]
    keras.Sequential(free).save(tmp_path / "free.keras")
    places = {
        "A": gnt(tmp_path / "a.gnt", CLASSES),
        "OTHERS": gnt(tmp_path / "others.gnt", "丁不"),
        "SIX": network,
        "TEXT": tmp_path / "notes.txt",
        "BINARY": tmp_path / "binary",
        "EMPTY": tmp_path / "empty",
        "UNNAMED": tmp_path / "unnamed",
        "FULL": tmp_path / "full",
        "LIST": tmp_path / "list",
        "FREE": tmp_path / "free.keras",
        "OUT": tmp_path / "out",
        **{name.upper(): tmp_path / name for name in ("nameless", "wrong", "broken", "unfinished")},
    }
    assert message in fails(*(places.get(argument, argument) for argument in arguments))


@pytest.mark.parametrize(
    "arguments", [(), ("fly",), ("evaluate",), ("train", "x", "--epochs", "0"), ("info", "x")]
)
def test_wrong_usage_exits_with_2(arguments):
    result = hccr(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.output


def test_chinese_is_written_where_stdout_has_another_encoding(tmp_path):
    file = gnt(tmp_path / "大.gnt", CLASSES)
    here = os.environ | {"PYTHONIOENCODING": "latin-1", "HCCR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "hccr_lib", "prepare", str(file)]
    done = subprocess.run(command, env=here, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert "大.gnt" in done.stdout.decode("utf-8")


def test_the_environment_is_left_alone(tmp_path):
    before = dict(os.environ)
    succeeds("info", "--json")
    assert dict(os.environ) == before


def test_the_version_is_that_of_the_package():
    assert succeeds("--version") == f"hccr {hccr_lib.__version__}\n"


@pytest.mark.parametrize("width", ["9999", "inf", "0", "-1"])
def test_a_width_that_no_machine_holds_is_said_at_once(tmp_path, width):
    told = fails("train", tmp_path / "run", "--characters", "大太", "--width", width)
    assert "width" in told and "16" in told
    assert not (tmp_path / "run").exists()


def test_copies_are_for_synthetic_images(tmp_path, network, monkeypatch):
    file = tmp_path / "real.gnt"
    write_gnt(file, [Sample(c, np.full((8, 8), 255, np.uint8)) for c in "大太"])
    told = fails("train", tmp_path / "run", "--data", file, "--copied", "0.5")
    assert "--copied" in told and "--with-synthetic" in told
    told = fails("train", tmp_path / "run", "--characters", "大太", "--copied", "1.5", *SMALL)
    assert "copied" in told and "0 to 1" in told


def test_what_is_copied_and_on_paper_stands_in_the_record(tmp_path, precision_again):
    options = ("--characters", "大太", "--images-per-epoch", 12, *SMALL)
    succeeds("train", tmp_path / "run", "--copied", "0.5", "--paper", *options)
    record = json.loads((tmp_path / "run" / "record.json").read_text(encoding="utf-8"))
    told = record["settings"]["description"]
    assert f"0.5 copied from {', '.join(copybooks())}" in told
    assert told.endswith(", on paper")
