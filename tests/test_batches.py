"""What training reads: rows that stay on disk, orders, batches, and a share that is held out."""

import threading
import time

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hccr_lib.datasets.rows import Rows
from hccr_lib.training.batches import Batches, hold_out, shuffled_blocks

seeds = st.integers(0, 2**32)


@given(n=st.integers(0, 2000), seed=seeds, block=st.integers(1, 50), pool=st.integers(1, 20))
def test_shuffled_blocks_are_a_permutation_and_the_same_for_the_same_seed(n, seed, block, pool):
    orders = [
        shuffled_blocks(n, np.random.default_rng(seed), block=block, pool=pool) for _ in range(2)
    ]
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(n))
    np.testing.assert_array_equal(*orders)


@given(n=st.integers(0, 200), seed=seeds)
def test_what_fits_one_pool_is_shuffled_as_a_whole(n, seed):
    order = shuffled_blocks(n, np.random.default_rng(seed), block=10, pool=20)
    np.testing.assert_array_equal(order, np.random.default_rng(seed).permutation(n))


def test_a_pool_reads_whole_blocks_from_all_over_the_set_and_mixes_them():
    block, pool, pools = 10, 20, 50
    order = shuffled_blocks(block * pool * pools, np.random.default_rng(0), block=block, pool=pool)
    for some in order.reshape(pools, block * pool):
        numbers, counts = np.unique(some // block, return_counts=True)
        assert counts.tolist() == [block] * pool
        assert numbers.max() - numbers.min() > pool * pools / 2
        assert (np.diff(some) == 1).mean() < 0.05
        # A batch of 20 of them is from many blocks.
        assert len(np.unique(some[:20] // block)) > 8


def test_another_epoch_has_other_pools():
    one, other = (
        shuffled_blocks(4000, np.random.default_rng((7, e)), block=10, pool=20) for e in (0, 1)
    )
    assert len(np.intersect1d(one[:200], other[:200])) < 100


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    seed=seeds,
    chosen=st.lists(st.integers(0, 19), max_size=8),
)
def test_rows_of_arrays_are_rows_of_the_arrays_together(lengths, seed, chosen):
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 256, (n, 3, 2), np.uint8) for n in lengths]
    together = np.concatenate(arrays)
    rows = rng.integers(0, len(together), 20 if len(together) else 0)
    chosen = np.array(chosen, int) if len(rows) else np.zeros(0, int)
    for one, expected in ((Rows(arrays), together), (Rows(arrays, rows), together[rows])):
        assert one.shape == expected.shape and one.dtype == expected.dtype
        assert len(one) == len(expected) and one.ndim == 3
        np.testing.assert_array_equal(one[:], expected)
        np.testing.assert_array_equal(one[1:3], expected[1:3])
        np.testing.assert_array_equal(
            one[chosen[chosen < len(one)]], expected[chosen[chosen < len(one)]]
        )
        np.testing.assert_array_equal(Rows([one, one])[:], np.concatenate([expected, expected]))


def test_rows_of_arrays_that_are_not_alike_are_refused():
    zeros = np.zeros((2, 3, 3), np.uint8)
    for other in (zeros[:, :2], zeros.astype(np.float32)):
        with pytest.raises(ValueError, match="arrays alike"):
            Rows([zeros, other])


@pytest.mark.parametrize("rows", [[-1, 0], [0, 4]])
def test_rows_that_are_not_there_are_refused(rows):
    with pytest.raises(ValueError, match="There are 4 rows"):
        Rows([np.zeros((2, 3)), np.ones((2, 3))], np.array(rows))


class OnDisk:
    """Stands for a map of a file: counts the rows that are read."""

    def __init__(self, images):
        self.images, self.shape, self.dtype, self.read = images, images.shape, images.dtype, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        self.read.append(len(np.arange(len(self))[rows]))
        return self.images[rows]


def numbered(n):
    return np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)


def test_an_epoch_shows_each_image_once_in_order_and_reads_no_more_than_a_batch():
    images, labels = OnDisk(numbered(10)), np.arange(10)
    order = np.random.default_rng(0).permutation(10)
    batches = Batches(Rows([images]), labels, order, 3)
    seen = [batches[k] for k in range(len(batches))]
    assert [len(batch) for batch, _ in seen] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([some for _, some in seen]), order)
    for batch, some in seen:
        assert batch.shape[1:] == (2, 2, 1)
        np.testing.assert_array_equal(batch[:, 0, 0, 0], some)
    assert max(images.read) == 3


@pytest.mark.parametrize("labels_too", (False, True))
def test_fit_reads_every_batch_in_order_and_nothing_tunes_itself_meanwhile(labels_too):
    batches = Batches(numbered(10), np.arange(10), np.arange(10)[::-1], 4, labels_too=labels_too)
    given = batches.for_fit()
    if keras.backend.backend() == "tensorflow":
        assert given.options().autotune.enabled is False
        read = [keras.tree.map_structure(np.asarray, batch) for batch in given]
    else:
        read = [given[k] for k in range(len(given))]
    assert len(read) == len(given) == len(batches) == 3
    for k, batch in enumerate(read):
        keras.tree.map_structure(np.testing.assert_array_equal, batch, batches[k])
        kinds = keras.tree.map_structure(lambda array: array.dtype, (batch, batches[k]))
        assert kinds[0] == kinds[1]


