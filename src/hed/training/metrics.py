"""How well predictions agree with the truth, as `improvelib.metrics.compute_metrics` computes."""

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl

from hed.data import tables

Scores = dict[str, float | None]


def scores(true: np.ndarray, predicted: np.ndarray) -> Scores:
    """Return mse, rmse, pcc (Pearson), scc (Spearman) and r2 of n predictions.

    A correlation with a constant, and r2 of a constant truth, are undefined: None.
    """
    true, predicted = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    mse = float(np.mean((true - predicted) ** 2))
    return {
        "mse": mse,
        "rmse": math.sqrt(mse),
        "pcc": _correlation(true, predicted, "pearson"),
        "scc": _correlation(true, predicted, "spearman"),
        "r2": 1 - mse / float(np.var(true)) if np.ptp(true) > 0 else None,
    }


def _correlation(
    true: np.ndarray, predicted: np.ndarray, method: Literal["pearson", "spearman"]
) -> float | None:
    if len(true) < 2 or np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return None
    pair = pl.DataFrame({"true": true, "predicted": predicted})
    value = pair.select(pl.corr("true", "predicted", method=method)).item()
    return float(value) if math.isfinite(value) else None


def baselines(train: pl.DataFrame, test: pl.DataFrame) -> Mapping[str, Scores]:
    """Return the scores of predictions that are only means.

    `train_mean` is the mean of the training AUC; `cell_mean` is the mean of each cell over the
    training rows, and `train_mean` for a cell that has none; `mean_effects` adds to the training
    mean the deviations of the means of the cell and of the drug (nothing for one without training
    rows). For a held-out drug the last two are the same.
    """
    true = test[tables.AUC].cast(pl.Float64).to_numpy()
    return {name: scores(true, predicted) for name, predicted in means(train, test).items()}


def means(train: pl.DataFrame, test: pl.DataFrame) -> dict[str, np.ndarray]:
    """Return what `baselines` predicts for each test row, by name."""
    mean = float(train[tables.AUC].cast(pl.Float64).mean())  # type: ignore[arg-type]
    cell, drug = (_means(train, test, each, mean) for each in (tables.CELL, tables.DRUG))
    return {
        "train_mean": np.full(len(test), mean),
        "cell_mean": cell,
        "mean_effects": cell + drug - mean,
    }


def _means(train: pl.DataFrame, test: pl.DataFrame, column: str, mean: float) -> np.ndarray:
    """Return for each test row its cell's (drug's) mean training AUC, `mean` if it has none."""
    auc = pl.col(tables.AUC).cast(pl.Float64)
    means = train.group_by(column).agg(auc.mean().alias("mean"))
    joined = test.join(means, on=column, how="left", maintain_order="left")
    return joined["mean"].fill_null(mean).to_numpy()
