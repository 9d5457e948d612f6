"""A writer's hand: what must hold whatever it looks like."""

import multiprocessing
import zlib
from dataclasses import FrozenInstanceError, fields

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import normalize, read_gnt, write_gnt
from hccr_lib.datasets.gnt import Sample
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import Writer, random_writer, write

STYLE = {field.name: field.metadata for field in fields(Writer) if "low" in field.metadata}
# How far the scanner's blur and a stroke's half-covered edge carry ink beyond a mask, in pixels.
NEAR = 6

characters = st.sampled_from(LEVEL1)
seeds = st.integers(0, 2**62)
samples = st.integers(0, 1000)
corners = st.tuples(*(st.sampled_from((s["low"], s["high"])) for s in STYLE.values()))
within = st.tuples(*(st.floats(s["low"], s["high"]) for s in STYLE.values()))
styles = st.one_of(corners, within).map(lambda values: dict(zip(STYLE, values, strict=True)))


def around(mask, radius=NEAR):
    """bool (h, w): the pixels no farther than radius from a pixel of the mask."""
    side = 2 * radius + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def check_bitmap(bitmap):
    assert bitmap.dtype == np.uint8 and bitmap.ndim == 2
    assert bitmap.flags.c_contiguous
    assert bitmap.min() < 230, "there is no ink"
    assert bitmap.max() == 255 or bitmap.mean() < 128, "there is no paper"
    assert (bitmap < 255).mean() > 0.002


# The same and not the same


@given(character=characters, seed=seeds, sample=samples)
def test_the_same_character_writer_and_sample_give_the_same_bytes(character, seed, sample):
    one, two = (write(character, random_writer(seed), sample) for _ in range(2))
    np.testing.assert_array_equal(one.bitmap, two.bitmap)
    assert one.character == character and one.masks is None


@given(character=characters, seed=seeds)
def test_neither_masks_nor_anything_written_before_change_a_bitmap(character, seed):
    writer = random_writer(seed)
    plain = write(character, writer).bitmap
    write("永", random_writer(seed + 1))
    np.testing.assert_array_equal(write(character, writer, masks=True).bitmap, plain)


@given(character=characters, seed=seeds)
def test_samples_writers_and_characters_differ(character, seed):
    def bytes_of(*args):
        bitmap = write(*args).bitmap
        return bitmap.shape, bitmap.tobytes()

    writer = random_writer(seed)
    other_character = LEVEL1[(LEVEL1.index(character) + 1) % 3755]
    four = {
        bytes_of(character, writer),
        bytes_of(character, writer, 1),
        bytes_of(character, random_writer(seed + 1)),
        bytes_of(other_character, writer),
    }
    assert len(four) == 4


def checksums(seed):
    """CRC-32 of bitmaps and masks: the same number in any process."""
    sums = []
    for character in "一永鲍赢":
        written = write(character, random_writer(seed), seed, masks=True)
        sums += [zlib.crc32(written.bitmap.tobytes()), zlib.crc32(written.masks.tobytes())]
    return sums


