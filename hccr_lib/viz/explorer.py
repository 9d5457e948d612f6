"""A class activation map that follows the hand: choose, erase a stroke, and see what is read.

It needs a kernel; `CamExplorer.figure` draws its state for a page without one.
"""

import html
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

from ..characters import LEVEL1, LOOK_ALIKES, label_of, look_alikes
from ..explain import (
    cam,
    contrastive_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    integrated_gradients,
    layer_cam,
    smooth_grad,
    stroke_occlusion,
)
from ..explain.gradients import logits_of
from ..pinyin import read_as, readings
from .figures import PALETTE, overlay
from .stroke_picture import SHOWN, StrokePicture, picture_of, written, written_without
from .widgets import WIDE, Hand, alert

_RIVAL = "CAM against the rival"
_OCCLUSION = "stroke occlusion"
_METHODS = {
    "CAM": cam,
    "centred CAM": partial(cam, centred=True),
    _RIVAL: contrastive_cam,
    # Behind its ReLU most of its maps of a Model C are empty.
    "Grad-CAM before its ReLU": partial(grad_cam, relu=False),
    "Grad-CAM++": grad_cam_plus_plus,
    "HiResCAM": hires_cam,
    "LayerCAM": layer_cam,
    # Fewer steps and samples than by default: a map should be there within a tenth of a second.
    "integrated gradients": partial(integrated_gradients, steps=4),
    "SmoothGrad": partial(smooth_grad, samples=4),
    _OCCLUSION: stroke_occlusion,
}
_LOOK_ALIKE = dict.fromkeys("".join(LOOK_ALIKES))


class Seen(NamedTuple):
    """What an explorer shows.

    Attributes:
        character: What was written.
        image: uint8 `(side, side)`, as the network reads it, without the erased strokes.
        strokes: bool `(S, side, side)`, the pixels of all strokes, in writing order.
        erased: The indices of the erased ones.
        probabilities: float32 `(3755,)`.
        before: The same with all strokes there.
        explained, rival: Labels of the class that is explained, and of the most probable other.
        map: float32 `(h, w)`, as the method gives it.
    """

    character: str
    image: np.ndarray
    strokes: np.ndarray
    erased: tuple[int, ...]
    probabilities: np.ndarray
    before: np.ndarray
    explained: int
    rival: int
    map: np.ndarray


