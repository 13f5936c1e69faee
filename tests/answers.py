"""Held-out predictions with known answers, in memory and on disk."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from experiments import name_drug, name_run, write_experiment, write_json

from hed.answers.heldout import COLUMNS, HeldOut
from hed.data import tables
from hed.experiment.runs import Run

Rows = dict[int, list[tuple[str, float, float]]]


def hold(rows: Rows, directory: Path = Path("nowhere")) -> HeldOut:
    """Return held-out predictions from (cell, true, predicted) by the index of the drug."""
    runs = tuple(Run(name_run(i), i, name_drug(i), directory / name_run(i)) for i in rows)
    table = [
        (run.id, run.index, run.drug, *row)
        for run, each in zip(runs, rows.values(), strict=True)
        for row in each
    ]
    names: Any = {"run": pl.String, "index": pl.Int64, "drug": pl.String, "cell": pl.String}
    schema = {**names, "true": pl.Float64, "predicted": pl.Float64}
    parts = pl.DataFrame(table, schema=schema, orient="row").with_columns(held_out="drug")
    return HeldOut("EXP000", runs, parts.select(COLUMNS), ())


def draw(drugs: int, cells: int, *, seed: int = 0, noise: float = 0.05, decimals: int = 2) -> Rows:
    """Return random rows of every drug in every cell, so coarse that ties are frequent."""
    rng = np.random.default_rng(seed)
    true = np.clip(0.6 + rng.normal(0, 0.15, (drugs, cells)), 0, 1).round(decimals)
    predicted = np.clip(true + rng.normal(0, noise, (drugs, cells)), 0, 1).round(decimals)
    return {
        d: [(f"C{c:03d}", float(true[d, c]), float(predicted[d, c])) for c in range(cells)]
        for d in range(drugs)
    }


def write(directory: Path, rows: Rows, *, states: list[str] | None = None, **kind: bool) -> Path:
    """Write an experiment with these predictions; a run that is not done has none."""
    states = states or ["done"] * (max(rows) + 1)
    experiment = write_experiment(directory, states, **kind)
    for index, each in rows.items():
        if states[index] == "done":
            write_rows(experiment / "run" / name_run(index), each)
    return experiment


def write_descriptors(
    directory: Path, values: Sequence[float] | np.ndarray, further: Sequence[str] = ()
) -> Path:
    """Write one descriptor, or a row of several, of drugs named as those of `hold`.

    The last values are those of the `further` ones.
    """
    directory.mkdir(parents=True, exist_ok=True)
    names = [*(name_drug(i) for i in range(len(values) - len(further))), *further]
    columns = np.asarray(values, float).reshape(len(names), -1).T
    described = {f"mordred.{number}": column for number, column in enumerate(columns)}
    table = pl.DataFrame({tables.DRUG: names, **described})
    table.write_parquet(directory / tables.DESCRIPTOR_FILE)
    return directory


def describe_drugs(experiment: Path, values: Sequence[float], further: Sequence[str] = ()) -> None:
    """Write an experiment's descriptors where its record says that they are."""
    write_descriptors(experiment / "data", values, further)
    record = json.loads((experiment / "experiment.json").read_text())
    write_json(experiment / "experiment.json", {**record, "data": "data"})


def write_rows(run: Path, rows: list[tuple[str, float, float]]) -> None:
    """Write the predictions and the mse of one run."""
    lines = [f"{true:.4f},{predicted:.4f},{cell}\n" for cell, true, predicted in rows]
    path = run / "test_y_data_predicted.csv"
    path.write_text("auc_true,auc_pred,labels\n" + "".join(lines))
    mse = float(np.mean([(predicted - true) ** 2 for _, true, predicted in rows]))
    write_json(
        run / "test_scores.json",
        {"mse": mse, "rmse": mse**0.5, "pcc": None, "scc": None, "r2": None},
    )


def write_baselines(run: Path, *, train_mean: float, cell_mean: float) -> None:
    """Write the mse of both baselines of one run."""
    values = {"train_mean": {"mse": train_mean}, "cell_mean": {"mse": cell_mean}}
    write_json(run / "baseline_scores.json", values)


def repeat(rows: Rows, count: int, *, noise: float = 0.02, seed: int = 0) -> HeldOut:
    """Return held-out predictions of `count` repeats, which differ from `rows` at random."""
    rng = np.random.default_rng(seed)
    one = hold(rows)
    runs, parts = [], []
    for number in range(1, count + 1):
        end = f"-{number}" if number > 1 else ""
        runs += [replace(run, id=run.id + end, repeat_of=run.id if end else "") for run in one.runs]
        moved = one.parts["predicted"] + rng.normal(0, noise, len(one.parts))
        parts.append(one.parts.with_columns(pl.col("run") + end, predicted=moved))
    return HeldOut("EXP000", tuple(runs), pl.concat(parts), ())
