"""Handwriting that never repeats."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets.stream import fresh, fresh_epochs
from hccr_lib.datasets.workers import cores, worker_pool

some_characters = st.text(st.sampled_from(LEVEL1), min_size=1, max_size=8)


def each(images):
    return {image.tobytes() for image in images}


@settings(max_examples=20)
@given(characters=some_characters, n=st.integers(0, 20), seed=st.integers(0, 2**31))
def test_the_same_seed_and_epoch_give_the_same_images(characters, n, seed):
    images, labels = fresh(characters, n, seed=seed, epoch=2)
    again, labels_again = fresh(characters, n, seed=seed, epoch=2)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, labels_again)
    assert images.dtype == np.uint8 and images.shape == (n, 96, 96)
    assert labels.dtype == np.int32 and labels.shape == (n,)
    counts = np.bincount(labels, minlength=len(characters))
    assert len(counts) == len(characters)
    assert counts.max() - counts.min() <= 1


def test_no_image_is_seen_twice():
    epochs = [fresh("己已巳", 60, seed=4, epoch=epoch)[0] for epoch in range(3)]
    other_seed = fresh("己已巳", 60, seed=5)[0]
    assert len(each([*epochs[0], *epochs[1], *epochs[2], *other_seed])) == 240


def test_images_are_normalised_ink_bright_on_0():
    images, _ = fresh("永国", 20)
    assert (images.max(axis=(1, 2)) > 100).all()
    border = np.ones((96, 96), bool)
    border[4:-4, 4:-4] = False
    assert not images[:, border].any()


def test_labels_point_into_the_characters_asked_for():
    """The same image in another alphabet: with one character there is nothing to choose."""
    alone, labels = fresh("鼻", 30, seed=1)
    assert (labels == 0).all()
    mixed, which = fresh("鼻一", 60, seed=1)
    # 鼻 has fourteen strokes, 一 has one: the labels can be told from the amount of ink.
    ink = (mixed > 60).mean(axis=(1, 2))
    assert ink[which == 0].mean() > 1.5 * ink[which == 1].mean()
    assert (alone > 60).mean() > 1.5 * ink[which == 1].mean()


def test_the_order_is_random():
    _, labels = fresh("大小", 64)
    assert 0 < (np.diff(labels) == 0).sum() < 62


def checksum(seed):
    images, labels = fresh("大小永鲍", 8, seed=seed, epoch=1)
    return zlib.crc32(images.tobytes()), zlib.crc32(labels.tobytes())


def test_every_process_gives_the_same_images():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(checksum, [0, 1]) == [checksum(0), checksum(1)]


def children():
    return set(multiprocessing.active_children())


@pytest.mark.parametrize("processes", [1, 2])
def test_worker_processes_write_the_same_and_are_gone_afterwards(processes):
    before = children()
    with fresh_epochs("大小永鲍", 601, seed=3, processes=processes) as images_of:
        assert len(children() - before) == processes
        for epoch in (0, 5):
            images, labels = images_of(epoch)
            wanted, wanted_labels = fresh("大小永鲍", 601, seed=3, epoch=epoch)
            np.testing.assert_array_equal(images, wanted)
            np.testing.assert_array_equal(labels, wanted_labels)
    assert children() == before


def test_worker_processes_end_at_once_with_an_error():
    before = children()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_pool(1) as pool:
        work = pool.submit(time.sleep, 45)
        while not work.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert children() == before
    assert time.monotonic() - started < 30


@pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
def test_a_worker_leaves_ctrl_c_to_its_parent():
    before = children()
    with worker_pool(1) as pool:
        (worker,) = children() - before
        os.kill(worker.pid, signal.SIGINT)
        assert pool.submit(int).result() == 0


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="every core may be used")
def test_only_cores_that_may_be_used_are_counted(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5, 7})
    assert cores() == 3


PARENT = """
import multiprocessing, time
from hccr_lib.datasets.workers import worker_pool
with worker_pool(1) as pool:
    print(multiprocessing.active_children()[0].pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="/proc tells which processes run")
def test_a_worker_does_not_outlive_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    worker = Path("/proc", parent.stdout.readline().strip())
    assert worker.exists()
    parent.kill()
    parent.wait()
    for _ in range(1000):
        if not worker.exists() or ") Z " in (worker / "stat").read_text():
            return
        time.sleep(0.02)
    os.kill(int(worker.name), signal.SIGKILL)
    pytest.fail("the worker went on")


def test_a_worker_that_is_killed_is_said_in_one_line():
    with (
        pytest.raises(ChildProcessError, match="was killed"),
        fresh_epochs("鲍", 5000, processes=1) as images_of,
    ):
        for child in multiprocessing.active_children():
            child.kill()
        images_of(0)


def test_bad_requests_are_named():
    with pytest.raises(ValueError, match="at least one character"):
        fresh("", 3)
    with pytest.raises(ValueError, match="龘"):
        fresh("大龘", 3)
