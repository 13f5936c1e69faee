"""The figures of a report, as small PNGs."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotnine as p9
from PIL import Image

from hed.errors import InputError

DPI = 170
# Figures have few colours: a quarter of the bytes, and no visible difference.
PALETTE = 96


@dataclass(frozen=True)
class Picture:
    """A figure that may be drawn: its name, its title, and the function that draws it."""

    name: str
    title: str
    make: Callable[[], p9.ggplot]


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows: `image` is a PNG, `width` and `height` are its pixels."""

    name: str
    title: str
    text: str
    image: bytes
    width: int
    height: int


def draw(wanted: Sequence[Picture]) -> tuple[list[Figure], list[str]]:
    """Return the figures that can be drawn, and sentences on those that cannot."""
    drawn, left_out = [], []
    for each in wanted:
        try:
            drawn.append(_render(each.name, each.title, each.make()))
        except InputError as error:
            left_out.append(f"the figure “{each.title}” is left out: {error}")
    return drawn, left_out


def _render(name: str, title: str, plot: p9.ggplot) -> Figure:
    """Return a figure as a small PNG."""
    drawn, small = io.BytesIO(), io.BytesIO()
    plot.save(drawn, format="png", dpi=DPI, verbose=False)
    image = Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    image.save(small, format="png", optimize=True)
    text = " ".join(str(plot.labels.caption).split())
    return Figure(name, title, text, small.getvalue(), *image.size)
