"""Nearest drugs: what the most similar training drugs do to the same cell.

Drugs are similar if their scaled descriptors are close (Euclidean). Drugs that were not tested on a
cell do not count for it; if none of the nearest was, the mean effects are predicted.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

from hed.baselines import effects, fitted
from hed.baselines.fitted import Floats, Given, Predict
from hed.data.dataset import Rows

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults: `neighbours`, how many drugs count."""
    return {**fitted.COMMON, "neighbours": 5}


def run(params: Mapping[str, Any]) -> dict[str, list[float]]:
    """Fit and predict; return the history."""
    return fitted.run(params, lambda given: fit(given, params["neighbours"]))


def fit(given: Given, count: int) -> Predict:
    """Return a function that predicts by the `count` nearest training drugs."""
    train, shape = given.train, (len(given.drugs.ids), len(given.cells.ids))
    pair = train.drug.astype(np.int64) * shape[1] + train.cell
    known = np.bincount(pair, minlength=shape[0] * shape[1]).reshape(shape)
    total = np.bincount(pair, train.auc, minlength=known.size).reshape(shape)
    trained = np.unique(train.drug)
    search = NearestNeighbors(n_neighbors=min(count, len(trained)))
    search.fit(given.drugs.values[trained])
    naive = effects.fit(given)

    def predict(rows: Rows) -> Floats:
        drugs, of_row = np.unique(rows.drug, return_inverse=True)
        near = trained[search.kneighbors(given.drugs.values[drugs], return_distance=False)]
        at = near[of_row], rows.cell[:, None]
        number = known[at].sum(axis=1)
        mean = total[at].sum(axis=1) / np.maximum(number, 1)
        return np.where(number > 0, mean, naive(rows))

    return predict
