"""How well predictions rank drugs for a cell: lowest AUC, the most sensitive, first.

The predictions of a pair's replicates, and of several runs that hold out one drug, are reduced to
their means first, and so are the true values.

Methods:
    model.
    random: the expected value of a random order, with its standard deviation.
    drug_mean: an oracle that no new drug has, the mean true AUC of the drug over the other cells.
        It shows how far a ranking gets that knows nothing of the cell.
    mean_effects, cell_mean, train_mean: the baselines of a run. Those of new drugs are one value
        for all drugs of a cell and rank nothing. (Each leaves out the held-out drug, so they differ
        a little between drugs: by what is to be predicted, with the opposite sign.) Where training
        rows have the drug, as for held-out cells, mean_effects rank by its mean over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hed.answers import order
from hed.answers.bootstrap import Resampling, draw, median_places
from hed.answers.columns import RANKING, names
from hed.answers.grid import Floats
from hed.answers.heldout import HeldOut, ranks_by_effects, with_baselines
from hed.answers.order import Order
from hed.errors import InputError

MEASURES = ("spearman", "kendall", "recall", "ndcg", "ndcg_all")
BY_EFFECTS = "mean_effects"
CONSTANT = ("cell_mean", "train_mean")
METHODS = ("model", "random", BY_EFFECTS, "drug_mean", *CONSTANT)
DEFAULT = Resampling()
# Of a normal distribution: 95 % lie within, and 95 % lie below.
TWO_SIDED, ONE_SIDED = 1.959964, 1.644854

CELL_SCHEMA: dict[str, type[pl.DataType]] = dict.fromkeys(names(RANKING), pl.Float64)
CELL_SCHEMA |= dict.fromkeys(("cell", "method", "reason"), pl.String) | {"drugs": pl.Int64}

NUMBERS = ("mean", "mean_low", "mean_high", "median", "median_low", "median_high")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q75": 0.75, "q95": 0.95}
SUMMARY_SCHEMA: dict[str, type[pl.DataType]] = {
    "method": pl.String,
    "measure": pl.String,
    "cells": pl.Int64,
    "undefined": pl.Int64,
    **dict.fromkeys((*NUMBERS, *QUANTILES, "above_random"), pl.Float64),
}


@dataclass(frozen=True)
class Weights:
    """Cumulative weights of the places of a ranking: see `order.first`, `discounts`."""

    k: int
    first: Floats
    top: Floats
    all: Floats

    @classmethod
    def of(cls, k: int, size: int) -> Weights:
        """Return the weights of the top k among that many drugs."""
        return cls(k, order.first(size, k), order.discounts(size, k), order.discounts(size))


@dataclass(frozen=True)
class Lists:
    """The drugs of each cell.

    Attributes:
        true: mean AUC of cells x drugs, NaN where a cell has not met a drug.
        order: that of the true AUC.
        gain: 1 - AUC, at least 0; 0 where a cell has not met a drug.
    """

    true: Floats
    order: Order
    gain: Floats

    @classmethod
    def of(cls, true: Floats) -> Lists:
        """Return the drugs of cells by their true AUC."""
        return cls(true, order.arrange(true), np.nan_to_num(np.maximum(1 - true, 0.0)))

    def where(self, known: npt.NDArray[np.bool_]) -> Lists:
        """Return the lists without the drugs of which something is not known."""
        is_same = np.array_equal(known, self.order.known)
        return self if is_same else Lists.of(np.where(known, self.true, np.nan))


def rank_cells(held: HeldOut, *, k: int = 10) -> pl.DataFrame:
    """Return a row per cell and method, cells sorted.

    Columns: those of `columns.RANKING`; the top are k drugs, and the gain is at least 0.

    Raises:
        InputError: if k is below 1.
    """
    if k < 1:
        raise InputError(f"the top {k} drugs cannot be ranked: give at least 1")
    grid = held.grid
    true, predicted = (grid.mean(held.rows[c].to_numpy()) for c in ("true", "predicted"))
    oracle = np.where(np.isfinite(true), drug_means(true), np.nan)
    # Each cell is a list of drugs.
    lists, weights = Lists.of(true.T), Weights.of(k, len(grid.drugs))
    alike = lists.where(np.isfinite(oracle.T))
    tables = [
        _measured("model", lists, order.arrange(predicted.T), weights),
        _random(lists, weights),
        _by_effects(held, lists, weights),
        _measured("drug_mean", alike, order.arrange(oracle.T), weights),
        *(_constant(method, lists) for method in CONSTANT),
    ]
    cells = pl.Series("cell", grid.cells)
    # The rows of a cell next to each other.
    ordered = pl.concat([table.with_columns(cells) for table in tables], how="diagonal").select(
        pl.col(name).cast(dtype) for name, dtype in CELL_SCHEMA.items()
    )
    ordered = ordered.sort("cell", maintain_order=True)
    return ordered.with_columns(pl.selectors.float().fill_nan(None))


def drug_means(true: Floats) -> Floats:
    """Return the mean of each drug (row) over the other cells, NaN if it has no other."""
    known = np.isfinite(true)
    values = np.where(known, true, 0.0)
    others = known.sum(axis=1, keepdims=True) - known
    total = values.sum(axis=1, keepdims=True) - values
    means: Floats = np.divide(total, others, out=np.full_like(true, np.nan), where=others > 0)
    return means


def _measured(method: str, lists: Lists, predicted: Order, how: Weights) -> pl.DataFrame:
    """Return the measures of a method in each cell."""
    true, gain = lists.order, lists.gain
    measures = (
        order.spearman(true, predicted),
        order.kendall(true, predicted),
        order.recall(true, predicted, how.first),
        order.ndcg(gain, true, predicted, how.top),
        order.ndcg(gain, true, predicted, how.all),
    )
    named = dict(zip(MEASURES, measures, strict=True))
    return _table(method, lists, named, _reasons(lists, predicted, k=how.k))


def one_order(held: HeldOut, *, k: int = 10) -> dict[str, float]:
    """Return how far the mean over cells of each measure varies with one random order for all.

    A standard deviation. All cells rank the same drugs: a model that knows nothing of drugs has
    one order of them for all cells, not one for each.
    """
    lists = Lists.of(held.grid.mean(held.rows["true"].to_numpy()).T)
    return {
        name: order.random_mean(values, lists.order.known, deviation)
        for name, (values, _, deviation) in _chance(lists, Weights.of(k, len(held.grid.drugs)))
    }


def _random(lists: Lists, how: Weights) -> pl.DataFrame:
    """Return what a random order reaches in each cell: means, and standard deviations."""
    named: dict[str, Floats] = {}
    for name, (_, mean, deviation) in _chance(lists, how):
        named |= {name: mean, f"{name}_sd": deviation}
    return _table("random", lists, named, _reasons(lists, None, k=how.k))


def _chance(lists: Lists, how: Weights) -> Iterator[tuple[str, tuple[Floats, Floats, Floats]]]:
    """Yield each measure, and of random orders: the values that are ordered, mean, deviation."""
    true, gain = lists.order, lists.gain
    ranks, top = true.ranks(), true.spread(how.first)
    yield "spearman", (ranks, *order.random_spearman(true))
    yield "kendall", (ranks, *order.random_kendall(true))
    yield "recall", (top, *order.random_recall(true, how.first))
    yield "ndcg", (gain, *order.random_ndcg(gain, true, how.top))
    yield "ndcg_all", (gain, *order.random_ndcg(gain, true, how.all))


def _by_effects(held: HeldOut, lists: Lists, how: Weights) -> pl.DataFrame:
    """Return the measures of mean effects, if they rank."""
    if held.rows["held_out"].n_unique() < 2:
        return _constant(BY_EFFECTS, lists, "no other run tells")
    if not ranks_by_effects(held.rows):
        return _constant(BY_EFFECTS, lists)
    effects = held.grid.mean(with_baselines(held)[BY_EFFECTS].to_numpy())
    known = lists.where(np.isfinite(effects.T))
    return _measured(BY_EFFECTS, known, order.arrange(effects.T), how)


def _constant(
    method: str, lists: Lists, why: str = "one value for all drugs of the cell"
) -> pl.DataFrame:
    """Return the rows of a method that ranks nothing."""
    return _table(method, lists, {}, pl.lit(why))


def _table(
    method: str, lists: Lists, measures: Mapping[str, Floats], reason: pl.Expr
) -> pl.DataFrame:
    """Return a row per cell."""
    table = pl.DataFrame({"drugs": lists.order.size, **measures})
    return table.with_columns(method=pl.lit(method), reason=reason)


def _reasons(lists: Lists, predicted: Order | None, *, k: int) -> pl.Expr:
    """Return why measures of each cell are undefined, null if none is."""
    true = lists.order
    few, flat = true.size < 2, true.is_constant
    level = predicted.is_constant if predicted else np.zeros_like(flat)
    reasons = {
        "fewer than two drugs": few,
        "all true values are equal": flat & ~few,
        "all predictions are equal": level & ~flat & ~few,
        f"no more than {k} drugs": true.size <= k,
        "no AUC is below 1": ~lists.gain.any(axis=1),
    }
    parts = [pl.when(pl.Series(holds)).then(pl.lit(why)) for why, holds in reasons.items()]
    joined = pl.concat_str(parts, separator="; ", ignore_nulls=True)
    return pl.when(joined != "").then(joined)


def undefined(cells: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on why measures of the model are undefined in some cells."""
    model = cells.filter(method="model")
    reasons = model.drop_nulls("reason").group_by("reason", maintain_order=True).len()
    for reason, count in reasons.iter_rows():
        yield f"in {count} of {len(model)} cells measures are undefined: {reason}"


