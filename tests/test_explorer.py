"""The CAM explorer: what it shows follows from its controls alone, and at once."""

import base64
import io
import time
from dataclasses import fields

import ipywidgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from hccr_lib.characters import LEVEL1, label_of, look_alikes
from hccr_lib.datasets import normalize
from hccr_lib.datasets.synthesis import Writer, random_writer, write
from hccr_lib.explain import cam, contrastive_cam
from hccr_lib.models import melnyk_net
from hccr_lib.viz import explorer as module
from hccr_lib.viz.explorer import CamExplorer


@pytest.fixture(scope="module")
def model():
    return melnyk_net("C", weights="synthetic")


@pytest.fixture
def explorer(model):
    return CamExplorer(model, "己", seed=3)


def pixels(explorer):
    data = explorer.picture.picture.split(",", 1)[1]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def probabilities(model, image):
    return np.asarray(model.predict_on_batch(image[None, ..., None]))[0]


def test_it_shows_what_the_network_reads(explorer, model):
    image = normalize(write("己", explorer.hand.writer).bitmap)
    np.testing.assert_array_equal(explorer.seen.image, image)
    expected = probabilities(model, image)
    np.testing.assert_allclose(explorer.seen.probabilities, expected, atol=1e-5)
    best = LEVEL1[int(expected.argmax())]
    table = BeautifulSoup(explorer.reading.value, "html.parser").table
    first = [cell.get_text() for cell in table.tbody.tr.find_all("td")]
    assert first[0] == best and first[3] == f"{100 * expected.max():.1f}\xa0%"
    assert len(table.tbody.find_all("tr")) >= 5


def test_erasing_writes_the_character_again_without_the_stroke(explorer, model):
    whole = explorer.seen.probabilities
    explorer.picture.erased = [1]
    image = normalize(write("己", explorer.hand.writer, without=(1,)).bitmap)
    np.testing.assert_array_equal(explorer.seen.image, image)
    np.testing.assert_allclose(explorer.seen.probabilities, probabilities(model, image), atol=1e-5)
    np.testing.assert_allclose(explorer.seen.before, whole, atol=1e-5)
    assert np.abs(explorer.seen.probabilities - whole).max() > 0.01
    assert not explorer.back.disabled and "without stroke 2" in explorer.reading.value
    explorer.back.click()
    assert explorer.picture.erased == [] and explorer.back.disabled
    np.testing.assert_allclose(explorer.seen.probabilities, whole, atol=1e-6)


def test_all_strokes_can_be_erased(explorer):
    for method in module._METHODS:
        explorer.method.value = method
        explorer.picture.erased = [0, 1, 2]
        assert not explorer.seen.image.any() and np.isfinite(explorer.seen.map).all()
        explorer.picture.erased = []
    explorer.picture.erased = [0, 1, 2]  # the last method spreads effects over strokes: none left
    assert explorer.method.value == "stroke occlusion"
    assert not explorer.seen.map.any() and "flat" in explorer.message.value


def test_the_class_to_explain(explorer, model):
    image = explorer.seen.image[None]
    shown = {}
    for role, label in {
        "read": int(explorer.seen.probabilities.argmax()),
        "written": label_of("己"),
        "已": label_of("已"),
        "other": label_of("永"),
    }.items():
        explorer.explain.value = role
        assert explorer.seen.explained == label
        expected = cam(model, image, [label])[0, 0]
        np.testing.assert_allclose(explorer.seen.map, expected, atol=1e-4)
        shown[role] = pixels(explorer)
    assert (shown["已"] != shown["written"]).any() and (shown["other"] != shown["written"]).any()
    explorer.other.value = "大"
    assert explorer.seen.explained == label_of("大")


def test_every_method_draws_another_picture(explorer):
    pictures, maps = {}, {}
    for method in module._METHODS:
        explorer.method.value = method
        assert explorer.message.value == "" and method.split()[0] in explorer.reading.value
        pictures[method], maps[method] = pixels(explorer).tobytes(), explorer.seen.map
    # For weighted pooling no two of them agree, but that HiResCAM is what a ReLU leaves of the CAM.
    np.testing.assert_allclose(maps["HiResCAM"], np.maximum(maps["CAM"], 0), atol=1e-4)
    del pictures["HiResCAM"]
    assert len(set(pictures.values())) == len(pictures)


