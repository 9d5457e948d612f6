"""The pages around the chapters: plans add up, parts are introduced, versions agree."""

import importlib.util
import itertools
import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

yaml = pytest.importorskip("yaml")  # comes with what builds the book

from hccr_lib.characters import LEVEL1  # noqa: E402
from hccr_lib.pinyin import readings  # noqa: E402

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"
LINK = re.compile(r"\]\(([^)#\s]+\.(?:md|ipynb))(?:#[^)]*)?\)")
PARTS = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
TEACHING = (BOOK / "teaching.md").read_text(encoding="utf-8")


def text_of(chapter: Path) -> str:
    text = chapter.read_text(encoding="utf-8")
    if chapter.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def links(text: str) -> list[Path]:
    """The chapters that a text in ``book`` links to."""
    return [(BOOK / link).resolve() for link in LINK.findall(text)]


def minutes(chapter: Path) -> int:
    return int(re.search(r"^\*\*Time\.\*\* Reading (\d+) minutes", text_of(chapter), re.M)[1])


def exercises(chapter: Path) -> int:
    return len(re.findall(r"^### Exercise \d+\. ", text_of(chapter), re.M))


def rows(section: str) -> list[list[str]]:
    """The cells of the table of a section, without its head."""
    text = re.search(rf"^## {section}.*?(?=^## |\Z)", TEACHING, re.M | re.S)[0]
    table = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@pytest.mark.parametrize(("section", "total"), [("Two hours", 120), ("A day", 360)])
def test_the_minutes_of_a_plan_are_the_chapters_own_and_add_up(section, total):
    spent = 0
    for chapter, reading, hands, _, _ in rows(section):
        spent += int(hands) + (0 if reading == "–" else int(reading))
        for path in links(chapter):
            part_of_it = "sections" in chapter
            assert int(reading) < minutes(path) if part_of_it else int(reading) == minutes(path)
    assert spent == total
    assert f"That is {total} minutes." in TEACHING


def chapters(part: dict) -> list[Path]:
    """The chapters of a part that can be studied: those that say how long it takes."""
    files = [next(ROOT.glob(f"{each['file']}.[im][pd]*")) for each in part["chapters"]]
    return [file for file in files if "**Time.**" in text_of(file)]


def test_the_week_has_every_chapter_once_with_all_its_exercises():
    days = rows("A week")
    planned = [links(named) for _, named, _, _ in days]
    for (_, _, reading, given), named in zip(days, planned, strict=True):
        assert int(reading) == sum(map(minutes, named))
        assert int(given) == sum(map(exercises, named))
    every = [path for part in PARTS if part.get("numbered") for path in chapters(part)]
    assert sorted(itertools.chain(*planned)) == sorted(every)


