"""Rows of predictions arranged by drug and cell, so that a sum over either is one step."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """Which drug and cell each of n rows is of: `drug` and `cell` are positions in the lists."""

    drugs: list[str]
    cells: list[str]
    drug: Integers
    cell: Integers

    @cached_property
    def pair(self) -> Integers:
        """The position of each row's pair."""
        return self.drug * len(self.cells) + self.cell

    def count(self) -> Floats:
        """Return the number of rows of each pair, drugs x cells."""
        return self.sum()

    def sum(self, values: Floats | None = None) -> Floats:
        """Return the sum of `values` (one per row) over the rows of each pair, drugs x cells."""
        shape = len(self.drugs), len(self.cells)
        sums = np.bincount(self.pair, values, minlength=shape[0] * shape[1])
        return sums.astype(np.float64, copy=False).reshape(shape)

    def mean(self, values: Floats) -> Floats:
        """Return the mean of `values` over the rows of each pair, NaN for a pair without rows."""
        count = self.count()
        return np.divide(self.sum(values), count, out=np.full_like(count, np.nan), where=count > 0)


def arrange(rows: pl.DataFrame, *, by: str = "drug", of: str = "cell") -> Grid:
    """Return the grid of rows with columns `of` (cell, or what stands for it) and `by` (for drug).

    Drugs are in order of first appearance, cells are sorted.
    """
    drugs, drug = _numbered(rows[by].unique(maintain_order=True), rows[by])
    cells, cell = _numbered(rows[of].unique().sort(), rows[of])
    return Grid(drugs=drugs, cells=cells, drug=drug, cell=cell)


def _numbered(names: pl.Series, values: pl.Series) -> tuple[list[str], Integers]:
    """Return the names and the position of each value among them."""
    return names.to_list(), values.cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
