"""True against predicted AUC of all held-out rows."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

from typing import Any

import numpy as np
import plotnine as p9
import polars as pl

from hed.answers.grid import Floats
from hed.answers.plots import theme

# Up to this many rows each is a point; more are counted in squares.
MAX_POINTS = 5000
SQUARES = (30, 80)  # least and most, along each axis
ROOT = 8.0  # of the number of rows, per square
# The medians of this many groups of equally many rows are drawn, if each has enough.
GROUPS = 20
ROWS_PER_GROUP = 30

HEIGHT = 6.1


def plot(rows: pl.DataFrame, *, title: str) -> p9.ggplot:
    """Return the figure of held-out predictions (columns true, predicted: AUC)."""
    values = rows["true"].to_numpy(), rows["predicted"].to_numpy()
    ends = min(map(np.min, values)), max(map(np.max, values))
    few = len(rows) <= MAX_POINTS
    medians = group_medians(rows)
    return (
        p9.ggplot(mapping=p9.aes("true", "predicted"))
        + (_points(rows) if few else _density(count_squares(*values, ends=ends)))
        + p9.geom_abline(intercept=0, slope=1, colour=theme.GREY, linetype="dashed", size=0.6)
        + _median_layers(medians)
        + p9.coord_fixed(xlim=ends, ylim=ends)
        + _labels(title, few=few, with_medians=len(medians) > 0)
        + theme.look(
            HEIGHT,
            legend_position="right",
            legend_title=p9.element_text(size=8),
            panel_grid_major_y=p9.element_line(colour="#dddddd", size=0.5),
        )
    )


def count_squares(true: Floats, predicted: Floats, *, ends: tuple[float, float]) -> pl.DataFrame:
    """Return the squares that have rows: true, predicted (their centres), rows, and width."""
    low, high = ends
    squares = int(np.clip(len(true) ** 0.5 / ROOT, *SQUARES))
    edges = np.linspace(low, high if high > low else low + 1e-4, squares + 1)
    counts, _, _ = np.histogram2d(true, predicted, bins=[edges, edges])
    x, y = np.nonzero(counts)
    centres = (edges[:-1] + edges[1:]) / 2
    square = {"true": centres[x], "predicted": centres[y], "rows": counts[x, y]}
    return pl.DataFrame(square).with_columns(width=float(edges[1] - edges[0]))


def group_medians(rows: pl.DataFrame) -> pl.DataFrame:
    """Return median true and predicted AUC of groups of equally many rows by true AUC.

    None if a group has fewer than `ROWS_PER_GROUP` rows.
    """
    groups = min(GROUPS, len(rows) // ROWS_PER_GROUP)
    place = pl.int_range(pl.len()) * groups // max(len(rows), 1)
    numbered = rows.sort("true").with_columns(group=place)
    medians = numbered.group_by("group").agg(pl.col("true", "predicted").median()).sort("group")
    return medians if groups > 1 else medians.clear()


def _points(rows: pl.DataFrame) -> list[Any]:
    """Return a mark per row."""
    alpha = 0.8 if len(rows) < 100 else 0.35
    return [p9.geom_point(data=rows, colour=theme.BLUE, size=2.2, alpha=alpha, stroke=0)]


def _density(squares: pl.DataFrame) -> list[Any]:
    """Return squares, the darker the more rows they have."""
    width = float(squares["width"][0])
    return [
        p9.geom_tile(p9.aes(fill="rows"), data=squares, width=width, height=width),
        p9.scale_fill_gradientn(theme.DENSITY, trans="log10", name="rows"),
    ]


def _median_layers(medians: pl.DataFrame) -> list[Any]:
    """Return the line of the groups' medians, with a white border that keeps it visible."""
    if medians.is_empty():
        return []
    shape: dict[str, Any] = {"shape": "D", "fill": "white", "size": 1.5, "stroke": 0.6}
    return [
        p9.geom_line(data=medians, colour="white", size=1.8),
        p9.geom_line(data=medians, colour=theme.ORANGE, size=0.9),
        p9.geom_point(data=medians, colour=theme.ORANGE, **shape),
    ]


def _labels(title: str, *, few: bool, with_medians: bool) -> p9.labs:
    """Return title, axes and what the marks are."""
    explained = "dashed: a prediction that is true"
    if with_medians:
        explained += "; diamonds: median of equally many rows each, in order of the true AUC"
    if not few:
        explained += "; the scale of the counts is logarithmic"
    return p9.labs(
        title="True and predicted AUC",
        subtitle=title,
        x="true AUC of a held-out row",
        y="predicted AUC",
        caption=theme.wrap(explained),
    )