def test_the_introduction_of_a_part_names_its_chapters_in_order():
    """In the table of contents a part is its introduction, then its numbered chapters."""
    introduced = []
    for before, part in itertools.pairwise(PARTS):
        if not part.get("numbered"):
            continue
        page = ROOT / f"{before['chapters'][-1]['file']}.md"
        named = [(page.parent / link).resolve() for link in LINK.findall(text_of(page))]
        assert [path for path in dict.fromkeys(named) if path in chapters(part)] == chapters(part)
        introduced.append(page)
    assert introduced and set(introduced) == set((BOOK / "parts").glob("*.md"))


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = version["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    page = (BOOK / "cite.md").read_text(encoding="utf-8")
    assert str(citation["version"]) == version
    assert set(re.findall(r"Version ([\d.]+\d)", page)) == {version}
    assert citation["title"] in page.replace("{", "").replace("}", "")
    assert str(citation["date-released"].year) in page


def test_the_changelog_goes_back_in_time():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    days = [datetime.strptime(d, "%d %B %Y") for d in re.findall(r"^## (.+)$", text, re.M)]
    assert days == sorted(days, reverse=True)


ENTRY = re.compile(r"^(?P<head>[^\n:#].*?) · (?P<chinese>.+) \((?P<pinyin>.+)\)( \\\*)?\n: ", re.M)
GLOSSARY = (BOOK / "glossary.md").read_text(encoding="utf-8")
TONES = str.maketrans("āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ", "aaaaeeeeiiiioooouuuuüüüü")


def spelled(chinese: str, pinyin: str) -> bool:
    """Whether pinyin is made of readings of the characters, in order; some may lack their tone."""
    if not chinese:
        return not pinyin
    known = [*readings(chinese[0]), *(each.translate(TONES) for each in readings(chinese[0]))]
    return any(
        pinyin.startswith(each) and spelled(chinese[1:], pinyin[len(each) :]) for each in known
    )


def wrong_entries(text: str) -> list[str]:
    """Entries of a glossary without Chinese and pinyin, or with pinyin that is not theirs."""
    wrong = []
    heads = [line for line, below in itertools.pairwise(text.splitlines()) if below[:2] == ": "]
    for head in heads:
        entry = ENTRY.match(f"{head}\n: ")
        chinese = "".join(c for c in entry["chinese"] if c in LEVEL1) if entry else ""
        pinyin = re.sub(r"\bk\b|[ ']", "", entry["pinyin"].lower()) if entry else ""
        if not chinese or not spelled(chinese, pinyin):
            wrong.append(head)
    return wrong


def test_every_word_of_the_glossary_has_its_chinese_and_pinyin():
    assert wrong_entries(GLOSSARY) == []
    heads = [entry["head"].split(",")[0].strip("*") for entry in ENTRY.finditer(GLOSSARY)]
    assert heads == sorted(set(heads), key=str.casefold)


@pytest.mark.parametrize(
    "entry",
    [
        "map · 类激活图",
        "map · (tú)",
        "map",
        "map · 激活图 (lèi jīhuó tú)",
        "map · 激活图 (jīhuò tú)",
    ],
)
def test_a_bad_entry_of_a_glossary_is_found(entry):
    assert wrong_entries(f"{entry}\n: A picture.\n")
    assert wrong_entries("map · 激活图 (jīhuó tú) \\*\n: A picture.\n") == []


# The links to the glossary that the build makes.


@pytest.fixture(scope="module")
def linker():
    path = BOOK / "extensions" / "glossary.py"
    spec = importlib.util.spec_from_file_location("glossary_links", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("names", "text", "found"),
    [
        (["CAM", "class activation map"], "Its class activation maps", "class activation maps"),
        (["CAM"], "Grad-CAM and SCAMP, then CAM.", "CAM"),
        (["dense layer"], "Dense layers", "Dense layers"),
        (["loss", "center loss"], "a center loss", "center loss"),
        (["MAC"], "MACS", None),
    ],
)
def test_names_are_found_whole(linker, names, text, found):
    match = linker.pattern(names).search(text)
    assert (match and match[0]) == found


def test_the_first_use_of_a_word_leads_to_its_entry(linker):
    from docutils import nodes

    def paragraph(text):
        return nodes.paragraph("", "", nodes.Text(text))

    term = nodes.term("", "CAM, class activation map, of old · 类激活图 (lèi jīhuó tú)")
    definition = nodes.definition("", paragraph("A picture. (A chapter)"))
    glossary = nodes.section("", nodes.definition_list_item("", term, definition))
    page = nodes.section(
        "", nodes.title("", "A CAM"), paragraph("A CAM of old"), paragraph("A CAM")
    )
    env = SimpleNamespace(all_docs={linker.PAGE}, get_doctree=lambda _: glossary)
    builder = SimpleNamespace(get_relative_uri=lambda _, to: to)
    linker.link_first_uses(SimpleNamespace(env=env, builder=builder), page, "notebooks/cam")
    (link,) = page.findall(nodes.reference)
    assert link.astext() == "CAM"
    assert (link["refuri"], link["reftitle"]) == ("book/glossary#term-cam", "A picture.")
    assert page.astext().split("\n\n") == ["A CAM", "A CAM of old", "A CAM"]
    assert link.parent is page.children[1]
