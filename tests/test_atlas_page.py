"""The page "The atlas" in a real browser: search, deep links, keyboard, phone, bad networks."""

import json
import re

import cv2
import numpy as np
import pytest
from browser import BOOK, PATIENCE, chromium, on_every_screen, opened, serving
from playwright.sync_api import expect

from hccr_lib.characters import LEVEL1, tag_of
from hccr_lib.datasets import normalize
from hccr_lib.datasets.strokes import stroke_template
from hccr_lib.datasets.synthesis import random_writer, write
from hccr_lib.pinyin import read_as

FIRST_LOAD_BYTES = 500_000  # of the atlas itself, before anything is looked up


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        server.page = f"{server.address}/book/atlas.html"
        yield server


@pytest.fixture(scope="module")
def page(browser, server):
    page = opened(browser, server.page)
    yield page
    assert page.errors == []
    assert [url for url in page.asked if not url.startswith((server.address, "data:"))] == []


def found(page, query):
    """The characters that a search lists, all of them."""
    page.locator("#atlas-query").fill("")
    expect(page.locator("#atlas-list li")).to_have_count(0)
    page.locator("#atlas-query").fill(query)
    expect(page.locator("#atlas-found")).not_to_be_empty()
    if page.locator("#atlas-more").is_visible():
        page.locator("#atlas-more").click()
        expect(page.locator("#atlas-more")).to_be_hidden()
    return page.locator("#atlas-list [lang=zh-Hans]").all_inner_texts()


def shows(page, character):
    expect(page.locator("#atlas-name [lang=zh-Hans]")).to_have_text(character, timeout=PATIENCE)
    expect(page.locator("#atlas-card")).to_be_visible()


def test_little_is_fetched_before_something_is_looked_up(browser, server):
    server.sent.clear()
    page = opened(browser, server.page)
    expect(page.locator("#atlas-query")).to_be_visible()
    page.wait_for_load_state("networkidle")
    own = {path: size for path, size in server.sent.items() if re.search("/atlas|/draw", path)}
    assert own and sum(own.values()) <= FIRST_LOAD_BYTES, own
    assert not any("-data/" in path for path in own)
    page.close()


@pytest.mark.parametrize("reading", ["bao", "bao4", "bào", "lü", "lv4", "Ji3", "er2", "ma5"])
def test_pinyin_finds_what_python_finds(page, reading):
    assert set(found(page, reading)) == set(read_as(reading)) != set()


def test_the_beginning_of_a_reading_finds_its_continuations(page):
    assert set(found(page, "zhon")) == set(read_as("zhong"))
    assert set(found(page, "nü3")) == set(read_as("nü3"))  # a whole syllable has none: not nüe


def test_a_code_finds_its_character_and_nothing_else(page):
    for character in "啊鲍座":
        code = tag_of(character).hex()
        assert found(page, code) == [character]
        assert found(page, f"{code[:2]} {code[2:]}".upper()) == [character]


def test_a_number_finds_characters_of_so_many_strokes(page):
    for query, count in (("1", 1), ("2 strokes", 2), ("20", 20)):
        assert found(page, query) == [c for c in LEVEL1 if len(stroke_template(c)) == count]
    assert found(page, "ji 3") == [c for c in read_as("ji") if len(stroke_template(c)) == 3]


def test_characters_find_themselves(page):
    assert found(page, "巳已己") == [each for each in LEVEL1 if each in "己已巳"]


@pytest.mark.parametrize("query", ["鱻", "xyz", "D9FE", "99", "<b>x</b>", "🙂", "ji 太", "'", "\\"])
def test_what_is_not_there_is_said(page, query):
    assert found(page, query) == []
    expect(page.locator("#atlas-found")).to_contain_text(query)


def test_an_address_opens_its_character(browser, server):
    page = opened(browser, f"{server.page}#鲍")
    shows(page, "鲍")
    expect(page).to_have_title(re.compile("^鲍 bào"))
    page.locator("#atlas-rivals a").first.click()
    other = page.locator("#atlas-rivals a [lang=zh-Hans]").first
    expect(page.locator("#atlas-name [lang=zh-Hans]")).not_to_have_text("鲍")
    expect(other).to_be_visible()
    page.go_back()
    shows(page, "鲍")
    for unknown in ("鱻", "x", "%E9%B2", "what-you-see"):
        page.goto(f"{server.page}#{unknown}")
        shows(page, "鲍")
    page.goto(f"{server.page}#鱻")
    expect(page.locator("#atlas-found")).to_contain_text("鱻 is not one of")
    page.goto(f"{server.page}#")
    expect(page.locator("#atlas-card")).to_be_hidden()
    expect(page).not_to_have_title(re.compile("bào"))
    assert page.errors == []
    page.close()