def test_every_process_writes_alike():
    """Fresh interpreters, as where processes are spawned: nothing hangs on the order of hashes."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        elsewhere = pool.map(checksums, range(6), chunksize=1)
    assert elsewhere == [checksums(seed) for seed in range(6)]


def test_the_number_of_threads_of_opencv_changes_nothing():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = checksums(3)
        cv2.setNumThreads(4)
        assert checksums(3) == one
    finally:
        cv2.setNumThreads(before)


# Writers


@given(seed=seeds)
def test_a_random_writer_is_made_of_finite_numbers(seed):
    writer = random_writer(seed)
    assert writer == random_writer(seed)
    assert writer != random_writer(seed + 1)
    assert writer.seed == seed
    for name in STYLE:
        value = getattr(writer, name)
        assert type(value) is float and np.isfinite(value), name


@pytest.mark.parametrize("name", STYLE)
def test_most_random_writers_lie_in_the_range_that_the_sliders_show(name):
    low, high = STYLE[name]["low"], STYLE[name]["high"]
    values = np.array([getattr(random_writer(seed), name) for seed in range(300)])
    assert low < high and STYLE[name]["help"]
    assert ((low <= values) & (values <= high)).mean() > 0.9
    assert values.std() > 0.05 * (high - low), "all writers are alike"


@given(seed=seeds, name=st.sampled_from(list(STYLE)))
def test_a_fixed_style_leaves_the_others_as_the_seed_has_them(seed, name):
    value = STYLE[name]["high"]
    free, fixed = random_writer(seed), random_writer(seed, **{name: value})
    assert getattr(fixed, name) == value
    assert all(getattr(fixed, other) == getattr(free, other) for other in STYLE if other != name)


def test_writers_refuse_what_they_do_not_know():
    with pytest.raises(TypeError, match="elegance"):
        random_writer(0, elegance=1.0)
    with pytest.raises(FrozenInstanceError):
        random_writer(0).pen = 1.0


@pytest.mark.parametrize("name", STYLE)
def test_every_style_changes_the_writing(name):
    """Somewhere in a few characters: 三 has no hook, and few have a running-hand form."""
    low, high = (random_writer(5, **{name: STYLE[name][end]}) for end in ("low", "high"))
    pairs = [(write(c, low).bitmap, write(c, high).bitmap) for c in "永海小宁"]
    assert any(a.shape != b.shape or (a != b).any() for a, b in pairs)


def ink_box(bitmap):
    _, _, width, height = cv2.boundingRect((bitmap < 160).astype(np.uint8))
    return width, height


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("size", lambda bitmap: ink_box(bitmap)[1]),
        ("aspect", lambda bitmap: ink_box(bitmap)[0] / ink_box(bitmap)[1]),
        ("pen", lambda bitmap: (bitmap < 128).sum()),
        ("ink", lambda bitmap: -np.percentile(bitmap, 1)),
    ],
)
def test_a_style_moves_what_it_names(name, measure):
    """Size makes characters larger, aspect wider, the pen blacker strokes, ink darker ones."""

    def median(end):
        base = {"ink": 0.9, "pen": 3.0} | {name: STYLE[name][end]}
        writers = [random_writer(seed, **base) for seed in range(12)]
        return np.median([measure(write(c, w).bitmap) for w in writers for c in "永国大"])

    assert median("high") > median("low")


def middles(character, **style):
    """Middles of the boxes of the strokes' masks, pixels (S, 2), from the first stroke's; sizes."""
    still = {name: 0.0 for name in STYLE} | {"size": 120.0, "aspect": 1.0, "pen": 3.0, "ink": 1.0}
    masks = write(character, Writer(seed=3, **still | style), masks=True).masks
    boxes = np.array([cv2.boundingRect(mask.astype(np.uint8)) for mask in masks], float)
    middle = boxes[:, :2] + boxes[:, 2:] / 2
    return middle - middle[0], boxes[:, 2:]


@pytest.mark.parametrize("style", [{"rise": 0.3}, {"slant": 0.3}])
def test_strokes_rise_and_lean_where_they_are(style):
    """The layout stays upright: strokes side by side or in a stack tilt about their middles."""
    for character in "川王":
        (plain, size), (moved, tilted) = middles(character), middles(character, **style)
        assert np.abs(moved - plain).max() < 6, character
    axis = 1 if "rise" in style else 0  # level strokes get higher boxes, the upright a wider one
    grown = (tilted - size)[[3], axis] if axis else (tilted - size)[[2], axis]
    assert (grown > 8).all()


def test_evenness_shortens_bars_and_not_the_foot():
    (_, plain), (_, even) = middles("王"), middles("王", evenness=0.6)
    assert (even[:2, 0] < 0.97 * plain[:2, 0]).all()
    assert even[3, 0] > 0.85 * plain[3, 0], "a bar as long above it would keep less than 0.7"


# Bitmaps


def end_of_ranges(which):
    return {name: style[end] for (name, style), end in zip(STYLE.items(), which, strict=True)}


@pytest.mark.parametrize("turn", range(4))
def test_all_characters_can_be_written_at_the_corners_of_style(turn):
    """Every character by one of four writers: all low, all high, and two patterns between."""
    ends = ("low", "high")
    patterns = [
        [ends[0]] * len(STYLE),
        [ends[1]] * len(STYLE),
        [ends[i % 2] for i in range(len(STYLE))],
        [ends[(i + 1) % 2] for i in range(len(STYLE))],
    ]
    writers = [Writer(seed=turn, **end_of_ranges(pattern)) for pattern in patterns]
    for label in range(turn, 3755, 4):
        for writer in (writers[turn], random_writer(label)):
            bitmap = write(LEVEL1[label], writer).bitmap
            check_bitmap(bitmap)
            assert max(bitmap.shape) < 600


@given(character=characters, style=styles, seed=seeds, sample=samples)
def test_any_style_within_the_ranges_gives_a_bitmap(character, style, seed, sample):
    written = write(character, Writer(seed=seed, **style), sample, masks=True)
    check_bitmap(written.bitmap)
    assert written.masks.shape == (len(stroke_template(character)), *written.bitmap.shape)
    assert normalize(written.bitmap).max() > 0


@settings(max_examples=50)
@given(character=characters, seed=seeds, name=st.sampled_from(list(STYLE)), up=st.booleans())
def test_beyond_its_range_a_style_gives_a_bitmap_or_is_named(character, seed, name, up):
    low, high = STYLE[name]["low"], STYLE[name]["high"]
    beyond = high + 0.5 * (high - low) if up else low - 0.25 * (high - low)
    try:
        writer = random_writer(seed, **{name: beyond})
    except ValueError as error:
        assert f"Writer.{name}" in str(error)
    else:
        bitmap = write(character, writer).bitmap
        assert bitmap.dtype == np.uint8 and 2 <= min(bitmap.shape) <= max(bitmap.shape) < 1000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e9])
@pytest.mark.parametrize("name", STYLE)
def test_a_style_that_no_hand_has_is_named(name, value):
    with pytest.raises(ValueError, match=rf"Writer\.{name}.*received") as caught:
        random_writer(0, **{name: value})
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("name", STYLE)
def test_a_hair_of_style_changes_a_hair(name, end):
    """All noise is drawn whatever the style is: no parameter shifts the noise of another."""
    low, high = STYLE[name]["low"], STYLE[name]["high"]
    hair = (high - low) * (1e-6 if end == "low" else -1e-6)
    for seed, character in enumerate("一永鲍海"):
        at, beside = (
            write(character, random_writer(seed, **{name: STYLE[name][end] + step})).bitmap
            for step in (0.0, hair)
        )
        assert np.abs(np.subtract(at.shape, beside.shape)).max() <= 1
        if at.shape == beside.shape:
            assert np.abs(at.astype(int) - beside).mean() < 3


def test_bitmaps_survive_a_gnt_file(tmp_path):
    written = [write(c, random_writer(seed)) for seed, c in enumerate("一永国赢")]
    path = tmp_path / "written.gnt"
    write_gnt(path, (Sample(w.character, w.bitmap) for w in written))
    for (character, bitmap), before in zip(read_gnt(path), written, strict=True):
        assert character == before.character
        np.testing.assert_array_equal(bitmap, before.bitmap)


# Strokes


@given(character=characters, seed=seeds)
def test_masks_are_the_ink(character, seed):
    """Every stroke has pixels, all dark ink belongs to a stroke, and far from all there is none."""
    bitmap, masks = write(character, random_writer(seed), masks=True)[1:]
    assert masks.dtype == bool and masks.shape == (len(stroke_template(character)), *bitmap.shape)
    assert masks.any(axis=(1, 2)).all()
    union = masks.any(axis=0)
    assert (bitmap[~around(union)] == 255).all()
    dark = bitmap < np.percentile(bitmap[union], 50)
    assert around(union, 1)[dark].all()
    if (~union).any():
        assert bitmap[union].mean() < bitmap[~union].mean() - 30


@given(character=characters, seed=seeds, data=st.data())
def test_without_a_stroke_nothing_else_moves(character, seed, data):
    """Only pixels in or near the stroke change, or where the stroke before is joined to it."""
    writer = random_writer(seed)
    whole = write(character, writer, masks=True)
    stroke = data.draw(st.integers(0, len(whole.masks) - 1))
    rest = write(character, writer, masks=True, without=(stroke,))
    assert rest.bitmap.shape == whole.bitmap.shape
    assert not rest.masks[stroke].any()
    may_change = whole.masks[stroke].copy()
    for index, mask in enumerate(whole.masks):
        if index == stroke - 1 and writer.join > 0:
            assert (rest.masks[index] <= mask).all()  # its join to the stroke is gone
            may_change |= mask
        elif index != stroke:
            np.testing.assert_array_equal(rest.masks[index], mask)
    same = rest.bitmap == whole.bitmap
    assert same[~around(may_change)].all()
    # Where the stroke was alone there is paper now.
    alone = whole.masks[stroke] & ~around(rest.masks.any(axis=0))
    assert (rest.bitmap[alone] == 255).all()


@given(character=characters, seed=seeds)
def test_without_all_strokes_there_is_paper(character, seed):
    every = tuple(range(len(stroke_template(character))))
    written = write(character, random_writer(seed), masks=True, without=every)
    assert (written.bitmap == 255).all()
    assert not written.masks.any()


@settings(max_examples=40)
@given(character=characters, seed=seeds, data=st.data())
def test_without_takes_strokes_in_any_order(character, seed, data):
    strokes = st.integers(0, len(stroke_template(character)) - 1)
    some = data.draw(st.lists(strokes, unique=True))
    writer = random_writer(seed)
    one = write(character, writer, without=tuple(some)).bitmap
    two = write(character, writer, without=tuple(reversed(some))).bitmap
    np.testing.assert_array_equal(one, two)
    if not some:
        np.testing.assert_array_equal(one, write(character, writer).bitmap)


@given(character=characters, seed=seeds, data=st.data())
def test_where_nothing_is_joined_a_stroke_goes_without_a_trace(character, seed, data):
    writer = random_writer(seed, join=0.0)
    whole = write(character, writer, masks=True)
    stroke = data.draw(st.integers(0, len(whole.masks) - 1))
    rest = write(character, writer, masks=True, without=(stroke,))
    others = np.arange(len(whole.masks)) != stroke
    np.testing.assert_array_equal(rest.masks[others], whole.masks[others])
    far = ~around(whole.masks[stroke])
    np.testing.assert_array_equal(rest.bitmap[far], whole.bitmap[far])


def test_a_stroke_takes_both_of_its_joins_with_it():
    shrunk = []
    for seed, character in enumerate("永大国海"):
        writer = random_writer(seed, join=10.0)  # joined wherever there is something to join
        whole = write(character, writer, masks=True).masks
        for stroke in range(1, len(whole)):
            rest = write(character, writer, masks=True, without=(stroke,)).masks
            shrunk.append(rest[stroke - 1].sum() < whole[stroke - 1].sum())
    assert np.mean(shrunk) > 0.8


@pytest.mark.parametrize("character", "大永国")
def test_a_careful_hand_puts_its_strokes_where_the_template_has_them(character):
    """With everything that varies at its least, a mask lies along its stroke's centre line."""
    still = {name: 0.0 for name in STYLE} | {"size": 90.0, "aspect": 1.0, "pen": 3.0, "ink": 1.0}
    written = write(character, Writer(seed=0, **still | {"hooks": 1.0}), masks=True)
    template = stroke_template(character)
    everything = np.concatenate(template)
    rows, columns = np.nonzero(written.masks.any(axis=0))
    box = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]], float)
    for stroke, mask in zip(template, written.masks, strict=True):
        low, high = everything.min(axis=0), everything.max(axis=0)
        expected = box[0] + (stroke - low) / (high - low) * (box[1] - box[0])
        distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
        x, y = np.clip(expected.round().astype(int), 0, np.array(mask.shape[::-1]) - 1).T
        assert distance[y, x].max() < 0.1 * 90


@pytest.mark.parametrize("without", [(3,), (-1,), (0, 7)])
def test_a_stroke_that_is_not_there_is_named(without):
    with pytest.raises(ValueError, match=r"大 has strokes 0 to 2.*without"):
        write("大", random_writer(0), without=without)


@pytest.mark.parametrize("character", ["龘", "", "大小", "a", None])
def test_a_character_that_has_no_strokes_is_named(character):
    with pytest.raises(ValueError, match="GB2312 level 1"):
        write(character, random_writer(0))
