"""The pages around the chapters: plans add up, parts are introduced, versions agree."""

import itertools
import json
import re
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

yaml = pytest.importorskip("yaml")  # comes with what builds the book

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
