"""Test scores by the number of trained epochs, over the runs of one or several experiments."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.answers import compare
from hed.answers.convergence import QUANTILES
from hed.errors import InputError
from hed.watching import aggregate

COLUMNS = ("run", "drug", "epochs")


def read(directories: Sequence[Path], metric: str) -> pl.DataFrame:
    """Return a row per run that has the score: experiment, run, drug, epochs, score.

    Raises:
        InputError: if there is no such metric, a directory is no experiment, or none has a score.
    """
    if metric not in aggregate.METRICS:
        raise InputError(f"no metric {metric!r}: choose one of {', '.join(aggregate.METRICS)}")
    named = compare.name(directories)
    tables = [
        aggregate.scores(path)
        .select(pl.lit(name).alias("experiment"), *COLUMNS, score=metric)
        .drop_nulls("score")
        for name, path in named.items()
    ]
    table = pl.concat(tables)
    if table.is_empty():
        raise InputError("no run has test scores yet")
    return table


def distribution(table: pl.DataFrame) -> pl.DataFrame:
    """Return a row per number of epochs: how the scores of `read` are distributed over the runs.

    Columns: epochs, runs, mean, low (5 %), q25, median, q75, high (95 %).
    """
    score = pl.col("score")
    spread = {name: score.quantile(q, "linear") for name, q in QUANTILES.items()}
    counted = table.group_by("epochs").agg(
        runs=pl.len().cast(pl.Int64), mean=score.mean(), **spread
    )
    return counted.sort("epochs")
