"""Experiments side by side: each drug's score in one against that in another."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import math
from typing import Any

import plotnine as p9
import polars as pl

from hed.answers.plots import theme
from hed.errors import InputError
from hed.watching.aggregate import LOWER_IS_BETTER

# Drugs of the largest differences that are named in each panel.
NAMED = 3
NAME_WIDTH, NAME_HEIGHT = 0.15, 0.032  # of an axis, what a name takes
MARGINS, ONE_PANEL, PANEL = 1.5, 4.5, 2.9  # inches: around the panels, a panel
CHANGES = ("better", "worse", "equal")
COLOURS = dict(zip(CHANGES, (theme.BLUE, theme.ORANGE, theme.GREY), strict=True))
SHAPES = dict(zip(CHANGES, ("o", "^", "s"), strict=True))


def plot(differences: pl.DataFrame, *, metric: str, noun: str = "drug") -> p9.ggplot:
    """Return the figure of `compare.differences` of that metric; `noun` is what is held out.

    Raises:
        InputError: if the experiments have no drug in common.
    """
    if differences.is_empty():
        raise InputError(f"the experiments have no scored {noun} in common: nothing to compare")
    points = arrange(differences, metric=metric)
    reference = points["reference"][0]
    values = pl.concat([points["value"], points["reference_value"]])
    ends: tuple[Any, Any] = values.min(), values.max()
    return (
        p9.ggplot(points, p9.aes("reference_value", "value"))
        + p9.geom_abline(intercept=0, slope=1, colour=theme.GREY, linetype="dashed", size=0.5)
        + p9.geom_point(p9.aes(colour="change", shape="change"), size=1.5, alpha=0.7, stroke=0.2)
        + _names(points, low=float(ends[0]), high=float(ends[1]))
        + p9.facet_wrap("experiment", ncol=2)
        + p9.coord_fixed(xlim=ends, ylim=ends)
        + [p9.scale_colour_manual(COLOURS), p9.scale_shape_manual(SHAPES)]
        + _labels(reference, metric, noun)
        + theme.look(_height(points["experiment"].n_unique()))
    )


def arrange(differences: pl.DataFrame, *, metric: str) -> pl.DataFrame:
    """Return the differences with `change` (better, worse, equal) and `named`, what to label.

    The largest differences in each experiment are named.
    """
    gain = -pl.col("difference") if metric in LOWER_IS_BETTER else pl.col("difference")
    change = pl.when(gain > 0).then(pl.lit("better")).when(gain < 0).then(pl.lit("worse"))
    place = pl.col("difference").abs().rank("ordinal", descending=True).over("experiment")
    return differences.with_columns(
        pl.col("experiment").cast(pl.Enum(differences["experiment"].unique(maintain_order=True))),
        drug=pl.coalesce("drug", pl.format("index {}", "index")),
        change=change.otherwise(pl.lit("equal")).cast(pl.Enum(CHANGES)),
        named=(place <= NAMED) & (gain != 0),
    )


def place_names(points: pl.DataFrame, *, low: float, high: float) -> pl.DataFrame:
    """Return the named points with label positions: `text_x`, `text_y`, and `left` of the mark.

    The axes go from `low` to `high`. A name is beside its mark, on the side that has more room, and
    below the name above it if they would overlap.
    """
    room, line = NAME_WIDTH * (high - low), NAME_HEIGHT * (high - low)
    left = pl.col("reference_value") > low + (high - low) / 2
    beside = pl.col("reference_value") + pl.when(left).then(-line / 2).otherwise(line / 2)
    named = points.filter("named").with_columns(left=left, text_x=beside)
    rows: list[dict[str, Any]] = []
    for row in named.sort("value", descending=True, maintain_order=True).iter_rows(named=True):
        near = [r for r in rows if r["experiment"] == row["experiment"]]
        over = [r["text_y"] for r in near if abs(r["text_x"] - row["text_x"]) < 2 * room]
        rows.append({**row, "text_y": min([row["value"], *(y - line for y in over)])})
    schema: Any = {**named.schema, "text_y": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _names(points: pl.DataFrame, *, low: float, high: float) -> list[Any]:
    """Return the names of the points that have one."""
    where = p9.aes("text_x", "text_y", label="drug")
    placed = place_names(points, low=low, high=high)
    sides = ((placed.filter("left"), "right"), (placed.filter(~pl.col("left")), "left"))
    return [p9.geom_text(where, side, size=6.5, ha=ha) for side, ha in sides if len(side)]


def _height(panels: int) -> float:
    """Return the height of the figure in inches, for square panels, two to a row."""
    return MARGINS + (ONE_PANEL if panels == 1 else PANEL * math.ceil(panels / 2))


def _labels(reference: str, metric: str, noun: str) -> p9.labs:
    """Return title, axes and what the marks are."""
    explained = (
        f"a mark: a {noun}, by its {metric} in {reference} and in the other experiment; dashed: "
        f"equal; named: the {NAMED} of largest difference"
    )
    return p9.labs(
        title=f"Experiments compared, {noun} by {noun}",
        subtitle=f"beside {reference}",
        x=f"{metric} in {reference}",
        y=f"{metric} in the other experiment",
        caption=theme.wrap(explained),
    )
