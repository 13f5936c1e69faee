"""The tables of an IMPROVE data set: response, gene expression, Mordred descriptors.

Ids are strings even when all digits. Drugs and cells are numbered in order of first appearance
in the response table, so that indices agree with existing experiments. Replicate rows are data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.data.layout import DESCRIPTOR_FILE, EXPRESSION_FILE, RESPONSE_FILE
from hed.errors import InputError

__all__ = ["DESCRIPTOR_FILE", "EXPRESSION_FILE", "RESPONSE_FILE"]

CELL = "improve_sample_id"
DRUG = "improve_chem_id"
AUC = "auc"
# If rows were selected: the number of each in the raw file, from 0.
NUMBER = "source_row"

# What an index counts in each mode; a random split uses it as a seed only.
COUNTED = {"by_drug": DRUG, "by_cell": CELL}
NOUN = {DRUG: "drug", CELL: "cell"}

FILES = (RESPONSE_FILE, EXPRESSION_FILE, DESCRIPTOR_FILE)


@dataclass(frozen=True)
class Kind:
    """One kind of feature table: its file, its id column and the prefix of its features."""

    file: str
    id: str
    prefix: str
    noun: str


EXPRESSION = Kind(EXPRESSION_FILE, CELL, "ge.", "cell")
DESCRIPTORS = Kind(DESCRIPTOR_FILE, DRUG, "mordred.", "drug")
KINDS = (EXPRESSION, DESCRIPTORS)


def scan(path: Path, columns: Sequence[str]) -> pl.LazyFrame:
    """Scan a parquet table, ids as strings.

    Raises:
        InputError: if the file is missing, unreadable, or lacks one of `columns`.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        frame = pl.scan_parquet(path)
        present = frame.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet: {first_line(error)}") from None
    require_columns(present, columns, path)
    return frame.with_columns(pl.col(*(c for c in (CELL, DRUG) if c in present)).cast(pl.String))


def require_columns(present: Sequence[str], columns: Sequence[str], path: Path) -> None:
    """Refuse a table that lacks one of `columns`."""
    missing = [column for column in columns if column not in present]
    if missing:
        found = ", ".join(present[:5]) + (", ..." if len(present) > 5 else "")
        raise InputError(f"{path} has no column {missing[0]!r}; its columns are {found}")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, for use inside one sentence."""
    return str(error).partition("\n")[0]


def read_response(path: Path) -> pl.DataFrame:
    """Return the response table: one row per measurement, `CELL`, `DRUG`, `AUC` and others.

    Raises:
        InputError: if it is missing, empty, lacks a column, or holds an AUC that is not finite.
    """
    response = scan(path, [CELL, DRUG, AUC]).collect()
    check_response(response, path)
    return response


def check_response(response: pl.DataFrame, path: Path) -> None:
    """Refuse a response table that is empty, has missing ids, or an AUC that is not a number."""
    if response.is_empty():
        raise InputError(f"{path} has no rows")
    if not response[AUC].dtype.is_numeric():
        raise InputError(f"column {AUC!r} of {path} is {response[AUC].dtype}, not numeric")
    bad = response.select((~pl.col(AUC).cast(pl.Float64).is_finite()).fill_null(True).arg_true())
    if len(bad):
        raise InputError(
            f"{AUC} is not finite in {len(bad):,} of {len(response):,} rows of {path}, "
            f"first in row {bad.item(0, 0)}: drop these rows or repair them"
        )
    for column in (CELL, DRUG):
        if response[column].null_count():
            raise InputError(f"{response[column].null_count():,} rows of {path} have no {column}")


def distinct(ids: pl.Series) -> list[str]:
    """Return the distinct values of `ids` in order of first appearance."""
    return ids.unique(maintain_order=True).to_list()


def check_index(index: int, count: int, noun: str) -> None:
    """Refuse an index that no drug (or cell) has."""
    if not 0 <= index < count:
        raise InputError(
            f"no {noun} at index {index}: the response table has {count:,} {noun}s "
            f"(0 to {count - 1:,})"
        )


def feature_ids(data: Path, kind: Kind) -> pl.Series:
    """Return the ids that have features.

    Raises:
        InputError: if the table is missing, or an id has several rows.
    """
    path = data / kind.file
    ids = scan(path, [kind.id]).select(kind.id).collect()[kind.id]
    if ids.is_duplicated().any():
        first = ids.filter(ids.is_duplicated())[0]
        raise InputError(f"{path} has several rows for {kind.noun} {first!r}: keep one")
    return ids


def check_features(data: Path, kind: Kind) -> None:
    """Refuse a feature table without features, or with one that is not a finite number.

    Raises:
        InputError: which names the first such column.
    """
    path = data / kind.file
    _check_values(scan(path, [kind.id]), path, kind)


def _check_values(frame: pl.LazyFrame, path: Path, kind: Kind) -> None:
    """Refuse a feature table without features, or with one that is not a finite number."""
    schema = {n: t for n, t in frame.collect_schema().items() if n.startswith(kind.prefix)}
    if not schema:
        raise InputError(f"{path} has no feature columns: none starts with {kind.prefix!r}")
    for name, dtype in schema.items():
        if not dtype.is_numeric():
            raise InputError(f"column {name!r} of {path} is {dtype}, not numeric")
    finite = pl.col(*schema).cast(pl.Float32).is_finite().fill_null(False).all()
    whole = frame.select(finite).collect().row(0)
    if not all(whole):
        bad = next(name for name, is_whole in zip(schema, whole, strict=True) if not is_whole)
        raise InputError(
            f"{whole.count(False):,} of {len(whole):,} feature columns of {path} hold values that "
            f"are missing or not finite, first {bad!r}: drop these rows or columns"
        )
