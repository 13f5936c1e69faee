"""The preprocessed data set: scaled features and response, as the three parquet tables."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hed import files
from hed.data import raw, tables
from hed.errors import InputError

SCALERS = {
    "std": "StandardScaler",
    "minmax": "MinMaxScaler",
    "maxabs": "MaxAbsScaler",
    "robust": "RobustScaler",
    "power_yj": "PowerTransformer",
}
# These scale each row to a norm of 1, not each column.
NORMS = ("l1", "l2", "max")
METHODS = (*SCALERS, *NORMS, "none")


def scale(features: pl.DataFrame, id_column: str, method: str) -> pl.DataFrame:
    """Return `features` with every column but the id scaled over all rows, as float32.

    A constant column becomes finite constants, as scikit-learn's scalers give. Values are not
    clipped.

    Raises:
        InputError: if the method is unknown or a scaled column is beyond the range of float32.
    """
    if method not in METHODS:
        raise InputError(f"no scaling is called {method!r}: choose {', '.join(METHODS)}")
    names = [name for name in features.columns if name != id_column]
    values = features.select(names).to_numpy().astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = _fitted(values, method).astype(np.float32)
    infinite = np.flatnonzero(~np.isfinite(scaled).all(axis=0))
    if infinite.size:
        raise InputError(
            f"column {names[infinite[0]]!r} is not finite after {method!r} scaling: its values "
            "are too large, delete it or choose another scaling"
        )
    return features.with_columns(pl.DataFrame(scaled, schema=names, orient="row").get_columns())


def _fitted(values: np.ndarray[Any, Any], method: str) -> np.ndarray[Any, Any]:
    """Return the values (rows x features, float64) as the scaler fitted on them gives them."""
    if method == "none":
        return values
    # Importing scikit-learn takes seconds; most commands never scale.
    from sklearn import preprocessing

    if method in NORMS:
        return np.asarray(preprocessing.normalize(values, norm=method))
    scaler = getattr(preprocessing, SCALERS[method])()
    return np.asarray(scaler.fit_transform(values))


def choice(settings: Mapping[str, Any]) -> raw.Choice:
    """Return which part of the raw tables the settings of `preprocess` choose."""
    names = ("y_column", "genes", "drop_repeated", "min_r2fit")
    return raw.Choice(tuple(settings["sources"]), **{name: settings[name] for name in names})


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `preprocess` that may not change while an experiment goes on.

    Those that came later are left out where they choose all, as experiments before them did.
    """
    usual = {**asdict(raw.ALL), "sources": []}
    return {n: value for n, value in settings.items() if n not in usual or usual[n] != value}


def options(settings: Mapping[str, Any]) -> str:
    """Return the settings of `preprocess` as options of the command, quoted for the shell."""
    words = ["--ge-scaling", settings["ge_scaling"], "--md-scaling", settings["md_scaling"]]
    words += ["--y-column", settings["y_column"], "--genes", settings["genes"]]
    words += ["--sources", *settings["sources"]] if settings["sources"] else []
    words += ["--drop-repeated"] if settings["drop_repeated"] else []
    least = settings["min_r2fit"]
    words += [] if least is None else ["--min-r2fit", str(least)]
    return shlex.join(words)


def preprocess(
    raw_data: Path, out: Path, *, ge_scaling: str, md_scaling: str, choice: raw.Choice = raw.ALL
) -> raw.Tables:
    """Write the preprocessed tables of the raw data set `raw_data` into `out` and return them.

    The scalers are fitted on the cells and drugs that have responses, each counted once.

    Raises:
        InputError: if the raw tables are malformed or a scaling is unknown.
    """
    given = raw.read(raw_data, choice)
    scaled = raw.Tables(
        response=given.response,
        expression=scale(given.expression, tables.CELL, ge_scaling),
        descriptors=scale(given.descriptors, tables.DRUG, md_scaling),
        dropped=given.dropped,
    )
    write(scaled, out)
    return scaled


def write(data: raw.Tables, out: Path) -> None:
    """Write three parquet tables into `out`; the response last, as the sign that all are there."""
    for frame, name in (
        (data.expression, tables.EXPRESSION_FILE),
        (data.descriptors, tables.DESCRIPTOR_FILE),
        (data.response, tables.RESPONSE_FILE),
    ):
        with files.replacing(out / name) as temporary:
            frame.write_parquet(temporary)
