"""Loss by epoch over all runs."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

from typing import Any

import plotnine as p9
import polars as pl

from hed.answers import convergence
from hed.answers.plots import theme
from hed.errors import InputError

LOSSES = {"loss": "training (with dropout)", "val_loss": "validation"}
# Fewer runs have no quantiles worth drawing.
LEAST_RUNS = 5
# Beyond this ratio a linear axis would hide the end of training.
LOGARITHMIC = 3.0

HEIGHT = 3.9


def plot(histories: pl.DataFrame, *, title: str) -> p9.ggplot:
    """Return the figure of `convergence.read_histories`.

    Raises:
        InputError: if no run has a loss.
    """
    runs = histories["run"].n_unique()
    lines = arrange(histories)
    if lines.is_empty():
        raise InputError("no run has a history yet: wait for the first to end")
    bands = _titled(convergence.band(histories).filter(pl.col("measure").is_in(list(LOSSES))))
    return (
        p9.ggplot(mapping=p9.aes("epoch"))
        + p9.facet_wrap("measure", ncol=2)
        + _runs(lines, runs)
        + _bands(bands, runs)
        + _axes(lines)
        + _labels(title, runs=runs)
        + theme.look(HEIGHT, legend_position="none")
    )


def arrange(histories: pl.DataFrame) -> pl.DataFrame:
    """Return a row per run, epoch and loss: run, epoch, measure, value, `next`, `is_last`.

    `next` is the value of the next epoch, null if there is none; `is_last` marks the last epoch of
    a run that ended before others.
    """
    long = histories.unpivot(
        list(LOSSES), index=["run", "epoch"], variable_name="measure", value_name="value"
    ).drop_nulls("value")
    ended = pl.col("epoch") == pl.col("epoch").max().over("run", "measure")
    earlier = pl.col("epoch") < pl.col("epoch").max()
    following = pl.col("epoch").shift(-1) == pl.col("epoch") + 1
    after = pl.when(following).then(pl.col("value").shift(-1)).over("run", "measure")
    return _titled(long).with_columns(next=after, is_last=ended & earlier)


def _titled(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the losses' titles, those that it has."""
    has = set(table["measure"])
    titles = {name: title for name, title in LOSSES.items() if name in has}
    names = pl.Enum(list(titles.values()))
    return table.with_columns(pl.col("measure").replace_strict(titles, return_dtype=names))


def _runs(lines: pl.DataFrame, runs: int) -> list[Any]:
    """Return a line per run, the fainter the more there are."""
    alpha = min(0.8, max(0.025, 8 / runs))
    faint: dict[str, Any] = {"colour": theme.GREY, "alpha": alpha}
    path = p9.aes(xend="epoch + 1", y="value", yend="next")
    ends = lines.filter("is_last")
    marks = [p9.geom_point(p9.aes(y="value"), ends, shape="x", size=1.3, **faint)]
    single = lines.filter(pl.len().over("run", "measure") == 1)
    dots = [p9.geom_point(p9.aes(y="value"), single, size=1, colour=theme.GREY)]
    return [
        # Segments are drawn at once, lines one by one, which takes a minute for 770 runs.
        p9.geom_segment(path, lines.drop_nulls("next"), size=0.35, **faint),
        *(marks if len(ends) else []),
        *(dots if len(single) else []),
    ]


def _bands(bands: pl.DataFrame, runs: int) -> list[Any]:
    """Return the median, and where half and 90 % of the runs lie, if there are enough."""
    line = [
        p9.geom_line(p9.aes(y="median"), bands, colour=theme.BLUE, size=1.0),
        p9.geom_point(p9.aes(y="median"), bands, colour=theme.BLUE, size=1.2),
    ]
    if runs < LEAST_RUNS:
        return line if runs > 1 else []
    fill: dict[str, Any] = {"fill": theme.BLUE}
    return [
        p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), bands, alpha=0.3, **fill),
        p9.geom_ribbon(p9.aes(ymin="q25", ymax="q75"), bands, alpha=0.45, **fill),
        *line,
    ]


def _axes(lines: pl.DataFrame) -> list[Any]:
    """Return whole epochs, and a logarithmic loss where it falls far."""
    last = int(lines["epoch"].max() or 1)  # type: ignore[arg-type]
    step = max(1, round(last / 8))
    axes: list[Any] = [p9.scale_x_continuous(breaks=list(range(step, last + 1, step)))]
    low, high = float(lines["value"].min() or 0), float(lines["value"].max() or 0)  # type: ignore[arg-type]
    return [*axes, p9.scale_y_log10()] if 0 < LOGARITHMIC * low < high else axes


def _labels(title: str, *, runs: int) -> p9.labs:
    """Return title, axes and what the marks are."""
    explained = (
        "loss: mean squared error of the AUC, unless a run has its own; grey: each run, x: it "
        "ended before others"
    )
    if runs >= LEAST_RUNS:
        explained += "; blue line: median of the runs in that epoch; bands: half and 90 % of them"
    elif runs > 1:
        explained += "; blue line: median of the runs in that epoch"
    return p9.labs(
        title="Loss by epoch",
        subtitle=title,
        x="epoch",
        y="loss",
        caption=theme.wrap(explained),
    )