def test_the_rival_is_the_most_probable_other_class(explorer, model):
    explorer.method.value = "CAM against the rival"
    for role in ("read", "written", "other"):
        explorer.explain.value = role
        seen = explorer.seen
        others = np.delete(np.arange(len(LEVEL1)), seen.explained)
        assert seen.rival == others[seen.probabilities[others].argmax()]
        expected = contrastive_cam(model, seen.image[None], [seen.explained], [seen.rival])
        np.testing.assert_allclose(seen.map, expected[0, 0], atol=1e-4)
        assert LEVEL1[seen.rival] in explorer.picture.description


def test_what_is_drawn(explorer):
    both = pixels(explorer)
    explorer.shown.value = "ink alone"
    ink = pixels(explorer)
    explorer.shown.value = "map alone"
    alone = pixels(explorer)
    assert (ink[..., 0] == ink[..., 1]).all() and (alone[..., 0] != alone[..., 2]).any()
    paper = explorer.seen.image == 0
    np.testing.assert_array_equal(both[paper], alone[paper])
    assert both[~paper].mean() < alone[~paper].mean()


@pytest.mark.parametrize(
    ("typed", "first", "among"), [("太", "太", "太"), ("ji3", None, "己"), ("Yǐ", None, "已")]
)
def test_characters_are_typed_or_spelled(explorer, typed, first, among):
    explorer.text.value = typed
    assert among in explorer.matches.options and explorer.message.value == ""
    assert explorer.seen.character == (first or explorer.matches.options[0])
    explorer.matches.value = among
    assert explorer.seen.character == among and explorer.text.value == typed


def test_look_alikes_can_be_chosen(explorer):
    values = dict(explorer.look_alike.options).values()
    assert {"己", "已", "太", "犬"} <= set(values)
    explorer.picture.erased = [1]
    explorer.look_alike.value = "太"
    assert explorer.picture.erased == []  # another character has all its strokes
    assert explorer.seen.character == "太" == explorer.text.value
    offered = dict(explorer.explain.options).values()
    assert set(look_alikes("太")) <= set(offered)
    explorer.text.value = "永"
    assert explorer.look_alike.value == ""


@pytest.mark.parametrize("typed", ["zz", "龘", "永永", "<b>", "\0"])
def test_what_is_no_character_is_answered_in_words(explorer, typed):
    before = explorer.picture.picture
    explorer.text.value = typed
    alert = BeautifulSoup(explorer.message.value, "html.parser").select_one("[role=alert]")
    assert "pinyin" in alert.get_text() and alert.b is None
    assert explorer.picture.picture == before
    explorer.text.value = "大"
    assert explorer.message.value == "" and explorer.seen.character == "大"


@pytest.mark.parametrize("typed", ["", "x", "龘"])
def test_a_class_that_is_none_is_answered_in_words(explorer, typed):
    explorer.explain.value = "other"
    explorer.other.value = typed
    assert "level 1" in explorer.message.value
    explorer.explain.value = "read"
    assert explorer.message.value == ""


def test_strokes_have_outlines_where_their_ink_is(explorer):
    masks = explorer.seen.strokes
    assert len(explorer.picture.outlines) == len(masks) == 3
    for outline, mask in zip(explorer.picture.outlines, masks, strict=True):
        points = np.array(
            [point.split(",") for point in outline.replace("M", " ").replace("Z", " ").split()],
            dtype=float,
        )
        ys, xs = np.nonzero(mask)
        for axis, where in ((0, xs), (1, ys)):
            assert abs(points[:, axis].min() - where.min()) < 1.5
            assert abs(points[:, axis].max() - where.max() - 1) < 1.5


