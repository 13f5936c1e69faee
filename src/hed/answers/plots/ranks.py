"""How well an experiment ranks drugs for each cell, beside a random order and an oracle."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

from typing import Any

import plotnine as p9
import polars as pl

from hed.answers.plots import theme
from hed.answers.ranking import BY_EFFECTS, TWO_SIDED
from hed.errors import InputError

MEASURES = {
    "spearman": "Spearman",
    "kendall": "Kendall (tau-b)",
    "recall": "recall of the top {k}",
    "ndcg": "NDCG of the top {k}",
}
METHODS = {
    "model": "model",
    BY_EFFECTS: "mean effects",
    "drug_mean": "drug's mean\n(oracle)",
}
COLOURS = {title: theme.ORANGE for title in METHODS.values()} | {"model": theme.BLUE}
# What the one beside the model is; the first is a baseline where training rows have the drug.
EXPLAINED = {
    BY_EFFECTS: "mean effects: order drugs by their mean AUC over the training rows",
    "drug_mean": (
        "drug's mean: orders drugs by their true mean over the other cells, which nobody knows of "
        "a new drug; the baselines of a run are one value for all drugs of a cell, and rank nothing"
    ),
}

LEAST = {"spearman": -1.0, "kendall": -1.0}  # the others are at least 0

HEIGHT = 4.8


def plot(cells: pl.DataFrame, *, title: str, k: int = 10) -> p9.ggplot:
    """Return the figure of `ranking.rank_cells` with that `k`.

    Raises:
        InputError: if no cell has a measure that is defined.
    """
    points = arrange(cells, k=k)
    if points.is_empty():
        raise InputError("no cell was tested with two drugs or more: nothing is ranked")
    return (
        p9.ggplot(points, p9.aes("value", "method"))
        + p9.facet_wrap("measure", ncol=2, scales="free_x")
        + _random(spread_of_random(cells, k=k))
        + _layers(points)
        + p9.scale_colour_manual(COLOURS)
        + _labels(title, cells)
        + theme.look(
            HEIGHT,
            legend_position="none",
            panel_spacing_y=0.05,
            axis_text_y=p9.element_text(colour="black", ma="right"),
        )
    )


def arrange(cells: pl.DataFrame, *, k: int) -> pl.DataFrame:
    """Return a row per cell, method and measure that is defined: method, measure, value."""
    methods = ["model", beside(cells)]
    long = cells.filter(pl.col("method").is_in(methods)).unpivot(
        list(MEASURES), index=["method"], variable_name="measure", value_name="value"
    )
    titled = _titled(long.drop_nulls("value"), k)
    titles = {method: METHODS[method] for method in methods}
    names = pl.Enum([*titles.values()][::-1])
    return titled.with_columns(pl.col("method").replace_strict(titles, return_dtype=names))


def beside(cells: pl.DataFrame) -> str:
    """Return the method to draw beside the model: mean effects, if they rank, or the oracle."""
    ranked = cells.filter(pl.any_horizontal(pl.col(*MEASURES).is_not_null()), method=BY_EFFECTS)
    return "drug_mean" if ranked.is_empty() else BY_EFFECTS


def spread_of_random(cells: pl.DataFrame, *, k: int) -> pl.DataFrame:
    """Return where random orders of a typical cell lie, per measure: centre, low, high.

    The medians over cells of the mean and of the interval that has 95 % of random orders, by a
    normal approximation.
    """
    random = cells.filter(method="random")
    rows = []
    for name in MEASURES:
        margin = TWO_SIDED * pl.col(f"{name}_sd")
        centre = pl.col(name)
        least = LEAST.get(name, 0.0)
        ends = random.select(
            pl.lit(name).alias("measure"),
            centre=centre.median(),
            low=(centre - margin).median().clip(least, 1.0),
            high=(centre + margin).median().clip(least, 1.0),
        )
        rows.append(ends)
    return _titled(pl.concat(rows).drop_nulls(), k)


def _titled(table: pl.DataFrame, k: int) -> pl.DataFrame:
    """Return the table with the measures' titles, those that it has, in order."""
    has = set(table["measure"])
    titles = {name: title.format(k=k) for name, title in MEASURES.items() if name in has}
    names = pl.Enum(list(titles.values()))
    return table.with_columns(pl.col("measure").replace_strict(titles, return_dtype=names))


def _random(spread: pl.DataFrame) -> list[Any]:
    """Return the band of random orders and its centre."""
    band = p9.aes(xmin="low", xmax="high")
    return [
        p9.geom_rect(band, spread, ymin=0.4, ymax=2.6, inherit_aes=False, fill="#dddddd"),
        p9.geom_vline(p9.aes(xintercept="centre"), spread, colour=theme.GREY, linetype="dashed"),
    ]


def _layers(points: pl.DataFrame) -> list[Any]:
    """Return a mark per cell, and the medians."""
    medians = points.group_by("measure", "method").agg(pl.col("value").median())
    size = 1.8 if len(points) < 500 else 0.8
    return [
        p9.geom_point(
            p9.aes(colour="method"),
            position=theme.SCATTER,
            size=size,
            alpha=0.4,
            stroke=0,
            shape="o",
        ),
        p9.geom_point(data=medians, shape="|", size=11, stroke=1.2, colour="black"),
        p9.geom_text(
            p9.aes(label="value"),
            data=medians,
            format_string="{:.2f}",
            nudge_y=0.42,
            size=7,
        ),
    ]


def _labels(title: str, cells: pl.DataFrame) -> p9.labs:
    """Return title, axis and what the marks are."""
    explained = (
        f"a dot: one of {cells['cell'].n_unique():,} cells; black bar: median; grey: 95 % of "
        "random orders of the drugs in a typical cell, dashed: their mean; "
        + EXPLAINED[beside(cells)]
    )
    return p9.labs(
        title="How well drugs are ranked for a cell",
        subtitle=title,
        x="agreement of the predicted with the true order (1: the same)",
        y="",
        caption=theme.wrap(explained),
    )
