"""Which response rows a run trains on, validates on, and is tested on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hed.data import tables
from hed.errors import InputError
from hed.files import replacing

FILES = {stage: f"rsp_{stage}_data.parquet" for stage in ("train", "val", "test")}


@dataclass(frozen=True)
class Split:
    """How the rows are split.

    Attributes:
        mode: `by_drug`, `by_cell` or `random`.
        validation: share of the rows outside the test set that is used for validation.
        test: share of all rows that is the test set in mode `random`.
        seed: the experiment's seed; the split depends on it and the index only.

    Raises:
        InputError: if a share is not between 0 and 1, or the seed is negative.
    """

    mode: str = "by_drug"
    validation: float = 0.2
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no split can be made with."""
        for name in ("validation", "test"):
            share = getattr(self, name)
            if not 0 < share < 1:
                raise InputError(f"the {name} share must be between 0 and 1, not {share}")
        if self.seed < 0:
            raise InputError(f"the seed must be at least 0, not {self.seed}")


def held_out(response: pl.DataFrame, index: int, column: str) -> str:
    """Return the id at `index` among the distinct ids of `column`, in order of first appearance.

    Raises:
        InputError: if there is none.
    """
    ids = tables.distinct(response[column])
    tables.check_index(index, len(ids), tables.NOUN[column])
    return ids[index]


def split(response: pl.DataFrame, index: int, how: Split) -> dict[str, pl.DataFrame]:
    """Split the response table for the run with `index`.

    Every row is in exactly one part, and each part keeps the table's order. The random choices
    are NumPy's PCG64 seeded by (seed, index), so they are the same on every machine.

    Returns:
        `train`, `val` and `test`, with all columns of `response`.

    Raises:
        InputError: if there is no such index, or a part would be empty.
    """
    if index < 0:
        raise InputError(f"the index must be at least 0, not {index}")
    random = np.random.Generator(np.random.PCG64([how.seed, index]))
    test = _test_rows(response, index, how, random)
    others = np.flatnonzero(~test)
    count = round(len(others) * how.validation)
    if not test.any() or count == 0 or count == len(others):
        raise InputError(
            f"index {index} leaves {len(others) - count} rows to train on, {count} to validate on "
            f"and {test.sum()} to test on: each part needs one at least"
        )
    validation = np.zeros(len(response), dtype=bool)
    validation[random.permutation(others)[:count]] = True
    masks = {"train": ~(test | validation), "val": validation, "test": test}
    return {stage: response.filter(pl.Series(mask)) for stage, mask in masks.items()}


def _test_rows(
    response: pl.DataFrame, index: int, how: Split, random: np.random.Generator
) -> np.ndarray:
    if how.mode == "random":
        test = np.zeros(len(response), dtype=bool)
        test[random.permutation(len(response))[: round(len(response) * how.test)]] = True
        return test
    column = tables.COUNTED[how.mode]
    return (response[column] == held_out(response, index, column)).to_numpy()


def write(parts: Mapping[str, pl.DataFrame], directory: Path) -> None:
    """Write the parts as the IMPROVE files `rsp_{train,val,test}_data.parquet`."""
    for stage, rows in parts.items():
        with replacing(directory / FILES[stage]) as path:
            rows.write_parquet(path, compression="lz4")


def read(directory: Path, stage: str) -> pl.DataFrame:
    """Return one part of a partition.

    Raises:
        InputError: if it is missing or empty.
    """
    return tables.read_response(directory / FILES[stage])
