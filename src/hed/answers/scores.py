"""The test scores of an experiment, one row for each held-out drug (or cell, group, split).

Repeats of a run have one score: that of their mean prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.answers import errors, heldout
from hed.answers.heldout import HeldOut
from hed.experiment.runs import Run, list_runs, read_experiment
from hed.watching import aggregate
from hed.watching.aggregate import METRICS

# The levels of error as users read them, and the columns that have them.
LEVELS = {
    "model": "rmse",
    "cell mean": "cell_mean_rmse",
    "mean effects": "mean_effects_rmse",
    "training mean": "train_mean_rmse",
}


def read(experiment: Path, metrics: Sequence[str] = METRICS) -> pl.DataFrame:
    """Return the errors of an experiment, for a comparison: columns of `aggregate.errors`.

    Repeats are under the first one's id. Metrics that are not asked for have no column.

    Raises:
        InputError: if the directory is not an experiment.
    """
    runs = list_runs(read_experiment(experiment))
    return _averaged(aggregate.errors(runs), runs, metrics)


def beside_baselines(runs: Sequence[Run], metrics: Sequence[str]) -> pl.DataFrame:
    """Return the errors of runs and of their baselines: columns of `aggregate.errors_of_all`.

    Repeats and metrics: see `read`.
    """
    return _averaged(aggregate.errors_of_all(runs), runs, metrics)


def _averaged(each: pl.DataFrame, runs: Sequence[Run], metrics: Sequence[str]) -> pl.DataFrame:
    """Return scores of single runs with repeats averaged, if there are any."""
    each = each.drop(set(METRICS).difference(metrics))
    is_repeated = any(run.repeat_of for run in runs)
    return together(each, heldout.predictions(runs)) if is_repeated else each


def together(each: pl.DataFrame, held: HeldOut) -> pl.DataFrame:
    """Return scores with repeats averaged, of the scores of single runs and their predictions.

    `epochs` and `seconds` are those of all repeats together.
    """
    if not held.repeat_of:
        return each
    metrics = [name for name in METRICS if name in each.columns]
    found = errors.describe(held.rows, metrics).select("run", *metrics)
    first = each.with_columns(pl.col("run").replace(held.repeat_of))
    added = [name for name in ("epochs", "seconds") if name in each.columns]
    merged = first.group_by("run", maintain_order=True).agg(
        pl.exclude("run", *added).first(),
        *(pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()) for name in added),
    )
    # What is undefined of the mean prediction, as a correlation may be, is not that of the first.
    return merged.update(found, on="run", include_nulls=True).select(each.columns)
