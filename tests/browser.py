"""A real browser and a server of the built book, for the tests that look at its pages."""

import functools
import http.server
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no Chromium here: no page is looked at", allow_module_level=True)

from playwright.sync_api import sync_playwright  # noqa: E402

BOOK = Path(__file__).parents[1] / "_build" / "html"
SCREENS = {
    f"{name}-{theme}": {"viewport": {"width": width, "height": 900}, "color_scheme": theme}
    for name, width in (("laptop", 1400), ("phone", 390))
    for theme in ("light", "dark")
}
on_every_screen = pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
PATIENCE = 60_000  # milliseconds, for a machine that is busy with other things


class Handler(http.server.SimpleHTTPRequestHandler):
    """The server of `make serve`, which remembers what it has sent."""

    def log_message(self, *_):
        pass

    def copyfile(self, source, outputfile):
        self.server.sent[self.path.split("?")[0]] = Path(source.name).stat().st_size
        super().copyfile(source, outputfile)


@contextmanager
def serving(handler=Handler, folder=BOOK):
    """A server whose `address` is that of the book, and whose `sent` says what it has sent."""
    assert (BOOK / ".built").is_file(), "there is no built book: run `make book`"
    server = http.server.ThreadingHTTPServer(
        ("localhost", 0), functools.partial(handler, directory=folder)
    )
    server.sent = {}
    server.address = f"http://localhost:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()


@contextmanager
def chromium():
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", *quiet]
        )
        yield browser
        browser.close()


def opened(browser, address, **settings):
    """A page of its own context, which remembers what it asked for and what failed in it."""
    page = browser.new_page(**{"viewport": {"width": 1400, "height": 1000}, **settings})
    page.set_default_timeout(PATIENCE)
    page.asked, page.errors = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.errors.append(error))
    page.goto(address)
    return page
