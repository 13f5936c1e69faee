"""The feature tables of a data set: gene expression and Mordred descriptors, as text.

Expression comes in two forms: one header row, or IMPROVE's benchmark form with one header row for
each naming system (Ensembl, Entrez, Gene_Symbol). Both give the same table.
"""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars.datatypes import DataType

from hed.data import numbers, tables, text
from hed.data.tables import CELL, EXPRESSION, Kind
from hed.data.text import Form
from hed.errors import InputError
from hed.words import listed

SYMBOLS = "gene_symbol"
# Entrez names are numbers, so header rows can be recognised only by their first field.
HEADER_LABELS = frozenset({"", "ensembl", "entrez", SYMBOLS, CELL})
INDEX = ""


def read(path: Path, kind: Kind) -> tuple[pl.DataFrame, list[str]]:
    """Return a feature table, one row per distinct id, features prefixed and as float64.

    Also return sentences about what a user should know about the file.

    Raises:
        InputError: if it is missing, empty or malformed, or an id has several rows.
    """
    form = text.recognise(path)
    headers = leading_rows(path, form)[: None if kind is EXPRESSION else 1]
    found = _names(headers, path) if kind is EXPRESSION else _clean(headers[0])
    tables.require_columns(found, [kind.id], path)
    names = _prefixed(found, kind, path)
    schema = {n: pl.Float64() if n.startswith(kind.prefix) else pl.String() for n in names}
    if pl.Float64() not in schema.values():
        raise InputError(f"{path} has no feature columns beside {kind.id!r}")
    frame, notes = _parse(path, form, schema, skip=len(headers), prefix=kind.prefix)
    _check_ids(frame[kind.id], path, kind.noun)
    return frame.drop(INDEX, strict=False), [*form.notes, *notes, *_renamed(found, names, path)]


def _renamed(found: Sequence[str], names: Sequence[str], path: Path) -> list[str]:
    """Return a sentence on columns with the same name as another."""
    seen: set[str] = set()
    renamed = []
    for old, new in zip(found, names, strict=True):
        if old in seen:
            renamed.append(f"{old} as {new}")
        seen.add(old)
    if not renamed:
        return []
    return [f"{path} has columns with the name of an earlier one, kept: {listed(renamed)}"]


def leading_rows(path: Path, form: Form) -> list[list[str]]:
    """Return the first row of a table and those after it that look like header rows.

    Raises:
        InputError: if there is none.
    """
    try:
        with form.open(path) as stream:
            rows = csv.reader(stream, delimiter=form.separator)
            leading = [*itertools.islice(rows, 1), *itertools.takewhile(_is_header, rows)]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as text: {tables.first_line(error)}") from None
    if not any(leading):
        raise InputError(f"{path} is empty")
    return leading


def _is_header(row: Sequence[str]) -> bool:
    """Tell whether a row after the first is a header row, by its first field alone."""
    return bool(row) and _clean(row[:1])[0].lower() in HEADER_LABELS


def _clean(row: Sequence[str]) -> list[str]:
    """Return names without blanks, and empty where pandas wrote `Unnamed: 0` for no name."""
    names = ["" if name.startswith("Unnamed:") else name.strip() for name in row]
    return [INDEX if names[0] == "index" else names[0], *names[1:]]


def _names(headers: Sequence[Sequence[str]], path: Path) -> list[str]:
    """Return the column names that the header rows of an expression table give in combination.

    A column without a gene symbol takes its name from another row. The first column has the
    cells, as IMPROVE reads it, unless a later one has their name.
    """
    # A line with nothing after its first field names the index, not the columns.
    rows = [row for row in map(_clean, headers) if any(row[1:])] or [_clean(headers[0])]
    best = _symbol_row([row[0].lower() for row in rows], path)
    rows.insert(0, rows.pop(best))
    columns = list(itertools.zip_longest(*rows, fillvalue=""))[1:]
    names = [next(filter(None, column), "") for column in columns]
    first = rows[0][0]
    if first.lower() in HEADER_LABELS:
        first = INDEX if CELL in names else CELL
    return [first, *names]


def _symbol_row(labels: Sequence[str], path: Path) -> int:
    """Return which header row has the gene symbols: the one labelled so, or the third of three."""
    if SYMBOLS in labels:
        return labels.index(SYMBOLS)
    if len(labels) in (1, 3):
        return len(labels) - 1
    raise InputError(
        f"{path} has {len(labels)} header rows (their first field is empty or a label) and none is "
        "labelled 'Gene_Symbol': put this label first in the row that holds gene symbols"
    )


def _prefixed(names: Sequence[str], kind: Kind, path: Path) -> list[str]:
    """Return names with the prefix of their kind once; equal ones get `.1`, `.2` as in pandas."""
    own = {names.index(kind.id)} | ({0} if names[0] == INDEX else set())
    unnamed = [place for place, name in enumerate(names) if not name and place not in own]
    if unnamed:
        raise InputError(f"column {unnamed[0] + 1} of {path} has no name: name it or delete it")
    return _distinct(
        [
            name if place in own or name.startswith(kind.prefix) else kind.prefix + name
            for place, name in enumerate(names)
        ]
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names with a suffix `.1`, `.2`, ... on each repetition, never one that exists."""
    taken = set(names)
    seen: set[str] = set()
    result = []
    for name in names:
        suffixed = (f"{name}.{count}" for count in itertools.count(1))
        new = next(s for s in suffixed if s not in taken) if name in seen else name
        taken.add(new)
        seen.add(name)
        result.append(new)
    return result


def _parse(
    path: Path, form: Form, schema: Mapping[str, DataType], *, skip: int, prefix: str
) -> tuple[pl.DataFrame, list[str]]:
    """Read the rows after `skip` header rows; words for missing values and booleans count."""
    try:
        return text.read(path, form, schema=schema, has_header=False, skip_rows=skip), []
    except InputError:
        # Slower, but it can distinguish a missing value or a boolean from a mistake, and name that.
        words = dict.fromkeys(schema, pl.String())
        frame = text.read(path, form, schema=words, has_header=False, skip_rows=skip)
    names = [name for name, dtype in schema.items() if dtype == pl.Float64()]
    return numbers.parse(frame, names, path=path, first_line=skip + 1, prefix=prefix)


def _check_ids(ids: pl.Series, path: Path, noun: str) -> None:
    """Refuse a feature table without rows, or with missing or repeated ids."""
    if ids.is_empty():
        raise InputError(f"{path} has no rows")
    if ids.null_count():
        raise InputError(f"{ids.null_count():,} rows of {path} have no {ids.name}")
    repeated = ids.filter(ids.is_duplicated())
    if len(repeated):
        raise InputError(f"{path} has several rows for {noun} {repeated[0]!r}: keep one")


def finite(features: pl.DataFrame, path: Path, kind: Kind) -> pl.DataFrame:
    """Return the rows of a feature table in which every feature is a finite number."""
    names = [name for name in features.columns if name != kind.id]
    finite = features.select(pl.col(*names).is_finite().fill_null(False))
    kept = features.filter(finite.select(pl.all_horizontal(*names)).to_series())
    if kept.is_empty():
        worst = min(names, key=lambda name: finite[name].sum())
        raise InputError(
            f"no row of {path} has only finite numbers: delete columns with missing values, such "
            f"as {worst.removeprefix(kind.prefix)!r} (finite in {finite[worst].sum():,} of "
            f"{features.height:,} rows)"
        )
    return kept
