"""Errors of every run from sums over its rows, so that a bootstrap of all runs is a product.

Each draw of cells is a row of weights; weights times sums per cell are the sums of the drawn rows.
"""

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from hed.answers.bootstrap import Resampling, draw
from hed.answers.grid import Floats, Grid
from hed.answers.repeats import Repeats
from hed.watching.aggregate import BASELINES

# Sums by name; the last axis is that of the runs.
Sums = Mapping[str, Floats]

# Below this a variance is that of a constant: AUC has four decimals.
LEAST_VARIANCE = 1e-20
OF_VALUES = ("t", "tt", "p", "pp", "tp")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "mse": ("ee", "e"),
    "rmse": ("ee", "e"),
    "mae": ("ae",),
    "bias": ("e",),
    "pcc": OF_VALUES,
    "r2": ("ee", "e", "t", "tt"),
    **{f"skill_{name}": ("ee", "e", name) for name in BASELINES},
}


def per_cell(
    rows: pl.DataFrame, grid: Grid, metrics: Collection[str] = tuple(NEEDED)
) -> dict[str, Floats]:
    """Return the sums over the rows of each cell and run, by name, cells x runs.

    Names: n rows, e error, ee its square, ae its size, t and p true and predicted AUC about their
    means over the run, tt, pp, tp their products; for each baseline its squared error (NaN where
    it is undefined). Only those that `metrics` need are included. `rows` are those of
    `heldout.with_baselines`, `grid` is theirs by run.

    Of repeats (rows with `average`, see `heldout.HeldOut.each`) the sums are shares in those of
    the average: their means over repeats are the sums of the average.
    """
    wanted = needed(metrics)
    true = rows["true"].to_numpy()
    values = _of_errors(rows, true)
    if wanted & set(OF_VALUES):
        values |= _of_values(rows, true, grid)
    for name in wanted.intersection(BASELINES):
        values[name] = (rows[name].to_numpy() - true) ** 2
    return {name: grid.sum(values.get(name)).T for name in sorted(wanted)}


def needed(metrics: Collection[str]) -> set[str]:
    """Return the names of the sums that metrics are computed from."""
    return {"n"}.union(*(NEEDED.get(metric, ()) for metric in metrics))


def _of_errors(rows: pl.DataFrame, true: Floats) -> dict[str, Floats]:
    """Return what sums of errors are of."""
    whole, predicted = _predicted(rows)
    error = predicted - true
    return {
        "ee": _share(whole - true, error),
        "ae": np.sign(whole - true) * error,
        "e": error,
    }


def _of_values(rows: pl.DataFrame, true: Floats, grid: Grid) -> dict[str, Floats]:
    """Return what sums of values about their means are of."""
    whole, predicted = _predicted(rows)
    centre = _mean(whole, grid)
    t, p = true - _mean(true, grid), predicted - centre
    return dict(zip(OF_VALUES, (t, t * t, p, _share(whole - centre, p), t * p), strict=True))


def _predicted(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    """Return predictions averaged over repeats, and single ones."""
    predicted = rows["predicted"].to_numpy()
    return (rows["average"].to_numpy() if "average" in rows.columns else predicted), predicted


def _mean(values: Floats, grid: Grid) -> Floats:
    """Return the mean of each value's run: about it a constant has exactly no variance."""
    mean: Floats = np.bincount(grid.drug, values) / np.bincount(grid.drug)
    return mean[grid.drug]


def _share(whole: Floats, part: Floats) -> Floats:
    """Return the shares of parts in the squares of their mean: the square, where both are one."""
    return 2 * whole * part - whole**2


def total(cells: Sums) -> dict[str, Floats]:
    """Return the sums over all cells, by name, one per run."""
    return {name: values.sum(axis=0) for name, values in cells.items()}


def draw_cells(cells: Sums, how: Resampling) -> dict[str, Floats]:
    """Return the sums over the cells of each draw, by name, replicates x runs.

    A draw takes whole cells, the same for all runs.
    ASSUME: the rows of one cell depend on each other, cells do not.
    """
    weights = draw(len(cells["n"]), how)
    return {name: weights @ values for name, values in cells.items()}


def draw_trainings(of_runs: Sums, same: Repeats, how: Resampling) -> dict[str, Floats]:
    """Return by how much other trainings may change the sums over all cells, replicates x drugs.

    Sums are linear in single repeats; that of squares is not in the average, whose square also
    counts where the linear part is small: that of the shift that all cells share. ASSUME: what a
    training does to single cells averages out over them.

    Args:
        of_runs: sums of each cell and run.
        same: which runs repeat each other.
        how: how many draws, and from which seed.
    """
    sums, weights = total(of_runs), same.deviate(how)
    moved = {name: same.weighted(values, weights) for name, values in sums.items()}
    if "ee" in moved:
        shift = moved["e"] ** 2 / same.mean(sums["n"])
        moved["ee"] += shift - shift.mean(axis=0)
    return moved


def without_each(cells: Sums) -> dict[str, Floats]:
    """Return the sums without each cell, cells x runs; NaN for a cell that the run lacks."""
    present = cells["n"] > 0
    return {k: np.where(present, v.sum(axis=0) - v, np.nan) for k, v in cells.items()}


def compute(metric: str, sums: Sums) -> Floats:
    """Return a metric of `NEEDED` from sums; NaN where it is undefined."""
    n = np.where(sums["n"] > 0, sums["n"], np.nan)
    if metric in ("mse", "mae", "bias"):
        return _divide(sums[NEEDED[metric][0]], n)
    if metric == "rmse":
        return np.sqrt(np.maximum(_divide(sums["ee"], n), 0.0))
    if metric == "r2":
        return 1 - _divide(sums["ee"], n * _variance(sums["t"], sums["tt"], n))
    if metric == "pcc":
        covariance = sums["tp"] / n - sums["t"] * sums["p"] / n**2
        product = _variance(sums["t"], sums["tt"], n) * _variance(sums["p"], sums["pp"], n)
        # Drawn sums need not be those of any rows.
        return np.clip(_divide(covariance, np.sqrt(product)), -1.0, 1.0)
    return 1 - _divide(sums["ee"], sums[metric.removeprefix("skill_")])


def _variance(linear: Floats, square: Floats, n: Floats) -> Floats:
    variance = square / n - (linear / n) ** 2
    return np.where(variance > LEAST_VARIANCE, variance, 0.0)


def _divide(above: Floats, below: Floats) -> Floats:
    """Return quotients, NaN where the divisor is zero or undefined."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
