"""Bootstrap draws of the errors of all drugs at once, and the intervals that follow from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hed.answers import moments
from hed.answers.bootstrap import ROUNDING, Resampling, bca
from hed.answers.grid import Floats, Integers
from hed.answers.moments import Sums
from hed.answers.repeats import Repeats

# Least share of a variance that is due to few repeats; less counts as this.
LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Draws:
    """Sums as of `moments`, by name; the last axis is that of the drugs.

    Attributes:
        cells: of each cell.
        both: of each draw of cells and repeats.
        repeats: of each draw of repeats alone; empty without repeats.
        counts: how many repeats each drug has.
    """

    cells: Sums
    both: Sums
    repeats: Sums
    counts: Integers

    def intervals(
        self, table: pl.DataFrame, metrics: Sequence[str], level: float
    ) -> Iterator[pl.Series]:
        """Yield the ends of the BCa intervals, {metric}_low and _high, of metrics of a table."""
        without = moments.without_each(self.cells)
        for metric in metrics:
            estimate = table[metric].fill_null(np.nan).to_numpy()
            values = moments.compute(metric, self.both)
            free = self.freedom(metric, values)
            ends = bca(estimate, values, moments.compute(metric, without), level, free)
            for name, end in zip(("low", "high"), ends, strict=True):
                yield pl.Series(f"{metric}_{name}", end).fill_nan(None)

    def freedom(self, metric: str, values: Floats) -> Floats | None:
        """Return the degrees of freedom of a metric's spread, one per drug; None without repeats.

        Welch (1947) and Satterthwaite (1946): the part of the variance that is estimated from few
        repeats is itself uncertain. ASSUME: cells are many.

        Args:
            values: the metric of each draw.
        """
        if not self.repeats:
            return None
        whole = np.nanvar(values, axis=0)
        part = np.nanvar(moments.compute(metric, self.repeats), axis=0)
        share = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
        own = np.maximum(self.counts - 1, 1)
        freedom: Floats = own / np.clip(share, LEAST_SHARE, 1.0) ** 2
        return freedom

    def funnel(self, mse: Floats) -> pl.Series:
        """Return how far the mse of each drug is from the median, in its standard errors."""
        error = np.nanstd(moments.compute("mse", self.both), axis=0, ddof=1)
        certain = error <= ROUNDING * mse
        values = np.where(certain, np.nan, (mse - np.median(mse)) / np.maximum(error, 1e-300))
        return pl.Series(values).fill_nan(None)


def draw(
    of_runs: Sums,
    cells: Sums,
    same: Repeats,
    *,
    metrics: Collection[str],
    how: Resampling,
    scale: Sums,
) -> Draws:
    """Return draws of what some metrics need.

    Args:
        of_runs: sums of each cell and run, cells x runs.
        cells: their means over repeats, cells x drugs.
        same: which runs repeat each other.
        metrics: of `moments.NEEDED`; each resampled sum takes time.
        how: how cells are drawn.
        scale: by what recorded baselines exceed recomputed ones. A recorded one, which saw only the
            training rows, gives the level, and the recomputed one the pattern over cells.
    """
    needed = {name: of_runs[name] for name in sorted(moments.needed(metrics))}
    chosen = same.draw(how)

    def scaled(sums: Sums) -> dict[str, Floats]:
        return {name: sums[name] * scale.get(name, 1.0) for name in needed}

    repeated = (same.counts > 1).any()
    return Draws(
        cells=scaled(cells),
        both=scaled(moments.replicate(needed, how, same, chosen)),
        repeats=scaled(moments.redraw(needed, same, chosen)) if repeated else {},
        counts=same.counts,
    )
