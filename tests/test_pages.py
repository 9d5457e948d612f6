"""The built pages in a browser, for everybody: axe-core, phone, keyboard, dark, paper.

`make book-check` builds the book first. Each check is tried on a bad page too, which it must find.
"""

import re
from pathlib import Path

import pytest
from browser import BOOK, chromium, opened, serving

PAGES = [
    path.relative_to(BOOK)
    for path in sorted(BOOK.rglob("*.html"))
    if "_static" not in path.parts and path != BOOK / "index.html"  # leads to book/index.html
]
CHAPTER = "notebooks/cam.html"  # with a stepper, wide tables, formulas, exercises
AXE = Path(__file__).parents[1] / "book" / "node_modules" / "axe-core" / "axe.min.js"
# The rules of axe-core that depend on colours and on the size of the window.
LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
SAME = [".highlight pre", "mjx-container", ".bd-sidebar-primary"]
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 800}

each_page = pytest.mark.parametrize("path", PAGES, ids=str)


@pytest.fixture(scope="module")
def address():
    with serving() as server:
        yield server.address


@pytest.fixture(scope="module")
def tab():
    """A tab of a browser whose reader wants nothing to move, so that nothing is half way."""
    with chromium() as browser:
        yield opened(browser, "about:blank", reduced_motion="reduce")


@pytest.fixture
def page(tab):
    tab.emulate_media(media="screen", color_scheme="light", reduced_motion="reduce")
    tab.set_viewport_size(WIDE)
    return tab


# What is wrong with a page: each check returns a list.


def violations(page, *without: str, rules: list[str] | None = None) -> list[str]:
    """What axe-core calls serious or critical; the parts that `without` selects aren't read."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "([exclude, rules]) => axe.run({exclude}, {resultTypes: ['violations'], preload: false,"
        " selectors: false, ...(rules ? {runOnly: rules} : {})})",
        [[[each] for each in without], rules],
    )
    return [
        f"{wrong['id']}: {node['html'][:200]}"
        for wrong in found["violations"]
        if wrong["impact"] in ("serious", "critical")
        for node in wrong["nodes"]
    ]


def settled(page) -> None:
    """The theme looks a little later than the window changes which code it can scroll."""
    page.wait_for_timeout(350)


def stuck(page) -> list[str]:
    """What is wider than its box, and can't be reached, has no name or doesn't look cut off."""
    return page.evaluate("""() => {
      const wrong = [];
      if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page is too wide");
      for (const box of document.querySelectorAll("main *")) {
        if (box.scrollWidth <= box.clientWidth + 1 || box.checkVisibility() === false) continue;
        if (!/auto|scroll/.test(getComputedStyle(box).overflowX)) continue;
        const text = `${box.outerHTML.slice(0, 100)}: `;
        if (box.tabIndex !== 0) wrong.push(text + "not reached by Tab");
        if (box.tagName !== "PRE" && !box.ariaLabel) wrong.push(text + "no name");
        if (getComputedStyle(box).maskImage === "none") wrong.push(text + "doesn't look cut off");
      }
      return wrong;
    }""")


def stops(page, most: int = 400) -> list[dict]:
    """Where Tab stops, in order: whether one sees it, and its place in the page's text."""
    page.evaluate("document.activeElement.blur()")
    found = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate("""() => {
          const it = document.activeElement, style = getComputedStyle(it);
          if (it.matches("html, body")) return null;
          const line = style.outlineStyle === "auto" ? 2 : parseFloat(style.outlineWidth);
          const seen = it.checkVisibility({opacityProperty: true, visibilityProperty: true})
            && ((style.outlineStyle !== "none" && line >= 2) || style.boxShadow !== "none");
          const box = it.getBoundingClientRect();
          return {
            what: it.outerHTML.slice(0, 120), seen, inside: !!it.closest("main"),
            onScreen: box.width > 0 && box.right > 0 && box.left < innerWidth,
            place: [...document.querySelectorAll("*")].indexOf(it),
          };
        }""")
        if stop is None or (found and stop["place"] == found[0]["place"]):
            return found
        found.append(stop)
    raise AssertionError(f"more than {most} stops, the last {found[-1]['what']}")


@each_page
def test_axe_finds_nothing_serious_and_a_phone_shows_all(page, address, path):
    page.goto(f"{address}/{path}")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    # Code, formulas and the menu look the same on all pages: they are read on one.
    same = [] if str(path) == CHAPTER else SAME
    assert violations(page, *same) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    settled(page)
    assert violations(page, *same, rules=LOOKS) == []
    assert stuck(page) == []


@pytest.mark.parametrize("path", ["book/draw.html", "book/atlas.html#鲍"])
def test_what_a_live_page_shows_can_be_read_and_reached(page, address, path):
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    page.goto(f"{address}/{path}")
    if "draw" in path:
        page.locator("#draw-samples button").first.click()
        page.locator("#draw-result").wait_for()
    else:
        page.get_by_text("Stroke by stroke").last.click()
    assert violations(page, *SAME) == []
    assert stuck(page) == []


