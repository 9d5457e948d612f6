"""Figures: numbered, captioned, described; colours that tell the truth; no missing glyph."""

import base64
import io
import json
import re
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.colors import to_rgb
from PIL import Image

from hccr_lib.characters import LEVEL1
from hccr_lib.viz import figures
from hccr_lib.viz.figures import contact_sheet, overlay, show, stepper, use_course_style

matplotlib.use("agg")

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context(), warnings.catch_warnings():
        use_course_style()
        yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What was displayed, parsed."""
    page = BeautifulSoup("", "html.parser")
    monkeypatch.setattr(
        figures, "display", lambda out: page.append(BeautifulSoup(out.data, "html.parser"))
    )
    return page


def pixels(image) -> np.ndarray:
    head, data = image["src"].split(",", 1)
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def a_figure(text="", size=(2, 1)):
    fig, ax = plt.subplots(figsize=size)
    ax.set_title(text)
    return fig


def test_show_gives_a_numbered_captioned_described_figure(shown):
    show(a_figure(), number="2.1", caption="Ink < paper & so on.", alt='A "stroke"')
    figure = shown.select_one("figure#fig-2-1")
    assert figure.figcaption.get_text() == "Figure 2.1. Ink < paper & so on."
    assert figure.img["alt"] == 'A "stroke"'
    assert plt.get_fignums() == []


def test_show_keeps_the_size_and_fits_a_narrow_screen(shown):
    show(a_figure(size=(2, 1)), number="2.1", caption="c", alt="a")
    assert (shown.img["width"], shown.img["height"]) == ("192", "96")
    assert "max-width:100%" in shown.img["style"] and "height:auto" in shown.img["style"]


@pytest.mark.parametrize(
    ("number", "caption", "alt", "message"),
    [
        ("2", "c", "a", "chapter.figure"),
        ("Figure 2.1", "c", "a", "chapter.figure"),
        ("2.1", " ", "a", "caption"),
        ("2.1", "c", "", "text alternative"),
    ],
)
def test_a_figure_without_number_caption_or_alternative_is_refused(
    shown, number, caption, alt, message
):
    with pytest.raises(ValueError, match=message):
        show(a_figure(), number=number, caption=caption, alt=alt)
    with pytest.raises(ValueError, match=message):
        stepper([a_figure()] * 2, ["a", "b"], number=number, caption=caption, alt=alt)


def test_the_same_figure_gives_the_same_bytes(shown):
    for _ in range(2):
        show(a_figure("鲍"), number="2.1", caption="c", alt="a")
    first, second = shown.select("img")
    assert first["src"] == second["src"]


def test_every_level_1_character_and_pinyin_letter_has_a_glyph(shown):
    for start in range(0, len(LEVEL1), 400):
        show(a_figure(LEVEL1[start : start + 400]), number="2.1", caption="c", alt="a")
    show(a_figure("āáǎà ēéěè īíǐì ōóǒò ūúǔù ǖǘǚǜ，。《》"), number="2.1", caption="c", alt="a")


def test_two_characters_are_two_different_pictures(shown):
    for text in "己已":
        show(a_figure(text), number="2.1", caption="c", alt="a")
    first, second = shown.select("img")
    assert (pixels(first) != pixels(second)).any()


def test_a_missing_glyph_is_an_error(shown):
    with pytest.raises(UserWarning, match="Glyph"):
        show(a_figure("龘"), number="2.1", caption="c", alt="a")


def draw_map(ax):
    overlay(ax, np.zeros((96, 96), np.uint8), np.random.default_rng(0).normal(size=(6, 6)))


def draw_grays(ax):
    ax.imshow(np.random.default_rng(0).random((96, 96)), cmap="gray", interpolation="bilinear")
    ax.axis("off")


@pytest.mark.parametrize("draw", [draw_map, draw_grays])
def test_few_colours_do_not_change_the_picture(shown, draw):
    fig, ax = plt.subplots(figsize=(2, 2))
    draw(ax)
    exact = io.BytesIO()
    fig.savefig(exact, dpi=figures.PIXELS_PER_INCH)
    exact = np.asarray(Image.open(exact).convert("RGB")).astype(int)
    show(fig, number="2.1", caption="c", alt="a")
    assert np.abs(pixels(shown.img) - exact).max() <= 8


def test_a_stepper_shows_its_first_frame_and_describes_each(shown):
    stepper(
        [a_figure(t) for t in "abc"], ["x<1", "x=1", "x>1"], number="2.3", caption="c", alt="Map"
    )
    images = shown.select("figure#fig-2-3 img")
    assert [image["alt"] for image in images] == ["Map (x<1)", "Map (x=1)", "Map (x>1)"]
    assert ["display:none" in image["style"] for image in images] == [False, True, True]
    slider = shown.select_one('input[type="range"]')
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "2", "0")
    assert slider["aria-label"] and slider["aria-valuetext"] == "x<1"
    assert shown.output.get_text() == "x<1"
    assert shown.output["aria-live"] == "off"  # not said twice
    assert not shown.select("script")
    assert plt.get_fignums() == []


@pytest.mark.parametrize(("frames", "labels"), [(1, 1), (3, 2), (0, 0)])
def test_a_stepper_needs_frames_and_a_label_for_each(frames, labels):
    with pytest.raises(ValueError, match=f"{frames} frames and {labels} labels"):
        stepper(
            [a_figure() for _ in range(frames)],
            list("abc")[:labels],
            number="2.1",
            caption="c",
            alt="a",
        )


def test_overlay_shows_zero_as_white_and_signs_as_opposite_hues():
    _, ax = plt.subplots()
    drawn = overlay(ax, np.zeros((96, 96), np.uint8), np.array([[-2.0, 1.0], [0.0, 0.5]]))
    assert drawn.norm.vmin == -2 and drawn.norm.vmax == 2
    zero, positive, negative = (np.array(drawn.to_rgba(v)[:3]) for v in (0, 1.5, -1.5))
    assert zero.min() > 0.95
    assert positive[0] > positive[2] and negative[2] > negative[0]


def test_overlay_covers_the_image_and_keeps_the_ink_on_top():
    fig, ax = plt.subplots(figsize=(2, 2))
    image = np.zeros((96, 96), np.uint8)
    image[:, 40:56] = 255
    drawn = overlay(ax, image, np.ones((6, 6)))
    assert drawn.get_extent() == [-0.5, 95.5, 95.5, -0.5]
    fig.canvas.draw()
    canvas = np.asarray(fig.canvas.buffer_rgba())[..., :3]
    middle = canvas[canvas.shape[0] // 2]
    assert middle[len(middle) // 2].max() < 60  # the stroke
    assert middle[len(middle) // 4, 0] > middle[len(middle) // 4, 2]  # the map beside it


def test_overlay_of_a_zero_map_is_white_paper():
    _, ax = plt.subplots()
    drawn = overlay(ax, np.zeros((96, 96), np.uint8), np.zeros((6, 6)))
    assert min(drawn.to_rgba(0.0)) > 0.95


@pytest.mark.parametrize(
    ("image", "map", "message"),
    [
        (np.zeros((96, 96, 1), np.uint8), np.zeros((6, 6)), r"\(96, 96, 1\)"),
        (np.zeros((96, 96), np.uint8), np.zeros((1, 6, 6)), r"\(1, 6, 6\)"),
        (np.zeros((96, 96), np.uint8), np.full((6, 6), np.nan), "NaN"),
    ],
)
def test_overlay_refuses_what_it_cannot_draw(image, map, message):
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=message):
        overlay(ax, image, map)


def sheet_of(fig) -> np.ndarray:
    return fig.axes[0].images[0].get_array()


def test_a_contact_sheet_is_black_on_white_for_both_polarities():
    bitmap = np.full((30, 20), 255, np.uint8)
    bitmap[10:20] = 0
    dark = sheet_of(contact_sheet([bitmap], ink="dark"))
    bright = sheet_of(contact_sheet([255 - bitmap], ink="bright"))
    np.testing.assert_array_equal(dark, bright)
    assert dark[0, 0] == 255 and dark.min() == 0


def test_a_contact_sheet_holds_every_image_unscaled_in_rows():
    rng = np.random.default_rng(0)
    bitmaps = [rng.integers(0, 255, size, dtype=np.uint8) for size in [(9, 24), (24, 7), (15, 15)]]
    sheet = sheet_of(contact_sheet(bitmaps, ink="dark", columns=2))
    windows = np.lib.stride_tricks.sliding_window_view
    for bitmap in bitmaps:
        assert (windows(sheet, bitmap.shape) == bitmap).all((2, 3)).sum() == 1


def test_contact_sheet_titles_stand_over_their_images():
    fig = contact_sheet(np.zeros((3, 96, 96), np.uint8), titles="己已巳", columns=2)
    places = {t.get_text(): t.get_position() for t in fig.axes[0].texts}
    assert places["己"][1] == places["已"][1] < places["巳"][1]
    assert places["己"][0] == places["巳"][0] < places["已"][0]


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_contact_sheet_has_room_for_every_line_of_its_titles(lines):
    use_course_style()
    images = np.zeros((4, 96, 96), np.uint8)
    fig = contact_sheet(images, titles=4 * ["\n".join("己已巳"[:lines])], columns=2, ink="dark")
    fig.canvas.draw()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    paper = np.asarray(fig.canvas.buffer_rgba())[::-1, :, 0]  # upwards, as the boxes count
    assert paper.shape[0] >= max(box.y1 for box in boxes)
    lower = boxes[2]  # between it and the picture above it there is paper
    assert (paper[int(lower.y0) + 2 : int(lower.y1) + 1, 2:9] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"images": []}, "0 images"),
        ({"images": [np.zeros((9, 9), np.uint8)], "titles": "ab"}, "2 titles"),
        ({"images": [np.zeros((9, 9), np.uint8)], "ink": "black"}, "'black'"),
    ],
)
def test_a_contact_sheet_refuses_what_it_cannot_lay_out(arguments, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(**arguments)


def test_the_palette_differs_in_lightness_too():
    grey = sorted(np.dot(to_rgb(c), (0.299, 0.587, 0.114)) for c in figures.PALETTE)
    assert grey[-1] - grey[0] > 0.5


# One look for all notebooks.

COLOURMAPS = {'"gray"', '"cividis"', "SEQUENTIAL", "DIVERGING"}  # and lists of named colours
OWN_LOOK = re.compile(r"rcParams|rc_context|set_cmap|plt\.style|get_cmap|colormaps\[|\bcm\.\w")


def foreign_look(source: str) -> list[str]:
    """Colour maps that aren't the course's, and settings that `use_course_style` makes for all."""
    maps = re.findall(r"""\bcmap\s*=\s*("\w+"|'\w+'|[A-Z]\w*)(?!\w*\()""", source)
    return [each for each in maps if each not in COLOURMAPS] + OWN_LOOK.findall(source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_draws_as_all_do(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    assert foreign_look(code) == []
    assert "use_course_style()" in code or "plt" not in code


@pytest.mark.parametrize(
    "source", ['imshow(x, cmap="jet")', "imshow(x, cmap=CMAP)", 'mpl.rcParams["font.size"] = 3']
)
def test_another_look_is_found(source):
    assert foreign_look(source)
    assert foreign_look('imshow(x, cmap="cividis")') == []
