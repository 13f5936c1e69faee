"""The raw tables of an IMPROVE data set: response, gene expression, Mordred descriptors.

Expression comes in two forms: one header row, or IMPROVE's benchmark form with one header row for
each naming system (Ensembl, Entrez, Gene_Symbol). Both give the same table.
"""

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.datatypes import DataType

from hed.data import layout, tables
from hed.data.layout import DESCRIPTOR_TSV, EXPRESSION_TSV, RESPONSE_TSV
from hed.data.tables import AUC, CELL, DESCRIPTORS, DRUG, EXPRESSION, Kind
from hed.errors import InputError

SYMBOLS, SOURCE, FIT = "gene_symbol", "source", "r2fit"
# Entrez names are numbers, so header rows can be told only by their first field.
HEADER_LABELS = frozenset({"", "ensembl", "entrez", SYMBOLS, CELL})
INDEX = ""
# What pandas takes for a missing value, and its booleans (some Mordred descriptors are).
MISSING = ("", "NA", "N/A", "#N/A", "null", "NULL", "None")
WORDS = dict.fromkeys(MISSING) | {"True": "1", "False": "0"}


@dataclass(frozen=True)
class Tables:
    """An IMPROVE data set.

    response: one row per measurement, `CELL`, `DRUG`, `AUC` and the file's other columns.
    expression: one row per cell with a response that can be used, `CELL` and `ge.*`, all finite.
    descriptors: one row per such drug, `DRUG` and `mordred.*`, all finite.
    dropped: how many "cells" and "drugs" had a missing or infinite feature, and how many response
        "rows" cannot be used, since their cell or drug has no features.
    """

    response: pl.DataFrame
    expression: pl.DataFrame
    descriptors: pl.DataFrame
    dropped: dict[str, int]


@dataclass(frozen=True)
class Choice:
    """Which part of the raw tables is taken.

    Attributes:
        sources: values of the response's column `source`; all if empty.
        y_column: column of the response that is taken as the AUC.
        genes: file of gene symbols, one a line; all genes if empty.
        drop_repeated: drop rows that repeat another one exactly; replicates with other values stay.
        min_r2fit: least value of `r2fit`, how well the dose-response curve fits; None for all.
    """

    sources: tuple[str, ...] = ()
    y_column: str = AUC
    genes: str = ""
    drop_repeated: bool = False
    min_r2fit: float | None = None


ALL = Choice()


def read(directory: Path, choice: Choice = ALL) -> Tables:
    """Return the raw tables of `directory`, all in the order of their files.

    Raises:
        InputError: if a table is missing, empty or malformed, lacks what was chosen, or if no
            response row has features.
    """
    paths = [layout.find(directory, name) for name in layout.FILES]
    response = _response(paths[0], choice)
    cells = _features(paths[1], EXPRESSION)
    drugs = _features(paths[2], DESCRIPTORS)
    if choice.genes:
        cells = _genes(cells, Path(choice.genes), paths[1])
    expression = _finite(cells, paths[1], EXPRESSION)
    descriptors = _finite(drugs, paths[2], DESCRIPTORS)
    kept = response.filter(_among(expression, CELL), _among(descriptors, DRUG))
    if kept.is_empty():
        raise InputError(_nothing_left(directory, response, expression, descriptors))
    return Tables(
        response=response,
        expression=expression.filter(_among(kept, CELL)),
        descriptors=descriptors.filter(_among(kept, DRUG)),
        dropped={
            "cells": cells.height - expression.height,
            "drugs": drugs.height - descriptors.height,
            "rows": response.height - kept.height,
        },
    )


def _among(frame: pl.DataFrame, column: str) -> pl.Expr:
    """Select the rows whose id is one of those of `frame`."""
    return pl.col(column).is_in(frame[column].unique().implode())


def _nothing_left(
    directory: Path, response: pl.DataFrame, expression: pl.DataFrame, descriptors: pl.DataFrame
) -> str:
    """Return the sentence that shows how the ids of the three tables differ."""
    return (
        f"no row of {layout.find(directory, RESPONSE_TSV)} has both its cell in {EXPRESSION_TSV} "
        f"and its drug in {DESCRIPTOR_TSV}: make their ids agree (cells are like "
        f"{response[CELL][0]!r} here and {expression[CELL][0]!r} there, drugs like "
        f"{response[DRUG][0]!r} here and {descriptors[DRUG][0]!r} there)"
    )


def sources(response: pl.DataFrame) -> list[str]:
    """Return the studies that a response table is put together from, if it says so."""
    return sorted(response[SOURCE].drop_nulls().unique()) if SOURCE in response.columns else []


def _genes(cells: pl.DataFrame, listed: Path, path: Path) -> pl.DataFrame:
    """Return an expression table with the genes of a list alone, in the table's order."""
    if not listed.is_file():
        raise InputError(f"genes: no such file: {listed}")
    wanted = {f"{EXPRESSION.prefix}{line.strip()}" for line in listed.read_text().splitlines()}
    found = [name for name in cells.columns if name in wanted]
    if not found:
        raise InputError(f"none of the genes of {listed} is a column of {path}")
    return cells.select(CELL, *found)