def test_a_batch_is_the_same_whenever_it_is_made_and_no_two_batches_get_the_same_chance():
    def noise(images, rng):
        return rng.integers(0, 256, images.shape, np.uint8)

    images, labels = np.zeros((40, 4, 4), np.uint8), np.arange(40)
    epochs = [
        Batches(images, labels, np.arange(40), 8, transform=noise, seed=(0, epoch))
        for epoch in (0, 1)
    ]
    forth = [epochs[0][k][0] for k in range(5)]
    back = [epochs[0][k][0] for k in reversed(range(5))][::-1]
    np.testing.assert_array_equal(forth, back)
    others = [epochs[1][k][0] for k in range(5)]
    # The generator of the order of images, (seed, epoch), is not that of the first batch either.
    order = np.random.default_rng((0, 0)).integers(0, 256, (8, 4, 4, 1), np.uint8)
    assert len({batch.tobytes() for batch in (*forth, *others, order)}) == 11


def test_threads_make_the_same_batches_ahead_and_no_more_than_they_may():
    makers = {}

    def noise(images, rng):
        makers[int(images[0, 0, 0])] = threading.current_thread()
        return rng.integers(0, 256, images.shape, np.uint8)

    images, labels, order = numbered(40), np.arange(40), np.arange(40)
    alone, shared = (
        Batches(images, labels, order, 2, transform=noise, seed=(0,), workers=workers)
        for workers in (1, 3)
    )
    expected = [alone[k] for k in range(20)]
    makers.clear()
    # As Keras does before it trains: a look at the first batch.
    np.testing.assert_array_equal(shared[0][0], expected[0][0])
    waited = time.monotonic() + 10
    while len(makers) < 6 and time.monotonic() < waited:
        time.sleep(0.01)
    assert sorted(makers) == [0, 2, 4, 6, 8, 10]
    assert threading.main_thread() not in [makers[k] for k in (2, 4, 6, 8, 10)]
    for k in (0, *range(20), 7, 3):
        for received, wanted in zip(shared[k], expected[k], strict=True):
            np.testing.assert_array_equal(received, wanted)


@pytest.mark.parametrize("workers", [1, 4])
def test_no_batch_is_made_twice(workers):
    made = []

    def noted(images, rng):
        made.append(int(images[0, 0, 0]))
        return images

    batches = Batches(
        numbered(40), np.arange(40), np.arange(40), 2, transform=noted, workers=workers
    )
    for k in range(20):
        batches[k]
    assert sorted(made) == list(range(0, 40, 2))


def test_an_error_in_a_thread_is_raised_where_its_batch_is_used():
    def fragile(images, rng):
        if (images == 4).any():
            raise OSError("the disk is gone")
        return images

    batches = Batches(numbered(8), np.arange(8), np.arange(8), 2, transform=fragile, workers=2)
    batches[0], batches[1]
    with pytest.raises(OSError, match="the disk is gone"):
        batches[2]


def test_without_a_seed_nothing_is_left_to_chance():
    def transform(images, rng):
        assert rng is None
        return images + 1

    batches = Batches(numbered(4), np.arange(4), np.arange(4), 4, transform=transform)
    assert batches[0][0][:, 0, 0, 0].tolist() == [1, 2, 3, 4]


@given(
    counts=st.lists(st.sampled_from([0, 2, 3, 10, 11, 50]), min_size=1, max_size=8).filter(any),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**31),
)
def test_a_share_of_each_class_is_held_out(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = np.random.default_rng(seed).permutation(labels).astype(np.int32)
    kept, held = hold_out(labels, share, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    assert (np.diff(kept) > 0).all() and (np.diff(held) > 0).all()
    for label, count in enumerate(counts):
        number = (labels[held] == label).sum()
        if count:
            assert 1 <= number <= count - 1
            assert number in (1, count - 1) or abs(number - share * count) <= 0.5
    again = hold_out(labels, share, seed=seed)
    np.testing.assert_array_equal(again[1], held)


def test_another_seed_holds_out_others():
    labels = np.arange(4000) % 4
    held = [hold_out(labels, 0.1, seed=seed)[1] for seed in range(2)]
    assert len(np.intersect1d(*held)) < 100
    spread = np.bincount(held[0] // 1000, minlength=4)
    assert spread.min() > 60  # not the first ones of each class


@pytest.mark.parametrize(
    ("labels", "share", "message"),
    [
        ([0, 0, 1, 1], 0, r"between 0 and 1\. Received: 0"),
        ([0, 0, 1, 1], 1.0, r"Received: 1\.0"),
        ([0, 0, 1, 1], float("nan"), "Received: nan"),
        ([0, 0, 1, 2, 2, 3], 0.5, "2 classes have one image only.*二 四"),
        ([], 0.5, "no images"),
    ],
)
def test_what_cannot_be_held_out_is_named(labels, share, message):
    with pytest.raises(ValueError, match=message):
        hold_out(np.array(labels, np.int32), share, characters="一二三四")