class CamExplorer(ipywidgets.VBox):
    """Write a character, explain a class, erase strokes; picture and probabilities follow.

    Choose a character by itself, by its pinyin or among look-alikes; a writer and a style; the
    class to explain, the method and what is drawn. A click on a stroke erases it, another one puts
    it back; the character is written again without it, by the same hand. All of it works from the
    keyboard: Tab goes from control to control and from stroke to stroke.

    Args:
        model: A functional `keras.Model` with one output for each of GB2312's level 1 characters.
            It reads square images of one channel.
        character: The character to begin with, of GB2312 level 1.
        seed: The writer to begin with, as for `hccr_lib.datasets.synthesis.random_writer`.

    Attributes:
        seen: The `Seen` that is shown.
        text, matches, look_alike, hand, explain, other, method, shown, picture, back: The controls,
            to be set and read by code too.
        message, reading: What they change.

    Raises:
        ValueError: The model has other outputs or inputs, or the character can't be written.
    """

    def __init__(self, model, character: str = "己", seed: int = 0) -> None:
        side = model.input_shape[1] if len(model.input_shape) == 4 else None
        if model.input_shape != (None, side, side, 1) or model.output_shape != (None, len(LEVEL1)):
            raise ValueError(
                f"the explorer needs a model of square images with one channel and {len(LEVEL1):,} "
                f"classes. Received: {model.input_shape} to {model.output_shape}"
            )
        label_of(character)
        self._model, self._side, self._held = model, side, False

        self.text = ipywidgets.Text(
            value=character, placeholder="己, ji, ji3 or jǐ", description="character", style=WIDE
        )
        self.matches = ipywidgets.Dropdown(description="read so", style=WIDE)
        groups = [(f"{each} beside {look_alikes(each)}", each) for each in _LOOK_ALIKE]
        self.look_alike = ipywidgets.Dropdown(
            options=[("choose one", ""), *groups], description="look-alikes", style=WIDE
        )
        self.hand = Hand(seed, self._redraw)
        self.explain = ipywidgets.Dropdown(description="explain", style=WIDE)
        self.other = ipywidgets.Text(value="永", description="other class", style=WIDE)
        self.method = ipywidgets.Dropdown(options=list(_METHODS), description="method", style=WIDE)
        self.shown = ipywidgets.Dropdown(options=SHOWN, description="draw", style=WIDE)
        self.picture = StrokePicture(side=side, layout={"width": "20rem", "max_width": "100%"})
        self.back = ipywidgets.Button(description="Put all strokes back", disabled=True)
        self.message = ipywidgets.HTML()
        self.reading = ipywidgets.HTML()

        self.text.observe(self._typed, names="value")
        for choice in (self.matches, self.look_alike):
            choice.observe(self._chosen, names="value")
        for control in (self.explain, self.other, self.method, self.shown):
            control.observe(self._redraw, names="value")
        self.picture.observe(self._redraw, names="erased")
        self.back.on_click(lambda _: self.picture.set_trait("erased", []))

        style = ipywidgets.Accordion([ipywidgets.VBox(self.hand.rows())], selected_index=None)
        style.set_title(0, "Style of the hand")
        controls = [self.text, self.matches, self.look_alike, self.hand.seed, self.hand.attempt]
        controls += [self.explain, self.other, self.method, self.shown, self.message]
        columns = ipywidgets.Box(
            [
                ipywidgets.VBox(controls),
                ipywidgets.VBox([self.picture, self.back], layout={"margin": "0 1rem"}),
                self.reading,
            ],
            layout={"flex_flow": "row wrap", "align_items": "flex-start"},
        )
        super().__init__([columns, style])
        self.add_class("hccr-keys")  # see stroke_picture.js
        self._begin(character, character)

    @contextmanager
    def _hold(self) -> Iterator[None]:
        """Changes within draw nothing: one redraw follows them."""
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held

    def _typed(self, _: object) -> None:
        if self._held:
            return
        typed = self.text.value.strip()
        found = typed if len(typed) == 1 and typed in LEVEL1 else read_as(typed)
        if found:
            self._begin(found[0], found)
        elif typed:  # while nothing is typed there is nothing to complain of
            self.message.value = alert(
                f"“{typed}” is neither a character of GB2312 level 1 nor its pinyin "
                "(such as ji, ji3 or jǐ)"
            )

    def _chosen(self, change: dict) -> None:
        if self._held or not change["new"]:
            return
        if change["owner"] is self.matches:
            self._begin(change["new"], self.matches.options)
        else:
            with self._hold():
                self.text.value = change["new"]
            self._begin(change["new"], change["new"])

    def _begin(self, character: str, among) -> None:
        """Another character: all its strokes are there, and it has look-alikes of its own."""
        with self._hold():
            self.matches.options = tuple(among)
            self.matches.value = character
            self.look_alike.value = character if character in _LOOK_ALIKE else ""
            role = self.explain.value
            self.explain.options = [
                ("what is read", "read"),
                (f"what was written: {character}", "written"),
                *(
                    (f"look-alike: {each} {readings(each)[0]}", each)
                    for each in look_alikes(character)
                ),
                ("other class", "other"),
            ]
            self.explain.value = role if role in ("written", "other") else "read"
            self.picture.erased = []
        self._redraw()

    def _redraw(self, _: object = None) -> None:
        if self._held:
            return
        try:
            self.seen, outlines = self._look()
        except (ValueError, TypeError) as error:  # the last picture stays
            self.message.value = alert(error)
            return
        seen = self.seen
        self.message.value = "" if seen.map.any() else "This map is flat: it is 0 everywhere."
        limit = float(np.abs(seen.map).max())
        with self.picture.hold_sync():
            self.picture.picture = picture_of(seen.image, seen.map, self.shown.value)
            self.picture.description = f"{self._title()}, drawn on the handwriting"
            self.picture.outlines = outlines
        self.back.disabled = not self.picture.erased
        self.reading.value = (
            f'<div aria-live="polite"><p><b>{html.escape(self._title())}</b><br>'
            f"orange speaks for it, purple against; deepest colour: {limit:.3g}</p>"
            f"{_table(seen)}</div>"
        )

    def _look(self) -> tuple[Seen, list[str]]:
        """What there is to show, and the outlines of all strokes, from the controls' state."""
        character = self.matches.value
        asked = character, self.hand.writer, self.hand.attempt.value
        whole = written(*asked, self._side)
        erased = tuple(stroke for stroke in self.picture.erased if stroke < len(whole.masks))
        image = written_without(*asked, self._side, erased) if erased else whole.image
        logits = logits_of(self._model, np.stack([image, whole.image])[..., None], 2)
        probabilities = softmax(logits, axis=1)
        role = self.explain.value
        if role == "read":
            explained = int(logits[0].argmax())
        else:
            explained = label_of({"written": character, "other": self.other.value}.get(role, role))
        rival = int(np.delete(logits[0], explained).argmax())
        rival += rival >= explained
        named = self.method.value
        marks = [[np.delete(whole.masks, erased, axis=0)]] if named == _OCCLUSION else []
        against = [[rival]] if named == _RIVAL else []
        map = _METHODS[named](self._model, image[None], *marks, [explained], *against)[0, 0]
        seen = Seen(character, image, whole.masks, erased, *probabilities, explained, rival, map)
        return seen, whole.outlines

    def _title(self) -> str:
        seen = self.seen
        title = f"{self.method.value} of {LEVEL1[seen.explained]}"
        if self.method.value == _RIVAL:
            title = f"CAM of {LEVEL1[seen.explained]} against {LEVEL1[seen.rival]}"
        if seen.erased:
            title += ", without stroke " + ", ".join(str(stroke + 1) for stroke in seen.erased)
        return title

    def figure(self, limit: float | None = None) -> Figure:
        """The state as a matplotlib figure: the picture and the five most probable readings.

        `limit`: the value with the deepest colour; None: the largest of the map.
        """
        seen = self.seen
        fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.5), width_ratios=(1, 1.4))
        overlay(left, seen.image, seen.map, limit=limit)
        fig.suptitle(self._title(), x=0.02, ha="left", size="medium")  # wider than the picture
        for mask in seen.strokes[list(seen.erased)]:
            left.contour(mask, [0.5], colors="#555", linewidths=0.8, linestyles="dashed")
        best = np.argsort(-seen.probabilities)[:5][::-1]
        names = [f"{LEVEL1[label]} {readings(LEVEL1[label])[0]}" for label in best]
        right.barh(names, seen.probabilities[best], color=PALETTE[0])
        right.set(xlim=(0, 1), xlabel="probability")
        return fig


def _table(seen: Seen) -> str:
    """The five most probable readings, what was written and what is explained, as an HTML table."""
    best = list(np.argsort(-seen.probabilities)[:5])
    labels = dict.fromkeys([*best, label_of(seen.character), seen.explained])
    rows = []
    for label in labels:
        now, before = float(seen.probabilities[label]), float(seen.before[label])
        change = f"{100 * (now - before):+.1f}" if seen.erased else ""  # percentage points
        rows.append(
            f'<tr><td style="font-size:1.4em">{LEVEL1[label]}</td>'
            f"<td>{readings(LEVEL1[label])[0]}</td>"
            f'<td style="width:6rem"><div style="height:.8em;width:{100 * now:.1f}%;'
            f'background:{PALETTE[0]}"></div></td>'
            f'<td style="text-align:right">{100 * now:.1f}&nbsp;%</td>'
            f'<td style="text-align:right">{change}</td></tr>'
        )
    heads = "".join(
        f'<th scope="col" style="text-align:left;padding-right:.7em">{head}</th>'
        for head in ["read as", "pinyin", "probability", "", "change"][: 4 + bool(seen.erased)]
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
