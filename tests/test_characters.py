"""Characters, labels and tag codes: two codecs and a symmetric relation."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hccr_lib.characters import LEVEL1, LOOK_ALIKES, character_of, label_of, look_alikes, tag_of

# The first character of each initial letter of pinyin in level 1, and its tag code, as every table
# of GB2312 prints them. (No syllable begins with i, u or v.)
FIRST_OF_INITIAL = {
    "a": ("啊", "b0a1"), "b": ("芭", "b0c5"), "c": ("擦", "b2c1"), "d": ("搭", "b4ee"),
    "e": ("蛾", "b6ea"), "f": ("发", "b7a2"), "g": ("噶", "b8c1"), "h": ("哈", "b9fe"),
    "j": ("击", "bbf7"), "k": ("喀", "bfa6"), "l": ("垃", "c0ac"), "m": ("妈", "c2e8"),
    "n": ("拿", "c4c3"), "o": ("哦", "c5b6"), "p": ("啪", "c5be"), "q": ("期", "c6da"),
    "r": ("然", "c8bb"), "s": ("撒", "c8f6"), "t": ("塌", "cbfa"), "w": ("挖", "cdda"),
    "x": ("昔", "cef4"), "y": ("压", "d1b9"), "z": ("匝", "d4d1"),
}  # fmt: skip
# Well-known characters, with the initial of their pinyin.
KNOWN_INITIALS = {
    "爱": "a", "八": "b", "车": "c", "大": "d", "二": "e", "飞": "f", "国": "g", "汉": "h",
    "家": "j", "看": "k", "老": "l", "马": "m", "你": "n", "偶": "o", "朋": "p", "去": "q",
    "人": "r", "水": "s", "天": "t", "我": "w", "小": "x", "永": "y", "中": "z",
}  # fmt: skip
ALL_CODES = [bytes(code) for code in itertools.product(range(256), repeat=2)]


def test_level_1_is_3755_different_characters_in_the_order_of_their_codes():
    assert len(LEVEL1) == len(set(LEVEL1)) == 3755
    tags = [tag_of(character) for character in LEVEL1]
    assert tags == sorted(tags)
    assert (tags[0], tags[-1]) == (b"\xb0\xa1", b"\xd7\xf9")


def test_level_1_leaves_out_no_code_between_its_first_and_last():
    first, last = tag_of(LEVEL1[0]), tag_of(LEVEL1[-1])
    between = [c for c in ALL_CODES if first <= c <= last and min(c) >= 0xA1 and max(c) <= 0xFE]
    assert [character_of(code) for code in between] == list(LEVEL1)


def test_level_1_is_in_the_order_of_pinyin():
    starts = [label_of(character) for character, _ in FIRST_OF_INITIAL.values()]
    assert starts[0] == 0
    assert starts == sorted(starts)
    for character, tag in FIRST_OF_INITIAL.values():
        assert tag_of(character).hex() == tag
    for character, initial in KNOWN_INITIALS.items():
        begun = [
            letter
            for letter, (first, _) in FIRST_OF_INITIAL.items()
            if label_of(first) <= label_of(character)
        ]
        assert begun[-1] == initial


def test_labels_are_positions():
    assert [label_of(character) for character in LEVEL1] == list(range(3755))


def test_every_two_bytes_are_a_tag_code_that_round_trips_or_an_error():
    good = 0
    for tag in ALL_CODES:
        try:
            character = character_of(tag)
        except ValueError as error:
            assert repr(tag) in str(error)
        else:
            assert len(character) == 1
            assert tag_of(character) == tag
            good += 1
    assert good == 7445  # GB2312 (1980): 6,763 Chinese characters and 682 other signs


@given(character=st.characters())
def test_any_unicode_character_has_a_tag_code_that_round_trips_or_an_error(character):
    try:
        tag = tag_of(character)
    except ValueError as error:
        assert repr(character) in str(error)
    else:
        assert character_of(tag) == character


@pytest.mark.parametrize("wrong", ["", "a", "啊啊", "亍", "龘", "Ａ", "\ud800", None, 3, b"x"])
def test_label_of_names_what_is_no_character_of_level_1(wrong):
    with pytest.raises(ValueError, match="GB2312 level 1") as caught:
        label_of(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize("wrong", [["啊"], {}, {"啊"}])
def test_label_of_refuses_what_has_no_hash(wrong):
    with pytest.raises(ValueError, match="received"):
        label_of(wrong)


@pytest.mark.parametrize("wrong", ["", "a", "ab", "啊啊", "龘"])
def test_tag_of_names_what_has_no_code_of_two_bytes(wrong):
    with pytest.raises(ValueError, match="one two-byte GB2312 character"):
        tag_of(wrong)


@pytest.mark.parametrize("wrong", [b"", b"\xb0", b"aa", b"\xb0\xa1\xb0", b"\xff\xff", b"\xb0a"])
def test_character_of_refuses_what_is_no_code(wrong):
    with pytest.raises(ValueError, match="two bytes"):
        character_of(wrong)


def test_look_alikes_are_symmetric_and_never_the_character_itself():
    for character in LEVEL1:
        others = look_alikes(character)
        assert character not in others
        assert len(set(others)) == len(others)
        assert all(character in look_alikes(other) for other in others)


def test_look_alikes_are_written_down_as_groups_of_level_1_characters():
    for group in LOOK_ALIKES:
        assert len(group) == len(set(group)) >= 2
        for character in group:
            assert set(group) - {character} <= set(look_alikes(character))
    assert set(look_alikes("己")) == {"已", "巳"}
    assert look_alikes("永") == ""
    with pytest.raises(ValueError, match="GB2312 level 1"):
        look_alikes("龘")
