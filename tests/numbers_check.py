"""Where the numbers in the prose come from: each is computed on its page, or cited, or listed.

A number agrees with one that the page computes if this, rounded as the prose rounds, is the same.
Three digits hardly ever agree by chance. One or two do, so they count only if what they agree with
is computed near the text, is written in the same way (``0.33``, ``71 %``), or the text sums up the
whole page.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from bs4 import BeautifulSoup
from prose import figure_texts, paragraphs, source, tree

COUNTED = 12  # small whole numbers without a unit count what is seen beside them
NEAR = 6  # cells of code before and after a text
LONG = 60  # what is longer in a record is about single images or characters
SUMMARIES = re.compile(r"\A# |^## Take-aways$|^\| *\| *The paper says", re.M)

NUMBER = re.compile(
    r"(?<![\w.])(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?P<e>e[+-]?\d+)?(?!\.?\d)"
    r"(?P<unit> ?(?:%|percent|points?\b|million|billion|thousand|[kMG]B?\b| · 10⁹)"
    r"|-?(?:×|times\b))?"
)
SHARES = ("%", "percent", "point", "points")
SCALE = {"million": 1e6, "billion": 1e9, "thousand": 1e3, "· 10⁹": 1e9}
SCALE |= {"k": 1e3, "kB": 1e3, "M": 1e6, "MB": 1e6, "G": 1e9, "GB": 1e9}
JOINED = re.compile(r",? ?(?:and|or|to|of|±|–|,) ?[−+-]?")
LIST = r" ?\(?\d[\d.]*\)?(?:(?:, ?(?:and )?| and | to | or |–)\(?\d[\d.]*\)?)*"
# Names, places in the book or in a paper, dates and sizes: no measurements.
STRUCTURE = re.compile(
    rf"(?i:figures?|tables?|exercises?|solutions?|chapters?|sections?|equations?|eqs?\.|§§?|python|"
    rf"rows?|columns?|strokes?|levels?|labels?|blocks?|channels?|cells?|stages?|training){LIST}"
    r"|\b(?:1[5-9]|20)\d\d\b(?![.,]?\d)|\d+(?:\.\d+)? ?× ?\d+(?: ?× ?\d+)*\b(?!,\d)|\b\w+-\d+\b"
    r"|CC BY 4\.0|GB2312|Reading \d+ minutes?, running \d+ minutes?|GTX 1080|95 % interval"
    r"|\(commit \w+\)|section \d[\d.]*"
)
PAPER = (
    r"the (?:original )?(?:paper|abstract|competition)|[A-Z][\w’'-]+(?: et al\.,?| and [A-Z]\w+)"
)
PAPER = re.compile(rf"(?i:{PAPER})|Melnyk|MCANet|\(\d{{4}}\)|[A-Z]\w+,? (?:19|20)\d\d")
PLACE = re.compile(
    r"\b(?:[Tt]ables?|[Ss]ections?|§|[Ee]quations?|[Ee]qs?\.|[Aa]bstract|Figure) ?\(?\d*"
)


class Number(NamedTuple):
    """``value`` in ones, ``half`` a unit of its last digit, ``digits`` that are significant."""

    text: str
    value: float
    half: float
    digits: int
    unit: str


def numbers(text: str) -> list[Number]:
    """The numbers in a text. In "2, 3 or 4 %" all three are percent."""
    found, matches, shared = [], list(NUMBER.finditer(text)), ""
    for match, after in zip(reversed(matches), [None, *reversed(matches)], strict=False):
        joined = after and JOINED.fullmatch(text, match.end(), after.start())
        shared = match["unit"] or (shared if joined else "")
        unit = shared.strip(" -")
        digits = match["digits"].replace(",", "")
        scale = SCALE.get(unit, 1) * float("1" + (match["e"] or ""))
        half = 0.5 * 10 ** -len(digits.partition(".")[2]) * scale
        significant = len(digits.replace(".", "").lstrip("0"))
        found.append(
            Number(
                f"{match['digits']} {unit}".strip(), float(digits) * scale, half, significant, unit
            )
        )
    return found[::-1]


def measurements(text: str) -> list[Number]:
    """The numbers of a text that are more than structure or counting."""
    return [
        number
        for number in numbers(STRUCTURE.sub("_", text))
        if number.unit or number.half != 0.5 or number.value > COUNTED
    ]


def plain(output: dict) -> str:
    """What an output says, without its figures: their captions are prose, to be checked."""
    if "text" in output:
        return "".join(output["text"])
    html = BeautifulSoup("".join(output["data"].get("text/html", "")), "html.parser")
    for made in html.select("figure, style"):
        made.decompose()
    return html.get_text(" ")


def computed(cell: dict) -> list[Number]:
    """The numbers in a cell's outputs and in its code, but not in the strings of its code."""
    if cell["cell_type"] != "code":
        return []
    found = [number for output in cell["outputs"] for number in numbers(plain(output))]
    constants = [node.value for node in ast.walk(tree(cell)) if isinstance(node, ast.Constant)]
    return found + [exact(value) for value in constants if type(value) in (int, float)]


