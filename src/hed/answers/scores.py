"""The test scores of an experiment, one row for each thing that is held out.

Repeats of a run have one score: that of their mean prediction.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.answers import errors, heldout
from hed.experiment import aggregate
from hed.experiment.aggregate import METRICS
from hed.experiment.runs import Run, read_runs


def read(experiment: Path) -> pl.DataFrame:
    """Return the scores of an experiment (see `tabulate`).

    Raises:
        InputError: if the directory is not an experiment.
    """
    return tabulate(read_runs(experiment))


def tabulate(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the scores of runs: columns of `aggregate.scores`, repeats under the first one's id.

    `epochs` and `seconds` are those of all repeats together.
    """
    table = aggregate.tabulate(runs)
    repeat_of = {run.id: run.repeat_of for run in runs if run.repeat_of}
    if not repeat_of:
        return table
    ensembles = heldout.predictions(runs).rows
    found = errors.describe(ensembles, METRICS).select("run", *METRICS)
    first = table.with_columns(pl.col("run").replace(repeat_of))
    together = first.group_by("run", maintain_order=True).agg(
        pl.exclude("epochs", "seconds").first(), pl.col("epochs", "seconds").sum()
    )
    return together.update(found, on="run").select(table.columns)
