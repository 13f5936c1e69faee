"""What goes with the error of a drug: its error against each reason."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import plotnine as p9
import polars as pl

from hed.answers.explanation import REASONS
from hed.answers.plots import theme
from hed.errors import InputError

COLUMNS = 3
MARGINS, ROW = 1.3, 1.75  # inches: around the panels, a row of them
HIGH = {False: "other drugs", True: "high error drugs"}
COLOURS = {HIGH[False]: theme.BLUE, HIGH[True]: theme.ORANGE}


def plot(drugs: pl.DataFrame, found: pl.DataFrame, *, metric: str, title: str) -> p9.ggplot:
    """Return the figure of `explanation.describe` and `explanation.correlate`.

    Raises:
        InputError: if there is no reason to be drawn.
    """
    if found.is_empty():
        raise InputError("fewer than four drugs have scores: too few to explain their errors")
    points = arrange(drugs, found, metric)
    rows = -(-len(found) // COLUMNS)
    return (
        p9.ggplot(points, p9.aes("value", metric, colour="high", shape="high"))
        + p9.facet_wrap("reason", ncol=COLUMNS, scales="free_x")
        + p9.geom_point(size=1.5 if len(drugs) < 200 else 0.9, alpha=0.6)
        + p9.scale_colour_manual(COLOURS)
        + p9.scale_shape_manual(dict(zip(COLOURS, "oD", strict=True)))
        + p9.scale_x_continuous(breaks=few_breaks)
        + p9.expand_limits(y=0)
        + _labels(title, metric, len(drugs))
        + theme.look(
            MARGINS + ROW * rows,
            panel_spacing_y=0.04,
            panel_spacing_x=0.03,
            strip_text=p9.element_text(size=7.5, colour="black", ha="left", ma="left"),
        )
    )


def few_breaks(limits: tuple[float, float]) -> list[float]:
    """Return few ticks, so that their labels do not overlap."""
    from mizani.breaks import breaks_extended

    return list(breaks_extended(n=4)(limits))


def arrange(drugs: pl.DataFrame, found: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Return a row per drug and reason: reason (titled, the strongest first), value, metric, high.

    High error drugs come last, to lie on top.
    """
    titles = {
        reason: f"{REASONS[reason]}\nSpearman {rho:.2f} ({low:.2f} to {high:.2f})"
        for reason, _, rho, low, high in found.iter_rows()
    }
    long = drugs.with_columns(pl.col(*titles).cast(pl.Float64)).unpivot(
        list(titles), index=[metric, "high"], variable_name="reason", value_name="value"
    )
    named = pl.col("reason").replace_strict(titles, return_dtype=pl.Enum(list(titles.values())))
    groups = pl.col("high").replace_strict(HIGH, return_dtype=pl.Enum(list(HIGH.values())))
    ordered = long.drop_nulls("value").sort("high", maintain_order=True)
    return ordered.with_columns(reason=named, high=groups)


def _labels(title: str, metric: str, count: int) -> p9.labs:
    """Return title, axes and what the marks are."""
    explained = (
        f"a dot: one of {count:,} held-out drugs; above each panel Spearman's correlation with the "
        "error, and its 95 % interval over drugs, the strongest first; nearest drug: distance "
        "to it among all that have responses; sensitive: AUC below 0.5; sd: standard deviation; "
        "AUC is dimensionless, 0 to 1"
    )
    return p9.labs(
        title="What goes with the error of a drug",
        subtitle=title,
        x="",
        y=f"{metric} of the drug",
        caption=theme.wrap(explained),
    )
