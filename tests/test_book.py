"""The built book: whole, self-contained, readable by everybody. `make book-check` builds it first.

Each check is tried on a bad page too, which it must find.
"""

import re
import shutil
import subprocess
from pathlib import Path

import book_checks as check
import matplotlib.pyplot as plt
import pytest
from book_checks import parse
from fontTools.ttLib import TTFont

from hccr_lib.viz import figures

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "_build" / "html"
assert (BOOK / ".built").is_file(), "there is no built book: run `make book`"

# Sphinx writes these two itself; nobody reads them as pages of the book.
PAGES = {
    path: parse(path.read_text(encoding="utf-8"))
    for path in sorted(BOOK.rglob("*.html"))
    if "_static" not in path.parts and path.name not in ("genindex.html", "search.html")
}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FONT = BOOK / "_static" / "hccr-sans-sc.woff2"
PAGE_BYTES = 1_500_000

each_page = pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(BOOK)))


@each_page
@pytest.mark.parametrize(
    "wrong",
    [
        check.foreign_loads,
        check.images_without_alternative,
        check.bad_figures,
        check.mixed_figures,
        check.bare_pictures,
        check.unresolved_references,
        check.error_output,
    ],
    ids=lambda f: f.__name__,
)
def test_page(path, wrong):
    assert wrong(PAGES[path]) == []


@each_page
def test_links_lead_somewhere(path):
    assert check.broken_links(path, PAGES) == []


@each_page
def test_a_page_is_light(path):
    assert path.stat().st_size <= PAGE_BYTES


def test_the_first_page_is_light_with_all_it_loads():
    first = BOOK / "book" / "index.html"
    assert sum(f.stat().st_size for f in check.own_files(first, PAGES[first])) <= PAGE_BYTES


def test_every_figure_number_is_used_once():
    assert check.repeated_figures(PAGES) == []


@each_page
def test_every_chinese_character_is_in_the_web_font(path):
    glyphs = set(map(chr, TTFont(FONT).getBestCmap()))
    assert check.characters_without_glyph(PAGES[path], glyphs) == []


@pytest.mark.parametrize("path", sorted(BOOK.rglob("*.css")), ids=lambda p: p.name)
def test_styles_load_nothing_from_elsewhere(path):
    assert check.FOREIGN_IN_CSS.findall(path.read_text(encoding="utf-8")) == []


def test_every_notebook_is_in_the_book():
    built = {path.stem for path in PAGES}
    assert {path.stem for path in NOTEBOOKS} <= built


# The checks themselves.


@pytest.mark.parametrize(
    ("wrong", "html"),
    [
        (check.foreign_loads, '<script src="https://cdn.example.org/a.js"></script>'),
        (check.foreign_loads, '<script src="//cdn.example.org/a.js"></script>'),
        (check.foreign_loads, '<link rel="stylesheet" href="https://example.org/a.css">'),
        (check.foreign_loads, '<link rel="preconnect" href="https://example.org">'),
        (check.foreign_loads, '<img src="http://example.org/a.png" alt="a">'),
        (check.foreign_loads, '<p style="background: url(https://example.org/a.png)">'),
        (check.foreign_loads, '<style>@import "https://example.org/a.css";</style>'),
        (check.foreign_loads, '<script>import("https://example.org/a.js")</script>'),
        (check.foreign_loads, '<iframe src="https://example.org/"></iframe>'),
        (check.images_without_alternative, '<img src="a.png">'),
        (check.images_without_alternative, '<img src="a.png" alt=" ">'),
        (check.bad_figures, '<figure class="hccr-figure" id="fig-1-1"><img alt="a"></figure>'),
        (
            check.bad_figures,
            '<figure class="hccr-figure" id="fig-1-1"><figcaption>Figure 1.2. A</figcaption>',
        ),
        (
            check.bad_figures,
            '<figure class="hccr-figure" id="fig-1-1"><figcaption>Figure 1.1.</figcaption>',
        ),
        (check.mixed_figures, '<figure class="hccr-figure" id="fig-1-2"></figure>'),
        (
            check.mixed_figures,
            '<figure class="hccr-figure" id="fig-1-1"></figure>'
            '<figure class="hccr-figure" id="fig-2-2"></figure>',
        ),
        (check.bare_pictures, '<div class="cell_output"><img src="a.png" alt="a"></div>'),
        (check.unresolved_references, '<span class="xref myst">missing</span>'),
        (check.error_output, '<div class="output stderr">Warning</div>'),
        (check.error_output, '<div class="output traceback">Error</div>'),
    ],
)
def test_a_bad_page_is_found(wrong, html):
    assert wrong(parse(html))


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://arxiv.org/abs/1812.11489">a link to follow</a>',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        '<script>const SVG = "http://www.w3.org/2000/svg";</script>',
        '<img src="data:image/png;base64,AA==" alt="a">',
    ],
)
def test_what_loads_nothing_is_no_load(html):
    assert check.foreign_loads(parse(html)) == []


