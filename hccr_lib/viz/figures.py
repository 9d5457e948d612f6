"""The figures of the course: one style, numbered, captioned, described, readable everywhere.

A figure is drawn with matplotlib and handed to :func:`show`, which puts it on the page as an HTML
``<figure>``: a PNG with a text alternative and a numbered caption, on a white plate so that it
reads in dark mode. The same output works in the book, in JupyterLab and on Colab, with no kernel.
"""

import html
import io
import re
import warnings
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.image import AxesImage
from PIL import Image

CJK_FONT = Path(__file__).parents[2] / "data" / "fonts" / "HCCRSansSC-Regular.otf"
PIXELS_PER_INCH = 160  # rendered; a browser shows 96 of its own pixels per inch of figure

# Both maps survive every common colour blindness.
#: The colour map of amounts, matplotlib's cividis.
SEQUENTIAL = mpl.colormaps["cividis"]
#: The colour map of what has a sign. Zero is white, positive (evidence for a class) orange,
#: negative purple. Its darkest ends are cut off, so that black ink stays legible on top.
DIVERGING = LinearSegmentedColormap.from_list(
    "hccr_diverging", mpl.colormaps["PuOr_r"](np.linspace(0.14, 0.86, 256))
)
#: Colours of lines and bars, from Okabe and Ito (2008), less the yellow that is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def use_course_style() -> None:
    """Set matplotlib to the look of the course, with a font for Chinese labels.

    Latin text is DejaVu Sans (it comes with matplotlib); Chinese characters of GB2312 level 1 come
    from the subset font in ``data/fonts``, so no font needs to be installed. A character that
    neither font has is an error from here on, not a box on the page.
    """
    fontManager.addfont(CJK_FONT)
    mpl.rcParams.update(
        {
            "font.family": ["DejaVu Sans", "HCCR Sans SC"],
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),
            "figure.figsize": (7.0, 3.5),
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "image.cmap": SEQUENTIAL.name,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )
    warnings.filterwarnings("error", message="Glyph .* missing from", category=UserWarning)


def show(fig: Figure, *, number: str, caption: str, alt: str) -> None:
    """Display ``fig`` as a numbered figure and close it.

    Args:
        fig: The figure; it is closed, so the notebook does not show it a second time.
        number: ``"2.1"``: chapter, dot, figure. The page can link to it as ``#fig-2-1``.
        caption: One or two sentences of plain text under the picture.
        alt: What the picture shows, for a reader who can't see it.

    Raises:
        ValueError: A malformed number, or an empty caption or text alternative.
    """
    png = _png(fig)
    display(HTML(_figure(_image(png, alt), number=number, caption=caption, alt=alt)))


def stepper(
    frames: Sequence[Figure | bytes],
    labels: Sequence[str],
    *,
    number: str,
    caption: str,
    alt: str,
) -> None:
    """Display several pictures as one figure with a slider that steps through them.

    The frames are drawn beforehand, so the slider works with no kernel: in the book, in JupyterLab
    and on Colab, with mouse, touch and arrow keys. Where scripts are off the first frame shows.

    Args:
        frames: Figures (they are closed) or PNG files as bytes, all of one size.
        labels: What the slider says at each frame.
        number, caption, alt: As in :func:`show`; each frame's text alternative is ``alt`` and its
            label.

    Raises:
        ValueError: Fewer than two frames, another number of labels, or as in :func:`show`.
    """
    if len(frames) < 2 or len(frames) != len(labels):
        raise ValueError(
            "A stepper needs two or more frames and one label for each; "
            f"received {len(frames)} frames and {len(labels)} labels."
        )
    pngs = [frame if isinstance(frame, bytes) else _png(frame) for frame in frames]
    images = "".join(
        _image(png, f"{alt} ({label})", label=label, hidden=i > 0)
        for i, (png, label) in enumerate(zip(pngs, labels, strict=True))
    )
    # An event handler in an attribute: no script element, no identifier to collide with others.
    handler = (
        "const figure = this.closest('figure'), at = Number(this.value);"
        "const images = figure.querySelectorAll('img');"
        "images.forEach((image, i) => { image.style.display = i === at ? 'block' : 'none'; });"
        "const label = images[at].dataset.label;"
        "figure.querySelector('output').textContent = label;"
        "this.setAttribute('aria-valuetext', label);"
    )
    first = html.escape(labels[0])
    # The slider itself tells a screen reader its label; the output would say it once more.
    slider = (
        '<div style="display:flex;gap:.75rem;align-items:center;flex-wrap:wrap;margin-top:.5rem">'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0" step="1" '
        f'aria-label="Step through figure {html.escape(number)}" aria-valuetext="{first}" '
        f'style="flex:1 1 12rem;min-width:8rem" oninput="{html.escape(handler)}">'
        f'<output aria-live="off" style="flex:1 1 12rem">{first}</output></div>'
    )
    display(HTML(_figure(images + slider, number=number, caption=caption, alt=alt)))


