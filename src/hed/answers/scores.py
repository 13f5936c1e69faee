"""The test scores of an experiment, one row for each held-out drug (or cell, group, split).

Repeats of a run have one score: that of their mean prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.answers import errors, heldout
from hed.answers.heldout import HeldOut
from hed.experiment.runs import Run, TrackedRun, list_runs, read_experiment
from hed.watching import aggregate
from hed.watching.aggregate import METRICS

# The levels of error as users read them, and the columns that have them.
LEVELS = {
    "model": "rmse",
    "cell mean": "cell_mean_rmse",
    "mean effects": "mean_effects_rmse",
    "training mean": "train_mean_rmse",
}


def read(experiment: Path) -> pl.DataFrame:
    """Return the errors of an experiment, for a comparison: columns of `aggregate.errors`.

    Repeats are under the first one's id.

    Raises:
        InputError: if the directory is not an experiment.
    """
    runs = list_runs(read_experiment(experiment))
    return _averaged(aggregate.errors(runs), runs)


def tabulate(runs: Sequence[TrackedRun]) -> pl.DataFrame:
    """Return the scores of runs: columns of `aggregate.scores`, repeats under the first one's id.

    `epochs` and `seconds` are those of all repeats together.
    """
    return _averaged(aggregate.tabulate(runs), runs)


def _averaged(each: pl.DataFrame, runs: Sequence[Run]) -> pl.DataFrame:
    """Return scores of single runs with repeats averaged, if there are any."""
    is_repeated = any(run.repeat_of for run in runs)
    return together(each, heldout.predictions(runs)) if is_repeated else each


def together(each: pl.DataFrame, held: HeldOut) -> pl.DataFrame:
    """Return scores with repeats averaged, of the scores of single runs and their predictions."""
    if not held.repeat_of:
        return each
    found = errors.describe(held.rows, METRICS).select("run", *METRICS)
    first = each.with_columns(pl.col("run").replace(held.repeat_of))
    added = pl.selectors.by_name("epochs", "seconds", require_all=False)
    merged = first.group_by("run", maintain_order=True).agg(
        (pl.selectors.all() - added).first(), added.sum()
    )
    return merged.update(found, on="run").select(each.columns)
