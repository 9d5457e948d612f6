"""Why real handwriting is misread: what is measured, corrected and counted, and the record."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hccr_lib.characters import LEVEL1
from hccr_lib.datasets import normalize
from hccr_lib.datasets.synthesis import random_writer, write

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "data" / "results" / "errors.json"
# The scripts of the benchmarks import one another by their names.
sys.path.insert(0, str(ROOT / "benchmarks"))

import errors  # noqa: E402
import errors_parts as parts  # noqa: E402
import errors_traits as traits  # noqa: E402

PEN = traits.AT["pen width"]


def by_hands(character, seeds, **style):
    hands = (random_writer(seed, **style) for seed in seeds)
    return np.stack([normalize(write(character, hand).bitmap) for hand in hands])


@pytest.fixture(scope="module")
def images():
    return by_hands("永", range(12), tremor=0.0, texture=0.0)


# Traits.


def test_traits_of_a_drawn_picture_are_those_that_it_has():
    image = np.zeros((96, 96), np.uint8)
    image[20:76, 30:34] = image[20:76, 60:64] = 255  # two posts
    image[20:24, 30:64] = image[72:76, 30:64] = 255  # and two bars: a box
    image[44:48, 70:90] = 255  # a stroke beside it
    (found,) = traits.measure(image[None])
    get = lambda name: found[traits.AT[name]]  # noqa: E731
    assert (get("pieces"), get("loops"), get("ends")) == (2, 1, 2)
    assert get("aspect") == pytest.approx(np.log(60 / 56)) and get("size") == np.log(60)
    assert np.exp(get("pen width")) * 60 == pytest.approx(4, abs=0.5)
    assert abs(get("slant")) < 0.02 and abs(get("rise")) < 0.02
    leaning = traits._sheared(image, 0.3, 0.0)
    assert traits.measure(leaning[None])[0, traits.AT["slant"]] == pytest.approx(0.3, abs=0.06)
    assert abs(traits.measure(leaning[None])[0, traits.AT["rise"]]) < 0.05


def test_blank_paper_has_no_traits():
    with pytest.raises(ValueError, match="without ink"):
        traits.measure(np.zeros((1, 96, 96), np.uint8))


def test_a_thick_pen_is_outside_in_its_width_and_size_and_slant_are_not():
    """The same hands with a pen many times as wide: its width alone is what is outside."""
    seeds = errors.seeds_of("永", 8, 9)
    thin = by_hands("永", seeds, pen=2.1, size=80.0)
    thick = by_hands("永", seeds, pen=14.0, size=80.0)
    column = errors.KINDS.index("pen width")
    before, after = (errors.outside(each, "永" * 8, 24) for each in (thin, thick))
    assert (before[:, column] == 1).mean() <= 0.25 and (after[:, column] == 1).mean() >= 0.75
    for name in ("slant", "rise", "size", "aspect", "proportion"):
        column = errors.KINDS.index(name)
        assert (after[:, column] != 0).mean() <= (before[:, column] != 0).mean() + 0.25


def test_what_hands_write_is_mostly_within_what_hands_write():
    seeds = errors.seeds_of("树", 24, 9)
    flags = errors.outside(by_hands("树", seeds), "树" * 24, 24)
    assert (flags != 0).mean() < 0.2


# Corrections.


@pytest.mark.parametrize("kind", traits.CORRECTIONS)
def test_a_correction_reaches_its_aim_and_its_mirror_goes_away_from_it(images, kind):
    found = traits.measure(images)
    targets = np.repeat(np.median(found, axis=0)[None], len(images), axis=0)
    columns = {
        "slant and rise": [traits.AT["slant"], traits.AT["rise"]],
        "proportion": list(range(len(traits.TRAITS), len(traits.COLUMNS))),
    }.get(kind, [traits.AT.get(kind)])

    def off(pictures):
        return np.abs(traits.measure(pictures) - targets)[:, columns].mean()

    before = np.abs(found - targets)[:, columns].mean()
    own = traits.corrected(kind, images, targets)
    assert own.shape == images.shape and own.dtype == np.uint8
    assert off(own) < 0.75 * before
    assert off(traits.corrected(kind, images, targets, mirrored=True)) > before


@pytest.mark.parametrize("kind", [k for k in traits.CORRECTIONS if k != "pen width"])
def test_an_image_that_is_right_stays_as_it_is(images, kind):
    targets = traits.measure(images)
    for mirrored in (False, True):
        same = traits.corrected(kind, images, targets, mirrored=mirrored)
        off = np.abs(same.astype(float) - images).mean() / images.mean()
        assert off < 0.03, off


def test_an_image_drawn_again_with_its_own_pen_is_nearly_the_same(images):
    again = traits.corrected("pen width", images, traits.measure(images))
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(images, again, strict=True)]
    assert min(alike) > 0.9


@pytest.mark.parametrize("kind", ["slant and rise", "aspect", "size", "proportion", "all"])
def test_corrections_keep_the_ink_and_its_order(images, kind):
    """No ink is cut off, and what was left of something stays left of it."""
    targets = traits.measure(images[::-1])
    changed = traits.corrected(kind, images, targets)
    assert min(image.sum() for image in changed) > 0.15 * min(image.sum() for image in images)
    rim = np.concatenate([changed[:, 0], changed[:, -1], changed[:, :, 0], changed[:, :, -1]])
    assert (rim > 128).mean() < 0.01
    dots = np.zeros((96, 96), np.uint8)
    for level, place in zip((100, 150, 200, 250), (10, 30, 55, 85), strict=True):
        dots[place - 3 : place + 3, place - 3 : place + 3] = level
    (moved,) = traits.corrected("proportion", dots[None], targets[:1])
    middles = [np.argwhere(np.abs(moved.astype(int) - v) < 20).mean(axis=0) for v in (150, 200)]
    assert (middles[0] < middles[1]).all()


def test_an_unknown_correction_is_refused(images):
    with pytest.raises(ValueError, match="kind must be one of"):
        traits.corrected("colour", images, traits.measure(images))


# Components.


def test_components_are_found_where_they_are_known_to_be():
    for name, character, start, count in parts.COMPONENTS:
        assert (name, start, start + count) in parts.parts_of(character), (name, character)
    assert [part[0] for part in parts.parts_of("被")] == ["衤"]
    assert [part[0] for part in parts.parts_of("彼")] == ["彳"]
    for character in LEVEL1[::37]:
        runs = [set(range(a, b)) for _, a, b in parts.parts_of(character)]
        assert len(set().union(*runs)) == sum(map(len, runs))


def test_ink_goes_to_the_stroke_that_wrote_it_in_another_size_too():
    hand = write("江", random_writer(5, join=0.0), masks=True)
    ink = (hand.bitmap < 200).astype(np.uint8)
    for scale in (1, 1.5, 2):
        size = tuple(round(scale * n) for n in ink.shape[::-1])
        large, *masks = (
            cv2.resize(each, size, interpolation=cv2.INTER_NEAREST)
            for each in (ink, *hand.masks.astype(np.uint8))
        )
        owner = parts.stroke_ink(large, ink, hand.masks)
        assert ((owner >= 0) == (large > 0)).all()
        known = (np.sum(masks, axis=0) == 1) & (large > 0)
        assert (owner[known] == np.argmax(masks, axis=0)[known]).mean() > 0.95


# Probes and statistics.


def test_a_probe_tells_whether_strokes_are_joined():
    said = np.array([errors.probe(character, "join")[2] for character in "林语国"])
    assert said[:, 0].max() < 0.25 and said[:, 1].mean() > said[:, 0].mean() + 0.1
    seeds = errors.seeds_of("林", 8, 9)
    apart, joined = (by_hands("林", seeds, join=value) for value in (0.0, 1.0))
    pairs = errors.probe("林", "join")[0]
    leans = [errors.leaning(traits.direction_maps(each), pairs) for each in (apart, joined)]
    assert (leans[1] > leans[0]).mean() > 0.7
    assert np.isnan(errors.probed(apart[:1], "一", "join")).all()  # one stroke joins nothing
    assert not errors.has_style("人", "hooks") and errors.has_style("寸", "hooks")


def test_the_odds_ratio_compares_within_strata():
    rng = np.random.default_rng(0)
    strata = rng.integers(2, size=20_000)
    # Exposure and mistakes are both frequent in one stratum, and independent within each.
    exposed = rng.random(20_000) < np.where(strata, 0.8, 0.1)
    wrong = rng.random(20_000) < np.where(strata, 0.5, 0.05)
    pooled = errors.odds_ratio(exposed, wrong, np.zeros(20_000, int))
    within = errors.odds_ratio(exposed, wrong, strata)
    assert pooled["from"] > 2 and within["from"] < 1 < within["to"]
    # Of one stratum it is the usual ratio, with the usual variance.
    a, b, c, d = 30, 70, 20, 180
    exposed = np.repeat([True, False, True, False], (a, b, c, d))
    wrong = np.repeat([True, True, False, False], (a, b, c, d))
    found = errors.odds_ratio(exposed, wrong, np.zeros(300, int))
    ratio, spread = a * d / (b * c), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    assert found["odds_ratio"] == pytest.approx(ratio, abs=1e-3)
    assert found["to"] == pytest.approx(ratio * np.exp(1.96 * spread), rel=1e-3)
    assert found["misread"] == [30, 100] and found["read"] == [20, 200]
    assert errors.odds_ratio(np.zeros(300, bool), wrong, wrong)["odds_ratio"] is None


def test_a_correction_is_held_against_its_mirror():
    own, mirrored = np.repeat([True, True, False], [5, 2, 13]), np.repeat([False, True], [5, 15])
    mirrored[7:] = False
    found = errors.paired(own, mirrored)
    assert (found["own"], found["mirrored"], found["excess"]) == (7, 2, 0.25)
    assert found["excess_from"] < 0.25 < found["excess_to"] and found["p"] == 0.0625
    assert errors.paired(own[:0], own[:0])["n"] == 0


def test_the_first_cause_that_applies_is_taken():
    none = {"doubtful": False, "alike": False, "mended": [], "outside": []}
    assert errors.cause(none) == "none of these"
    assert errors.cause(none | {"outside": ["ends low", "rise high"]}) == "joined strokes"
    assert errors.cause(none | {"outside": ["rise high"]}) == "rise"
    mended = none | {"outside": ["ends low"], "mended": ["aspect"]}
    assert errors.cause(mended) == "aspect"
    assert errors.cause(mended | {"alike": True}) == "look-alike"
    assert errors.cause(mended | {"alike": True, "doubtful": True}) == "label in doubt"


def test_look_alikes_are_listed_or_differ_by_a_stroke():
    assert errors.alike("己", "已") and errors.alike("大", "太")
    assert not errors.alike("被", "江")


def test_without_real_images_one_line_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HCCR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HCCR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["errors.py"])
    with pytest.raises(SystemExit) as stop:
        errors.main()
    assert "HCCR_DATA_DIR" in str(stop.value) and "\n" not in str(stop.value)


# The record.


@pytest.fixture(scope="module")
def record():
    if not RECORD.exists():
        pytest.skip("no record yet: make errors")
    return json.loads(RECORD.read_text(encoding="utf-8"))


def test_the_record_agrees_with_itself(record):
    for network in record["networks"].values():
        images = network["images"]
        assert len(images) == sum(missed for missed, _ in network["datasets"].values())
        assert sum(network["causes"].values()) == len(images)
        assert all(each["written"] != each["read"] for each in images)
        for each in network["corrections"].values():
            assert each["mended"]["n"] == len(images)
        for name in network["count_as_causes"]:
            assert network["traits"][name]["from"] > 1
        text = json.dumps(network, ensure_ascii=False)
        assert len(text) < 150_000 and "base64" not in text