def test_the_menus_of_a_phone_can_be_read(page, address):
    page.set_viewport_size(PHONE)
    page.goto(f"{address}/book/index.html")
    for menu in ("primary", "secondary"):
        page.locator(f"button.{menu}-toggle").click()
        assert violations(page) == []
        page.keyboard.press("Escape")


@pytest.mark.parametrize("path", ["book/index.html", CHAPTER])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_tab_goes_through_the_page_in_order_and_is_seen(page, address, path, size):
    page.set_viewport_size(size)
    page.goto(f"{address}/{path}")
    settled(page)
    found = stops(page)
    assert [stop["what"] for stop in found if not (stop["seen"] and stop["onScreen"])] == []
    places = [stop["place"] for stop in found]
    assert places == sorted(places)
    assert "Skip to main content" in found[0]["what"]
    assert sum(stop["inside"] for stop in found) > 10


def test_the_skip_link_leads_to_the_text(page, address):
    page.goto(f"{address}/{CHAPTER}")
    page.keyboard.press("Tab")
    assert page.locator("#pst-skip-link a").is_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('main')")


def test_formulas_are_read_aloud_and_no_stops(page, address):
    page.goto(f"{address}/{CHAPTER}")
    page.locator("mjx-container").first.wait_for()
    assert page.locator("mjx-container mjx-assistive-mml").count() > 10
    assert page.locator("mjx-container[tabindex]").count() == 0


def test_a_wide_figure_scrolls_by_arrow_keys_and_fades_where_it_is_cut(page, address):
    page.set_viewport_size(PHONE)
    page.goto(f"{address}/{CHAPTER}")
    box = page.get_by_role("region", name=re.compile("Figure 9.1")).first
    box.focus()
    cut = [box.evaluate("e => e.className")]
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    cut.append(box.evaluate("e => e.className"))
    assert ["cut-left" in each for each in cut] == [False, True]
    assert "cut-right" in cut[0]
    page.set_viewport_size(WIDE)
    page.wait_for_timeout(100)
    assert box.count() == 0  # all of it is shown: a region no more


def test_nothing_moves_for_whom_it_should_not(page, address):
    page.goto(f"{address}/{CHAPTER}")
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_paper_is_white_and_has_text_figures_and_solutions(page, address):
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 720, "height": 1000})
    page.goto(f"{address}/{CHAPTER}")
    settled(page)
    shown = page.evaluate("""() => {
      const shown = (name) => [...document.querySelectorAll(name)].filter(
        (each) => each.checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})
      );
      const dim = (color) => Math.max(...color.match(/[\\d.]+/g).slice(0, 3)) > 100;
      return {
        navigation: shown(
          ".bd-sidebar-primary, .bd-header, .prev-next-area, button, input, .headerlink"
        ).length,
        solutions: shown(".tag_hide-cell pre").length,
        plumbing: shown(".tag_hide-input pre").length,
        dim: shown("main :is(p, h2, h3, li, td, th, pre, pre span, a, figcaption)")
          .filter((each) => each.innerText.trim() && dim(getComputedStyle(each).color))
          .map((each) => each.outerHTML.slice(0, 100)),
        paper: getComputedStyle(document.body).backgroundColor,
        wide: shown("main :is(img, table, pre)")
          .filter((each) => each.getBoundingClientRect().right > innerWidth)
          .map((each) => each.outerHTML.slice(0, 100)),
        spilled: [...document.querySelectorAll("main a")]
          .filter((each) => getComputedStyle(each, "::after").content.includes("http")).length,
      };
    }""")
    solutions = page.locator(".tag_hide-cell pre").count()
    assert solutions > 3
    assert shown == {
        "navigation": 0,
        "solutions": solutions,
        "plumbing": 0,
        "dim": [],
        "paper": "rgb(255, 255, 255)",
        "wide": [],
        "spilled": 0,
    }


# The checks themselves.


@pytest.mark.parametrize(
    "html",
    [
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
        '<p style="color:#bbb;background:#fff">pale</p>',
        "<button></button>",
        '<div role="list"><a href="#">no item</a></div>',
        '<div style="overflow:auto;width:9em;height:2em"><p style="width:99em">x</p></div>',
    ],
)
def test_axe_finds_a_bad_page(page, html):
    page.set_content(f'<html lang="en"><title>t</title><main>{html}</main>')
    assert violations(page)


WIDE_BOX = '<div style="width:50em;height:2em">x</div>'


@pytest.mark.parametrize(
    "html",
    [
        WIDE_BOX,
        f'<div style="overflow:auto">{WIDE_BOX}</div>',
        f'<div style="overflow:auto" tabindex="0" aria-label="a">{WIDE_BOX}</div>',
        f'<div style="overflow:auto;mask-image:linear-gradient(red,red)">{WIDE_BOX}</div>',
    ],
)
def test_a_box_that_hides_something_is_found(page, html):
    page.set_viewport_size(PHONE)
    page.set_content(f"<main>{html}</main>")
    assert stuck(page)


def test_a_stop_that_is_not_seen_is_found(page):
    page.set_content('<main><a href="#">a</a><a href="#" style="outline:none">b</a></main>')
    assert [stop["seen"] for stop in stops(page)] == [True, False]
