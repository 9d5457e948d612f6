"""The CAM explorer in JupyterLab, driven in a real browser: mouse, keyboard and menus."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from browser import PATIENCE, chromium, opened
from playwright.sync_api import expect

CELL = """\
from hccr_lib.models import melnyk_net
from hccr_lib.viz.explorer import CamExplorer
CamExplorer(melnyk_net("C", weights="synthetic"), "己", seed=3)"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab with one notebook in it."""
    folder = tmp_path_factory.mktemp("lab")
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(CELL)], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, folder / "explorer.ipynb")
    settings = (
        folder / "CONFIG_DIR" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    )
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text('{"adaptive-theme": true}')
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    places = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR", "LAB_WORKSPACES_DIR")
    environment = {
        **os.environ,
        **{f"JUPYTER{'' if 'LAB' in name else '_'}{name}": str(folder / name) for name in places},
    }
    arguments = ["--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0"]
    arguments += ["--IdentityProvider.token=", f"--notebook-dir={folder}"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://localhost:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/api").close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook, its cell executed."""
    page = opened(browser, f"{lab}/lab/tree/explorer.ipynb")
    execute(page, lab)
    yield page
    page.close()
    assert [url for url in page.asked if not url.startswith((lab, "data:", "blob:"))] == []


def execute(page, lab):
    def idle():
        with urllib.request.urlopen(f"{lab}/api/kernels") as kernels:
            return [each["execution_state"] for each in json.load(kernels)] == ["idle"]

    assert soon(page, idle, seconds=PATIENCE / 1000)
    # At its beginning, which is on the screen however narrow that is.
    page.locator(".jp-CodeCell .cm-content").click(position={"x": 5, "y": 5})
    page.keyboard.press("Control+Enter")
    page.locator(".hccr-stroke-picture path").first.wait_for(state="attached")


@pytest.fixture(scope="module")
def beginning(page):
    """The titles of the first picture and the first table."""
    assert soon(page, lambda: len(set(titles(page))) == 1)
    return titles(page)


@pytest.fixture
def explorer(page, beginning):
    """The explorer as it begins: 己, CAM, all strokes there."""
    back = page.get_by_role("button", name="Put all strokes back")
    if back.is_enabled():
        back.click()
    page.get_by_label("explain").select_option("what is read")
    page.get_by_label("method").select_option("CAM")
    # What the test before has set in motion may still be on its way.
    assert soon(page, lambda: titles(page) == beginning)
    return page


def picture(page):
    return page.locator(".hccr-stroke-picture image").get_attribute("href")


def titles(page):
    """What the picture says it shows, and what the table says."""
    shown = page.locator(".hccr-stroke-picture image").get_attribute("aria-label")
    return shown.split(", drawn")[0], page.locator("[aria-live=polite] b").inner_text()


def reading(page):
    return page.locator("[aria-live=polite] table").inner_text()


def stroke(page, number):
    return page.get_by_role("button", name=f"Stroke {number} of 3")


def soon(page, true, seconds=5):
    """Whether `true()` before long: picture and table arrive in messages of their own."""
    for _ in range(round(20 * seconds)):
        if true():
            return True
        page.wait_for_timeout(50)
    return False


def changes(what, page, act):
    """Whether `what` is another soon after `act`."""
    before = what(page)
    act()
    return soon(page, lambda: what(page) != before)


def click_on_ink(page, number):
    """A click of the mouse on a point of the stroke, wherever that is."""
    x, y = stroke(page, number).evaluate(
        """path => {
          const box = path.getBBox(), point = path.ownerSVGElement.createSVGPoint();
          for (let i = 1; i < 40; i++) for (let j = 1; j < 40; j++) {
            point.x = box.x + box.width * i / 40;
            point.y = box.y + box.height * j / 40;
            if (!path.isPointInFill(point)) continue;
            const at = point.matrixTransform(path.getScreenCTM());
            if (document.elementFromPoint(at.x, at.y) === path) return [at.x, at.y];
          }
        }"""
    )
    page.mouse.click(x, y)


def test_another_class_is_another_picture(explorer):
    def explain(option):
        return lambda: explorer.get_by_label("explain").select_option(option)

    before = reading(explorer)
    assert changes(picture, explorer, explain("look-alike: 已 yǐ"))
    assert changes(picture, explorer, explain("what was written: 己"))
    assert reading(explorer) == before  # what is explained does not change what is read


def test_another_method_is_another_picture(explorer):
    methods = explorer.get_by_label("method")
    assert changes(picture, explorer, lambda: methods.select_option("Grad-CAM before its ReLU"))
    assert changes(picture, explorer, lambda: methods.select_option("CAM"))


def test_a_click_on_a_stroke_erases_it_and_changes_what_is_read(explorer):
    whole = picture(explorer), reading(explorer)
    explorer.locator(".hccr-stroke-picture").scroll_into_view_if_needed()
    assert changes(reading, explorer, lambda: click_on_ink(explorer, 3))
    expect(stroke(explorer, 3)).to_have_attribute("aria-pressed", "true")
    assert soon(explorer, lambda: picture(explorer) != whole[0])
    assert "change" in reading(explorer)
    assert changes(reading, explorer, lambda: click_on_ink(explorer, 3))
    expect(stroke(explorer, 3)).to_have_attribute("aria-pressed", "false")
    assert soon(explorer, lambda: (picture(explorer), reading(explorer)) == whole)


def test_strokes_are_erased_from_the_keyboard(explorer):
    stroke(explorer, 1).focus()
    assert changes(reading, explorer, lambda: explorer.keyboard.press("Enter"))
    explorer.keyboard.press("Tab")
    expect(stroke(explorer, 2)).to_be_focused()
    assert changes(reading, explorer, lambda: explorer.keyboard.press("Space"))
    expect(stroke(explorer, 2)).to_be_focused()
    expect(stroke(explorer, 2)).to_have_attribute("aria-pressed", "true")
    back = explorer.get_by_role("button", name="Put all strokes back")
    assert changes(reading, explorer, back.click)
    expect(back).to_be_disabled()


def test_the_hand_moves_the_picture(explorer):
    explorer.get_by_text("Style of the hand").click()
    slider = explorer.locator(".widget-slider", has_text="slant").get_by_role("slider")
    slider.focus()
    for key in ("ArrowRight", "ArrowLeft"):
        assert changes(picture, explorer, lambda key=key: explorer.keyboard.press(key))


def test_a_character_is_found_by_its_pinyin(explorer):
    text = explorer.get_by_label("character")
    assert changes(picture, explorer, lambda: text.fill("tai4"))
    matches = explorer.get_by_label("read so")
    assert "太" in matches.inner_text()
    assert changes(picture, explorer, lambda: matches.select_option("太"))
    expect(explorer.locator(".hccr-stroke-picture path")).to_have_count(4)
    text.fill("nonsense")
    expect(explorer.locator(".jp-OutputArea").get_by_role("alert")).to_contain_text("nonsense")
    assert changes(picture, explorer, lambda: text.fill("己"))
    expect(explorer.locator(".hccr-stroke-picture path")).to_have_count(3)


def test_everything_has_a_name(explorer):
    output = explorer.locator(".jp-OutputArea-output:has(.hccr-stroke-picture)")
    for control in output.locator("select:visible, input:visible, button:visible").all():
        named = control.evaluate(
            "e => e.labels?.[0]?.textContent || e.getAttribute('aria-label') || e.textContent"
            " || e.closest('.widget-inline-hbox')?.querySelector('label')?.textContent"
        )
        assert named.strip(), control.evaluate("e => e.outerHTML")


def test_it_works_on_a_phone_in_the_dark_from_the_keyboard(lab, browser):
    page = opened(
        browser,
        f"{lab}/doc/tree/explorer.ipynb",
        viewport={"width": 390, "height": 844},
        color_scheme="dark",
    )
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    files = page.locator(".jp-SideBar.jp-mod-left [data-id=filebrowser]")
    expect(page.locator(".jp-CodeCell .cm-content")).to_be_visible()
    if files.get_attribute("aria-selected") == "true":
        files.click()  # else the list of files takes two thirds of the screen
    execute(page, lab)
    output = page.locator(".jp-OutputArea-output:has(.hccr-stroke-picture)")
    assert output.evaluate("each => each.scrollWidth <= each.clientWidth")
    stroke(page, 1).focus()
    assert changes(reading, page, lambda: page.keyboard.press("Enter"))
    methods = page.get_by_label("method")
    methods.focus()
    assert changes(picture, page, lambda: page.keyboard.press("ArrowDown"))
    page.keyboard.press("Tab")
    expect(page.get_by_label("draw", exact=True)).to_be_focused()
    page.close()
