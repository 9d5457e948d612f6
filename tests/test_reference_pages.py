"""The built pages of the reference: every name has its place, and no markup is left raw."""

import re
from pathlib import Path

import pytest
import typer
from book_checks import parse
from test_reference import DESCRIBED, PAGES

from hccr_lib.cli import app

BOOK = Path(__file__).parents[1] / "_build" / "html"
BUILT = {
    page.stem: parse((BOOK / "book" / "api" / f"{page.stem}.html").read_text(encoding="utf-8"))
    for page in PAGES
}
each_page = pytest.mark.parametrize("page", BUILT)

RAW = re.compile(r"``|:\w+:`|(?<!\w)`\w|:(param|returns|raises|rtype)\b|^Args:", re.M)


def raw_markup(page) -> list[str]:
    """What looks like reStructuredText in the text outside of code."""
    page = parse(str(page))
    for code in page.find_all(["code", "pre", "script"]):
        code.decompose()
    text = page.get_text()
    return [text[max(0, m.start() - 20) : m.end() + 20] for m in RAW.finditer(text)]


def silent(page) -> list[str]:
    """Signatures that nothing is said about, or that hide the arguments."""
    return [
        signature.get_text()
        for signature in page.select("dl.py > dt.sig")
        if not signature.find_next_sibling("dd").get_text(strip=True)
        or ("*args" in signature.get_text() and "StrokePicture" not in signature["id"])
    ]


@each_page
def test_a_page_is_whole(page):
    assert raw_markup(BUILT[page].article) == []
    assert silent(BUILT[page]) == []


def test_every_name_has_its_place():
    places = {tag["id"] for page in BUILT.values() for tag in page.select("dt.sig[id]")}
    assert {".".join(pair) for pair in DESCRIBED} - places == set()


def test_arguments_are_lists_and_examples_are_coloured():
    page = BUILT["explain"]
    cam = page.find(id="hccr_lib.explain.cam").parent
    assert [dt.get_text(strip=True) for dt in cam.select("dl.field-list > dt")] == [
        "Parameters:",
        "Returns:",
        "Raises:",
    ]
    listed = [item.strong.get_text() for item in cam.select("dl.field-list li")]
    assert listed[:5] == ["model", "images", "classes", "centred", "batch_size"]
    assert cam.select("pre span.gp, pre span.k, pre span.n")
    # A name in backticks leads to its place.
    assert page.select("a[href='#hccr_lib.explain.cam'] code")


def test_the_command_line_is_all_there():
    group = typer.main.get_command(app)
    page = BUILT["command_line"]
    for name, command in group.commands.items():
        section = page.find(id=f"hccr-{name}")
        named = " ".join(term.get_text() for term in section.select("dt"))
        options = {option for each in command.params for option in each.opts if option[0] == "-"}
        assert options - {*named.split(), "--help"} == set()
        assert len(section.select("dt")) == len(command.params)


@pytest.mark.parametrize(
    "text",
    ["<p>see ``cam``</p>", "<p>:func:`cam`</p>", "<p>`cam` is</p>", "<p>:param model: x</p>"],
)
def test_raw_markup_is_found(text):
    assert raw_markup(parse(text))
    assert raw_markup(parse(f"<pre>{text}</pre>")) == []


def test_a_silent_signature_is_found():
    text = '<dl class="py"><dt class="sig" id="f">f({})</dt><dd>{}</dd></dl>'
    assert silent(parse(text.format("a", "Does."))) == []
    assert silent(parse(text.format("a", ""))) == ["f(a)"]
    assert silent(parse(text.format("*args", "Does."))) == ["f(*args)"]
