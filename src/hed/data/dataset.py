"""A run's data in memory: two feature matrices, and rows that point into them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hed.data import tables
from hed.errors import InputError


@dataclass(frozen=True)
class Features:
    """The features of the cells or of the drugs.

    Attributes:
        ids: n ids.
        values: float32, n x features.
    """

    ids: pl.Series
    values: np.ndarray


@dataclass(frozen=True)
class Rows:
    """Response rows.

    Attributes:
        cell, drug: int32, n; row of the cell (drug) in its feature matrix.
        auc: float32, n.
        labels: n ids of the cells.
    """

    cell: np.ndarray
    drug: np.ndarray
    auc: np.ndarray
    labels: pl.Series

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.auc)


def read_features(data: Path, kind: tables.Kind) -> Features:
    """Return a feature table of a data set as float32, its columns in the table's order.

    Raises:
        InputError: if it is missing or has no feature columns.
    """
    path = data / kind.file
    frame = tables.scan(path, [kind.id])
    names = [n for n in frame.collect_schema().names() if n.startswith(kind.prefix)]
    if not names:
        raise InputError(f"{path} has no feature columns: none starts with {kind.prefix!r}")
    table = frame.select(kind.id, pl.col(names).cast(pl.Float32)).collect()
    values = np.ascontiguousarray(table.select(names).to_numpy())
    return Features(table[kind.id], values)


def read(data: Path) -> tuple[Features, Features]:
    """Return the features of all cells and all drugs of a data set."""
    cells, drugs = (read_features(data, kind) for kind in tables.KINDS)
    return cells, drugs


def rows(response: pl.DataFrame, cells: Features, drugs: Features) -> Rows:
    """Return response rows as positions in the feature matrices.

    Raises:
        InputError: if an id has no features.
    """
    return Rows(
        cell=_positions(response[tables.CELL], cells.ids),
        drug=_positions(response[tables.DRUG], drugs.ids),
        auc=response[tables.AUC].cast(pl.Float32).to_numpy(),
        labels=response[tables.CELL],
    )


def _positions(ids: pl.Series, known: pl.Series) -> np.ndarray:
    positions = pl.int_range(len(known), dtype=pl.Int32, eager=True)
    found = ids.replace_strict(known, positions, default=None, return_dtype=pl.Int32)
    if found.null_count():
        raise InputError(f"no features for {ids.filter(found.is_null())[0]!r}")
    return found.to_numpy()


@dataclass(frozen=True)
class Data:
    """What a training needs: the features of all cells and drugs, and two sets of rows."""

    cells: Features
    drugs: Features
    train: Rows
    val: Rows