def overlay(
    ax: Axes,
    image: np.ndarray,
    map: np.ndarray,
    *,
    limit: float | None = None,
    cmap: str | LinearSegmentedColormap = DIVERGING,
) -> AxesImage:
    """Draw a class activation map over the whole picture, with the ink in black on top of it.

    Zero is always white and the scale is symmetric: a positive value is orange, a negative one
    purple, and the same distance from zero is equally strong on both sides. To compare several maps
    give them the same ``limit``.

    Args:
        ax: The axes to draw in; its ticks and frame are removed.
        image: ``uint8 (H, W)``, ink bright on 0.
        map: ``(h, w)``, any size; it is upsampled bilinearly to cover the image.
        limit: The magnitude at full colour; by default the largest in the map.
        cmap: A diverging colour map.

    Returns:
        The drawn map, from which ``fig.colorbar`` makes a scale.

    Raises:
        ValueError: An image or map that is not 2-D, or a map that is not finite.
    """
    image, map = np.asarray(image), np.asarray(map, dtype=np.float64)
    if image.ndim != 2 or map.ndim != 2:
        raise ValueError(
            "overlay takes one image (H, W) and one map (h, w); "
            f"received shapes {image.shape} and {map.shape}."
        )
    if not np.isfinite(map).all():
        raise ValueError("overlay takes a finite map; this one holds NaN or infinity.")
    if limit is None:
        limit = float(np.abs(map).max()) or 1.0
    height, width = image.shape
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    norm = Normalize(-limit, limit)
    drawn = ax.imshow(map, cmap=cmap, norm=norm, extent=extent, interpolation="bilinear")
    ink = np.zeros((height, width, 4))
    ink[..., 3] = image / 255 * 0.9
    ax.imshow(ink, extent=extent, interpolation="bilinear")
    _bare(ax)
    return drawn


def contact_sheet(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 10,
    ink: str = "bright",
    cell_inches: float = 0.7,
) -> Figure:
    """Lay out many small pictures of handwriting in rows, black on white, all at one scale.

    Args:
        images: ``uint8 (N, h, w)`` or a list of ``uint8 (h, w)`` of different sizes.
        titles: A short text above each picture, of one line or more.
        columns: Pictures in a row.
        ink: ``"bright"`` for normalised images (ink bright on 0), ``"dark"`` for bitmaps as a
            ``.gnt`` file holds them (ink dark on 255).
        cell_inches: The width of one picture.

    Raises:
        ValueError: No images, or a different number of titles, or another ``ink``.
    """
    if len(images) == 0 or (titles is not None and len(titles) != len(images)):
        raise ValueError(
            "A contact sheet needs one or more images and, if any, one title for each; received "
            f"{len(images)} images and {'no' if titles is None else len(titles)} titles."
        )
    if ink not in ("bright", "dark"):
        raise ValueError(f'ink is "bright" (on 0) or "dark" (on 255); received {ink!r}.')
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    side = max(max(image.shape) for image in images)
    gap = side // 12
    lines = max((1 + title.count("\n") for title in titles or ()), default=0)
    head = lines * (side // 3)
    pitch_x, pitch_y = side + gap, side + gap + head
    sheet = np.full((rows * pitch_y, columns * pitch_x), 255, np.uint8)
    inches = cell_inches * pitch_x / side
    fig, ax = plt.subplots(
        figsize=(columns * inches, rows * inches * pitch_y / pitch_x), layout="none"
    )
    ax.set_position((0, 0, 1, 1))
    for i, image in enumerate(images):
        height, width = image.shape
        left, top = i % columns * pitch_x, i // columns * pitch_y + head
        y, x = top + (side - height) // 2, left + (side - width) // 2
        sheet[y : y + height, x : x + width] = image if ink == "dark" else 255 - image
        if titles is not None:
            size = cell_inches * 72 * 0.2
            ax.text(left + side / 2, top, titles[i], ha="center", va="bottom", size=size)
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
    _bare(ax)
    return fig


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _png(fig: Figure) -> bytes:
    """Render and close ``fig``: a PNG of few colours, the same bytes for the same picture."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing from", category=UserWarning)
        fig.savefig(buffer, dpi=PIXELS_PER_INCH, facecolor="white", format="png")
    plt.close(fig)
    packed = io.BytesIO()
    picture = Image.open(buffer).convert("RGB")
    red, green, blue = picture.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        # 64 shades of gray, white and black among them, are as good as 256 and half the bytes.
        picture = red.point([round(value / 255 * 63) * 255 // 63 for value in range(256)])
    else:
        # MAXCOVERAGE keeps the rare colours at the ends of a map, which the default merges.
        picture = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _image(png: bytes, alt: str, *, label: str = "", hidden: bool = False) -> str:
    """The ``<img>`` of one PNG: at its natural size, or as wide as a narrow screen allows."""
    width, height = (round(n * 96 / PIXELS_PER_INCH) for n in Image.open(io.BytesIO(png)).size)
    # "dark-light" tells the book's theme not to darken the picture in dark mode.
    return (
        f'<img class="dark-light" alt="{html.escape(alt)}" data-label="{html.escape(label)}" '
        f'width="{width}" height="{height}" src="data:image/png;base64,{b64encode(png).decode()}" '
        f'style="display:{"none" if hidden else "block"};max-width:100%;height:auto;'
        'box-sizing:border-box;background:#fff;padding:8px;border-radius:8px">'
    )


def _figure(content: str, *, number: str, caption: str, alt: str) -> str:
    if not re.fullmatch(r"(\d+|[A-Z])\.\d+", number):
        raise ValueError(f'A figure number is chapter.figure, as in "2.1"; received {number!r}.')
    if not caption.strip() or not alt.strip():
        raise ValueError(f"Figure {number} needs a caption and a text alternative; one is empty.")
    return (
        f'<figure id="fig-{number.replace(".", "-")}" class="hccr-figure" '
        f'style="margin:1.25rem 0;max-width:100%">{content}'
        '<figcaption style="margin-top:.5rem;font-size:.92em;line-height:1.4">'
        f"<strong>Figure {number}.</strong> {html.escape(caption)}</figcaption></figure>"
    )