def _chosen(response: pl.DataFrame, path: Path, choice: Choice) -> pl.DataFrame:
    """Return the rows of the chosen sources, with the chosen column as the AUC."""
    if choice.sources:
        known = sources(response)
        for name in choice.sources:
            if name not in known:
                there = ", ".join(known) or f"no column {SOURCE!r}"
                raise InputError(f"{path} has no source {name!r}: it has {there}")
        response = response.filter(pl.col(SOURCE).is_in(choice.sources))
    if choice.drop_repeated:
        response = response.unique(keep="first", maintain_order=True)
    if choice.min_r2fit is not None:
        tables.require_columns(response.columns, [FIT], path)
        response = response.filter(pl.col(FIT).cast(pl.Float64, strict=False) >= choice.min_r2fit)
    if choice.y_column == AUC:
        return response
    return response.drop(AUC, strict=False).rename({choice.y_column: AUC})


def _response(path: Path, choice: Choice) -> pl.DataFrame:
    """Return the response table after the checks that a preprocessed one also passes."""
    tables.require_columns(_leading_rows(path)[0], [CELL, DRUG, choice.y_column], path)
    # The other columns may turn from integers to text late: look at every row.
    response = _read_tsv(
        path, schema_overrides={CELL: pl.String, DRUG: pl.String}, infer_schema_length=None
    )
    response = _chosen(response, path, choice)
    if response.schema[AUC] == pl.String:
        response = _as_numbers(response, [AUC], path=path)
    tables.check_response(response, path)
    return response.with_columns(pl.col(AUC).cast(pl.Float64))


def _features(path: Path, kind: Kind) -> pl.DataFrame:
    """Return a feature table, one row per distinct id, features prefixed and as float64."""
    headers = _leading_rows(path)[: None if kind is EXPRESSION else 1]
    found = _names(headers, path) if kind is EXPRESSION else _clean(headers[0])
    tables.require_columns(found, [kind.id], path)
    names = _prefixed(found, kind, path)
    schema = {n: pl.Float64() if n.startswith(kind.prefix) else pl.String() for n in names}
    if pl.Float64() not in schema.values():
        raise InputError(f"{path} has no feature columns beside {kind.id!r}")
    frame = _parse(path, schema, skip=len(headers), prefix=kind.prefix)
    _check_ids(frame[kind.id], path, kind.noun)
    return frame.drop(INDEX, strict=False)


def _leading_rows(path: Path) -> list[list[str]]:
    """Return the first row of a TSV file and those after it that look like header rows."""
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        with layout.open_text(path) as stream:
            rows = csv.reader(stream, delimiter="\t")
            leading = [*itertools.islice(rows, 1), *itertools.takewhile(_is_header, rows)]
    except (UnicodeDecodeError, csv.Error) as error:
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
    """Return the column names that the header rows of an expression table give together.

    A column without a gene symbol takes its name from another row. The first column holds the
    cells, as IMPROVE reads it, unless a later one is named so.
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
    """Return which header row holds gene symbols: the one labelled so, or the third of three."""
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


def _read_tsv(path: Path, **options: Any) -> pl.DataFrame:
    """Read a TSV file, or say in a sentence why not."""
    try:
        return pl.read_csv(path, separator="\t", **options)
    except pl.exceptions.NoDataError:
        raise InputError(f"{path} has no rows") from None
    except pl.exceptions.SchemaError:
        raise InputError(f"the rows of {path} have not as many fields as its header") from None
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path} cannot be read as a table: {tables.first_line(error)}") from None


def _parse(path: Path, schema: Mapping[str, DataType], *, skip: int, prefix: str) -> pl.DataFrame:
    """Read the rows after `skip` header rows; words for missing values and booleans count."""
    rows: dict[str, Any] = {"has_header": False, "skip_rows": skip}
    try:
        return pl.read_csv(path, separator="\t", schema=schema, **rows)
    except pl.exceptions.PolarsError:
        # Slower, but it can tell a missing value or a boolean from a mistake, and name that.
        text = _read_tsv(path, schema=dict.fromkeys(schema, pl.String()), **rows)
    names = [name for name, dtype in schema.items() if dtype == pl.Float64()]
    return _as_numbers(text, names, path=path, prefix=prefix)


def _as_numbers(
    frame: pl.DataFrame, names: Sequence[str], *, path: Path, prefix: str = ""
) -> pl.DataFrame:
    """Return a table with the named text columns as float64, or name what is no number."""
    columns = pl.col(*names)
    text = frame.with_columns(columns.str.strip_chars().replace(WORDS))
    numbers = text.with_columns(columns.cast(pl.Float64, strict=False))
    for name in names:
        wrong = text[name].filter(text[name].is_not_null() & numbers[name].is_null())
        if len(wrong):
            raise InputError(
                f"column {name.removeprefix(prefix)!r} of {path} is not numeric, it holds "
                f"{wrong[0]!r}: repair it"
            )
    return numbers


def _check_ids(ids: pl.Series, path: Path, noun: str) -> None:
    """Refuse a feature table without rows, or with missing or repeated ids."""
    if ids.is_empty():
        raise InputError(f"{path} has no rows")
    if ids.null_count():
        raise InputError(f"{ids.null_count():,} rows of {path} have no {ids.name}")
    repeated = ids.filter(ids.is_duplicated())
    if len(repeated):
        raise InputError(f"{path} has several rows for {noun} {repeated[0]!r}: keep one")


def _finite(features: pl.DataFrame, path: Path, kind: Kind) -> pl.DataFrame:
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
