"""The look of all figures: colours, type, size, and how they become files."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import textwrap
from pathlib import Path
from typing import Any

import plotnine as p9

from hed import files
from hed.errors import InputError

FORMATS = ("pdf", "png", "svg")

WIDTH = 6.5  # inches, the text width of a letter page
CAPTION = 112  # characters in a line of a caption
DPI = 200

# Okabe and Ito's colours, which are safe for the colour-blind.
BLUE, ORANGE, SKY = "#0072B2", "#D55E00", "#56B4E9"
# Further ones of theirs, for experiments beside one.
FURTHER = ("#009E73", "#CC79A7", "#E69F00", SKY, "#000000")
GREY = "#666666"
# Points of a row are scattered over its height, in the same way in each drawing; plotnine takes 0
# for no seed.
SCATTER = p9.position_jitter(width=0, height=0.28, random_state=1)
# From light to dark, so that grey print and the colour-blind see the order.
DENSITY = ("#d4e4f1", "#0072B2", "#05233f")


def save(plot: p9.ggplot, output: Path, *, dpi: int = DPI) -> None:
    """Write a figure to a file, whole or not at all.

    Raises:
        InputError: if the name of `output` has no known ending.
    """
    kind = check(output)
    with files.replacing(output) as temporary:
        plot.save(temporary, format=kind, dpi=dpi, verbose=False)


def check(output: Path) -> str:
    """Return the format that a file's name implies.

    Raises:
        InputError: if it is none of `FORMATS`.
    """
    kind = output.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise InputError(f"cannot draw {output}: let its name end with {' or '.join(FORMATS)}")
    return kind


def wrap(text: str) -> str:
    """Return a caption in lines that fit the width."""
    return "\n".join(textwrap.wrap(text, CAPTION))


def look(height: float, **elements: Any) -> p9.theme:
    """Return the theme of a figure of that height in inches: white, few lines, small type.

    `elements` are those of plotnine's theme that differ.
    """
    common: dict[str, Any] = {
        "figure_size": (WIDTH, height),
        "panel_grid_minor": p9.element_blank(),
        "panel_grid_major_y": p9.element_line(colour="#eeeeee", size=0.5),
        "panel_grid_major_x": p9.element_line(colour="#dddddd", size=0.5),
        "plot_title": p9.element_text(size=13, weight="bold", ha="left"),
        "plot_title_position": "plot",
        "plot_caption_position": "plot",
        "plot_caption": p9.element_text(size=7, ha="left", colour="#555555"),
        "strip_text": p9.element_text(size=8, colour="#555555"),
        "legend_position": "top",
        "legend_justification_top": "left",
        "legend_box_spacing": 0.01,
        "legend_title": p9.element_blank(),
    }
    return p9.theme_minimal(base_size=9) + p9.theme(**{**common, **elements})
