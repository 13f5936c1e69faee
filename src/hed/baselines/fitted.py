"""What all baselines share: they are fitted in one step, and predict before they end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from hed.data import controls, dataset, tables
from hed.data.dataset import Features, Rows
from hed.files import replacing
from hed.names import PREDICTED

Floats = npt.NDArray[np.float64]
Predict = Callable[[Rows], Floats]

# Rows that a history's mse is of, at most.
CHECKED = 10_000
# What every baseline has: one epoch, for those that count them, and the controls of Uno.
COMMON: Mapping[str, Any] = {"epochs": 1, "rng_seed": 0, "randomise": controls.NONE}


@dataclass(frozen=True)
class Given:
    """What a baseline is fitted to: rows to train on, rows to choose settings by, features."""

    cells: Features
    drugs: Features
    train: Rows
    val: Rows

    def gather(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return the features of the cell and of the drug of each row, n x features."""
        of_cells, of_drugs = self.cells.values[rows.cell], self.drugs.values[rows.drug]
        return np.concatenate([of_cells, of_drugs], axis=1)


def run(params: Mapping[str, Any], fit: Callable[[Given], Predict]) -> dict[str, list[float]]:
    """Fit a baseline, write its predictions of the test rows, and return its history.

    Args:
        params: as CANDLE's `run` gets them.
        fit: returns the fitted model, which predicts one AUC for each row.
    """
    given = controls.inputs(params)
    cells, drugs = controls.features(given)
    parts = [controls.responses(given, stage) for stage in ("train", "val", "test")]
    train, val, test = (dataset.rows(part, cells, drugs) for part in parts)
    with threadpool_limits(params["threads"]):
        predict = fit(Given(cells, drugs, train, val))
        predicted = predict(test)
        history = {
            name: [_mse(predict, rows)] for name, rows in (("loss", train), ("val_loss", val))
        }
    true = parts[2][tables.AUC].cast(pl.Float64)
    table = pl.DataFrame({"auc_true": true, "auc_pred": predicted, "labels": test.labels})
    with replacing(Path(params["output_dir"]) / PREDICTED) as path:
        table.write_csv(path)
    return history


def _mse(predict: Predict, rows: Rows) -> float:
    """Return the mse of a model on some rows, or on a sample if there are many."""
    some = sample(rows, CHECKED, seed=0)
    return float(np.mean((predict(some) - some.auc) ** 2))


def sample(rows: Rows, count: int, seed: int) -> Rows:
    """Return at most `count` of some rows, drawn without replacement."""
    if len(rows) <= count:
        return rows
    chosen = np.sort(np.random.default_rng([seed, 3]).choice(len(rows), count, replace=False))
    labels = rows.labels[chosen]
    return Rows(rows.cell[chosen], rows.drug[chosen], rows.auc[chosen], labels)
