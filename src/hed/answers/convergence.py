"""How training went: loss by epoch over all runs, epochs to the best, time, early stops."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from hed.experiment.runs import Run, epoch_seconds, read_object

MEASURES = ("loss", "val_loss", "r2_train", "r2_val", "lr", "seconds")
QUANTILES = {"low": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "high": 0.95}
IDENTITY: dict[str, type[pl.DataType]] = {
    "run": pl.String,
    "index": pl.Int64,
    "drug": pl.String,
}
SCHEMA: dict[str, type[pl.DataType]] = {
    **IDENTITY,
    "epoch": pl.Int64,
    **dict.fromkeys(MEASURES, pl.Float64),
}


def read_histories(runs: Sequence[Run]) -> pl.DataFrame:
    """Return a row per run and epoch that a run recorded, in the order of `runs`.

    While a run trains, and after it was killed, its last checkpoint has its epochs; history.txt is
    written at the end.

    Columns: run, index, drug, epoch (from 1), loss, val_loss (mean squared error of the AUC, or
    the custom loss), r2_train, r2_val, lr, seconds. Null where a run did not record it, or its
    training diverged (NaN or infinite).
    """
    parts = [part for run in runs if len(part := _read_history(run))]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *parts])


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


def per_run(runs: Sequence[Run], histories: pl.DataFrame) -> pl.DataFrame:
    """Return a row per run that has a history.

    Columns: run, index, drug, epochs, planned, best_epoch (of the least val_loss, the first of
    equal ones), best_val_loss, last_val_loss, seconds (of all epochs recorded), seconds_per_epoch
    (median), stopped (early, by stop.marker), diverged (the last loss is not finite).
    """
    loss = pl.col("val_loss")
    plans = [(r.id, r.epochs_planned, (r.directory / "stop.marker").exists()) for r in runs]
    names = {"run": pl.String, "planned": pl.Int64, "stopped": pl.Boolean}
    planned = pl.DataFrame(plans, schema=names, orient="row")
    table = histories.group_by(list(IDENTITY), maintain_order=True).agg(
        epochs=pl.len().cast(pl.Int64),
        best_epoch=pl.col("epoch").sort_by(loss, nulls_last=True, maintain_order=True).first(),
        best_val_loss=loss.min(),
        last_val_loss=loss.last(),
        seconds=pl.when(pl.col("seconds").count() > 0).then(pl.col("seconds").sum()),
        seconds_per_epoch=pl.col("seconds").median(),
        diverged=pl.col("loss").last().is_null(),
    )
    has_loss = pl.col("best_val_loss").is_not_null()
    joined = table.join(planned, on="run", maintain_order="left")
    return joined.with_columns(best_epoch=pl.when(has_loss).then("best_epoch")).select(
        *IDENTITY,
        *("epochs", "planned", "best_epoch", "best_val_loss", "last_val_loss"),
        *("seconds", "seconds_per_epoch", "stopped", "diverged"),
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


def remarks(runs: Sequence[Run], table: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on early stops, divergence, and runs without a history (see `per_run`)."""
    yield f"{int(table['stopped'].sum())} of {len(table)} runs stopped early"
    diverged = table.filter("diverged")["run"].to_list()
    if diverged:
        yield f"{len(diverged)} runs diverged, first {diverged[0]}: their last loss is not finite"
    absent = [run.id for run in runs if run.id not in set(table["run"])]
    if absent:
        yield f"{len(absent)} of {len(runs)} runs have no history yet, first {absent[0]}"


def _read_history(run: Run) -> pl.DataFrame:
    """Return the epochs of one run, none if it has no whole history."""
    found = _recorded(run)
    lists = {name: found[name] for name in MEASURES if isinstance(found.get(name), list)}
    count = max((len(v) for name, v in lists.items() if name != "seconds"), default=0)
    columns: dict[str, list[Any]] = {
        name: [_finite(lists.get(name, []), i) for i in range(count)] for name in MEASURES
    }
    who = {"run": [run.id] * count, "index": [run.index] * count, "drug": [run.drug] * count}
    return pl.DataFrame({**who, "epoch": list(range(1, count + 1)), **columns}, schema=SCHEMA)


def _recorded(run: Run) -> dict[str, Any]:
    """Return the lists over epochs that a run has written, the newest that are whole."""
    if history := read_object(run.directory / "history.txt"):
        return {**history, "seconds": epoch_seconds(run)}
    state = read_object(run.directory / "ckpts" / "last" / "state.json") or {}
    return {**state.get("history", {}), "seconds": state.get("seconds")}


def _finite(values: list[Any], place: int) -> float | None:
    """Return the number at a place, None if there is none or it is not finite."""
    value = values[place] if place < len(values) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
