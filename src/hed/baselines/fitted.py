"""What all baselines share: they are fitted in one step, and predict before they end.

Settings that a baseline chooses must suit drugs (cells) that it has not seen, if those are what it
is tested on: it is cross-validated on training rows with whole drugs (cells) left out.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from hed.data import controls, dataset, tables
from hed.data.dataset import Features, Rows
from hed.errors import InputError
from hed.files import replacing
from hed.names import PREDICTED

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Predict = Callable[[Rows], Floats]

# Rows that a history's mse is of, at most.
CHECKED = 10_000
# Parts of the training rows that are left out in turn to choose settings by.
FOLDS = 5
# What every baseline has: one epoch, for those that count them, and the controls of Uno.
COMMON: Mapping[str, Any] = {"epochs": 1, "rng_seed": 0, "randomise": controls.NONE}


@dataclass(frozen=True)
class Given:
    """What a baseline is fitted to: rows to train on, and features.

    Attributes:
        cells, drugs: features of all.
        train: rows to train on.
        unseen: which ids the test rows have that no training row has: `drug`, `cell` or neither.
    """

    cells: Features
    drugs: Features
    train: Rows
    unseen: str | None

    def folds(self, rows: Rows) -> Iterator[tuple[Integers, Integers]]:
        """Yield positions of training rows to fit to and to choose settings by, `FOLDS` times.

        As many as there are drugs (cells) to leave out, if they are fewer. Where neither is new,
        pairs of both are left out, each with its replicates.
        """
        pair = rows.drug.astype(np.int64) * len(self.cells.ids) + rows.cell
        groups = pair if self.unseen is None else getattr(rows, self.unseen)
        parts = min(FOLDS, len(np.unique(groups)))
        if parts < 2:
            raise InputError(
                f"one {self.unseen or 'pair'} is left to train on, and none to choose settings by: "
                "take hed.baselines.mean_effects"
            )
        yield from GroupKFold(parts, shuffle=True, random_state=0).split(groups, groups=groups)

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
        predict = fit(Given(cells, drugs, train, unseen(train, test)))
        predicted = predict(test)
        history = {
            name: [_mse(predict, rows)] for name, rows in (("loss", train), ("val_loss", val))
        }
    true = parts[2][tables.AUC].cast(pl.Float64)
    table = pl.DataFrame({"auc_true": true, "auc_pred": predicted, "labels": test.labels})
    with replacing(Path(params["output_dir"]) / PREDICTED) as path:
        table.write_csv(path)
    return history


def unseen(train: Rows, test: Rows) -> str | None:
    """Return `drug` or `cell` if no training row has that of any test row, else None.

    If both are new, drugs count. ASSUME: members of a held-out group are new as single ones are.
    """
    for kind in ("drug", "cell"):
        if not np.isin(getattr(test, kind), getattr(train, kind)).any():
            return kind
    return None


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
