"""Every number in the prose is computed on its page, cited with its place, or listed."""

import json
import math
import re
import statistics
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numbers_check as check
import prose
import pytest
from prose import ROOT

LIST = Path(__file__).with_name("numbers.txt")
# A plan of lessons measures nothing; and what README.md says stands in the records it links to.
PAGES = [page for page in prose.PAGES if page.name not in ("README.md", "teaching.md")]


class Line(NamedTuple):
    page: str
    number: str
    what: str
    source: str


LINES = [
    Line(*(part.strip() for part in line.split("|", 3)))
    for line in LIST.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@cache
def record(name: str) -> dict:
    (path,) = (ROOT / "data").rglob(f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def value(expression: str) -> float:
    names = {name: getattr(math, name) for name in ("log", "sqrt")}
    return eval(expression, names | {"record": record, "stdev": statistics.stdev})


@cache
def sources(page: Path) -> list:
    return list(check.sources(prose.read(page)))


@cache
def found(page: Path) -> list[tuple[check.Number, str]]:
    """The numbers of a page that it neither computes nor cites, each with its text."""
    if page.suffix == ".ipynb":
        texts = sources(page)
    else:  # a page without code computes nothing, but may name a record
        names = re.findall(r"`data/results/(\w+)\.json`", page.read_text(encoding="utf-8"))
        known = [number for name in names for number in check.recorded(record(name))]
        texts = [(each.text, known, known) for each in prose.prose(page)]
    return [(n, text) for text, near, all in texts for n in check.unexplained(text, near, all)]


def listed(page: Path) -> set[str]:
    names = ("*", page.stem, prose.name(page).removesuffix(".md"))
    return {line.number for line in LINES if line.page in names}


@pytest.mark.parametrize("page", PAGES, ids=prose.name)
def test_every_number_has_a_source(page):
    assert [(n.text, text) for n, text in found(page) if n.text not in listed(page)] == []


def test_the_list_is_short_and_every_line_of_it_is_needed():
    needed = {(page, n.text) for page in PAGES for n, _ in found(page)}
    unused = [
        line
        for line in LINES
        if not any(line.number == n and line.number in listed(p) for p, n in needed)
    ]
    assert unused == [] and len(LINES) < 110
    assert len({line[:2] for line in LINES}) == len(LINES)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.page} {line.number}")
def test_a_line_of_the_list_says_the_number(line):
    assert line.what and line.source
    if line.source.startswith("="):
        (number,), exact = check.numbers(line.number), check.exact(value(line.source[1:]))
        as_points = exact._replace(unit=number.unit)  # percent, or a share
        assert check.agrees(number, exact) or check.agrees(number, as_points), exact.value


# The checks themselves.


def notebook(*contents: str | tuple[str, str]) -> dict:
    """Cells of text, and pairs of code with what it prints."""
    cells = []
    for each in contents:
        if isinstance(each, str):
            cells.append({"cell_type": "markdown", "source": each})
        else:
            outputs = [{"output_type": "stream", "text": each[1]}]
            cells.append({"cell_type": "code", "source": each[0], "outputs": outputs})
    return {"cells": cells}


def wrong(*contents: str | tuple[str, str]) -> list[str]:
    page = check.sources(notebook(*contents))
    return [number.text for parts in page for number in check.unexplained(*parts)]


@pytest.mark.parametrize(
    ("said", "printed"),
    [
        ("It reads 82.4 % of them.", "0.82412"),
        ("It reads 82.4 % of them.", "82.4%"),
        ("It reads 82 % of them.", "82.4%"),
        ("It has 2.06 million weights.", "2,061,099"),
        ("It has 2,061,099 weights.", "2061099"),
        ("They have 319, 382 or 510 million.", "318,504,960 382205952 509607936"),
        ("It costs 3.66 × as much.", "3.6613"),
    ],
)
def test_a_number_agrees_with_what_is_printed(said, printed):
    assert wrong(('print("?")', printed), said) == []
    digit = next(c for c in reversed(said) if c.isdigit())
    at = said.rindex(digit)
    changed = said[:at] + str((int(digit) + 5) % 10) + said[at + 1 :]
    assert len(wrong(('print("?")', printed), changed)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Figure 12.3 and Table 2; Exercises 1 and 3, section 4.12.",
        "In 1980, on 96 × 96 pixels, on 3 of 7 days.",
        "The rate is `0.125`, or $0.125$, or\n\n$$x = 0.125$$\n\n    code 0.125\n\nno more.",
        "Melnyk et al. (2020) have 97.66 % in their Table 3.",
        "| C over A | 0.07 points (Table 3) | as much |",
        "[page](https://example.org/123)",
    ],
)
def test_structure_and_citations_need_no_output(text):
    assert wrong(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "It reads 97.66 % of them.",
        "Melnyk et al. (2020) have 97.66 %.",  # where?
        "In Table 3 are 97.66 %.",  # whose?
        "| C over A | 0.07 points (Table 3) | 97.66 % |",
        "It takes 25 ms.",
        "It takes 0.5 ms.",
    ],
)
def test_a_number_from_nowhere_is_found(text):
    assert len(wrong(text, ("1", ""))) == 1


def test_a_record_has_its_own_numbers_and_not_those_of_single_images():
    known = check.recorded({"n": 500, "top1": {"share": 0.822}, "each": [0.123] * 999, "is": True})
    assert [number.value for number in known] == [500, 0.822]
    assert check.unexplained("Of 500 it reads 82.2 %.", known, known) == []
    assert check.unexplained("Of 501 it reads 12.3 %, 1.0 %.", known, known) != []


def test_numbers_in_strings_of_code_prove_nothing():
    shown = 'show(fig, number="1.1", caption="Of 1234", alt=f"{n} of 5678")'
    assert wrong((shown, ""), "There are 1234.") == ["1234", "5678", "1234"]
    assert wrong((shown, "1234 5678"), "There are 1234.") == []
    assert wrong(("n = 1234", ""), "There are 1234.") == []


def test_a_short_number_has_to_be_near_or_written_alike_or_sum_up():
    cells = [("37", "52 %")] + [("x", "")] * check.NEAR
    assert wrong(*cells[:-1], "There are 37; and 52.") == ["52"]
    assert wrong(*cells, "There are 37; and 52 %.") == ["37"]
    assert wrong(*cells, "## Take-aways\n\nThere are 37.") == []


def test_a_changed_number_of_the_book_is_noticed():
    """Of four digits and more nearly always, although thousands of numbers are computed."""
    noticed = []
    for page in prose.NOTEBOOKS:
        for text, _, all in sources(page):
            for number in check.measurements(check.uncited(text)):
                if number.digits >= 4:
                    other = number._replace(value=number.value + 6 * number.half)
                    noticed.append(not any(check.agrees(other, known) for known in all))
    assert len(noticed) > 100 and sum(noticed) > 0.9 * len(noticed)
