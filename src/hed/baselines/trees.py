"""Gradient-boosted trees on the features of cell and drug (scikit-learn's histogram form)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from hed.baselines import fitted
from hed.baselines.fitted import Given, Predict

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults.

    `rows`: how many training rows are drawn, which bounds time and memory; the others have the
    same meaning as in scikit-learn. Trees are added until the validation mse stalls.
    """
    return {
        **fitted.COMMON,
        "rows": 20_000,
        "max_iter": 300,
        "learning_rate": 0.1,
        "max_leaf_nodes": 31,
        "max_bins": 63,
        "max_features": 0.2,
        "n_iter_no_change": 20,
    }


def run(params: Mapping[str, Any]) -> dict[str, list[float]]:
    """Fit and predict; return the history."""
    return fitted.run(params, lambda given: fit(given, params))


def fit(given: Given, params: Mapping[str, Any]) -> Predict:
    """Return a function that predicts by boosted trees."""
    rows, seed = params["rows"], params["rng_seed"]
    train, val = (fitted.sample(of, rows, seed) for of in (given.train, given.val))
    own = initialize_parameters().keys() - fitted.COMMON.keys() - {"rows"}
    model = HistGradientBoostingRegressor(
        **{name: params[name] for name in own}, early_stopping=True, random_state=seed
    )
    model.fit(given.gather(train), train.auc, X_val=given.gather(val), y_val=val.auc)
    return lambda rows: np.asarray(model.predict(given.gather(rows)), np.float64)
