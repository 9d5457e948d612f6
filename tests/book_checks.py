"""What a good page is: each check takes built pages or a notebook and returns what is wrong."""

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
LOADS = [
    ("script", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("source", "src"),
    ("audio", "src"),
    ("video", "src"),
    ("embed", "src"),
    ("object", "data"),
]
LOADING_LINKS = {"stylesheet", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload"}
LOADING_LINKS |= {"icon", "manifest"}
FOREIGN = re.compile(r"^(https?:)?//", re.IGNORECASE)
FOREIGN_IN_CSS = re.compile(r"""(url\(\s*|@import\s+)["']?\s*(https?:)?//""", re.IGNORECASE)
# Names of XML vocabularies look like addresses and load nothing.
FOREIGN_IN_SCRIPT = re.compile(r"""["'`](https?:)?//(?!www\.w3\.org/)[\w.-]+\.\w+""")
PICTURE_DATA = re.compile(r"(?<=base64,)[A-Za-z0-9+/=]+")
DIRECTIVE = re.compile(r"^(```|~~~|:::+)\s*\{|\{(ref|numref|eq|cite\w*|doc|term|math)\}`", re.M)


def parse(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def foreign_loads(page: BeautifulSoup) -> list[str]:
    """Everything the page would load from another site. Links to follow are no loads."""
    found = [
        f"<{tag} {attribute}={element[attribute]}>"
        for tag, attribute in LOADS
        for element in page.find_all(tag)
        if FOREIGN.match(element.get(attribute, ""))
    ]
    for link in page.find_all("link"):
        if LOADING_LINKS & set(link.get("rel", [])) and FOREIGN.match(link.get("href", "")):
            found.append(f"<link href={link['href']}>")
    for script in page.find_all("script"):
        found += [f"script: {m[0]}" for m in FOREIGN_IN_SCRIPT.finditer(script.string or "")]
    styles = [style.string or "" for style in page.find_all("style")]
    styles += [element["style"] for element in page.find_all(style=True)]
    return found + [f"style: {m[0]}" for s in styles for m in FOREIGN_IN_CSS.finditer(s)]


def images_without_alternative(page: BeautifulSoup) -> list[str]:
    return [
        f"an image without alt: {str(image)[:80]}"
        for image in page.find_all("img")
        if not image.get("alt", "").strip()
    ]


def bad_figures(page: BeautifulSoup) -> list[str]:
    """Figures whose caption is missing or does not begin with the number in their address."""
    bad = []
    for figure in page.find_all("figure", class_="hccr-figure"):
        number = figure.get("id", "").removeprefix("fig-").replace("-", ".")
        caption = figure.figcaption.get_text(strip=True) if figure.figcaption else ""
        if not re.match(rf"Figure {re.escape(number)}\.\s*\S", caption):
            bad.append(f"figure {number or '?'} has the caption {caption!r}")
    return bad


def repeated_figures(pages: dict[Path, BeautifulSoup]) -> list[str]:
    """Figure numbers that occur more than once in the book."""
    identifiers = Counter(
        figure.get("id")
        for page in pages.values()
        for figure in page.find_all("figure", class_="hccr-figure")
    )
    return [f"{name} occurs {n} times" for name, n in identifiers.items() if n > 1]


def mixed_figures(page: BeautifulSoup) -> list[str]:
    """Figures that are not numbered chapter.1, chapter.2, ... in the order of the page."""
    names = [figure.get("id", "") for figure in page.find_all("figure", class_="hccr-figure")]
    chapter = names[0].split("-")[1] if names else ""
    expected = [f"fig-{chapter}-{i}" for i in range(1, len(names) + 1)]
    return [] if names == expected else [f"figures are numbered {names}"]


def bare_pictures(page: BeautifulSoup) -> list[str]:
    """Pictures in the output of a cell that are no numbered figure."""
    return [
        f"a picture outside a figure: {str(image)[:80]}"
        for image in page.select("div.cell_output img")
        if image.find_parent("figure", class_="hccr-figure") is None
    ]


def broken_links(path: Path, pages: dict[Path, BeautifulSoup]) -> list[str]:
    """Links within the book to a file or a place that does not exist."""
    broken = []
    for link in pages[path].find_all("a", href=True):
        target = urlsplit(link["href"])
        if target.scheme or target.netloc or link["href"] == "#":
            continue
        file = (path.parent / unquote(target.path)).resolve() if target.path else path
        anchor = unquote(target.fragment)
        if not file.is_file():
            broken.append(f"{link['href']}: no such file")
        elif anchor and file in pages and pages[file].find(id=anchor) is None:
            broken.append(f"{link['href']}: no such place")
    return broken


def unresolved_references(page: BeautifulSoup) -> list[str]:
    return [
        f"an unresolved reference: {span.get_text()}"
        for span in page.select("span.xref.myst")
        if span.find_parent("a") is None
    ]


def characters_without_glyph(page: BeautifulSoup, glyphs: set[str]) -> list[str]:
    return sorted(set(CHINESE.findall(page.get_text())) - glyphs)


def error_output(page: BeautifulSoup) -> list[str]:
    """Tracebacks and warnings that a reader would see."""
    return [
        f"an output of class {kind}: {output.get_text()[:80]!r}"
        for kind in ("stderr", "traceback")
        for output in page.select(f"div.output.{kind}")
    ]


def own_files(path: Path, page: BeautifulSoup) -> set[Path]:
    """The local files that the page loads, itself included."""
    addresses = [script["src"] for script in page.find_all("script", src=True)]
    addresses += [image["src"] for image in page.find_all("img", src=True)]
    addresses += [link["href"] for link in page.select("link[rel=stylesheet][href]")]
    local = (urlsplit(a).path for a in addresses if not urlsplit(a).scheme)
    return {path} | {(path.parent / unquote(a)).resolve() for a in local}


def directives(notebook: dict) -> list[str]:
    """MyST syntax, which Colab and JupyterLab show as raw text."""
    return [
        f"MyST in a notebook: {match[0]!r}"
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for match in DIRECTIVE.finditer("".join(cell["source"]))
    ]


def outputs_of(notebook: dict) -> BeautifulSoup:
    """What the cells of a notebook show, without the data of its pictures, which are large."""
    shown = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            shown += ['<img src="data:">' for kind in data if kind.startswith("image/")]
            shown.append(PICTURE_DATA.sub("", "".join(data.get("text/html", ""))))
    return parse(f'<div class="cell_output">{"".join(shown)}</div>')


def wrong_figures(notebook: dict, chapter: str) -> list[str]:
    """Figures of a notebook that are not numbered, captioned and described as they should be."""
    page = outputs_of(notebook)
    names = [figure.get("id") for figure in page.find_all("figure", class_="hccr-figure")]
    wrong = bad_figures(page) + images_without_alternative(page) + bare_pictures(page)
    if not names or names != [f"fig-{chapter}-{i}" for i in range(1, len(names) + 1)]:
        wrong.append(f"the figures of chapter {chapter} are numbered {names}")
    return wrong


def wrong_time(notebook: dict) -> list[str]:
    """A stated running time below the measured one, or above three minutes."""
    stated = re.search(r"running (\d+) minute", "".join(notebook["cells"][0]["source"]))
    measured = notebook["metadata"].get("hccr_seconds")
    if stated and measured and measured <= 60 * int(stated[1]) <= 180:
        return []
    return [f"{measured} seconds were measured, {stated and stated[0]} is said"]


FIRST = {
    "a title": r"\A# \S",
    "what you will learn": r"^\*\*What you will learn\.\*\* \S",
    "what to know before": r"^\*\*Before you start\.\*\* \S",
    "the reading time": r"^\*\*Time\.\*\* Reading \d+ minutes?\b",
}
RUNNING = {"the running time": r"^\*\*Time\.\*\* .*running \d+ minutes? on two CPU cores"}
LAST = {"take-aways": r"^## Take-aways$\s+\S"}
BOX = {"the box The paper says / We measured": r"\| *The paper says *\| *We measured *\|"}


def lacks(text: str, parts: dict[str, str]) -> list[str]:
    return [f"no {part}" for part, pattern in parts.items() if not re.search(pattern, text, re.M)]


def missing_parts(notebook: dict, appendix: bool = False) -> list[str]:
    """Parts of the chapter pattern that the notebook lacks. An appendix needs no exercises."""
    cells = [(c["cell_type"], "".join(c["source"]), c["metadata"]) for c in notebook["cells"]]
    prose = "\n\n".join(source for kind, source, _ in cells if kind == "markdown")
    missing = lacks(cells[0][1] if cells else "", FIRST | RUNNING) + lacks(prose, BOX | LAST)
    if len(re.findall(r"^# ", prose, re.M)) > 1:
        missing.append("more than one title")
    exercises = re.findall(r"^### Exercise (\d+)\. \S", prose, re.M)
    solutions = [
        match[1]
        for kind, source, metadata in cells
        if kind == "code" and "hide-cell" in metadata.get("tags", [])
        for match in [re.match(r"# Solution (\d+)\n\s*\S", source)]
        if match
    ]
    if appendix and not exercises + solutions:
        return missing
    missing += wrong_exercises(exercises, sorted(set(solutions)))
    return missing if "## Exercises" in prose.splitlines() else [*missing, "no exercises"]


def missing_parts_of_prose(text: str) -> list[str]:
    """Parts of the chapter pattern that a chapter without code lacks: its answers are folded."""
    exercises = re.findall(r"^### Exercise (\d+)\. \S", text, re.M)
    answers = re.findall(
        r"^### Exercise (\d+)\.[^#]*?^```\{admonition\} Answer\n:class: dropdown\n\S", text, re.M
    )
    return lacks(text, FIRST | LAST) + wrong_exercises(exercises, answers)


def wrong_exercises(exercises: list[str], answered: list[str]) -> list[str]:
    if 2 <= len(exercises) <= 4 and exercises == [str(i + 1) for i in range(len(exercises))]:
        if exercises == answered:
            return []
        return [f"exercises {exercises}, but hidden solutions {answered}"]
    return [f"exercises {exercises}"]
