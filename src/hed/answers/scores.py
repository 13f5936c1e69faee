"""The test scores of an experiment, one row for each thing that is held out.

Repeats of a run have one score: that of their mean prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.answers import errors, heldout
from hed.answers.heldout import HeldOut
from hed.experiment import aggregate
from hed.experiment.aggregate import METRICS
from hed.experiment.runs import TrackedRun, read_runs


def read(experiment: Path) -> pl.DataFrame:
    """Return the scores of an experiment (see `tabulate`).

    Raises:
        InputError: if the directory is not an experiment.
    """
    return tabulate(read_runs(experiment))


def tabulate(runs: Sequence[TrackedRun]) -> pl.DataFrame:
    """Return the scores of runs: columns of `aggregate.scores`, repeats under the first one's id.

    `epochs` and `seconds` are those of all repeats together.
    """
    each = aggregate.tabulate(runs)
    is_repeated = any(run.repeat_of for run in runs)
    return together(each, heldout.predictions(runs)) if is_repeated else each


def together(each: pl.DataFrame, held: HeldOut) -> pl.DataFrame:
    """Return what `tabulate` does, of the scores of single runs and their predictions."""
    if not held.repeat_of:
        return each
    found = errors.describe(held.rows, METRICS).select("run", *METRICS)
    first = each.with_columns(pl.col("run").replace(held.repeat_of))
    merged = first.group_by("run", maintain_order=True).agg(
        pl.exclude("epochs", "seconds").first(), pl.col("epochs", "seconds").sum()
    )
    return merged.update(found, on="run").select(each.columns)
