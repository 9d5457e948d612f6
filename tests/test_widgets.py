"""Live widgets: every control is labelled, changes the picture, and answers at once."""

import base64
import io
import time
from dataclasses import fields

import ipywidgets
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from hccr_lib.datasets.synthesis import Writer, random_writer, write
from hccr_lib.progress import progress
from hccr_lib.viz.widgets import writer_sliders


@pytest.fixture
def box():
    return writer_sliders("永", seed=3)


def controls(box) -> dict[str, ipywidgets.Widget]:
    flat = []
    for child in box.children:
        flat += child.children if isinstance(child, ipywidgets.HBox) else [child]
    return {w.description: w for w in flat if getattr(w, "description", "")}


def image(box):
    return BeautifulSoup(box.children[4].value, "html.parser").img


def pixels(box) -> np.ndarray:
    data = image(box)["src"].split(",", 1)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_every_style_of_a_writer_has_a_slider_with_its_range_and_help(box):
    styles = [field for field in fields(Writer) if field.name != "seed"]
    rows = [child.children for child in box.children if isinstance(child, ipywidgets.HBox)]
    assert [slider.description for slider, _ in rows] == [style.name for style in styles]
    for style, (slider, label) in zip(styles, rows, strict=True):
        assert (slider.min, slider.max) == (style.metadata["low"], style.metadata["high"])
        assert label.value == style.metadata["help"]


def test_the_picture_is_what_the_writer_writes(box):
    style = {f.name: controls(box)[f.name].value for f in fields(Writer) if f.name != "seed"}
    np.testing.assert_array_equal(pixels(box), write("永", Writer(seed=3, **style)).bitmap)
    assert image(box)["alt"].startswith("永, handwritten")


@pytest.mark.parametrize("name", [field.name for field in fields(Writer) if field.name != "seed"])
def test_moving_a_slider_redraws(box, name):
    """Some styles are chances, of a hook say: one of a few attempts shows them."""
    slider, attempt = controls(box)[name], controls(box)["attempt"]
    changed = []
    for controls(box)["character"].value in "宁水":  # a component with a running form, a hook
        for attempt.value in range(5):
            slider.value = slider.min
            before = image(box)["src"]
            slider.value = slider.max
            changed.append(image(box)["src"] != before)
    assert any(changed)


def test_a_value_brought_to_a_whole_step_is_no_other_style(box):
    """A browser does so to every slider that it draws."""
    before = image(box)["src"]
    for style in fields(Writer):
        if style.name != "seed":
            slider = controls(box)[style.name]
            steps = round((slider.value - slider.min) / slider.step)
            slider.value = slider.min + steps * slider.step
    assert image(box)["src"] == before
    np.testing.assert_array_equal(pixels(box), write("永", random_writer(3)).bitmap)


def test_another_attempt_redraws(box):
    before = image(box)["src"]
    controls(box)["attempt"].value = 1
    assert image(box)["src"] != before


def test_another_writer_moves_the_sliders(box):
    controls(box)["writer"].value = 8
    slider = controls(box)["slant"]
    wanted = np.clip(random_writer(8).slant, slider.min, slider.max)
    assert slider.value == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "x", "龘", "永永"])
def test_a_character_that_cannot_be_written_is_answered_in_words(box, text):
    before = image(box)["src"]
    controls(box)["character"].value = text
    assert BeautifulSoup(box.children[3].value, "html.parser").select_one("[role=alert]").get_text()
    assert image(box)["src"] == before
    controls(box)["character"].value = "大"
    assert box.children[3].value == ""
    assert image(box)["alt"].startswith("大")


def test_a_redraw_takes_no_longer_than_a_tenth_of_a_second_of_one_core(box):
    slider = controls(box)["slant"]
    seconds = []
    for value in np.linspace(slider.min, slider.max, 11):
        start = time.process_time()
        slider.value = float(value)
        seconds.append(time.process_time() - start)
    assert np.median(seconds) < 0.1


def test_a_training_in_a_notebook_shows_a_bar_that_moves_and_goes(monkeypatch):
    shown = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("hccr_lib.progress._PATIENCE", -1)
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr("time.monotonic", iter(range(99)).__next__)
    with progress("epoch 1", 10) as advance:
        for step in range(1, 11):
            advance(1)
            (bar,) = shown
            assert (bar.value, bar.max, bar.description) == (step, 10, "epoch 1")
    assert bar.comm is None  # closed: nothing is left on the page
