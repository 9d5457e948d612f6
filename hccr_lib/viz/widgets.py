"""Live controls for JupyterLab and Colab. They need a kernel; the book shows steppers instead."""

import html
import io
from base64 import b64encode
from dataclasses import fields

import ipywidgets
import numpy as np
from PIL import Image

from ..datasets.synthesis import Writer, random_writer, write

_WIDE = {"description_width": "7rem"}


def writer_sliders(character: str = "永", seed: int = 0) -> ipywidgets.VBox:
    """Sliders for everything that makes a writer's hand; the character is redrawn as they move.

    All of it works from the keyboard: Tab goes from control to control, the arrow keys move one.
    A character that the course can't write is answered with a line of text, and the last picture
    stays.

    Args:
        character: The character to begin with, of GB2312 level 1.
        seed: The writer to begin with, as for :func:`hccr_lib.datasets.synthesis.random_writer`.
    """
    styles = [field for field in fields(Writer) if "low" in field.metadata]
    text = ipywidgets.Text(value=character, description="character", style=_WIDE)
    writer_seed = ipywidgets.BoundedIntText(
        value=seed, min=0, max=10**6, description="writer", style=_WIDE
    )
    attempt = ipywidgets.IntSlider(min=0, max=20, description="attempt", style=_WIDE)
    sliders = {
        style.name: ipywidgets.FloatSlider(
            min=style.metadata["low"],
            max=style.metadata["high"],
            step=(style.metadata["high"] - style.metadata["low"]) / 50,
            readout_format=".3f" if style.metadata["high"] < 0.1 else ".2f",
            description=style.name,
            style=_WIDE,
        )
        for style in styles
    }
    message = ipywidgets.HTML()
    picture = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        style = {name: slider.value for name, slider in sliders.items()}
        writer = Writer(seed=writer_seed.value, **style)
        try:
            bitmap = write(text.value, writer, attempt.value).bitmap
        except ValueError as error:
            message.value = f'<span role="alert">{html.escape(str(error))}</span>'
        else:
            message.value = ""
            picture.value = _picture(bitmap, text.value)

    def change_writer(_: object = None) -> None:
        writer = random_writer(writer_seed.value)
        with picture.hold_sync():  # one picture for all sliders that move
            for name, slider in sliders.items():
                slider.value = getattr(writer, name)
            redraw()

    change_writer()
    writer_seed.observe(change_writer, names="value")
    for control in (text, attempt, *sliders.values()):
        control.observe(redraw, names="value")
    rows = [
        ipywidgets.HBox([sliders[style.name], ipywidgets.Label(style.metadata["help"])])
        for style in styles
    ]
    return ipywidgets.VBox([text, writer_seed, attempt, message, picture, *rows])


def _picture(bitmap: np.ndarray, character: str) -> str:
    """The bitmap at three times its size, in a box that stays as high as the largest."""
    png = io.BytesIO()
    Image.fromarray(bitmap).save(png, "PNG")
    height, width = bitmap.shape
    return (
        '<div style="height:400px;display:flex;align-items:center;justify-content:center;'
        'background:#fff;border-radius:8px;padding:8px;overflow:auto">'
        f'<img alt="{html.escape(character)}, handwritten, {width} by {height} pixels" '
        f'width="{3 * width}" height="{3 * height}" style="image-rendering:pixelated" '
        f'src="data:image/png;base64,{b64encode(png.getvalue()).decode()}"></div>'
    )
