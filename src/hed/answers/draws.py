"""Bootstrap draws of the errors of all drugs at once, and the intervals that follow from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from hed.answers import moments
from hed.answers.bootstrap import ROUNDING, Resampling, bca
from hed.answers.grid import Floats, Integers
from hed.answers.moments import Sums
from hed.answers.repeats import Repeats


@dataclass(frozen=True)
class Draws:
    """Sums as of `moments`, by name; the last axis is that of the drugs.

    Attributes:
        cells: of each cell.
        drawn: of each draw of cells.
        moved: what other trainings may add to them in each draw; empty without repeats.
        counts: how many repeats each drug has.
    """

    cells: Sums
    drawn: Sums
    moved: Sums
    counts: Integers

    @cached_property
    def without(self) -> Sums:
        """The sums without each cell."""
        return moments.without_each(self.cells)

    @cached_property
    def both(self) -> Sums:
        """The sums of each draw of cells and trainings."""
        return {name: values + self.moved.get(name, 0.0) for name, values in self.drawn.items()}

    def intervals(
        self, table: pl.DataFrame, metrics: Sequence[str], level: float
    ) -> Iterator[pl.Series]:
        """Yield the ends of the intervals, {metric}_low and _high, of metrics of a table."""
        for metric in metrics:
            ends = self.interval(metric, table[metric].fill_null(np.nan).to_numpy(), level)
            for name, end in zip(("low", "high"), ends, strict=True):
                yield pl.Series(f"{metric}_{name}", end).fill_nan(None)

    def interval(self, metric: str, estimate: Floats, level: float) -> tuple[Floats, Floats]:
        """Return the ends of the interval of a metric; NaN for a single cell.

        The BCa interval over cells and that of Student's t over trainings, as one: Zou and Donner,
        Construction of confidence limits about effect measures, Stat. Med. 27 (2008). Ends stay
        where the metric can be. A drug with one training has the interval over cells alone.
        """
        if metric == "rmse":  # trainings add to the square, which may vary more than it is
            low, high = self.interval("mse", estimate**2, level)
            return np.sqrt(np.maximum(low, 0.0)), np.sqrt(high)
        drawn, without = (moments.compute(metric, sums) for sums in (self.drawn, self.without))
        low, high = bca(estimate, drawn, without, level)
        if not self.moved:
            return low, high
        reach = self.reach(metric, level)
        below, above = np.hypot(estimate - low, reach), np.hypot(high - estimate, reach)
        most = 1.0 if metric.startswith("skill") else np.inf
        return estimate - below, np.minimum(estimate + above, most)

    def reach(self, metric: str, level: float) -> Floats:
        """Return how far other trainings may move a metric to either side; 0 without repeats."""
        from scipy.special import stdtrit  # takes a half second to import

        total = moments.total(self.cells)
        moved = {name: total[name] + values for name, values in self.moved.items()}
        error = np.ma.masked_invalid(moments.compute(metric, moved)).std(axis=0).filled(np.nan)
        reach: Floats = stdtrit(np.maximum(self.counts - 1, 1), (1 + level) / 2) * error
        return reach

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
    names = sorted(moments.needed(metrics))
    single, means = ({name: sums[name] for name in names} for sums in (of_runs, cells))
    repeated = (same.counts > 1).any()
    drawn = moments.draw_cells(means, how)
    moved = moments.draw_trainings(single, same, how) if repeated else {}

    def scaled(sums: Sums) -> dict[str, Floats]:
        return {name: values * scale.get(name, 1.0) for name, values in sums.items()}

    return Draws(scaled(means), scaled(drawn), scaled(moved), same.counts)
