"""How well predictions rank drugs for a cell: lowest AUC, the most sensitive, first.

The predictions of a pair's replicates, and of several runs that hold out one drug, are reduced to
their means first, and so are the true values.

Methods:
    model.
    random: the expected value of a random order, with its standard deviation.
    drug_mean: an oracle that no new drug has, the mean true AUC of the drug over the other cells.
        It shows how far a ranking gets that knows nothing of the cell.
    cell_mean, train_mean: the baselines of a run, which are one value for all drugs of a cell and
        rank nothing. (Each leaves out the held-out drug, so they differ a little between drugs: by
        what is to be predicted, with the opposite sign.)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from hed.answers import order
from hed.answers.bootstrap import Resampling, draw, median_places
from hed.answers.grid import Floats
from hed.answers.heldout import HeldOut
from hed.answers.order import Order
from hed.errors import InputError

MEASURES = ("spearman", "kendall", "recall", "ndcg", "ndcg_all")
CONSTANT = ("cell_mean", "train_mean")
METHODS = ("model", "random", "drug_mean", *CONSTANT)
DEFAULT = Resampling()
# Of a normal distribution: 95 % lie within, and 95 % lie below.
TWO_SIDED, ONE_SIDED = 1.959964, 1.644854

CELL_SCHEMA: dict[str, type[pl.DataType]] = {
    "cell": pl.String,
    "method": pl.String,
    "drugs": pl.Int64,
    **dict.fromkeys(MEASURES, pl.Float64),
    **{f"{measure}_sd": pl.Float64 for measure in MEASURES},
    "reason": pl.String,
}

NUMBERS = ("mean", "mean_low", "mean_high", "median", "median_low", "median_high")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
SUMMARY_SCHEMA: dict[str, type[pl.DataType]] = {
    "method": pl.String,
    "measure": pl.String,
    "cells": pl.Int64,
    "undefined": pl.Int64,
    **dict.fromkeys((*NUMBERS, *QUANTILES, "above_random"), pl.Float64),
}

Row = tuple[str | int | float | None, ...]


@dataclass(frozen=True)
class Weights:
    """Cumulative weights of the places of a ranking: see `order.first`, `discounts`."""

    k: int
    first: Floats
    top: Floats
    all: Floats


def rank_cells(held: HeldOut, *, k: int = 10) -> pl.DataFrame:
    """Return a row per cell and method, cells sorted.

    Columns:
        cell, method, drugs: how many are ranked;
        spearman, kendall (tau-b), recall (share of the true top k among the predicted top k),
        ndcg (of the top k; the gain is 1 - AUC, at least 0), ndcg_all (of all drugs);
        {measure}_sd: for the method random, the standard deviation over random orders;
        reason: why a measure is null, else null.

    Raises:
        InputError: if k is below 1.
    """
    if k < 1:
        raise InputError(f"the top {k} drugs cannot be ranked: give at least 1")
    grid = held.grid
    true, predicted = (grid.mean(held.rows[c].to_numpy()) for c in ("true", "predicted"))
    oracle = drug_means(true)
    size = len(grid.drugs)
    weights = Weights(k, order.first(size, k), order.discounts(size, k), order.discounts(size))
    rows: list[Row] = []
    for number, cell in enumerate(grid.cells):
        known = np.flatnonzero(np.isfinite(true[:, number]))
        t, p, o = (values[known, number] for values in (true, predicted, oracle))
        rows += [(cell, *row) for row in _rank_cell(t, p, o, weights)]
    return pl.DataFrame(rows, schema=CELL_SCHEMA, orient="row").with_columns(
        pl.selectors.float().fill_nan(None)
    )


def drug_means(true: Floats) -> Floats:
    """Return the mean of each drug (row) over the other cells, NaN if it has no other."""
    known = np.isfinite(true)
    values = np.where(known, true, 0.0)
    others = known.sum(axis=1, keepdims=True) - known
    total = values.sum(axis=1, keepdims=True) - values
    means: Floats = np.divide(total, others, out=np.full_like(true, np.nan), where=others > 0)
    return means


def _rank_cell(true: Floats, predicted: Floats, oracle: Floats, how: Weights) -> Iterator[Row]:
    """Yield the rows of one cell, without its name."""
    truth = order.arrange(true)
    gain = np.maximum(1 - true, 0.0)
    yield _row("model", gain, truth, order.arrange(predicted), how)
    yield _random_row(gain, truth, how)
    has = np.isfinite(oracle)
    whole = truth if has.all() else order.arrange(true[has])
    yield _row("drug_mean", gain[has], whole, order.arrange(oracle[has]), how)
    for method in CONSTANT:
        nothing = (None,) * (2 * len(MEASURES))
        yield (method, len(true), *nothing, "one value for all drugs of the cell")


def _row(method: str, gain: Floats, true: Order, predicted: Order, how: Weights) -> Row:
    """Return the measures of a method in one cell."""
    measures = (
        order.spearman(true, predicted),
        order.kendall(true, predicted),
        order.recall(true, predicted, how.first),
        order.ndcg(gain, true, predicted, how.top),
        order.ndcg(gain, true, predicted, how.all),
    )
    why = "; ".join(_reasons(gain, true, predicted, k=how.k)) or None
    return (method, len(gain), *measures, *(None for _ in measures), why)


def _random_row(gain: Floats, true: Order, how: Weights) -> Row:
    """Return what a random order reaches in one cell: means, then standard deviations."""
    first = true.spread(how.first) / how.k
    hits = order.random_sum(first, how.first) if len(gain) > how.k else (np.nan, np.nan)
    found = [order.random_spearman(true), order.random_kendall(true), hits]
    for weights in (how.top, how.all):
        best = float(true.spread(weights) @ gain)
        found.append(order.random_sum(gain / best if best > 0 else gain * np.nan, weights))
    means, deviations = zip(*found, strict=True)
    why = "; ".join(_reasons(gain, true, None, k=how.k)) or None
    return ("random", len(gain), *means, *deviations, why)


def _reasons(gain: Floats, true: Order, predicted: Order | None, *, k: int) -> Iterator[str]:
    """Yield why measures of one cell are undefined."""
    count = len(gain)
    if count < 2:
        yield "fewer than two drugs"
    elif len(true.count) < 2:
        yield "all true values are equal"
    elif predicted and len(predicted.count) < 2:
        yield "all predictions are equal"
    if count <= k:
        yield f"no more than {k} drugs"
    if not gain.any():
        yield "no AUC is below 1"


def undefined(cells: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on why measures of the model are undefined in some cells."""
    model = cells.filter(method="model")
    reasons = model.drop_nulls("reason").group_by("reason", maintain_order=True).len()
    for reason, count in reasons.iter_rows():
        yield f"in {count} of {len(model)} cells measures are undefined: {reason}"


