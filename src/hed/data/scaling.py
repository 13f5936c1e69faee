"""Features scaled by scikit-learn, fitted on all cells or drugs or on some of them."""

from collections.abc import Collection
from typing import Any

import numpy as np
import polars as pl

from hed.errors import InputError

Values = np.ndarray[Any, Any]
SCALERS = {
    "std": "StandardScaler",
    "minmax": "MinMaxScaler",
    "maxabs": "MaxAbsScaler",
    "robust": "RobustScaler",
    "power_yj": "PowerTransformer",
}
# These scale each row to a norm of 1, not each column.
NORMS = ("l1", "l2", "max")
NONE = "none"
METHODS = (*SCALERS, *NORMS, NONE)


def scale(
    features: pl.DataFrame, id_column: str, method: str, fitted_on: Collection[str] | None = None
) -> pl.DataFrame:
    """Return `features` with every column except the id scaled, as float32.

    A constant column becomes finite constants, as scikit-learn's scalers give. Values are not
    clipped.

    Args:
        fitted_on: ids of the rows that the scaler is fitted on; None for all.

    Raises:
        InputError: if the method is unknown or a scaled column is beyond the range of float32.
    """
    if method not in METHODS:
        raise InputError(f"no scaling is called {method!r}: choose {', '.join(METHODS)}")
    names = [name for name in features.columns if name != id_column]
    values = features.select(names).to_numpy().astype(np.float64)
    known = np.ones(len(values), dtype=bool)
    if fitted_on is not None:
        known = features[id_column].is_in(list(fitted_on)).to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = fitted(values, values[known], method).astype(np.float32)
    infinite = np.flatnonzero(~np.isfinite(scaled).all(axis=0))
    if infinite.size:
        raise InputError(
            f"column {names[infinite[0]]!r} is not finite after {method!r} scaling: its values "
            "are too large, delete it or choose another scaling"
        )
    return features.with_columns(pl.DataFrame(scaled, schema=names, orient="row").get_columns())


def fitted(values: Values, known: Values, method: str) -> Values:
    """Return values (rows x features, float64) scaled by a scaler fitted on some rows."""
    if method == NONE:
        return values
    # Importing scikit-learn takes seconds; most commands never scale.
    from sklearn import preprocessing

    if method in NORMS:
        return np.asarray(preprocessing.normalize(values, norm=method))
    scaler = getattr(preprocessing, SCALERS[method])()
    return np.asarray(scaler.fit(known).transform(values))
