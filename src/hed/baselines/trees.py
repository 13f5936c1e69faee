"""Gradient-boosted trees on the features of cell and drug (scikit-learn's histogram form)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from hed.baselines import fitted
from hed.baselines.fitted import Given, Integers, Predict

# Nothing stays in the process.
WARM = True


def initialize_parameters() -> dict[str, Any]:
    """Return the hyperparameters with their defaults.

    `rows`: how many training rows are drawn, which bounds time and memory; the others have the
    same meaning as in scikit-learn. The number of trees, at most `max_iter`, is the median of
    those after which the mse on left-out drugs (cells, rows) no longer falls.
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
    train = fitted.sample(given.train, params["rows"], params["rng_seed"])
    features, auc = given.gather(train), train.auc
    own = initialize_parameters().keys() - fitted.COMMON.keys() - {"rows"}
    settings = {name: params[name] for name in own} | {"random_state": params["rng_seed"]}

    def trees(fold: tuple[Integers, Integers]) -> int:
        some, others = fold
        model = HistGradientBoostingRegressor(**settings, early_stopping=True)
        model.fit(features[some], auc[some], X_val=features[others], y_val=auc[others])
        return int(np.argmax(model.validation_score_))

    number = int(np.median([trees(fold) for fold in given.folds(train)]))
    if number == 0:  # no tree helps with what is left out
        return lambda rows: np.full(len(rows), auc.mean(dtype=np.float64))
    model = HistGradientBoostingRegressor(
        **settings | {"max_iter": number}, early_stopping=False
    ).fit(features, auc)
    return lambda rows: np.asarray(model.predict(given.gather(rows)), np.float64)
