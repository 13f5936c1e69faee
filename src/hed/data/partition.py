"""Which response rows a run trains on, validates on, and is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from hed.data import scaling, tables
from hed.data.groups import Groups
from hed.errors import InputError
from hed.files import replacing

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

FILES = {stage: f"rsp_{stage}_data.parquet" for stage in ("train", "val", "test")}
# The mode in which lists of rows prescribe the split (see `hed.data.splits`).
BY_FILE = "file"
# The mode in which a table says which drugs (or cells) are held out together.
BY_GROUP = "by_group"
MODES = ("by_drug", "by_cell", BY_GROUP, "random", BY_FILE)


@dataclass(frozen=True)
class Split:
    """How the rows are split.

    Attributes:
        mode: `by_drug`, `by_cell`, `by_group` or `random`.
        validation: share of the rows outside the test set that is used for validation.
        test: share of all rows that is the test set in mode `random`.
        seed: the experiment's seed; the split depends on it and the index only.
        groups: in mode `by_group`, what is held out together.

    Raises:
        InputError: if a share is not between 0 and 1, or the seed is negative.
    """

    mode: str = "by_drug"
    validation: float = 0.2
    test: float = 0.1
    seed: int = 0
    groups: Groups | None = None

    def __post_init__(self) -> None:
        """Refuse settings with which no split can be made."""
        for name in ("validation", "test"):
            share = getattr(self, name)
            if not 0 < share < 1:
                raise InputError(f"the {name} share must be between 0 and 1, not {share}")
        if (self.mode == BY_GROUP) != (self.groups is not None):
            raise InputError(f"mode {BY_GROUP} needs groups, and no other mode has any")
        if self.seed < 0:
            raise InputError(f"the seed must be at least 0, not {self.seed}")


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `partition` that must not change when an experiment continues.

    Names of files are left out if empty, as in experiments before these settings existed.
    """
    return {name: value for name, value in settings.items() if value != ""}


def held_out(
    response: pl.DataFrame, index: int, column: str, ids: Sequence[str] | None = None
) -> str:
    """Return the id at `index` among the distinct ids of `column`, in order of first appearance.

    Args:
        ids: the distinct ids, if some have no rows in `response`.

    Raises:
        InputError: if there is none.
    """
    ids = tables.distinct(response[column]) if ids is None else ids
    tables.check_index(index, len(ids), tables.NOUN[column])
    return ids[index]


def split(
    response: pl.DataFrame, index: int, how: Split, ids: Sequence[str] | None = None
) -> dict[str, pl.DataFrame]:
    """Split the response table for the run with `index`.

    Every row is in exactly one part, and each part keeps the table's order. Rows of the same cell
    and drug (replicates) stay together, or validation would be on pairs that were trained on; the
    shares are of rows, as closely as whole pairs allow. The random choices are NumPy's PCG64 seeded
    by (seed, index), so they are the same on every machine.

    Args:
        ids: what the index counts, if some drugs (or cells) have no rows in `response`.

    Returns:
        `train`, `val` and `test`, with all columns of `response`. The test set of a drug (or cell)
        of `ids` without rows is empty.

    Raises:
        InputError: if there is no such index, or a part would be empty.
    """
    if index < 0:
        raise InputError(f"the index must be at least 0, not {index}")
    random = np.random.Generator(np.random.PCG64([how.seed, index]))
    pair = _pairs(response)
    test = _test_rows(response, index, how, ids, pair, random)
    validation = _draw(pair, ~test, how.validation, random)
    masks = {"train": ~(test | validation), "val": validation, "test": test}
    may_lack = set() if how.mode == "random" else {"test"}
    if not all(mask.any() or stage in may_lack for stage, mask in masks.items()):
        train, val, held = (mask.sum() for mask in masks.values())
        raise InputError(
            f"index {index} leaves {train} rows to train on, {val} to validate on and {held} to "
            "test on: each part needs one at least"
        )
    return {stage: response.filter(pl.Series(mask)) for stage, mask in masks.items()}


def _pairs(response: pl.DataFrame) -> Integers:
    """Return for each row the number of the first row of the same cell and drug."""
    codes = response.select(
        pl.col(tables.CELL, tables.DRUG).cast(pl.Categorical).to_physical(),
        row=pl.int_range(pl.len(), dtype=pl.Int64),
    )
    first = codes.select(pl.first("row").over(tables.CELL, tables.DRUG))
    number: Integers = first["row"].to_numpy()
    return number


def _draw(pair: Integers, among: Mask, share: float, random: np.random.Generator) -> Mask:
    """Return a random share of the rows, with all rows of a pair or none."""
    size = np.bincount(pair[among])
    pairs = np.flatnonzero(size)
    order = random.permutation(len(pairs))
    reached = np.concatenate([[0], np.cumsum(size[pairs[order]])])
    count = np.argmin(np.abs(reached - round(among.sum() * share)))
    is_drawn = np.zeros(len(pair), dtype=bool)
    is_drawn[pairs[order[:count]]] = True
    rows: Mask = is_drawn[pair] & among
    return rows


def _test_rows(
    response: pl.DataFrame,
    index: int,
    how: Split,
    ids: Sequence[str] | None,
    pair: Integers,
    random: np.random.Generator,
) -> Mask:
    if how.mode == "random":
        return _draw(pair, np.ones(len(response), dtype=bool), how.test, random)
    if how.groups:
        grouped: Mask = how.groups.members(response[how.groups.column], index).to_numpy()
        return grouped
    column = tables.COUNTED[how.mode]
    held: Mask = (response[column] == held_out(response, index, column, ids)).to_numpy()
    return held


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


def link_features(directory: Path, data: Path) -> None:
    """Link the feature tables into a partition, where the original's models look for them.

    The partition's own tables stay.
    """
    for kind in tables.KINDS:
        link = directory / kind.file
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to((data / kind.file).resolve())


def write_features(
    parts: Mapping[str, pl.DataFrame], directory: Path, data: Path, methods: Mapping[str, str]
) -> None:
    """Write a partition's own feature tables, scaled without looking at the test rows.

    The scalers are fitted on the cells and drugs of the training and the validation rows, each
    counted once, as IMPROVE's Uno does.

    Args:
        methods: `CELL` and `DRUG` to the name of a scaling.
    """
    seen = pl.concat([parts[stage].select(tables.CELL, tables.DRUG) for stage in ("train", "val")])
    for kind in tables.KINDS:
        features = tables.scan(data / kind.file, [kind.id]).collect()
        scaled = scaling.scale(features, kind.id, methods[kind.id], set(seen[kind.id].unique()))
        with replacing(directory / kind.file) as path:
            scaled.write_parquet(path, compression="lz4")


def features(directory: Path, data: Path) -> Path:
    """Return the directory of a run's feature tables: the partition if it has some, or `data`."""
    own = (directory / kind.file for kind in tables.KINDS)
    return directory if all(p.exists() and not p.is_symlink() for p in own) else data


def is_tested(directory: Path) -> bool:
    """Return whether a partition has rows to test on."""
    rows = tables.scan(directory / FILES["test"], [tables.AUC])
    return bool(rows.select(pl.len()).collect().item())
