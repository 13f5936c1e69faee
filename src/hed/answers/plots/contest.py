"""Models by their mean rank over drugs: a critical difference diagram."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import math

import plotnine as p9
import polars as pl

from hed.answers.mean_ranks import LEVEL, Contest
from hed.answers.plots import theme

MARGIN, ROW = 1.5, 0.3  # inches: around the rows, a row
BAR = 0.06  # of a rank, between two bars


def plot(found: Contest, *, noun: str = "drug") -> p9.ggplot:
    """Return the figure of a contest; `noun` is what is held out."""
    table = found.table.with_row_index("place").with_columns(y=-pl.col("place").cast(pl.Float64))
    text = [f"{found.metric} {mean:.4f}" for mean in table["mean"]]
    table = table.with_columns(text=pl.Series(text))
    worst = len(table) + 0.5
    return (
        p9.ggplot(table, p9.aes("rank", "y"))
        + p9.geom_segment(p9.aes(x=1, xend="rank", yend="y"), colour="#dddddd", size=0.5)
        + p9.geom_point(colour=theme.BLUE, size=2.5)
        + p9.geom_text(p9.aes(label="text"), size=7, ha="left", nudge_x=0.08)
        + p9.geom_segment(
            p9.aes(x="x", xend="x", y="low", yend="high"),
            bars(found, worst),
            size=2,
            colour="black",
        )
        + p9.scale_y_continuous(
            breaks=table["y"].to_list(), labels=table["experiment"].to_list(), expand=(0, 0.4)
        )
        + p9.scale_x_continuous(limits=(1, worst + 0.4), breaks=[*range(1, len(table) + 1)])
        + _labels(found, noun)
        + theme.look(MARGIN + ROW * len(table))
    )


def bars(found: Contest, right: float) -> pl.DataFrame:
    """Return the bars that join models that are not told apart: x, low, high; one a letter."""
    letters = found.table["letters"].to_list()
    rows = []
    for number, letter in enumerate(sorted(set("".join(letters)))):
        places = [place for place, own in enumerate(letters) if letter in own]
        if len(places) > 1:
            rows.append((right + BAR * number, -places[-1] - 0.15, -places[0] + 0.15))
    return pl.DataFrame(rows, schema=dict.fromkeys(("x", "low", "high"), pl.Float64), orient="row")


def _labels(found: Contest, noun: str) -> p9.labs:
    """Return title, axes and what the marks are."""
    explained = f"a dot: the mean rank over {noun}s, beside it the mean {found.metric}; "
    if math.isnan(found.p_value):
        explained += found.text(noun)
    else:
        explained += (
            f"joined by a bar at the right: no difference is shown at {LEVEL:g} (Conover's test, "
            f"adjusted by Holm); Friedman's test of all: p = {found.p_value:.2g}"
        )
    return p9.labs(
        title="Which model is better",
        subtitle=f"ranked on each of {found.drugs} held-out {noun}s",
        x=f"mean rank by {found.metric} (1 is the best)",
        y="",
        caption=theme.wrap(explained),
    )
