"""Test scores by the number of trained epochs."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import plotnine as p9
import polars as pl

from hed.answers.plots import theme

HEIGHT = 3.6


def plot(table: pl.DataFrame, *, metric: str, title: str) -> p9.ggplot:
    """Return the figure of `by_epochs.read`: a box over the runs for each number of epochs."""
    ordered = table.sort("epochs")
    names = ordered["epochs"].cast(pl.String).unique(maintain_order=True)
    points = ordered.with_columns(epochs=pl.col("epochs").cast(pl.String).cast(pl.Enum(names)))
    return (
        p9.ggplot(points, p9.aes("epochs", "score"))
        + p9.geom_boxplot(colour=theme.BLUE, fill="white", outlier_size=0.8, width=0.5)
        + p9.labs(
            title="Test scores by epochs trained",
            subtitle=title,
            x="epochs",
            y=metric,
            caption=theme.wrap(
                "Box: the middle half of the runs and their median; whiskers: to the last run "
                "within 1.5 times its height; points: the runs beyond."
            ),
        )
        + theme.look(HEIGHT)
    )
