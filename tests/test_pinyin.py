"""Readings: known ones, their spellings, and the order of GB2312, which was made by pinyin."""

import itertools
import unicodedata

import pytest

from hccr_lib.characters import LEVEL1
from hccr_lib.pinyin import read_as, readings


def test_well_known_readings():
    known = {"己": "jǐ", "已": "yǐ", "太": "tài", "鲍": "bào", "吗": "ma", "女": "nǚ", "永": "yǒng"}
    assert {character: readings(character)[0] for character in known} == known
    assert {"hǎo", "hào"} <= set(readings("好"))


def test_every_character_is_found_by_each_of_its_readings():
    for character in LEVEL1:
        for reading in readings(character):
            assert character in read_as(reading)
            assert character in read_as(without_tone(reading))


def test_the_usual_reading_comes_first():
    assert read_as("ji3").index("己") < read_as("ji3").index("给")  # gěi, rarely jǐ


@pytest.mark.parametrize(
    ("spelling", "same"),
    [("nv3", "nǚ"), ("NÜ3", "nǚ"), ("lu:4", "lǜ"), (" ji3\n", "jǐ"), ("ma5", "ma5"), ("nv", "nü")],
)
def test_spellings_that_mean_the_same(spelling, same):
    assert read_as(spelling) == read_as(same) != ""


def test_tones_narrow_the_choice():
    toneless = read_as("ji")
    by_tone = [read_as(f"ji{tone}") for tone in range(1, 5)]
    assert all(by_tone) and set("".join(by_tone)) <= set(toneless)
    assert all(len(each) < len(toneless) for each in by_tone)


@pytest.mark.parametrize("nonsense", ["", "x", "己", "ji6", "jii", "\0", "ǐj"])
def test_nothing_is_read_like_nonsense(nonsense):
    assert read_as(nonsense) == ""


def test_level_1_is_in_the_order_of_the_readings():
    """An independent source: the standard's order. Where a character has several readings it may
    stand under another than the usual one, so a few steps go backwards."""
    spelled = [without_tone(readings(character)[0]).replace("ü", "v") for character in LEVEL1]
    steps_back = sum(here > there for here, there in itertools.pairwise(spelled))
    assert steps_back < 60


@pytest.mark.parametrize("character", ["", "x", "龘", "永永"])
def test_other_characters_have_no_readings_here(character):
    with pytest.raises(ValueError, match="level 1"):
        readings(character)


def without_tone(reading: str) -> str:
    tones = "\u0300\u0301\u0304\u030c"
    split = unicodedata.normalize("NFD", reading)
    return unicodedata.normalize("NFC", "".join(each for each in split if each not in tones))