def test_another_writer_is_one_redraw(explorer, monkeypatch):
    calls = []
    look = explorer._look
    monkeypatch.setattr(explorer, "_look", lambda: calls.append(1) or look())
    explorer.hand.seed.value = 8
    assert len(calls) == 1
    assert explorer.hand.writer.slant == pytest.approx(random_writer(8).slant, abs=0.01)
    explorer.hand.sliders["slant"].value = 0.3
    assert len(calls) == 2


def controls(widget) -> dict[str, ipywidgets.ValueWidget]:
    """What a reader can set below a widget, wherever it stands, by its name."""
    if isinstance(widget, ipywidgets.HTML | ipywidgets.Label):
        return {}
    if isinstance(widget, ipywidgets.ValueWidget):
        return {widget.description: widget}
    return {k: v for child in getattr(widget, "children", ()) for k, v in controls(child).items()}


# What has to be chosen elsewhere before a control can matter.
BEFORE = {
    "read so": lambda explorer: explorer.text.set_trait("value", "ji"),
    "other class": lambda explorer: explorer.explain.set_trait("value", "other"),
}
STYLES = [style.name for style in fields(Writer) if style.name != "seed"]
NAMES = ["character", "read so", "look-alikes", "writer", "attempt", "explain", "other class"]
NAMES += ["method", "draw", *STYLES]


def test_the_controls_are_these(explorer):
    assert sorted(controls(explorer)) == sorted(NAMES) and explorer.back.description


@pytest.mark.parametrize("name", NAMES)
def test_every_control_changes_what_is_shown(explorer, name):
    """Some styles are chances, of a hook say: one of a few attempts shows them."""
    control = controls(explorer)[name]
    if name in BEFORE:
        BEFORE[name](explorer)
    if isinstance(control, ipywidgets.Dropdown):
        values = [value for _, value in control._options_full if value][:4]
    else:
        values = {"character": "大龙", "other class": "大龙", "writer": (8, 9)}.get(name)
        values = values or (control.min, control.max)
    for others in ((c, n) for c in ("己", "宁", "水") for n in range(5)):
        if name in STYLES:
            explorer.text.value, explorer.hand.attempt.value = others
        shown = set()
        for control.value in values:
            assert "alert" not in explorer.message.value
            shown.add((explorer.picture.picture, explorer.reading.value))
        if len(shown) > 1 or name not in STYLES:
            break
    assert len(shown) > 1


def test_its_state_can_be_drawn_for_a_page_without_a_kernel(explorer):
    explorer.picture.erased = [2]
    figure = explorer.figure(limit=0.5)
    left, right = figure.axes
    assert left.images[0].get_clim() == (-0.5, 0.5)
    assert "without stroke 3" in figure.get_suptitle()
    lengths = sorted(bar.get_width() for bar in right.patches)
    np.testing.assert_allclose(lengths, np.sort(explorer.seen.probabilities)[-5:], rtol=1e-6)
    plt.close(figure)


def test_a_change_takes_no_longer_than_a_tenth_of_a_second_of_two_cores(explorer):
    seconds = []
    for method in module._METHODS:
        explorer.method.value = method  # the first time, it is compiled
        explorer.picture.erased = [0]
        for erased in ([1], [], [2]):
            start = time.process_time()
            explorer.picture.erased = erased
            seconds.append(time.process_time() - start)
    assert np.median(seconds) < 0.2  # of both cores together


@pytest.mark.parametrize(
    "other",
    [
        lambda: melnyk_net("A", num_classes=10, width=0.1, input_size=48),
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(3755)]),
    ],
)
def test_models_that_do_not_fit(other):
    with pytest.raises(ValueError, match="3,755 classes"):
        CamExplorer(other())


def test_networks_of_smaller_images():
    small = melnyk_net("C", num_classes=3755, width=0.1, input_size=48)
    explorer = CamExplorer(small, "太", seed=1)
    explorer.method.value = "stroke occlusion"
    explorer.picture.erased = [0]
    assert explorer.seen.image.shape == (48, 48) == explorer.seen.map.shape
    assert explorer.picture.side == 48 and explorer.message.value == ""
