"""What a chapter has, and what a notebook does before it starts. It needs no built book.

Each check is tried on chapters from which something was taken, which it must notice.
"""

import copy
import importlib.util
import re
import sys
from types import SimpleNamespace

import book_checks as check
import prose
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from prose import CHAPTERS, NOTEBOOKS, ROOT

NUMBERS = {page: str(number) for number, page in enumerate(CHAPTERS, start=1)}
each_notebook = pytest.mark.parametrize("page", NOTEBOOKS, ids=prose.name)
each_chapter = pytest.mark.parametrize("page", CHAPTERS, ids=prose.name)


@each_chapter
def test_a_chapter_has_all_its_parts(page):
    if page.suffix == ".md":
        assert check.missing_parts_of_prose(page.read_text(encoding="utf-8")) == []
    else:
        assert check.missing_parts(prose.read(page)) == []


@each_notebook
def test_an_appendix_has_all_but_exercises(page):
    assert check.missing_parts(prose.read(page), appendix=page not in CHAPTERS) == []


@each_notebook
@pytest.mark.parametrize("wrong", [check.directives, check.wrong_time], ids=lambda f: f.__name__)
def test_notebook(page, wrong):
    assert wrong(prose.read(page)) == []


@each_notebook
def test_figures_are_numbered_captioned_and_described(page):
    """Chapters by their place in the book, appendices by a letter."""
    notebook = prose.read(page)
    letter = re.search(r"fig-([A-Z])-1", str(check.outputs_of(notebook)))
    chapter = NUMBERS.get(page) or (letter[1] if letter else "A")
    assert check.wrong_figures(notebook, chapter) == []


def test_figures_that_are_spoken_of_exist():
    shown, named = set(), []
    for page in NOTEBOOKS:
        figures = check.outputs_of(prose.read(page)).find_all("figure", class_="hccr-figure")
        shown |= {figure["id"].removeprefix("fig-").replace("-", ".") for figure in figures}
    for page in prose.PAGES:
        for _, text in prose.prose(page):
            named += [(page.name, n) for n in re.findall(r"Figures? (\w+\.\d+)", text)]
            named += [(page.name, n) for n in re.findall(r"Figures? \w+\.\d+ and (\w+\.\d+)", text)]
    assert len(named) > 20 and [each for each in named if each[1] not in shown] == []


# The checks themselves.


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def code(source: str, *tags: str, html: str = "") -> dict:
    outputs = [{"output_type": "display_data", "data": {"text/html": html}}]
    return {"cell_type": "code", "source": source, "metadata": {"tags": tags}, "outputs": outputs}


def figure(number: str) -> dict:
    name = number.replace(".", "-")
    return code(
        "show()",
        html=f'<figure id="fig-{name}" class="hccr-figure"><img src="data:image/png;base64,AA==" '
        f'alt="A line."><figcaption><strong>Figure {number}.</strong> A.</figcaption></figure>',
    )


CHAPTER = {
    "metadata": {"hccr_seconds": 50},
    "cells": [
        markdown(
            "# Title\n\n**What you will learn.** A\n\n**Before you start.** B\n\n"
            "**Time.** Reading 9 minutes, running 1 minute on two CPU cores."
        ),
        figure("3.1"),
        figure("3.2"),
        markdown("| | The paper says | We measured |\n|---|---|---|\n| a | 1 | 1 |"),
        markdown("## Exercises"),
        markdown("### Exercise 1. A"),
        code("# Solution 1\nassert 1", "hide-cell"),
        markdown("### Exercise 2. B"),
        code("# Solution 2\nassert 2", "hide-cell"),
        markdown("## Take-aways\n\nC"),
    ],
}
PAGE = (
    f"{CHAPTER['cells'][0]['source']}\n\n## Exercises\n\n"
    "### Exercise 1. A\n\nQ\n\n```{admonition} Answer\n:class: dropdown\nA\n```\n\n"
    "### Exercise 2. B\n\nQ\n\n```{admonition} Answer\n:class: dropdown\nB\n```\n\n"
    "## Take-aways\n\nC\n"
)


