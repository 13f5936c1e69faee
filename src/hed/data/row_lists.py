"""The responses of a split whose rows files list: see `splits`.

Rows whose cell or drug has no features, or that were not selected, are left out, as IMPROVE's
models do.
"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import polars as pl

from hed.data.responses import Responses
from hed.errors import InputError


def split(responses: Responses, files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Return the responses of each part, in the order of the response table.

    Raises:
        InputError: if a file is missing or no list of rows, a row is in two parts or in none of
            the table, or a part has no row that can be used.
    """
    return _parts(responses, files, _listed(responses, files))


def unused(responses: Responses, files: Mapping[str, Path]) -> int:
    """Return how many rows of a split do not count.

    Raises:
        InputError: as `split` does.
    """
    listed = _listed(responses, files)
    parts = _parts(responses, files, listed)
    return sum(map(len, listed.values())) - sum(map(len, parts.values()))


def _parts(
    responses: Responses, files: Mapping[str, Path], listed: Mapping[str, pl.Series]
) -> dict[str, pl.DataFrame]:
    """Return the responses that are listed for each part."""
    parts = {
        stage: responses.rows.filter(responses.numbers.is_in(rows.implode()))
        for stage, rows in listed.items()
    }
    for stage, part in parts.items():
        if part.is_empty():
            raise InputError(
                f"no row of {files[stage]} can be used: they have no features, or were not chosen"
            )
    return parts


def _listed(responses: Responses, files: Mapping[str, Path]) -> dict[str, pl.Series]:
    """Return the row numbers of each part."""
    listed = {stage: _rows(path) for stage, path in files.items()}
    _check(listed, files, responses)
    return listed


def _rows(path: Path) -> pl.Series:
    """Return the row numbers of a file."""
    if not path.is_file():
        raise InputError(f"partition: splits: no such file: {path}")
    # Other lines would be a mistake that nobody would notice later.
    text = path.read_text(errors="replace").splitlines()
    lines = pl.Series(text, dtype=pl.String).str.strip_chars()
    rows = lines.cast(pl.Int64, strict=False)
    is_wrong = (lines != "") & (rows.is_null() | (rows < 0))
    if is_wrong.any():
        wrong = is_wrong.arg_true()[0]
        raise InputError(
            f"line {wrong + 1:,} of {path} is not a row number but {lines[wrong]!r}: "
            "give one per line"
        )
    rows = rows.drop_nulls()  # of empty lines
    if rows.is_duplicated().any():
        raise InputError(f"{path} has row {rows.filter(rows.is_duplicated())[0]:,} twice")
    return rows


def _check(
    listed: Mapping[str, pl.Series], files: Mapping[str, Path], responses: Responses
) -> None:
    """Refuse rows that the table does not have, and those of two parts."""
    for stage, rows in listed.items():
        most = responses.file_rows
        if most is not None and (rows >= most).any():
            raise InputError(
                f"{files[stage]} has row {rows.filter(rows >= most)[0]:,}, and the response table "
                f"has {most:,} rows (from 0): these are splits of other data"
            )
    for one, other in combinations(listed, 2):
        both = listed[one].filter(listed[one].is_in(listed[other].implode()))
        if len(both):
            raise InputError(
                f"row {both[0]:,} is both in {files[one]} and in {files[other]}: "
                "a row can be in one part only"
            )
