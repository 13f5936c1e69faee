"""Mean effects: the overall mean, and how far the means of a cell and of a drug are from it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hed.baselines.fitted import Floats, Given
from hed.data.dataset import Rows


@dataclass(frozen=True)
class Effects:
    """The mean AUC of training rows, and its effects; an id without training rows has none.

    Attributes:
        mean: of all rows.
        cell, drug: by position in the feature matrix, mean of its rows - mean.
    """

    mean: float
    cell: Floats
    drug: Floats

    def predict(self, rows: Rows) -> Floats:
        """Return mean + effect of the cell + effect of the drug, for each row."""
        predicted: Floats = self.mean + self.cell[rows.cell] + self.drug[rows.drug]
        return predicted


def fit(given: Given) -> Effects:
    """Return the mean effects of the training rows."""
    auc = given.train.auc.astype(np.float64)
    mean = float(auc.mean())
    sizes = len(given.cells.ids), len(given.drugs.ids)
    places = given.train.cell, given.train.drug
    cell, drug = (_effect(auc, at, n, mean) for at, n in zip(places, sizes, strict=True))
    return Effects(mean, cell, drug)


def _effect(auc: Floats, place: npt.NDArray[np.int32], size: int, mean: float) -> Floats:
    """Return the mean of the rows at each place, about the mean of all; 0 without rows."""
    count: Floats = np.bincount(place, minlength=size).astype(np.float64)
    total = np.bincount(place, auc, minlength=size)
    effect: Floats = np.where(count > 0, total / np.maximum(count, 1) - mean, 0.0)
    return effect