def summarise(cells: pl.DataFrame, *, how: Resampling = DEFAULT) -> pl.DataFrame:
    """Return a row per method and measure over the cells of `rank_cells`.

    Columns:
        method, measure, cells (where it is defined), undefined (cells where it is not);
        mean, mean_low, mean_high, median, median_low, median_high: with percentile bootstrap
        intervals over cells; q05, q25, q75, q95: quantiles over cells;
        above_random: share of cells that are above 95 % of random orders (by a normal
        approximation).

    The drugs are the same in all cells, so the intervals hold for these drugs. For `random`, the
    interval of the mean contains that of 95 % of random orders, and there are no quantiles.
    """
    random = cells.filter(method="random")
    rows = []
    for (method,), part in cells.group_by("method", maintain_order=True):
        for measure in MEASURES:
            numbers = _spread(part[measure], how)
            if method == "random":
                numbers = _random_spread(random[measure], random[f"{measure}_sd"])
            else:
                joined = part.join(random, on="cell", suffix="_random")
                numbers["above_random"] = _share_above(joined, measure)
            known = {"cells": part[measure].count(), "undefined": part[measure].null_count()}
            rows.append({"method": method, "measure": measure, **known, **numbers})
    return pl.DataFrame(rows, schema=SUMMARY_SCHEMA)


def _spread(column: pl.Series, how: Resampling) -> dict[str, float | None]:
    """Return mean, median with their intervals, and quantiles of one measure over cells."""
    values = np.sort(column.drop_nulls().to_numpy())
    if not len(values):
        return {}
    low, high = median_places(len(values), how)
    drawn = {
        "mean": draw(len(values), how) @ values / len(values),
        "median": (values[low] + values[high]) / 2,
    }
    numbers = {"mean": float(values.mean()), "median": float(np.median(values))}
    for name, statistics in drawn.items():
        ends = np.quantile(statistics, [(1 - how.level) / 2, (1 + how.level) / 2])
        numbers |= {f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    return {**numbers, **{k: float(np.quantile(values, q)) for k, q in QUANTILES.items()}}


def _random_spread(means: pl.Series, deviations: pl.Series) -> dict[str, float | None]:
    """Return the mean over cells of a measure of random orders, and where 95 % of them have it."""
    values, spread = means.drop_nulls().to_numpy(), deviations.drop_nulls().to_numpy()
    if not len(values):
        return {}
    mean, margin = values.mean(), TWO_SIDED * np.sqrt((spread**2).sum()) / len(values)
    return {"mean": mean, "mean_low": mean - margin, "mean_high": mean + margin}


def _share_above(joined: pl.DataFrame, measure: str) -> float | None:
    """Return the share of cells where a measure is above 95 % of random orders."""
    limit = pl.col(f"{measure}_random") + ONE_SIDED * pl.col(f"{measure}_sd_random")
    share = joined.select((pl.col(measure) > limit).mean()).item()
    return None if share is None else float(share)