def exact(value: float) -> Number:
    return Number(str(value), abs(value), 0, 99, "")


def recorded(record: object) -> list[Number]:
    """The numbers in a run record, but for those of each image or character."""
    parts = record.values() if isinstance(record, dict) else record
    if isinstance(record, dict | list):
        return [n for part in parts for n in recorded(part)] if len(record) <= LONG else []
    return [exact(record)] if type(record) in (int, float) else []


def agrees(prose: Number, known: Number) -> bool:
    """Whether ``known``, rounded as the prose rounds, is what the prose says."""
    factor = 1.0
    if (prose.unit in SHARES) != (known.unit in SHARES):
        if known.unit in SHARES:
            factor = 0.01
        elif known.value <= 1:
            factor = 100.0
        elif prose.digits < 3:
            return False
    limit = prose.half * 1.000001
    return known.half * factor <= limit and abs(prose.value - known.value * factor) <= limit


def uncited(text: str) -> str:
    """What is left of a text without what it cites: all, if it names a paper and the place in it.

    In a row of a table the last column is ours. The paper may be named by the head of the table.
    """
    if text.startswith("|"):
        others, _, ours = text.rstrip("| ").rpartition("|")
        return ours if PLACE.search(others) else text
    return "" if PAPER.search(text) and PLACE.search(text) else text


def sources(notebook: dict) -> Iterator[tuple[str, list[Number], list[Number]]]:
    """Each paragraph of a notebook with the numbers near it, and those of the whole page."""
    known = [computed(cell) for cell in notebook["cells"]]
    codes = [i for i, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    page = [number for numbers_of_cell in known for number in numbers_of_cell]
    for at, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            texts, sums_up = figure_texts(cell), False
        else:
            texts, sums_up = [source(cell)], SUMMARIES.search(source(cell))
        reach = [i for i in codes if i <= at][-NEAR:] + [i for i in codes if i > at][:NEAR]
        near = page if sums_up else [number for i in reach for number in known[i]]
        yield from ((text, near, page) for each in texts for text in paragraphs(each))


def unexplained(text: str, near: list[Number] = (), page: list[Number] = ()) -> list[Number]:
    """The numbers of a text that are not cited, and that neither a near cell nor its page has."""
    written = {number.text for number in page if number.unit or "." in number.text}
    found = []
    for number in measurements(uncited(text)):
        # "149, 191 and 234 million" may be said in other words: millions, once for all.
        scales = (1, 1e6) if "million" in text and not number.unit else (1,)
        scaled = [number._replace(value=number.value * s, half=number.half * s) for s in scales]
        known = page if number.digits > 2 else near
        if number.text not in written and not any(agrees(n, k) for n in scaled for k in known):
            found.append(number)
    return found
