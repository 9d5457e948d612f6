"""`make weights` from end to end on a tiny size, killed on the way once."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from hccr_lib import cli_networks
from hccr_lib.evaluation import load_model
from hccr_lib.models import mcanet, melnyk_net, student, transfer, weights

STAGES = [
    *("c-48", "c-96", "c-96-hands", "c-96-more", "c-96-last", "c-96-two"),
    *("c-96-books", "c-96-mean", "c-96-thirds"),
]
PROGRAM = Path(__file__).parents[1] / "data" / "make_weights.py"


def test_tiny_weights_are_trained_written_and_loaded(tmp_path, monkeypatch):
    command = [sys.executable, PROGRAM, "--scale", "tiny"]
    command += ["--runs", tmp_path / "runs", "--out", tmp_path / "synthetic"]
    runs = tmp_path / "runs" / "weights-tiny"

    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while not (runs / "c-16" / "record.json").exists():
        assert started.poll() is None
        time.sleep(0.05)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert not (tmp_path / "synthetic").exists()

    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    record = json.loads((tmp_path / "synthetic" / "melnyk_net_c.json").read_text())
    assert [run["settings"]["data"]["shape"] for run in record["runs"]] == [[16, 16], [32, 32]]
    for run in record["runs"]:
        assert run["finished"]
        assert run["backend"] == keras.backend.backend()
        assert run["images_per_second"] > 0

    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 1), np.uint8)
    for name, shipped in (
        ("m-32", mcanet(2, weights="synthetic")),
        ("s-32", student(weights="synthetic")),
        ("c-32", melnyk_net("C", weights="synthetic")),
    ):
        trained, characters = load_model(runs / name)
        assert len(characters) == 3755
        expected, received = (m.predict(images, verbose=0) for m in (trained, shipped))
        np.testing.assert_allclose(received, expected, rtol=0.02)
    # The second training began where the first one ended, and went on from there.
    first, _ = load_model(runs / "c-16")
    grown = transfer.enlarged(first, 32)
    moved = [
        np.abs(keras.ops.convert_to_numpy(a) - keras.ops.convert_to_numpy(b)).max()
        for a, b in zip(grown.trainable_weights, trained.trainable_weights, strict=True)
    ]
    assert 0 < max(moved) < 0.1


@pytest.fixture
def program():
    spec = importlib.util.spec_from_file_location("make_weights", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_record_has_the_trainings_of_these_weights_and_no_teachers(program):
    of_c = program.SCALES["quick"]["C"]
    assert {"s-96-hands", "m-96-hands"} < set(of_c.trainings)  # made first, for they teach C
    assert program.lineage(of_c) == STAGES
    for scale in program.SCALES.values():
        for plan in scale.values():
            found = program.lineage(plan)
            assert found[-1] == list(plan.trainings)[-1]
            assert "--start-from" not in plan.trainings[found[0]]
            assert set(plan.mean_of or ()) <= set(found)


def test_what_is_written_is_the_mean_of_these_trainings(program, tmp_path, monkeypatch):
    plan = program.SCALES["quick"]["C"]
    plan = plan._replace(settings={**plan.settings, "width": 0.125, "input_size": 16})

    def trained(folder):
        network = melnyk_net(**plan.settings)
        value = 2.0 ** list(plan.mean_of).index(Path(folder).name)
        network.set_weights([np.full(w.shape, value) for w in network.weights])
        return network, []

    monkeypatch.setattr(program.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(cli_networks, "load_model", trained)
    monkeypatch.setattr(
        program, "read_record", lambda folder: {"name": folder.name, "characters": ""}
    )
    program.make("C", plan, tmp_path / "runs", tmp_path, set())
    record = json.loads((tmp_path / "melnyk_net_c.json").read_text())
    assert record["runs"] == [{"name": name} for name in STAGES]
    assert record["mean_of"] == plan.mean_of == dict(zip(STAGES[-4:], (2, 2, 1, 1), strict=True))
    mean = (1 + 1 + 2 + 2 + 4 + 8) / 6
    with np.load(tmp_path / "melnyk_net_c.npz") as arrays:
        assert all((arrays[name] == mean).all() for name in arrays)


@pytest.mark.parametrize(("imitated", "precision"), [(True, "float32"), (False, "mixed_bfloat16")])
def test_where_bfloat16_is_imitated_trainings_compute_in_float32(
    program, tmp_path, monkeypatch, imitated, precision
):
    asked = []

    def stop(command, **_):
        asked.append(command)
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "emulates_bfloat16", lambda: imitated)
    monkeypatch.setattr(program.subprocess, "run", stop)
    with pytest.raises(KeyboardInterrupt):
        program.make("C", program.SCALES["quick"]["C"], tmp_path, tmp_path, set())
    (command,) = asked
    assert command[command.index("--precision") + 1] == precision
