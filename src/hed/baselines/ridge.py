"""Ridge regression on the features of cell and drug, its penalty chosen by cross-validation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from hed.baselines import fitted
from hed.baselines.fitted import Given, Predict
from hed.data.dataset import Features

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults.

    `rows`: how many training rows are drawn, which bounds time and memory; `penalties`: those to
    try, of which the one with the least mse on left-out drugs (cells, rows) is used.
    """
    return {**fitted.COMMON, "rows": 50_000, "penalties": [10.0**n for n in range(2, 8)]}


def run(params: Mapping[str, Any]) -> dict[str, list[float]]:
    """Fit and predict; return the history."""
    return fitted.run(params, lambda given: fit(given, params))


def fit(given: Given, params: Mapping[str, Any]) -> Predict:
    """Return a function that predicts by the best of some ridge regressions."""
    train = fitted.sample(given.train, params["rows"], params["rng_seed"])
    given = replace(given, cells=rotated(given.cells), drugs=rotated(given.drugs))
    model = RidgeCV(
        params["penalties"], scoring="neg_mean_squared_error", cv=list(given.folds(train))
    ).fit(given.gather(train), train.auc)
    return lambda rows: np.asarray(model.predict(given.gather(rows)), np.float64)


def rotated(features: Features) -> Features:
    """Return n principal coordinates of n things: ridge predicts the same by them, and faster."""
    if features.values.shape[1] <= len(features.ids):
        return features
    left, sizes, _ = np.linalg.svd(features.values, full_matrices=False)
    return replace(features, values=left * sizes)
