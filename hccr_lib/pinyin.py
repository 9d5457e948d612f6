"""How characters are read aloud, and which characters are read so.

The readings are those of the `pypinyin` package (MIT), which takes them from the Unihan database.
"""

from functools import cache

from pypinyin import Style, pinyin

from .characters import LEVEL1, label_of


def readings(character: str) -> tuple[str, ...]:
    """The readings of a level 1 character with tone marks, the usual one first.

    Raises:
        ValueError: `character` is not a single character of GB2312 level 1.

    >>> readings("好")
    ('hǎo', 'hào')
    """
    label_of(character)
    usual = pinyin(character)[0]
    return tuple(dict.fromkeys(usual + pinyin(character, heteronym=True)[0]))


def read_as(text: str) -> str:
    """The level 1 characters with a reading; those whose usual reading it is come first.

    Args:
        text: Pinyin with tone marks, with a tone number or without tones: "jǐ", "ji3", "ji";
            "v" or "u:" stand for "ü". Case and spaces around it do not matter.

    Returns:
        Characters, in the order of GB2312; "" where none is read so.

    >>> read_as("shi3")[:4]
    '史矢使屎'
    """
    spelled = text.strip().lower().replace("u:", "ü").replace("v", "ü")
    return _index().get(spelled, "")


@cache
def _index() -> dict[str, str]:
    """Every spelling of every reading, and the characters read so."""
    usual: dict[str, str] = {}
    rarer: dict[str, str] = {}
    styles = (Style.TONE, Style.TONE3, Style.NORMAL)
    for character in LEVEL1:
        # With "ü" as such: the package would write it "v" where there are no tone marks.
        spellings = [
            pinyin(character, style, heteronym=True, v_to_u=True, neutral_tone_with_five=True)[0]
            for style in styles
        ]
        first = {
            pinyin(character, style, v_to_u=True, neutral_tone_with_five=True)[0][0]
            for style in styles
        }
        for spelling in set().union(*spellings):
            found = usual if spelling in first else rarer
            found[spelling] = found.get(spelling, "") + character
    return {each: usual.get(each, "") + rarer.get(each, "") for each in {**usual, **rarer}}