def all_wrong(notebook: dict) -> list[str]:
    wrong = check.missing_parts(notebook) + check.wrong_figures(notebook, "3")
    return wrong + check.wrong_time(notebook)


def test_a_whole_chapter_lacks_nothing():
    assert all_wrong(CHAPTER) == [] == check.missing_parts_of_prose(PAGE)


@pytest.mark.parametrize("at", [i for i in range(len(CHAPTER["cells"])) if i != 2])
def test_a_chapter_that_lacks_a_cell_is_found(at):
    """All but the last figure, which nobody can miss."""
    cells = CHAPTER["cells"][:at] + CHAPTER["cells"][at + 1 :]
    assert all_wrong(CHAPTER | {"cells": cells})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# Title", "Title"),
        ("**What you will learn.** A", "**What you will learn.**"),
        ("**Before you", "**After you"),
        ("Reading 9 minutes", "Reading"),
        ("running 1 minute on", "running on"),
        ("running 1 minute", "running 4 minutes"),
        ("| The paper says |", "| The paper thinks |"),
        ("## Exercises", "## Questions"),
        ("### Exercise 1. A", "### Exercise 3. A"),
        ("### Exercise 2. B", "### Exercise 2"),
        ("## Take-aways\n\nC", "## Take-aways\n"),
        ("Take-aways\n\nC", "Take-aways\n\nC\n\n# Title"),
        ("# Solution 2\nassert 2", "# Solution 2\n"),
        ("# Solution 1", "# Solution 2"),
        ('alt="A line."', 'alt=" "'),
        ('alt="A line."', ""),
        ("Figure 3.2.</strong> A.", "Figure 3.2.</strong>"),
        ("Figure 3.1.</strong> A.", "Figure 3.2.</strong> A."),
        ("fig-3-2", "fig-3-3"),
        ("fig-3-1", "fig-4-1"),
        ('class="hccr-figure"', ""),
    ],
)
def test_a_chapter_in_which_something_is_wrong_is_found(old, new):
    bad = copy.deepcopy(CHAPTER)
    changed = 0
    for cell in bad["cells"]:
        data = cell["outputs"][0]["data"] if "outputs" in cell else {}
        changed += old in cell["source"] or old in data.get("text/html", "")
        cell["source"] = cell["source"].replace(old, new)
        data["text/html"] = data.get("text/html", "").replace(old, new)
    assert changed and all_wrong(bad)


def test_a_solution_that_is_not_hidden_and_a_time_that_is_not_measured_are_found():
    bad = copy.deepcopy(CHAPTER)
    bad["cells"][6]["metadata"]["tags"] = []
    assert all_wrong(bad)
    for seconds in (61, None):
        assert all_wrong(CHAPTER | {"metadata": {"hccr_seconds": seconds}})


def test_an_appendix_may_lack_exercises_and_a_chapter_may_not():
    cells = CHAPTER["cells"][:4] + CHAPTER["cells"][-1:]
    assert check.missing_parts(CHAPTER | {"cells": cells}, appendix=True) == []
    assert check.missing_parts(CHAPTER | {"cells": cells})
    assert check.missing_parts(CHAPTER | {"cells": cells[1:]}, appendix=True)


@pytest.mark.parametrize(
    "part", ["# Title", "**What you", "**Before you", "**Time.", ":class: dropdown\nA", "### Ex"]
)
def test_a_page_that_lacks_something_is_found(part):
    assert check.missing_parts_of_prose(PAGE.replace(part, ""))
    assert check.missing_parts_of_prose(PAGE.partition("## Take-aways")[0])


def test_a_picture_without_a_figure_is_found():
    bare = code("plot()")
    bare["outputs"][0]["data"] = {"image/png": "AA=="}
    assert check.wrong_figures({"cells": [figure("1.1"), bare]}, "1")
    assert check.wrong_figures({"cells": [figure("1.1")]}, "1") == []


