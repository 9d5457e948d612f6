"""Training on two devices gives the losses of one. Two virtual CPU devices, in another process."""

import json
import os
import subprocess
import sys

import keras
import pytest

from hccr_lib.training import device_found, record

# Dropout is left out: each device draws its own.
SCRIPT = """
import json, sys
import keras, numpy as np
folder, number = sys.argv[1], int(sys.argv[2])
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from hccr_lib.models import melnyk_net
from hccr_lib.training import train
from hccr_lib.training.devices import every_device

rng = np.random.default_rng(0)
# Images of unlike brightness in one batch: the statistics of half a batch are not those of all.
labels = np.arange(64) % 4
images = rng.integers(0, 60 * (1 + labels[:, None, None]), (64, 16, 16)).astype(np.uint8)
with every_device([f"cpu:{k}" for k in range(number)]) as used:
    keras.utils.set_random_seed(0)
    model = melnyk_net("C", num_classes=4, width=0.125, input_size=16, dropout=0)
    record = train(
        model, (images, labels), run_dir=folder, epochs=3, batch_size=16, verbose=0,
        validation=(images[:20], labels[:20]),
    )
losses = [epoch[name] for epoch in record["epochs"] for name in ("loss", "val_loss")]
# A network saved as synchronized could not be read where Keras runs on another backend.
synchronized = [s for s in (getattr(k, "synchronized", False) for k in model.layers) if s]
print(json.dumps({"used": used, "losses": losses, "synchronized": synchronized}))
"""


def trained_on(number, folder):
    flags = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, folder / str(number), str(number)],
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="one device on PyTorch")
def test_two_devices_lose_what_one_loses(tmp_path):
    one, two = trained_on(1, tmp_path), trained_on(2, tmp_path)
    assert (one["used"], two["used"]) == (1, 2)
    assert two["synchronized"] == []
    assert one["losses"][-2] < one["losses"][0] - 0.1  # it learns at all
    assert two["losses"] == pytest.approx(one["losses"], rel=2e-3)


@pytest.mark.parametrize(
    ("accelerator", "count", "expected"),
    [
        ("Tesla T4", 2, "the GPU, a Tesla T4"),
        (None, 2, "the CPU: 2 cores, no GPU"),
        (None, 1, "the CPU: 1 core, no GPU"),
    ],
)
def test_the_device_is_named(monkeypatch, accelerator, count, expected):
    monkeypatch.setattr(record, "_accelerator_model", lambda: accelerator)
    monkeypatch.setattr(record, "cores", lambda: count)
    assert device_found() == expected


def test_the_device_is_that_of_the_record():
    named = record.environment()["device"]["accelerator"]
    assert (named or "no GPU") in device_found()
