"""The figure of an experiment: the error of each held-out drug beside the baselines."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import textwrap
from pathlib import Path
from typing import Any

import plotnine as p9
import polars as pl

from hed import aggregate, files
from hed.errors import InputError
from hed.runs import list_runs, read_experiment
from hed.summary import drug_label, shorten

FORMATS = ("pdf", "png", "svg")

# Above this many, only the worst are named: a row needs 5 mm to be read in print.
MAX_NAMED = 40
WORST = 15
MAX_LABEL = 28

WIDTH = 6.5  # inches, the text width of a letter page
MARGINS = 2.4  # inches, all that is above and below the panels
ROW = 0.19  # inches, of a named drug
LEVEL_ROW = 0.36  # inches, of a series over all drugs: its points are scattered over the height

SERIES = {
    "rmse": "model",
    "cell_mean_rmse": "cell mean",
    "train_mean_rmse": "training mean",
}
# Okabe and Ito's colours, which the colour-blind can tell apart; shapes tell them apart in grey.
COLOURS = {"model": "#0072B2", "cell mean": "#D55E00", "training mean": "#666666"}
SHAPES = {"model": "o", "cell mean": "D", "training mean": "|"}
FILLS = {**COLOURS, "cell mean": "white"}
# The model's mark lies on top: the others are larger, to be seen behind it.
SIZES = {"model": 1.9, "cell mean": 2.4, "training mean": 3.4}


def draw_errors(directory: Path, output: Path) -> None:
    """Draw the error of each held-out drug of an experiment to a PNG, PDF or SVG file.

    Raises:
        InputError: if the directory is not an experiment, has no test scores yet, or the name
            of `output` has no known ending.
    """
    kind = output.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise InputError(f"cannot draw {output}: let its name end with {' or '.join(FORMATS)}")
    experiment = read_experiment(directory)
    runs = list_runs(experiment)
    table = aggregate.tabulate(runs).drop_nulls("rmse")
    if table.is_empty():
        raise InputError(f"no run of {directory} has test scores yet: wait for the first to end")
    title = f"{experiment.name}: {len(table)} of {len(runs)} runs"
    plot = plot_errors(table, title=f"{title}, each tested on a drug that its training never saw")
    with files.replacing(output) as temporary:
        plot.save(temporary, format=kind, dpi=200, verbose=False)


def plot_errors(table: pl.DataFrame, *, title: str) -> p9.ggplot:
    """Return the figure of a table of scores (see `aggregate.scores`), one row per run.

    `title` goes below the figure's own title. The upper panel has all drugs, a row per series;
    the lower names the drugs, worst first.
    """
    points = arrange(table)
    levels, drugs = (part["row"].n_unique() for part in points.partition_by("panel"))
    heights = [LEVEL_ROW * levels, ROW * drugs]
    return (
        p9.ggplot(points, p9.aes("rmse", "row", colour="series", shape="series", size="series"))
        + p9.facet_grid("panel", scales="free_y", space={"x": [1], "y": heights})
        + _layers(points)
        + [p9.scale_colour_manual(COLOURS), p9.scale_shape_manual(SHAPES)]
        + [p9.scale_fill_manual(FILLS), p9.scale_size_manual(SIZES)]
        + p9.scale_x_continuous(expand=(0, 0, 0.04, 0))
        + p9.expand_limits(x=0)
        + _labels(title, with_baselines=levels > 1)
        + _look(MARGINS + sum(heights), with_legend=levels > 1)
    )


def arrange(table: pl.DataFrame) -> pl.DataFrame:
    """Return the points of the figure: panel, row, series, rmse, and the rank of the drug.

    Categories are ordered: panels and series from the top down, rows from the bottom up. The
    model's points come last, so that they lie on top.
    """
    points = _points(_label(table))
    few = len(table) <= MAX_NAMED
    lower = "each drug" if few else f"the {WORST} of highest error"
    upper = f"all {len(table)}"
    named = points.filter(pl.col("rank") < (len(table) if few else WORST))
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
        pl.col("series").cast(pl.Enum(SERIES.values())),
        "rmse",
        "rank",
    )


def _points(labelled: pl.DataFrame) -> pl.DataFrame:
    """Return one row per drug and series, with `level`, the text that names the series' row."""
    names = list(SERIES.values())
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


def _layers(points: pl.DataFrame) -> list[Any]:
    """Return the marks: scattered points and medians above, one row per drug below."""
    above, below = points.partition_by("panel", maintain_order=True)
    medians = above.group_by("panel", "row", "series").agg(pl.col("rmse").median())
    scatter = p9.position_jitter(width=0, height=0.28, random_state=0)
    hidden: dict[str, Any] = {"show_legend": False}
    size = 1.6 if len(above) < 200 else 0.9
    return [
        p9.geom_point(
            data=above, position=scatter, size=size, alpha=0.45, shape="o", stroke=0, **hidden
        ),
        p9.geom_point(data=medians, shape="|", size=9, stroke=1.1, colour="black", **hidden),
        p9.geom_segment(
            p9.aes(x="low", xend="high", y="row", yend="row"),
            data=below.group_by("panel", "row").agg(
                low=pl.col("rmse").min(), high=pl.col("rmse").max()
            ),
            inherit_aes=False,
            colour="#bbbbbb",
            size=0.4,
        ),
        p9.geom_point(p9.aes(fill="series"), data=below, stroke=0.7),
    ]


def _labels(title: str, *, with_baselines: bool) -> p9.labs:
    """Return title, axis and the sentence that explains the rows."""
    explained = "black bar: median"
    if with_baselines:
        explained += (
            "; cell mean: predicts each cell's mean AUC over the training drugs; "
            "training mean: predicts the mean AUC of all training rows"
        )
    return p9.labs(
        title="Error of each held-out drug",
        subtitle=title,
        x="root mean squared error of the AUC (AUC is dimensionless, 0 to 1)",
        y="",
        caption="\n".join(textwrap.wrap(explained, 95)),
    )


def _look(height: float, *, with_legend: bool) -> p9.theme:
    """Return the theme: white, few lines, small type."""
    return p9.theme_minimal(base_size=9) + p9.theme(
        figure_size=(WIDTH, height),
        panel_grid_minor=p9.element_blank(),
        panel_grid_major_y=p9.element_line(colour="#eeeeee", size=0.5),
        panel_grid_major_x=p9.element_line(colour="#dddddd", size=0.5),
        plot_title=p9.element_text(size=13, weight="bold", ha="left"),
        plot_title_position="plot",
        plot_caption_position="plot",
        plot_caption=p9.element_text(size=7, ha="left", colour="#555555"),
        axis_text_y=p9.element_text(colour="black", ma="right"),
        strip_text_y=p9.element_text(size=8, colour="#555555"),
        panel_spacing_y=0.03,
        legend_position="top" if with_legend else "none",
        legend_justification_top="left",
        legend_box_spacing=0.01,
        legend_title=p9.element_blank(),
    )
