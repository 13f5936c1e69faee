"""The error of each held-out drug beside the baselines, with the high error drugs named."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

from collections.abc import Sequence
from typing import Any

import plotnine as p9
import polars as pl

from hed.answers import rule
from hed.answers.plots import theme
from hed.answers.scores import LEVELS
from hed.answers.summary import known
from hed.errors import InputError
from hed.experiment.kind import BY_DRUG, Kind, drug_label, shorten

# Above this many, only the worst are named: a row needs 5 mm to be read in print.
MAX_NAMED = 40
WORST = 15
MAX_LABEL = 28

MARGINS = 2.4  # inches, all that is above and below the panels
ROW = 0.19  # inches, of a named drug
LEVEL_ROW = 0.36  # inches, of a series over all drugs: its points are scattered over the height

SERIES = {column: name for name, column in LEVELS.items()}
# Shapes tell the series apart in grey.
# Only one of cell mean and mean effects is drawn: either is the one to beat.
COLOURS = {"model": theme.BLUE, "training mean": theme.GREY}
COLOURS |= dict.fromkeys(("cell mean", "mean effects"), theme.ORANGE)
SHAPES = {"model": "o", "cell mean": "D", "mean effects": "D", "training mean": "|"}
FILLS = {**COLOURS, "cell mean": "white", "mean effects": "white"}
# The model's mark lies on top: the others are larger, to be visible behind it.
SIZES = {"model": 1.9, "cell mean": 2.4, "mean effects": 2.4, "training mean": 3.4}
# Of experiments beside this one, in their order.
OTHERS = tuple(zip(theme.FURTHER, ("^", "s", "v", "p", "X"), strict=True))


def plot(
    table: pl.DataFrame, *, title: str, kind: Kind = BY_DRUG, others: Sequence[str] = ()
) -> p9.ggplot:
    """Return the figure of a table of scores (see `aggregate.scores`), one row per run.

    `others` are columns with the errors of other experiments (see `Beside.join`). `title` goes
    below the figure's own title. The upper panel has all drugs, a row per series; the lower names
    the drugs, worst first: all, or the high error drugs and at least `WORST`.
    `kind` says what is held out if it is not drugs.

    Raises:
        InputError: if no run has an rmse.
    """
    if table["rmse"].count() == 0:
        raise InputError("no run has test scores yet: wait for the first to end")
    table = table.drop_nulls("rmse")
    kind = known(kind, table)
    points = arrange(table, kind, others)
    levels, drugs = (part["row"].n_unique() for part in points.partition_by("panel"))
    heights = [LEVEL_ROW * levels, ROW * drugs]
    limit = high_error_limit(table)
    return (
        p9.ggplot(points, p9.aes("rmse", "row", colour="series", shape="series", size="series"))
        + p9.facet_grid("panel", scales="free_y", space={"x": [1], "y": heights})
        + _threshold(limit)
        + _layers(points)
        + _scales(others)
        + _labels(title, points, kind, high=_count_high(table, limit), limit=limit)
        + theme.look(
            MARGINS + sum(heights),
            axis_text_y=p9.element_text(colour="black", ma="right"),
            panel_spacing_y=0.03,
            legend_position="top" if levels > 1 else "none",
        )
    )


def high_error_limit(table: pl.DataFrame) -> float | None:
    """Return the rmse from which on a drug is a high error drug; None if errors have no spread."""
    return rule.limit(table["rmse"].drop_nulls().to_numpy(), rule.Rule())


def arrange(table: pl.DataFrame, kind: Kind = BY_DRUG, others: Sequence[str] = ()) -> pl.DataFrame:
    """Return the points of the figure: panel, row, series, rmse, and the rank of the drug.

    Categories are ordered: panels and series from the top down, rows from the bottom up. The
    model's points come last, so that they lie on top.
    """
    points = _points(_label(table), ["model", *others, *kind.baselines])
    count = _count_named(table)
    lower = f"each {kind.noun}" if count == len(table) else f"the {count} of highest error"
    upper = f"all {len(table)}"
    drawn = set(points["series"])
    series = [name for name in ("model", *others, *SERIES.values()) if name in drawn]
    named = points.filter(pl.col("rank") < count)
    drugs = named.sort("rank", descending=True)["label"].unique(maintain_order=True)
    levels = points["level"].unique(maintain_order=True)
    return pl.concat(
        [
            points.with_columns(panel=pl.lit(upper), row="level"),
            named.with_columns(panel=pl.lit(lower), row="label"),
        ]
    ).select(
        pl.col("panel").cast(pl.Enum([upper, lower])),
        pl.col("row").cast(pl.Enum([*drugs, *levels])),
        pl.col("series").cast(pl.Enum(list(dict.fromkeys(series)))),
        "rmse",
        "rank",
    )


def _count_named(table: pl.DataFrame) -> int:
    """Return how many drugs are named."""
    if len(table) <= MAX_NAMED:
        return len(table)
    return min(max(WORST, _count_high(table, high_error_limit(table))), MAX_NAMED)


def _count_high(table: pl.DataFrame, limit: float | None) -> int:
    """Return how many drugs reach the limit."""
    return 0 if limit is None else int((table["rmse"] >= limit).sum())


def _points(labelled: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Return one row per drug and series, with `level`, the text that names the series' row."""
    points = labelled.rename(SERIES).unpivot(
        names[::-1], index=["label", "rank"], variable_name="series", value_name="rmse"
    )
    points = points.drop_nulls("rmse")
    medians = points.group_by("series").agg(pl.col("rmse").median()).rows()
    levels = {name: f"{name}\nmedian {median:.3f}" for name, median in medians}
    return points.with_columns(level=pl.col("series").replace(levels))


