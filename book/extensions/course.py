"""What the book does beyond Jupyter Book.

- sphinx-thebe puts the address of a script on a CDN on every page, wanted or not: it is dropped,
  so that no page asks another site for anything.
- Chinese text needs no installed font: a web font is cut down to the characters on the pages.
- A chapter that is a notebook says under its title how to run it.
"""

import re
from html import unescape
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FONT = Path(__file__).parents[2] / "data" / "fonts" / "HCCRSansSC-Regular.otf"
CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")


def drop_thebe(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Leave sphinx-thebe's scripts, styles and configuration off the page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context[kind]
            if "thebe" not in f"{file.filename} {file.attributes.get('body', '')}"
        ]


def add_run_links(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Under the title of a notebook's page, link to the ways of running it."""
    source = app.env.doc2path(page, base=False) if page in app.env.all_docs else ""
    if not source.endswith(".ipynb"):
        return
    links = [f'<a href="{context["pathto"]("_sources/" + source, 1)}" download>Download</a>']
    lab = f"http://localhost:8888/lab/tree/{Path(source).name}"
    links.append(f'<a href="{lab}" title="while make lab is running">JupyterLab</a>')
    if repository := app.config.course_repository:
        colab = f"https://colab.research.google.com/github/{repository}/blob/main/{source}"
        links.append(f'<a href="{colab}">Colab</a>')
    row = f'<p class="course-run">Run this chapter: {" · ".join(links)}</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{row}", 1)


def write_web_font(app: Sphinx, exception: Exception | None) -> None:
    """Write the web font with the Chinese characters that occur on the built pages."""
    if exception is not None or app.builder.format != "html":
        return
    pages = Path(app.outdir).rglob("*.html")
    used = {
        character: page.name
        for page in pages
        for character in CHINESE.findall(unescape(page.read_text(encoding="utf-8")))
    }
    font = TTFont(FONT)
    missing = used.keys() - set(map(chr, font.getBestCmap()))
    if missing:
        first = min(missing)
        raise ExtensionError(
            f"{used[first]}: {first} (U+{ord(first):04X}) is not in {FONT.name}; "
            "add it to data/make_font.py or leave it out of the text."
        )
    options = Options()
    options.flavor = "woff2"
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(used))
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(Path(app.outdir) / "_static" / "hccr-sans-sc.woff2")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("course_repository", "", "html")
    app.connect("html-page-context", drop_thebe, priority=950)
    app.connect("html-page-context", add_run_links)
    app.connect("build-finished", write_web_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
