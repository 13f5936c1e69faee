"""Spread and errors of each run or drug, compared with the baselines."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hed.answers.grid import Floats
from hed.answers.moments import Sums
from hed.experiment.runs import Run, read_object
from hed.names import BASELINE_SCORES
from hed.watching.aggregate import BASELINES


def describe(rows: pl.DataFrame, used: Collection[str]) -> pl.DataFrame:
    """Return the used columns of spread and errors of each run, in order of first appearance."""
    true, predicted = pl.col("true"), pl.col("predicted")
    error = predicted - true
    varies = true.max() > true.min()
    both = varies & (predicted.max() > predicted.min())
    means = {"mse": (error**2).mean(), "mae": error.abs().mean(), "bias": error.mean()}
    table = (
        rows.lazy()
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("index").first(),
            drug=pl.col("held_out").first(),
            rows=pl.len().cast(pl.Int64),
            auc_mean=true.mean(),
            auc_sd=true.std(),
            auc_iqr=true.quantile(0.75, "linear") - true.quantile(0.25, "linear"),
            **means,
            pcc=pl.when(both).then(pl.corr(true, predicted)),
            scc=pl.when(both).then(pl.corr(true, predicted, method="spearman")),
            r2=pl.when(varies).then(1 - means["mse"] / true.var(ddof=0)),
        )
    )
    table = table.with_columns(
        rmse=pl.col("mse").sqrt(),
        rmse_over_sd=pl.when(pl.col("auc_sd") > 0).then(pl.col("mse").sqrt() / pl.col("auc_sd")),
    )
    # What is not selected is not computed; another engine adds in another order.
    used = {"run", "index", "drug", *used}
    table = table.select(pl.selectors.by_name(*used, require_all=False))
    return table.collect(engine="in-memory")


def compared(
    table: pl.DataFrame, total: Sums, runs: Sequence[Run]
) -> tuple[pl.DataFrame, dict[str, Floats]]:
    """Add the baselines and the skill; return also by what recorded exceed recomputed ones.

    All repeats of a run have the same baselines: those of the first that has recorded them count.
    """
    directories: dict[str, list[Path]] = {}
    for run in runs:
        directories.setdefault(run.first, []).append(run.directory)
    found = [_recorded(directories[run]) for run in table["run"]]
    columns, scale = {}, {}
    # Experiments made before there were mean effects recorded the others.
    is_recorded = pl.Series([bool(each.get(BASELINES[0])) for each in found])
    for name in BASELINES:
        recorded = np.array([_mse(each.get(name)) for each in found])
        recomputed = total[name] / total["n"]
        used = np.where(np.isfinite(recorded), recorded, recomputed)
        columns[f"{name}_mse"] = used
        scale[name] = np.divide(used, recomputed, out=np.ones_like(used), where=recomputed > 0)
    table = table.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        baseline=pl.when(is_recorded).then(pl.lit("recorded")).otherwise(pl.lit("recomputed")),
    )
    return table.with_columns(skills()), scale


def correlation(rows: pl.DataFrame) -> float | None:
    """Return Pearson's r of true and predicted AUC over all rows; None where it is undefined.

    For held-out drugs it mostly shows that their means differ.
    """
    value = rows.select(pl.corr("true", "predicted")).item()
    return float(value) if value is not None and np.isfinite(value) else None


def skills() -> list[pl.Expr]:
    """Return the skill of a table's mse beside each baseline: 1 - mse / baseline's mse."""
    of = {name: pl.col(f"{name}_mse") for name in BASELINES}
    return [
        pl.when(base > 0).then(1 - pl.col("mse") / base).alias(f"skill_{name}")
        for name, base in of.items()
    ]


def _recorded(directories: Sequence[Path]) -> dict[str, Any]:
    """Return what the first of some runs has recorded of the baselines; {} if none has."""
    read = (read_object(directory / BASELINE_SCORES) for directory in directories)
    return next((scores for scores in read if scores), {})


def _mse(scores: object) -> float:
    """Return the mse of a baseline's scores, NaN if they have none."""
    value = scores.get("mse") if isinstance(scores, dict) else None
    return float(value) if isinstance(value, int | float) else np.nan
