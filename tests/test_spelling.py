"""The prose is spelled in one English, the British one with -ise, with the words of its field.

A dictionary of American English comes with spylls, a list of what is spelled otherwise in Britain
with codespell; names and the words of the field are in tests/words.txt.
"""

import ast
import re
from functools import cache
from pathlib import Path

import codespell_lib
import prose
import pytest
from prose import ROOT
from spylls.hunspell import Dictionary

WORDS = Path(__file__).with_name("words.txt")
AMERICAN = Dictionary.from_files("en_US")
PAIRS = Path(codespell_lib.__file__).with_name("data") / "dictionary_en-GB_to_en-US.txt"
TO_BRITISH = {
    american.strip(): british
    for british, _, others in (
        line.partition("->") for line in PAIRS.read_text(encoding="utf-8").splitlines()
    )
    for american in others.split(",")
    if american.strip()
}
BRITISH = set(TO_BRITISH.values())
TEXTS = [*prose.PAGES, ROOT / "CHANGELOG.md", *sorted((ROOT / "data").rglob("README.md"))]
OWN = set(WORDS.read_text(encoding="utf-8").split())

WORD = re.compile(r"[^\W\d_]{2,}(?:['’-][^\W\d_]+)*")
# No words: what has a digit or an underscore in it, file names, CamelCase, pinyin with its tones.
NO_WORD = re.compile(
    r"\S*[a-z0-9]\.[a-z]\S*|\S*[\d_]\S*|\b\w*[a-z][A-Z]\w*|\b[A-Z]{2,}s?\b|[^\x00-\u024f’]+"
    r"|\b\w*[āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ][\w’']*|`[^`]*`"
)
ENDING = r"(ed?|es|ing|ations?|ers?|able)$"


@cache
def known(word: str, american: bool = False) -> bool:
    """Whether it is British English, with -ise, or a word of the course's own."""
    plain = word.replace("’", "'").removesuffix("'s").removesuffix("'")
    forms = {plain, plain.lower()}
    if forms & OWN:
        return True
    if "-" in plain:
        return all(known(part, american) for part in plain.split("-"))
    if american and any(map(AMERICAN.lookup, forms)):
        return True
    if plain.lower() in TO_BRITISH or re.search(rf"\w\w\wiz{ENDING}", plain):
        return False
    forms |= {re.sub(rf"is{ENDING}", r"iz\1", form) for form in forms}
    return bool(forms & BRITISH) or any(map(AMERICAN.lookup, forms))


def misspelled(text: str, american: bool = False) -> list[str]:
    return [word for word in WORD.findall(NO_WORD.sub(" ", text)) if not known(word, american)]


def docstrings(module: Path) -> str:
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds))


@pytest.mark.parametrize("page", TEXTS, ids=prose.name)
def test_every_word_is_spelled_right(page):
    wrong = [(word, text) for _, text in prose.prose(page) for word in misspelled(text)]
    assert wrong == []


@pytest.mark.parametrize("module", sorted((ROOT / "hccr_lib").rglob("*.py")), ids=prose.name)
def test_every_word_of_a_docstring_is_spelled_right(module):
    """American words may stand there: Keras's own names, and titles of papers."""
    text = re.sub(r"^\s*(>>>|\.\.\.).*$", "", docstrings(module), flags=re.M)
    assert misspelled(text, american=True) == []


def test_the_list_of_words_is_sorted_and_needed():
    words = WORDS.read_text(encoding="utf-8").split()
    assert words == sorted(set(words), key=lambda word: (word.lower(), word))
    used = {word for page in TEXTS for _, text in prose.prose(page) for word in plain(text)}
    for module in (ROOT / "hccr_lib").rglob("*.py"):
        used |= plain(docstrings(module))
    assert [word for word in words if word not in used] == []


def plain(text: str) -> set[str]:
    """The words of a text as the list would have them, whole and in parts, as written and small."""
    found = {word.replace("’", "'").removesuffix("'s") for word in WORD.findall(text)}
    found |= {part for word in found for part in word.split("-")}
    return found | {word.lower() for word in found}


@pytest.mark.parametrize(
    "text",
    [
        "The colour of the neighbours isn't normalised; it's been labelled in grey.",
        "Melnyk-Net’s poolings, look-alikes and the writers’ logits; 鲍 (bào, *abalone*).",
        "Set `colr=` in the file strokes.npz of HWDB1.1, see README.md and CamExplorer.",
        "$colr$ and [text](colr.html)",
    ],
)
def test_what_is_right_passes(text):
    assert [word for each in prose.paragraphs(text) for word in misspelled(each)] == []


WRONG = ["teh", "recieve", "Accomodate", "strokess", "look-alykes", "dont", "color", "neighbors"]
WRONG += ["normalized", "Normalization", "gray", "analyze", "optimizer"]


@pytest.mark.parametrize("word", WRONG)
def test_what_is_wrong_is_found(word):
    assert misspelled(f"Here {word} stands.") == [word]