@pytest.mark.parametrize("text", ["```{note}\nx\n```", ":::{tip}\nx\n:::", "see {ref}`x`"])
def test_a_directive_in_a_notebook_is_found(text):
    assert check.directives({"cells": [markdown(text)]})
    assert check.directives({"cells": [markdown("```python\nx = {1}\n```")]}) == []


# Colab.


def run_links(page: str, repository: str) -> list[str]:
    """The addresses under the title of a page, as the book's extension makes them."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("course", ROOT / "book/extensions/course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    source = next(ROOT.glob(f"{page}.*")).relative_to(ROOT).as_posix()
    env = SimpleNamespace(all_docs={page: 0}, doc2path=lambda name, base: source)
    app = SimpleNamespace(env=env, config=SimpleNamespace(course_repository=repository))
    context = {"body": "<h1>Title</h1>", "pathto": lambda address, resource: address}
    course.add_run_links(app, page, "page.html", context, None)
    return [link["href"] for link in check.parse(context["body"]).find_all("a")]


IN_THE_BOOK = [chapter["file"] for part in prose.TOC["parts"] for chapter in part["chapters"]]


@pytest.mark.parametrize("page", IN_THE_BOOK)
def test_a_notebook_opens_on_colab_by_its_own_path(page):
    links = run_links(page, "someone/hccr")
    if not page.startswith("notebooks/"):
        assert links == []
        return
    assert (ROOT / f"{page}.ipynb").is_file()
    colab = "https://colab.research.google.com/github/someone/hccr/blob/main/"
    assert links[0] == f"_sources/{page}.ipynb" and links[-1] == f"{colab}{page}.ipynb"
    assert run_links(page, "") == links[:-1]


def test_every_notebook_is_in_the_table_of_contents():
    assert {f"notebooks/{page.stem}" for page in NOTEBOOKS} <= set(IN_THE_BOOK)


class Shell:
    """What stands in for IPython, and notes what it is asked to do."""

    def __init__(self):
        self.asked, self.names = [], {"get_ipython": lambda: self}

    def system(self, command):
        self.asked.append(command.format(**self.names))

    def run_line_magic(self, name, line):
        self.asked.append(f"%{name} {line}")


@each_notebook
@pytest.mark.parametrize("installed", [True, False])
def test_the_first_cell_of_code_fetches_the_course_where_it_is_not(page, installed, monkeypatch):
    cell = prose.cells(prose.read(page), "code")[0]
    shell = Shell()
    monkeypatch.setenv("HCCR_REPOSITORY", "https://example.org/someone/hccr")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked for what it was told"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: sys if installed else None)
    exec(TransformerManager().transform_cell(prose.source(cell)), shell.names)
    if installed:
        assert shell.asked == []
        return
    clone, enter, install = shell.asked
    assert re.fullmatch(r"git clone .*--depth 1 .*https://example.org/someone/hccr hccr", clone)
    # requirements.txt has ranges, which tests/test_house.py checks; constraints.txt has pins.
    assert enter == "%cd hccr" and re.fullmatch(r"%pip install .*-r requirements\.txt", install)
    assert "constraints" not in install


# Widgets.

TESTED = {"writer_sliders": "test_widgets.py", "CamExplorer": "test_explorer.py"}


def test_every_widget_of_a_notebook_has_its_test():
    """Each of these tests sets every control of its widget. Steppers are HTML: test_book.py."""
    code = [cell for page in NOTEBOOKS for cell in prose.cells(prose.read(page), "code")]
    source = "\n".join(map(prose.source, code))
    assert "ipywidgets" not in source  # widgets are made in the library
    imported = re.findall(r"^from hccr_lib\.viz\.(?:widgets|explorer) import (.+)$", source, re.M)
    assert {name for names in imported for name in names.split(", ")} == set(TESTED)
    for widget, file in TESTED.items():
        assert f"{widget}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