def test_a_button_opens_an_example(page, server):
    page.goto(f"{server.page}#")
    page.get_by_role("button", name="兵 bīng, soldier").click()
    shows(page, "兵")


def test_the_card_shows_what_there_is(page, server):
    page.goto(f"{server.page}#太")
    shows(page, "太")
    expect(page.locator("#atlas-hands canvas")).to_have_count(6)
    inked = page.eval_on_selector_all(
        "#atlas-hands canvas",
        """all => all.map(one => one.getContext("2d").getImageData(0, 0, one.width, one.height)
             .data.filter((value, i) => i % 4 == 0 && value < 128).length)""",
    )
    assert min(inked) > 50
    expect(page.locator("#atlas-template polyline")).to_have_count(2 * len(stroke_template("太")))
    expect(page.locator("#atlas-strokes tr")).to_have_count(4)
    expect(page.locator("#atlas-rivals li")).to_have_count(4)
    expect(page.locator("#atlas-template-caption")).to_contain_text("Stroke 4 is missed most")


def test_the_handwriting_is_that_of_the_character_and_of_each_hand(page, server):
    with np.load(BOOK.parents[1] / "data" / "atlas.npz") as file:
        first = json.loads(str(file["about"]))["hands"][0]
    for character in "鲍座":
        page.goto(f"{server.page}#{character}")
        shows(page, character)
        drawn = page.eval_on_selector_all(
            "#atlas-hands canvas",
            """all => all.map(one => [...one.getContext("2d").getImageData(
                 0, 0, one.width, one.height).data].filter((_, i) => i % 4 === 0))""",
        )
        for hand, pixels in enumerate(drawn):
            image = normalize(write(character, random_writer(first + hand)).bitmap)
            side = round(len(pixels) ** 0.5)
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).ravel()
            assert np.abs(255.0 - small - pixels).mean() < 6  # WebP loses a little


def test_another_choice_is_another_map(page, server):
    page.goto(f"{server.page}#太")
    shows(page, "太")
    pictures = []
    for choice in page.locator("#atlas-choices input").all():
        choice.check()
        pictures.append(page.locator("#atlas-map image").get_attribute("href"))
    assert len(set(pictures)) == 5
    expect(page.locator("#atlas-map-caption")).to_contain_text("minus")


def test_the_map_has_the_data_of_its_character(page, server):
    """The sum in the caption is that of data/atlas.npz, in steps of 1/127 of its largest value."""
    with np.load(BOOK.parents[1] / "data" / "atlas.npz") as file:
        maps = file["maps"].astype(float)
    for character in "鲍座":
        page.goto(f"{server.page}#{character}")
        shows(page, character)
        said = page.locator("#atlas-map-caption").inner_text()
        exact = maps[LEVEL1.index(character), 0]
        step = np.abs(exact).max() / 127
        assert abs(float(re.search(r"sum (-?[\d.]+)\.$", said)[1]) - exact.sum()) < 18 * step + 0.05


def tab_to(page, locator, limit=80):
    for _ in range(limit):
        if locator.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError("Tab does not get there")


@on_every_screen
def test_everything_can_be_done_from_the_keyboard(browser, server, screen):
    page = opened(browser, server.page, **screen)
    tab_to(page, page.locator("#atlas-query"))
    page.keyboard.type("bao4")
    expect(page.locator("#atlas-list li").first).to_be_visible()
    tab_to(page, page.locator('#atlas-list a[href="#鲍"]'))
    page.keyboard.press("Enter")
    shows(page, "鲍")
    expect(page.locator("#atlas-name")).to_be_focused()  # reading goes on there
    before = page.locator("#atlas-map image").get_attribute("href")
    tab_to(page, page.locator("#atlas-choices input").first)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#atlas-map image")).not_to_have_attribute("href", before)
    tab_to(page, page.locator("#atlas-card summary"))
    page.keyboard.press("Enter")
    expect(page.locator("#atlas-strokes tr").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#atlas-query").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("太")
    page.keyboard.press("Enter")
    shows(page, "太")
    assert page.errors == []
    page.close()


@pytest.mark.parametrize("missing", ["index.json", "*.webp", "strokes-*"])
def test_a_failed_download_is_said_and_can_be_tried_again(browser, server, missing):
    page = opened(browser, "about:blank")
    page.route(f"**/{missing}", lambda route: route.fulfill(status=503))
    page.goto(f"{server.page}#鲍")
    expect(page.locator("#atlas-found")).to_contain_text("could not be loaded")
    page.unroute(f"**/{missing}")
    page.locator("#atlas-query").fill("太")
    page.keyboard.press("Enter")
    shows(page, "太")
    assert page.errors == []
    page.close()
