"""Ridge regression on the features of cell and drug, its penalty chosen by the validation rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge

from hed.baselines import fitted
from hed.baselines.fitted import Given, Predict

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults.

    `rows`: how many training rows are drawn, which bounds time and memory; `penalties`: those to
    try, of which the one with the least validation mse is used.
    """
    return {**fitted.COMMON, "rows": 50_000, "penalties": [1e2, 1e3, 1e4, 1e5]}


def run(params: Mapping[str, Any]) -> dict[str, list[float]]:
    """Fit and predict; return the history."""
    return fitted.run(params, lambda given: fit(given, params))


def fit(given: Given, params: Mapping[str, Any]) -> Predict:
    """Return a function that predicts by the best of some ridge regressions."""
    rows, seed = params["rows"], params["rng_seed"]
    train, val = (fitted.sample(of, rows, seed) for of in (given.train, given.val))
    features, checked = given.gather(train), given.gather(val)
    models = [Ridge(alpha=each).fit(features, train.auc) for each in params["penalties"]]
    errors = [np.mean((model.predict(checked) - val.auc) ** 2) for model in models]
    best = models[int(np.argmin(errors))]
    return lambda rows: np.asarray(best.predict(given.gather(rows)), np.float64)
