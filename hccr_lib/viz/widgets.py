"""Live controls for JupyterLab and Colab. They need a kernel; the book shows steppers instead."""

import html
import io
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields, replace

import ipywidgets
import numpy as np
from PIL import Image

from ..datasets.synthesis import Writer, random_writer, write

WIDE = {"description_width": "7rem"}


class Hand:
    """Controls for everything that makes a writer's hand, and the writer that they describe.

    Args:
        seed: The writer to begin with, as for `hccr_lib.datasets.synthesis.random_writer`.
        changed: Called without arguments after a change; once, also where a new writer moves many
            sliders.
    """

    def __init__(self, seed: int, changed: Callable[[], None]) -> None:
        self.seed = ipywidgets.BoundedIntText(
            value=seed, min=0, max=2**53 - 1, description="writer", style=WIDE
        )
        self.attempt = ipywidgets.IntSlider(min=0, max=20, description="attempt", style=WIDE)
        self.sliders = {
            style.name: ipywidgets.FloatSlider(
                min=style.metadata["low"],
                max=style.metadata["high"],
                step=(style.metadata["high"] - style.metadata["low"]) / 50,
                readout_format=".3f" if style.metadata["high"] < 0.1 else ".2f",
                description=style.name,
                style=WIDE,
            )
            for style in fields(Writer)
            if style.name != "seed"
        }
        self._changed = changed
        self._moving = False
        self._new_writer()
        self.seed.observe(self._new_writer, names="value")
        for control in (self.attempt, *self.sliders.values()):
            control.observe(self._moved, names="value")

    @property
    def writer(self) -> Writer:
        """The writer of the seed, in the styles whose sliders have been moved.

        A browser brings a slider's value to a whole step, moved or not: that is no other style.
        """
        moved = {}
        for name, slider in self.sliders.items():
            if abs(slider.value - self._unmoved[name]) > slider.step / 2:
                moved[name] = slider.value
        return replace(self._writer, **moved)

    def rows(self) -> list[ipywidgets.HBox]:
        """Each slider beside a line that says what it does."""
        helps = {style.name: style.metadata.get("help", "") for style in fields(Writer)}
        return [
            ipywidgets.HBox([slider, ipywidgets.Label(helps[name])])
            for name, slider in self.sliders.items()
        ]

    def _new_writer(self, change: object = None) -> None:
        self._writer = random_writer(self.seed.value)
        self._moving = True
        for name, slider in self.sliders.items():
            slider.value = getattr(self._writer, name)
        self._moving = False
        self._unmoved = {name: slider.value for name, slider in self.sliders.items()}
        if change is not None:
            self._changed()

    def _moved(self, _: object) -> None:
        if not self._moving:
            self._changed()


def writer_sliders(character: str = "永", seed: int = 0) -> ipywidgets.VBox:
    """Sliders for everything that makes a writer's hand; the character is redrawn as they move.

    All of it works from the keyboard: Tab goes from control to control, the arrow keys move one.
    A character that the course can't write is answered with a line of text, and the last picture
    stays.

    Args:
        character: The character to begin with, of GB2312 level 1.
        seed: The writer to begin with, as for `hccr_lib.datasets.synthesis.random_writer`.
    """
    text = ipywidgets.Text(value=character, description="character", style=WIDE)
    message = ipywidgets.HTML()
    picture = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        try:
            bitmap = write(text.value, hand.writer, hand.attempt.value).bitmap
        except ValueError as error:
            message.value = alert(error)
        else:
            message.value = ""
            picture.value = _picture(bitmap, text.value)

    hand = Hand(seed, redraw)
    redraw()
    text.observe(redraw, names="value")
    return ipywidgets.VBox([text, hand.seed, hand.attempt, message, picture, *hand.rows()])


def alert(error: object) -> str:
    """An error as a line of HTML that screen readers speak at once."""
    return f'<span role="alert">{html.escape(str(error))}</span>'


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
