"""Predictions as a classification: a cell is sensitive to a drug if the AUC is below a threshold.

As in `hed.answers.ranking`, replicates are reduced to one value per drug and cell, their mean.

Methods: model; random, which calls as many pairs sensitive as the model does and has the expected
hits; drug_mean, the oracle of `hed.answers.ranking`; the baselines, computed from what only other
runs hold out.
"""

import numpy as np
import polars as pl

from hed.answers.grid import Floats
from hed.answers.heldout import HeldOut, with_baselines
from hed.answers.ranking import drug_means
from hed.errors import InputError
from hed.watching.aggregate import BASELINES

METHODS = ("model", "random", "drug_mean", *BASELINES)
SCHEMA: dict[str, type[pl.DataType]] = {
    "cell": pl.String,
    "method": pl.String,
    "pairs": pl.Int64,
    "sensitive": pl.Int64,
    "predicted": pl.Float64,
    "hits": pl.Float64,
    "prevalence": pl.Float64,
    "precision": pl.Float64,
    "recall": pl.Float64,
    "f_beta": pl.Float64,
    "reason": pl.String,
}


def classify(held: HeldOut, *, threshold: float = 0.5, beta: float = 1.0) -> pl.DataFrame:
    """Return a row per method for the whole experiment, then one per cell and method.

    Columns:
        cell (null for the whole), method, pairs: of drug and cell;
        sensitive: pairs whose true AUC is below `threshold`; predicted: pairs whose predicted AUC
        is; hits: pairs of both kinds; prevalence: sensitive / pairs;
        precision: hits / predicted; recall: hits / sensitive; f_beta: their weighted harmonic mean,
        in which the recall counts `beta` times as much (van Rijsbergen, 1979);
        reason: why one is null.

    Raises:
        InputError: if `beta` is not above 0 or `threshold` is not a number.
    """
    if not beta > 0 or not np.isfinite(beta) or not np.isfinite(threshold):
        raise InputError(f"give a threshold and a beta above 0, not {threshold} and {beta}")
    rows = with_baselines(held)
    grid = held.grid
    values = {name: grid.mean(rows[name].to_numpy()) for name in ("true", "predicted", *BASELINES)}
    by_method = {
        "model": values["predicted"],
        "drug_mean": drug_means(values["true"]),
        **{name: values[name] for name in BASELINES},
    }
    counts = {
        name: _counts(values["true"], predicted, threshold) for name, predicted in by_method.items()
    }
    counts["random"] = _by_chance(counts["model"])
    tables = [_table([None, *grid.cells], name, counts[name], beta=beta) for name in METHODS]
    return pl.concat(tables).sort("cell", pl.col("method").cast(pl.Enum(METHODS)))


def _counts(true: Floats, predicted: Floats, threshold: float) -> Floats:
    """Return pairs, sensitive, predicted and hits, of all cells together and of each.

    A pair for which a method has no value, NaN, is none of its pairs.
    """
    known = np.isfinite(true) & np.isfinite(predicted)
    sensitive, called = known & (true < threshold), known & (predicted < threshold)
    kinds = (known, sensitive, called, sensitive & called)
    cells = np.array([kind.sum(axis=0) for kind in kinds], dtype=np.float64)
    return np.column_stack([cells.sum(axis=1), cells])


def _by_chance(counts: Floats) -> Floats:
    """Return the counts of equally many random calls, with the expected hits."""
    pairs, sensitive, predicted, _ = counts
    hits = sensitive * predicted / np.maximum(pairs, 1)
    return np.array([pairs, sensitive, predicted, hits])


def _table(cells: list[str | None], method: str, counts: Floats, *, beta: float) -> pl.DataFrame:
    """Return the rows of one method."""
    names = ("pairs", "sensitive", "predicted", "hits")
    table = pl.DataFrame({"cell": cells, **dict(zip(names, counts, strict=True))})
    pairs, sensitive, predicted, hits = map(pl.col, names)
    weighted = beta**2 * sensitive + predicted
    ratios = {
        "precision": (hits, predicted),
        "recall": (hits, sensitive),
        "f_beta": ((1 + beta**2) * hits, weighted),
    }
    unknown = "no other cell tells" if method == "drug_mean" else "no other run tells"
    reasons = [
        pl.when(pairs == 0).then(pl.lit(unknown)),
        pl.when((sensitive == 0) & (pairs > 0)).then(pl.lit("no pair is sensitive")),
        pl.when((predicted == 0) & (pairs > 0)).then(pl.lit("no pair is predicted so")),
    ]
    reason = pl.concat_str(reasons, separator="; ", ignore_nulls=True)
    return table.select(
        pl.col("cell").cast(pl.String),
        pl.lit(method).alias("method"),
        pl.col("pairs", "sensitive").cast(pl.Int64),
        predicted,
        hits,
        prevalence=pl.when(pairs > 0).then(sensitive / pairs),
        **{name: pl.when(below > 0).then(above / below) for name, (above, below) in ratios.items()},
        reason=pl.when(reason != "").then(reason),
    )
