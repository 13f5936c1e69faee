"""The results of all runs of an experiment, in one table and in the original's text files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from hed import files
from hed.errors import InputError
from hed.experiment import outcome
from hed.experiment.runs import (
    Run,
    TrackedRun,
    Values,
    epoch_seconds,
    read_experiment,
    read_object,
    read_runs,
    track_runs,
)
from hed.names import BASELINE_SCORES, EPOCHS, PREDICTED, SCORES, SCORES_TABLE, TEST_SCORES
from hed.watching.progress import count_epochs, summarise, write_progress

T = TypeVar("T", bound=Run)

METRICS = outcome.METRICS
# The others are better if higher.
LOWER_IS_BETTER = ("mse", "rmse")
BASELINES = ("train_mean", "cell_mean", "mean_effects")


OF_MODEL: dict[str, type[pl.DataType]] = {
    "run": pl.String,
    "index": pl.Int64,
    "drug": pl.String,
    **dict.fromkeys(METRICS, pl.Float64),
}
OF_ALL: dict[str, type[pl.DataType]] = {
    **OF_MODEL,
    **{f"{baseline}_{metric}": pl.Float64 for baseline in BASELINES for metric in METRICS},
}
SCHEMA: dict[str, type[pl.DataType]] = {
    **OF_ALL,
    "rows": pl.Int64,
    "epochs": pl.Int64,
    "seconds": pl.Float64,
}


def scores(experiment: Path) -> pl.DataFrame:
    """Return the test scores of an experiment: a row per run that has them, in index order.

    Columns are those of `SCHEMA`: errors in AUC units, test `rows`, `epochs` trained, `seconds`
    of training. What a run does not record, or what is undefined, is null.

    Raises:
        InputError: if the directory is not an experiment.
    """
    return tabulate(read_runs(experiment))


def tabulate(runs: Sequence[TrackedRun]) -> pl.DataFrame:
    """Return the test scores of `runs`, as `scores` does."""
    rows = [
        {**_errors(run, found), **_of_baselines(run), **_surroundings(run)}
        for run, found in _scored(runs)
    ]
    return _by_index(rows, SCHEMA)


def errors_of_all(runs: Sequence[Run]) -> pl.DataFrame:
    """Return the errors of runs and of their baselines, columns of `tabulate`; fewer files."""
    rows = [{**_errors(run, found), **_of_baselines(run)} for run, found in _scored(runs)]
    return _by_index(rows, OF_ALL)


def errors(runs: Sequence[Run]) -> pl.DataFrame:
    """Return only the errors of runs, the first columns of `tabulate`, in a third of its time."""
    rows = [_errors(run, found) for run, found in _scored(runs)]
    return _by_index(rows, OF_MODEL)


def _scored(runs: Sequence[T]) -> Iterator[tuple[T, Values]]:
    """Yield the runs that have ended, and their test scores."""
    found = ((run, read_object(run.directory / TEST_SCORES)) for run in runs)
    return ((run, values or {}) for run, values in found if values or run.empty)


def _by_index(rows: Sequence[Values], schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.sort("index", nulls_last=True, maintain_order=True)


def write_all(directory: Path, metric: str) -> None:
    """Write scores.csv, scores.parquet, epochs.txt and progress.txt from one reading.

    Raises:
        InputError: if the directory is not an experiment or there is no such metric.
    """
    experiment = read_experiment(directory)
    runs = track_runs(experiment)
    write_table(directory, tabulate(runs), metric=metric)
    files.write_text(directory / EPOCHS, render_epochs(runs))
    write_progress(directory, summarise(experiment, runs))


def render_scores(table: pl.DataFrame, metric: str) -> str:
    """Return the text of scores.csv; a metric that is undefined is `nan`.

    A run without an index is left out: the format has no place for it.
    """
    if metric not in METRICS:
        raise InputError(f"no metric {metric!r}: choose one of {', '.join(METRICS)}")
    rows = table.drop_nulls("index").select("index", pl.col(metric).fill_null(math.nan)).rows()
    return "".join(f"{index:03d},{value:.9f}\n" for index, value in rows)


def render_epochs(runs: Sequence[TrackedRun]) -> str:
    """Return the text of epochs.txt, columns aligned."""
    counts = [f"{run.epochs_done}/{run.epochs_planned}" for run in runs]
    run_width = max((len(run.id) for run in runs), default=0)
    width = max(map(len, counts), default=0)
    lines = [
        f"{run.id:<{run_width}} {count:>{width}} {run.state}\n"
        for run, count in zip(runs, counts, strict=True)
    ]
    return "".join([*lines, f"total: {count_epochs(runs)}\n"])


def write_table(directory: Path, table: pl.DataFrame, *, metric: str) -> None:
    """Write the two forms of the scores."""
    files.write_text(directory / SCORES, render_scores(table, metric))
    with files.replacing(directory / SCORES_TABLE) as temporary:
        table.write_parquet(temporary)


def _errors(run: Run, found: Values) -> dict[str, Any]:
    """Return a run and its errors."""
    return {"run": run.id, "index": run.index, "drug": run.drug, **_metrics(found)}


def _of_baselines(run: Run) -> dict[str, Any]:
    """Return the errors of the baselines where a run was tested."""
    found = read_object(run.directory / BASELINE_SCORES) or {}
    return {k: v for name in BASELINES for k, v in _metrics(found.get(name), name).items()}


def _surroundings(run: TrackedRun) -> dict[str, Any]:
    """Return how many rows a run was tested on, and how long it took."""
    seconds = epoch_seconds(run)
    return {
        "rows": 0 if run.empty else _count_rows(run.directory / PREDICTED),
        "epochs": run.epochs_done,
        "seconds": sum(seconds) if seconds else None,
    }


def _metrics(found: Values | None, prefix: str = "") -> dict[str, float | None]:
    """Return every metric as a number, null where it is missing or undefined."""
    values = found or {}
    return {(f"{prefix}_{m}" if prefix else m): _number(values.get(m)) for m in METRICS}


def _number(value: Any) -> float | None:
    """Return a finite number, None for anything else; the original writes NaN for undefined."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _count_rows(path: Path) -> int | None:
    """Return the data rows of a CSV file with one header line, None if there is no file."""
    try:
        return max(path.read_bytes().count(b"\n") - 1, 0)
    except OSError:
        return None
