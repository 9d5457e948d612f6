"""What the book does beyond Jupyter Book.

- sphinx-thebe puts the address of a script on a CDN on every page, wanted or not: it is dropped,
  so that no page asks another site for anything.
- Pages are light: no MathJax without formulas, and of Font Awesome only its web font, not the
  script of 1.5 MB that draws the same icons.
- Chinese text needs no installed font: a web font is cut down to the characters on the pages.
- A chapter that is a notebook says under its title how to run it.
- What a screen reader would stumble over is mended, and what is wide can scroll (course.js).
"""

import os
import re
from html import unescape
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

FONT = Path(__file__).parents[2] / "data" / "fonts" / "HCCRSansSC-Regular.otf"
CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
ICON_SCRIPT = re.compile(r"<(script|link)\b[^>]*\bfontawesome\.js[^>]*>(\s*</script>)?")
SEARCH_BUTTON = re.compile(r'(<button\b[^>]*\bsearch-button-field\b[^>]*) aria-label="Search"')
PARAMETERS = re.compile(r'<dl>\n((?:<dd><em class="sig-param">.*</dd>\n)+)</dl>')
PICTURE = re.compile(r'<p>(?=<img\b[^>]*\bsrc="(?:\.\./)*_images/)')
UNFOLD = re.compile(r'(>([^<]+)</a><details[^>]*><summary)(><span class="toctree-toggle")')
TABLE = re.compile(r'<table border="1" class="dataframe">.*?</table>', re.DOTALL)
FIGURE = re.compile(r'(<figure\b[^>]*class="hccr-figure"[^>]*>)((?:<img\b[^>]*>)+)')


def drop_unused_files(
    app: Sphinx, page: str, template: str, context: dict, doctree: object
) -> None:
    """Leave sphinx-thebe off every page, and MathJax off pages without a formula."""
    unused = ["thebe"]
    if 'class="math' not in context.get("body", ""):
        unused += ["mathjax", "MathJax"]
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context[kind]
            if not any(u in f"{file.filename} {file.attributes.get('body', '')}" for u in unused)
        ]


def name_repository(app: Sphinx, config: Config) -> None:
    """On GitHub the repository is the one that builds the book, so that a fork links to itself."""
    config.course_repository = config.course_repository or os.environ.get("GITHUB_REPOSITORY", "")


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
        # The first cell asks there: Colab doesn't tell a notebook where it came from.
        links.append(
            f'<a href="{colab}">Colab</a>, which asks for the address of the course: '
            f"<code>https://github.com/{repository}</code>"
        )
    row = f'<p class="course-run">Run this chapter: {" · ".join(links)}</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{row}", 1)


def name_first_page(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """The first page is called as the book is: once is enough."""
    if page == app.config.root_doc:
        context["docstitle"] = ""


def mend_body(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Let wide tables and figures scroll; undo what other tools write against the rules of HTML."""
    body = context.get("body", "")
    body = TABLE.sub(r'<div class="course-scroll">\g<0></div>', body)
    body = FIGURE.sub(r'\1<div class="course-scroll">\2</div>', body)
    body = PICTURE.sub('<p class="course-scroll">', body)
    body = body.replace('class="pst-scrollable-table-container"', 'class="course-scroll"')
    # An empty heading of a column (pandas over the names of rows, MyST) heads nothing.
    body = body.replace("<th></th>", "<td></td>")
    body = body.replace('<th class="head"><p></p></th>', "<td></td>")
    # MyST-NB names what it folds "Toggle hidden content" over the words that one sees.
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    # Sphinx writes the parameters of a long signature as definitions of nothing.
    body = PARAMETERS.sub(
        lambda found: (
            found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
        ),
        body,
    )
    # A list holds list items; doc-biblioentry is deprecated.
    context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def finish_pages(app: Sphinx, exception: Exception | None) -> None:
    """Drop the icons' script, which the theme's template holds; write the web font."""
    if exception is not None or app.builder.format != "html":
        return
    used = {}
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        text = ICON_SCRIPT.sub("", text)
        # The button that says "Search Ctrl+K" is named so, not only "Search".
        text = SEARCH_BUTTON.sub(r"\1", text)
        # The arrow that unfolds pages below a page says of which.
        text = UNFOLD.sub(r'\1 aria-label="Pages of \2"\3', text)
        page.write_text(text, encoding="utf-8")
        used |= dict.fromkeys(CHINESE.findall(unescape(text)), page.name)
    write_web_font(used, Path(app.outdir) / "_static" / "hccr-sans-sc.woff2")


def write_web_font(used: dict[str, str], output: Path) -> None:
    """Write the web font with the characters ``used``: each with the name of a page it is on."""
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
    font.save(output)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("course_repository", "", "html")
    app.connect("config-inited", name_repository)
    app.connect("html-page-context", drop_unused_files, priority=950)
    app.connect("html-page-context", add_run_links)
    app.connect("html-page-context", name_first_page)
    app.connect("html-page-context", mend_body)
    app.add_js_file("course.js")
    app.connect("build-finished", finish_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
