"""Rows of predictions arranged by drug and cell, so that a sum over either is one step."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


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
    names = rows.select(
        drug=pl.col(by).unique(maintain_order=True).implode(),
        cell=pl.col(of).unique().sort().implode(),
    )
    drugs, cells = names["drug"][0], names["cell"][0]
    # In one step, which uses all cores.
    at = rows.select(drug=_position(by, drugs), cell=_position(of, cells))
    return Grid(
        drugs=drugs.to_list(),
        cells=cells.to_list(),
        drug=at["drug"].to_numpy(),
        cell=at["cell"].to_numpy(),
    )


def _position(column: str, names: pl.Series) -> pl.Expr:
    """Return the position of each value of a column among the names."""
    return pl.col(column).cast(pl.Enum(names)).to_physical().cast(pl.Int64)
