"""Numbers in text tables: words for missing values and booleans, and decimal commas."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed.errors import InputError

# What pandas takes as a missing value, and its booleans (as some Mordred descriptors are).
MISSING = ("", "NA", "N/A", "#N/A", "null", "NULL", "None")
WORDS = dict.fromkeys(MISSING) | {"True": "1", "False": "0"}

WITH_COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"
# The comma may also be a thousands separator.
THOUSANDS = r"^[+-]?[1-9]\d{0,2},\d{3}$"


def parse(
    frame: pl.DataFrame, names: Sequence[str], *, path: Path, first_line: int, prefix: str = ""
) -> tuple[pl.DataFrame, list[str]]:
    """Return a table with the named text columns as float64, and notes on how they were read.

    Args:
        path: file that the table was read from.
        first_line: number of the line of its first row.
        prefix: of the names, which the file does not have.

    Raises:
        InputError: which names the first value that is not a number.
    """
    columns = pl.col(*names)
    text = frame.with_columns(columns.str.strip_chars().replace(WORDS))
    numbers, notes = text.with_columns(columns.cast(pl.Float64, strict=False)), []
    if _first_wrong(text, numbers, names) and _has_decimal_commas(text, names):
        text = text.with_columns(columns.str.replace(",", ".", literal=True))
        numbers = text.with_columns(columns.cast(pl.Float64, strict=False))
        notes = [f"{path} has decimal commas: read as decimal points"]
    if wrong := _first_wrong(text, numbers, names):
        name, row, value = wrong
        raise InputError(
            f"column {name.removeprefix(prefix)!r} of {path} is not numeric, line "
            f"{first_line + row:,} holds {value!r}: repair it"
        )
    return numbers, notes


def _first_wrong(
    text: pl.DataFrame, numbers: pl.DataFrame, names: Sequence[str]
) -> tuple[str, int, str] | None:
    """Return column, row and value of the first text, column by column, that is not a number."""
    for name in names:
        rows = (text[name].is_not_null() & numbers[name].is_null()).arg_true()
        if len(rows):
            return name, rows[0], text[name][rows[0]]
    return None


def _has_decimal_commas(text: pl.DataFrame, names: Sequence[str]) -> bool:
    """Tell whether the commas in a table can only be decimal signs."""
    values = pl.concat([text[name].drop_nulls().rename("") for name in names])
    commas = values.filter(values.str.contains(WITH_COMMA))
    has_points = values.str.contains(".", literal=True).any()
    return not has_points and not commas.str.contains(THOUSANDS).all()
