"""The prose of the course, paragraph by paragraph: without code, formulas and addresses."""

import ast
import json
import re
from pathlib import Path
from typing import NamedTuple

import yaml
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [  # of the numbered parts: 1, 2, 3, ...
    next(ROOT.glob(f"{chapter['file']}.*"))
    for part in TOC["parts"]
    if part.get("numbered")
    for chapter in part["chapters"]
]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [*NOTEBOOKS, *sorted((ROOT / "book").glob("**/*.md")), ROOT / "README.md"]
PAGES = [page for page in PAGES if "node_modules" not in page.parts]

NO_PROSE = re.compile(
    r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence) *$|(?<=\n\n)(?: {4}.*\n)+|<!--.*?-->|</?\w[^>]*>"
    r"|\$\$.*?\$\$|(?<![\\$])\$[^$]+\$"  # formulas
    r"|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"  # code within a line
    r"|\{cite\}|(?<=\])\([^)\s]*\)|https?://\S+",  # of a link the text stays
    re.DOTALL | re.MULTILINE,
)


ADMONITION = re.compile(
    r"^```\{admonition\}(.*?)\n:class:[^\n]*\n(.*?)^``` *$", re.DOTALL | re.MULTILINE
)


class Paragraph(NamedTuple):
    """Attributes: ``page``, relative to the repository; ``text`` on one line."""

    page: str
    text: str


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> dict:
    return json.loads(page.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def cells(notebook: dict, kind: str) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def paragraphs(text: str) -> list[str]:
    """Paragraphs of Markdown, each on one line; each row of a table is one, and each item."""
    text = NO_PROSE.sub(" _ ", ADMONITION.sub(r"\n\1\n\n\2", text))
    blocks = re.split(r"\n\s*\n|\n(?=[|#:>]|\s*[-*\d]+[.)]? )", text)
    return [" ".join(block.split()) for block in blocks if block.strip()]


def tree(cell: dict) -> ast.Module:
    """The syntax tree of a cell of code, which may have lines for IPython."""
    return ast.parse(TransformerManager().transform_cell(source(cell)))


def figure_texts(cell: dict) -> list[str]:
    """Captions and text alternatives as they are typed; ``_`` stands for what is computed."""
    return [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "_" for part in parts)
        for call in ast.walk(tree(cell))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg in ("caption", "alt")
        for parts in [getattr(keyword.value, "values", [keyword.value])]
    ]


def prose(page: Path) -> list[Paragraph]:
    """All prose of a page: its text, and the captions and alternatives of its figures."""
    if page.suffix == ".md":
        texts = [page.read_text(encoding="utf-8")]
    else:
        notebook = read(page)
        texts = [source(cell) for cell in cells(notebook, "markdown")]
        texts += [text for cell in cells(notebook, "code") for text in figure_texts(cell)]
    return [Paragraph(name(page), p) for text in texts for p in paragraphs(text)]