@pytest.mark.parametrize("href", ["missing.html", "#nowhere", "other.html#nowhere", "../up.html"])
def test_a_broken_link_is_found(tmp_path, href):
    page, other = tmp_path / "page.html", tmp_path / "other.html"
    pages = {page: parse(f'<a href="{href}">x</a>'), other: parse('<p id="here">')}
    for path, soup in pages.items():
        path.write_text(str(soup))
    assert check.broken_links(page, pages)
    pages[page] = parse('<a href="other.html#here">x</a><a href="https://example.org">y</a>')
    assert check.broken_links(page, pages) == []


def test_a_repeated_figure_number_is_found():
    page = parse('<figure class="hccr-figure" id="fig-1-1"></figure>')
    assert check.repeated_figures({Path("a"): page}) == []
    assert check.repeated_figures({Path("a"): page, Path("b"): page})


def test_a_character_without_a_glyph_is_found():
    assert check.characters_without_glyph(parse("<p>鲍 x 龘</p>"), {"鲍"}) == ["龘"]


# The pages in a browser.


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium on this machine")
    return found


def browse(browser: str, address: str, folder: Path) -> tuple[str, str]:
    """Open ``address`` with no network; what the page became, and the browser's network log."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--disable-extensions", "--proxy-server=127.0.0.1:9"),
            *(f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"),
            *("--virtual-time-budget=5000", "--dump-dom", address),
        ],
        check=True,
        capture_output=True,
        timeout=120,
        encoding="utf-8",
    )
    return done.stdout, log.read_text(encoding="utf-8")


def requests_in(log: str) -> set[str]:
    urls = re.findall(r'"url":"((?:https?|wss?):[^"]+)"', log)
    return {url for url in urls if "google" not in url}  # the browser's own


@each_page
def test_a_browser_asks_nobody_for_anything(browser, tmp_path, path):
    assert requests_in(browse(browser, path.as_uri(), tmp_path)[1]) == set()


def test_a_request_to_another_site_is_found(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text('<script src="https://cdn.example.org/a.js"></script>')
    log = browse(browser, page.as_uri(), tmp_path)[1]
    assert any("cdn.example.org" in url for url in requests_in(log))


def test_moving_a_stepper_shows_the_frame_and_its_label(browser, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", lambda output: shown.append(output.data))
    frames = [plt.figure(figsize=(1, 1)) for _ in range(3)]
    figures.stepper(frames, ["a", "b", "c"], number="1.1", caption="c", alt="a")
    move = """
        const slider = document.querySelector("input");
        slider.value = 2;
        slider.dispatchEvent(new Event("input"));
    """
    page = tmp_path / "stepper.html"
    page.write_text(f"<!doctype html>{shown[0]}<script>{move}</script>", encoding="utf-8")
    moved = parse(browse(browser, page.as_uri(), tmp_path)[0])
    visible = ["display: block" in image["style"] for image in moved.select("img")]
    assert visible == [False, False, True]
    assert moved.output.get_text() == moved.input["aria-valuetext"] == "c"
