"""Writers: the style that one hand gives to every character."""

from dataclasses import dataclass, field, fields, replace

import numpy as np

# What a style may be at all; every other field may be -10 to 10.
_LIMITS = {"size": (8.0, 400.0), "aspect": (0.1, 4.0), "pen": (0.5, 50.0)}


def _style(low: float, high: float, meaning: str) -> float:
    return field(metadata={"low": low, "high": high, "help": meaning})


@dataclass(frozen=True)
class Writer:
    """A writer's hand: style parameters that hold for every character this writer writes.

    `random_writer` draws one from a seed. Each field's `metadata` holds a sensible range (`low`,
    `high`) and a line of `help`, which the sliders of the course read. Lengths are in units of the
    character's square unless pixels are named.

    Raises:
        ValueError: a style far out of its range, or not a number.
    """

    seed: int
    size: float = _style(47.0, 130.0, "height of the character's square, pixels")
    aspect: float = _style(0.5, 1.3, "width of the square over its height")
    slant: float = _style(-0.2, 0.4, "lean of the verticals to the right (tangent)")
    rise: float = _style(-0.05, 0.3, "climb of the horizontals to the right (tangent)")
    pen: float = _style(1.2, 6.0, "width of the pen, pixels")
    pressure: float = _style(0.0, 0.6, "how much the width varies along a stroke")
    ink: float = _style(0.4, 1.0, "darkness of the ink")
    texture: float = _style(0.0, 0.5, "how uneven the ink is")
    components: float = _style(0.0, 0.15, "how far components stray in place, size and angle")
    strokes: float = _style(0.0, 0.15, "how far single strokes stray in place, length and angle")
    evenness: float = _style(0.0, 0.6, "how much bars are alike in length")
    proportion: float = _style(0.0, 0.4, "how unevenly the parts share the square")
    warp: float = _style(0.0, 0.08, "how far the sheet is bent")
    tremor: float = _style(0.0, 0.012, "unsteadiness of the hand")
    join: float = _style(0.0, 1.0, "how often the pen stays down between strokes")
    speed: float = _style(0.0, 1.0, "how much corners are rounded and strokes cut short")
    running: float = _style(0.0, 1.0, "how far components take their running-hand form")
    hooks: float = _style(0.0, 1.0, "how often a hook is written")

    def __post_init__(self) -> None:
        for style in fields(self):
            value = getattr(self, style.name)
            lowest, highest = _LIMITS.get(style.name, (-10.0, 10.0))
            if style.name != "seed" and not lowest <= value <= highest:
                raise ValueError(
                    f"Writer.{style.name} must be {lowest} to {highest} "
                    f"({style.metadata['low']} to {style.metadata['high']} is like "
                    f"handwriting), received {value!r}"
                )


def _between(low: float, value: float, high: float) -> float:
    return float(min(max(value, low), high))  # np.clip takes ten times as long for one number


def random_writer(seed: int, **style: float) -> Writer:
    """The writer of a seed, the same one every time.

    One hidden trait, haste, drives what goes together in real hands: joins, rounded corners,
    dropped hooks, running-hand forms, straying strokes.

    Args:
        seed: an integer, 0 or more.
        style: fixes fields of `Writer` by name.

    Raises:
        TypeError: `style` names a field that `Writer` does not have.
        ValueError: a style far out of its range.

    >>> random_writer(7) == random_writer(7), random_writer(7, pen=3.0).pen
    (True, 3.0)
    """
    rng = np.random.default_rng((seed, 0x57_52_49_54))
    haste = rng.beta(1.9, 2.2)
    normal = rng.standard_normal(11)
    uniform = rng.random(7)
    size = _between(47, 74 * np.exp(0.19 * normal[0]), 130)
    writer = Writer(
        seed=seed,
        size=size,
        aspect=_between(0.5, 0.84 * np.exp(0.15 * normal[1]), 1.3),
        slant=float(0.02 + 0.12 * normal[2]),
        rise=float(0.10 + 0.04 * normal[3]),
        pen=_between(1.1, 2.1 * np.exp(0.32 * normal[4]), 0.068 * size),
        pressure=float(0.1 + 0.4 * uniform[0]),
        ink=float(1.0 - 0.45 * uniform[1]),
        texture=float(0.4 * uniform[2]),
        components=float((0.04 + 0.05 * haste) * np.exp(0.25 * normal[5])),
        strokes=float((0.055 + 0.03 * haste) * np.exp(0.25 * normal[6])),
        evenness=float(0.1 + 0.4 * uniform[5]),
        proportion=float(0.1 + 0.2 * uniform[3]),
        warp=float(0.02 + 0.045 * uniform[6]),
        tremor=float(0.006 * uniform[4] ** 2),
        join=_between(0, 0.35 + 1.1 * haste * np.exp(0.3 * normal[7]), 1),
        speed=_between(0, 0.05 + 0.55 * haste * np.exp(0.3 * normal[8]), 1),
        running=_between(0, 0.25 + 0.55 * haste + 0.2 * normal[10], 1),
        hooks=_between(0, 1.0 - 0.5 * haste + 0.2 * normal[9], 1),
    )
    return replace(writer, **style) if style else writer
