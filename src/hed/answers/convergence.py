"""How training went: loss by epoch over all runs, epochs to the best, time, early stops."""

import math
from collections.abc import Iterator, Sequence

import polars as pl

from hed.experiment.runs import TrackedRun
from hed.names import HISTORY, STOPPED
from hed.watching import epochs
from hed.watching.epochs import BEST, MEASURES
from hed.words import listed

# A run is still falling if its least val_loss fell by more than this share in its last epochs.
FALL, LAST_EPOCHS = 0.01, 3
STATUSES = ("converged", "still falling", "stopped early", "diverged", "unfinished")
QUANTILES = {"low": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "high": 0.95}
IDENTITY: dict[str, type[pl.DataType]] = {
    "run": pl.String,
    "index": pl.Int64,
    "drug": pl.String,
}
SCHEMA: dict[str, type[pl.DataType]] = {
    **IDENTITY,
    "epoch": pl.Int64,
    **dict.fromkeys((*MEASURES, BEST), pl.Float64),
    "finite": pl.Boolean,
}


def read_histories(runs: Sequence[TrackedRun]) -> pl.DataFrame:
    """Return a row per run and epoch for which a run recorded anything, in the order of `runs`.

    While a run trains, and after it was killed, its epochs are in its checkpoints; history.txt is
    written at the end.

    Columns: run, index, drug, epoch (from 1), loss, val_loss (mean squared error of the AUC, or
    the custom loss), r2_train, r2_val, lr, seconds, best (the least val_loss so far, where a
    checkpoint of the original has it), finite (no loss of the epoch is NaN or infinite). Null where
    unknown or not finite.
    """
    rows = [
        (run.id, run.index, run.drug, epoch, *map(_finite, values.values()), _is_finite(values))
        for run in runs
        for epoch, values in epochs.read(run).items()
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def band(histories: pl.DataFrame) -> pl.DataFrame:
    """Return a row per measure and epoch: how it is distributed over the runs.

    Columns: measure (loss, val_loss, r2_train, r2_val, lr, seconds), epoch, runs (that have it in
    this epoch: a run that stopped early is not in later ones), low (5 %), q25, median, q75, high
    (95 %).
    """
    long = histories.unpivot(
        MEASURES, index=["run", "epoch"], variable_name="measure", value_name="value"
    ).drop_nulls("value")
    value = pl.col("value")
    return (
        long.group_by("measure", "epoch")
        .agg(
            runs=pl.len().cast(pl.Int64),
            **{name: value.quantile(q, "linear") for name, q in QUANTILES.items()},
        )
        .sort(pl.col("measure").cast(pl.Enum(MEASURES)), "epoch")
    )


def per_run(runs: Sequence[TrackedRun], histories: pl.DataFrame) -> pl.DataFrame:
    """Return a row per run that has recorded an epoch.

    Columns: run, index, drug, epochs, planned, best_epoch (of the least val_loss, the first of
    equal ones), best_val_loss, last_val_loss, seconds (of all epochs recorded), seconds_per_epoch
    (median), status: one of `STATUSES`, see `_status`.
    """
    loss = pl.coalesce("val_loss", BEST)
    table = histories.group_by(list(IDENTITY), maintain_order=True).agg(
        last_epoch=pl.col("epoch").max(),
        best_epoch=pl.col("epoch").sort_by(loss, nulls_last=True, maintain_order=True).first(),
        best_val_loss=loss.min(),
        last_val_loss=pl.col("val_loss").last(),
        earlier=loss.head((pl.len().cast(pl.Int64) - LAST_EPOCHS).clip(0)).min(),
        seconds=pl.when(pl.col("seconds").count() > 0).then(pl.col("seconds").sum()),
        seconds_per_epoch=pl.col("seconds").median(),
        diverged=~pl.col("finite").last(),
    )
    has_loss = pl.col("best_val_loss").is_not_null()
    joined = table.join(_of_runs(runs), on="run", maintain_order="left")
    return joined.with_columns(
        epochs=pl.max_horizontal("epochs", "last_epoch"),
        best_epoch=pl.when(has_loss).then("best_epoch"),
        status=_status(),
    ).select(
        *IDENTITY,
        *("epochs", "planned", "best_epoch", "best_val_loss", "last_val_loss"),
        *("seconds", "seconds_per_epoch", "status"),
    )


def _of_runs(runs: Sequence[TrackedRun]) -> pl.DataFrame:
    """Return what the runs' directories record: epochs, planned, and how they ended."""
    rows = [
        (
            run.id,
            run.epochs_done,
            run.epochs_planned,
            (run.directory / HISTORY).exists(),
            # The original also writes it where a history is short because of a restart.
            (run.directory / STOPPED).exists() and run.epochs_done < run.epochs_planned,
        )
        for run in runs
    ]
    columns = {"run": pl.String, "epochs": pl.Int64, "planned": pl.Int64}
    ends = {"finished": pl.Boolean, "stopped": pl.Boolean}
    return pl.DataFrame(rows, schema={**columns, **ends}, orient="row")


def _status() -> pl.Expr:
    """Return how a run's training ended, the first that holds.

    diverged: the last loss is not finite; unfinished: there is no history.txt; stopped early; still
    falling: the least val_loss fell by more than 1 % in the last 3 epochs; converged.
    """
    fell = pl.col("best_val_loss") < pl.col("earlier") * (1 - FALL)
    return (
        pl.when("diverged")
        .then(pl.lit("diverged"))
        .when(~pl.col("finished"))
        .then(pl.lit("unfinished"))
        .when("stopped")
        .then(pl.lit("stopped early"))
        .when(fell | pl.col("earlier").is_null())
        .then(pl.lit("still falling"))
        .otherwise(pl.lit("converged"))
    )


def summarise(table: pl.DataFrame) -> pl.DataFrame:
    """Return a row per quantity of `per_run`: how it is distributed over the runs.

    Columns: quantity (epochs, best_epoch, best_val_loss, last_val_loss, seconds,
    seconds_per_epoch), runs (that have it), mean, low (5 %), q25, median, q75, high (95 %).
    """
    quantities = ("epochs", "best_epoch", "best_val_loss", "last_val_loss")
    rows = []
    for name in (*quantities, "seconds", "seconds_per_epoch"):
        values = table[name].cast(pl.Float64).drop_nulls()
        spread = {key: values.quantile(q, "linear") for key, q in QUANTILES.items()}
        rows.append({"quantity": name, "runs": len(values), "mean": values.mean(), **spread})
    numbers = dict.fromkeys(("mean", *QUANTILES), pl.Float64)
    return pl.DataFrame(rows, schema={"quantity": pl.String, "runs": pl.Int64, **numbers})


def remarks(runs: Sequence[TrackedRun], table: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on how the trainings ended, and on runs that recorded nothing."""
    counts = {status: table.filter(status=status)["run"].to_list() for status in STATUSES}
    told = [f"{len(found)} {status}" for status, found in counts.items() if found]
    yield f"{len(table)} of {len(runs)} runs have recorded epochs" + (
        f": {', '.join(told)}" if told else ""
    )
    if diverged := counts["diverged"]:
        yield f"the last loss of {listed(diverged)} is not finite: their training diverged"
    if absent := [run.id for run in runs if run.id not in set(table["run"])]:
        yield f"{len(absent)} of {len(runs)} runs have no history yet, first {absent[0]}"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _is_finite(values: epochs.Values) -> bool:
    """Return whether no loss is NaN or infinite."""
    losses = (values[name] for name in ("loss", "val_loss"))
    return all(loss is None or math.isfinite(loss) for loss in losses)