def summarise(
    cells: pl.DataFrame, spread: Mapping[str, float], *, how: Resampling = DEFAULT
) -> pl.DataFrame:
    """Return a row per method and measure over the cells of `rank_cells`.

    Args:
        spread: `one_order`, with the same k.

    Columns:
        method, measure, cells (where it is defined), undefined (cells where it is not);
        mean, mean_low, mean_high, median, median_low, median_high: with percentile bootstrap
        intervals over cells; q05, q25, q75, q95: quantiles over cells;
        above_random: share of cells that are above 95 % of random orders (by a normal
        approximation); 0.05 is expected of a random order, and as all cells rank the same drugs, it
        may have much more or less.

    The drugs are the same in all cells, so the intervals hold for these drugs, and do not tell a
    model from chance. That of `random` does: it has the mean of 95 % of random orders, each one for
    all cells. There are no quantiles of it.
    """
    random = cells.filter(method="random")
    rows = []
    for (method,), part in cells.group_by("method", maintain_order=True):
        for measure in MEASURES:
            numbers = _spread(part[measure], how)
            if method == "random":
                numbers = _random_spread(random[measure], spread[measure])
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


def _random_spread(means: pl.Series, deviation: float) -> dict[str, float | None]:
    """Return the mean over cells of a measure of random orders, and where 95 % of them have it."""
    values = means.drop_nulls().to_numpy()
    if not len(values):
        return {}
    mean, margin = values.mean(), TWO_SIDED * deviation
    return {"mean": mean, "mean_low": mean - margin, "mean_high": mean + margin}


def _share_above(joined: pl.DataFrame, measure: str) -> float | None:
    """Return the share of cells where a measure is above 95 % of random orders."""
    limit = pl.col(f"{measure}_random") + ONE_SIDED * pl.col(f"{measure}_sd_random")
    share = joined.select((pl.col(measure) > limit).mean()).item()
    return None if share is None else float(share)