def _label(table: pl.DataFrame) -> pl.DataFrame:
    """Return `table`, highest error first, with the name of each row and its rank."""
    rows = table.select("run", "index", "drug").iter_rows()
    names = pl.Series("label", [shorten(drug_label(*row), MAX_LABEL) for row in rows])
    numbered = table.with_columns(
        label=pl.when(names.is_duplicated())
        .then(names + " (" + table["run"] + ")")
        .otherwise(names)
    )
    ordered = numbered.sort("rmse", descending=True, maintain_order=True)
    return ordered.with_row_index("rank")


def _scales(others: Sequence[str]) -> list[Any]:
    """Return the look of the series, and an axis that starts at zero."""
    further = list(zip(others, OTHERS, strict=False))
    colours = {name: colour for name, (colour, _) in further}
    return [
        p9.scale_colour_manual({**COLOURS, **colours}),
        p9.scale_shape_manual({**SHAPES, **{name: shape for name, (_, shape) in further}}),
        p9.scale_fill_manual({**FILLS, **colours}),
        p9.scale_size_manual({**SIZES, **dict.fromkeys(others, 1.9)}),
        p9.scale_x_continuous(expand=(0, 0, 0.04, 0)),
        p9.expand_limits(x=0),
    ]


def _threshold(limit: float | None) -> list[Any]:
    """Return the line from which on drugs are high error drugs."""
    return [] if limit is None else [p9.geom_vline(xintercept=limit, linetype="dashed", size=0.4)]


def _layers(points: pl.DataFrame) -> list[Any]:
    """Return the marks: scattered points and medians above, one row per drug below."""
    above, below = points.partition_by("panel", maintain_order=True)
    medians = above.group_by("panel", "row", "series").agg(pl.col("rmse").median())
    hidden: dict[str, Any] = {"show_legend": False}
    size = 1.6 if len(above) < 200 else 0.9
    return [
        p9.geom_point(
            data=above, position=theme.SCATTER, size=size, alpha=0.45, shape="o", stroke=0, **hidden
        ),
        p9.geom_point(data=medians, shape="|", size=9, stroke=1.1, colour="black", **hidden),
        p9.geom_segment(
            # One group, or each row is drawn by itself, which takes half a second.
            p9.aes(x="low", xend="high", y="row", yend="row", group=1),
            data=below.group_by("panel", "row").agg(
                low=pl.col("rmse").min(), high=pl.col("rmse").max()
            ),
            inherit_aes=False,
            colour="#bbbbbb",
            size=0.4,
        ),
        p9.geom_point(p9.aes(fill="series"), data=below, stroke=0.7),
    ]


def _labels(
    title: str, points: pl.DataFrame, kind: Kind, *, high: int, limit: float | None
) -> p9.labs:
    """Return title, axis and the sentences that explain the rows."""
    explained = "black bar: median"
    if limit is not None:
        score = f"{rule.Rule().text}, rmse {limit:.3f}"
        found = f"{high or 'no'} {kind.noun}{'' if high == 1 else 's'}"
        explained += f"; dashed: high error {kind.noun}s reach it ({score}): {found}"
    drawn = set(points["series"])
    for name, meaning in kind.baselines.items():
        explained += f"; {name}: predicts {meaning}" if name in drawn else ""
    return p9.labs(
        title=f"Error of each {kind.title}",
        subtitle=title,
        x="root mean squared error of the AUC (AUC is dimensionless, 0 to 1)",
        y="",
        caption=theme.wrap(explained),
    )
