"""The raw tables of an IMPROVE data set: response, gene expression, Mordred descriptors."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed import files, words
from hed.data import features, layout, numbers, tables, text
from hed.data.layout import DESCRIPTOR_TSV, EXPRESSION_TSV, RESPONSE_TSV
from hed.data.tables import AUC, CELL, DESCRIPTORS, DRUG, EXPRESSION
from hed.errors import InputError
from hed.names import LANDMARK

SOURCE, FIT = "source", "r2fit"


@dataclass(frozen=True)
class Tables:
    """An IMPROVE data set.

    response: one row per measurement, `CELL`, `DRUG`, `AUC` and the file's other columns.
    expression: one row per cell with a usable response, `CELL` and `ge.*`, all finite.
    descriptors: one row per such drug, `DRUG` and `mordred.*`, all finite.
    dropped: how many "cells" and "drugs" had a missing or infinite feature, and how many response
        "rows" cannot be used, since their cell or drug has no features.
    notes: sentences about the format of the files, where it is not IMPROVE's.
    file_rows: rows of the response's file, of which `response` may have a part.
    """

    response: pl.DataFrame
    expression: pl.DataFrame
    descriptors: pl.DataFrame
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()
    file_rows: int | None = None


@dataclass(frozen=True)
class Choice:
    """Which part of the raw tables is used.

    Attributes:
        sources: values of the response's column `source`; all if empty.
        y_column: column of the response that is used as the AUC.
        genes: file of gene symbols, one a line, or `landmark` for the data set's own list
            `landmark_genes.txt`; all genes if empty.
        drop_repeated: drop rows that repeat another one exactly; replicates with other values stay.
        min_r2fit: least `r2fit`, the quality of the dose-response curve's fit; None for all.
    """

    sources: tuple[str, ...] = ()
    y_column: str = AUC
    genes: str = ""
    drop_repeated: bool = False
    min_r2fit: float | None = None

    @property
    def leaves_rows_out(self) -> bool:
        """Whether responses may be left out."""
        return bool(self.sources or self.drop_repeated or self.min_r2fit is not None)


ALL = Choice()


def read(directory: Path, choice: Choice = ALL) -> Tables:
    """Return the raw tables of `directory`, all in the order of their files.

    Raises:
        InputError: if a table is missing, empty or malformed, lacks what was chosen, or if no
            response row has features.
    """
    paths = [layout.find(directory, name) for name in layout.FILES]
    whole, notes = _response(paths[0], choice)
    response = _chosen(whole, paths[0], choice)
    cells, of_cells = features.read(paths[1], EXPRESSION)
    drugs, of_drugs = features.read(paths[2], DESCRIPTORS)
    if choice.genes:
        cells, absent = _genes(cells, list_of_genes(choice.genes, directory), paths[1])
        notes += absent
    expression = features.finite(cells, paths[1], EXPRESSION)
    descriptors = features.finite(drugs, paths[2], DESCRIPTORS)
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
        notes=(*notes, *of_cells, *of_drugs),
        file_rows=whole.height,
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
    """Return the studies that a response table is made up of, if it names them."""
    if SOURCE not in response.columns:
        return []
    # A study may be named by a number.
    return sorted(response[SOURCE].drop_nulls().cast(pl.String).unique())


def list_of_genes(genes: str, directory: Path) -> Path:
    """Return the file that lists the genes to keep.

    Raises:
        InputError: if there is none.
    """
    if genes != LANDMARK:
        if not Path(genes).is_file():
            raise InputError(f"genes: no such file: {genes}")
        return Path(genes)
    listed = layout.find(directory, layout.LANDMARK_GENES)
    if not listed.is_file():
        raise InputError(
            f"genes: {LANDMARK} needs {layout.LANDMARK_GENES}, one gene symbol per line, in "
            f"{directory} or its x_data: IMPROVE's models bring this list, the benchmark does not"
        )
    return listed


def _genes(cells: pl.DataFrame, listed: Path, path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Return an expression table with only the genes of a list, in the table's order, and notes."""
    lines = filter(None, (line.strip() for line in files.read_lines(listed)))
    wanted = {f"{EXPRESSION.prefix}{line}": line for line in lines}
    found = [name for name in cells.columns if name in wanted]
    if not found:
        raise InputError(f"none of the genes of {listed} is a column of {path}")
    absent = [symbol for name, symbol in wanted.items() if name not in cells.columns]
    notes = [
        f"{len(absent)} of {len(wanted)} genes of {listed.name} are not in {path.name}: "
        f"{words.listed(absent)}"
    ]
    return cells.select(CELL, *found), notes if absent else []


def _chosen(response: pl.DataFrame, path: Path, choice: Choice) -> pl.DataFrame:
    """Return the rows of the chosen sources, with the chosen column as the AUC.

    If rows are selected, each keeps its number in the file, by which splits name it. The table
    passes the checks that a preprocessed one passes.
    """
    if choice.leaves_rows_out:
        response = response.with_row_index(tables.NUMBER)
    if choice.sources:
        known = sources(response)
        for name in choice.sources:
            if name not in known:
                there = ", ".join(known) or f"no column {SOURCE!r}"
                raise InputError(f"{path} has no source {name!r}: it has {there}")
        response = response.filter(pl.col(SOURCE).cast(pl.String).is_in(choice.sources))
    if choice.drop_repeated:
        whole = [name for name in response.columns if name != tables.NUMBER]
        response = response.unique(whole, keep="first", maintain_order=True)
    if choice.min_r2fit is not None:
        tables.require_columns(response.columns, [FIT], path)
        fit = pl.col(FIT).cast(pl.Float64, strict=False)
        # NaN, which counts as more than any number, is that of a curve that was not fitted.
        response = response.filter(fit.is_finite() & (fit >= choice.min_r2fit))
        if response.is_empty():
            raise InputError(
                f"no response of {path} has an r2fit of at least {choice.min_r2fit:g}: lower "
                "preprocess: min_r2fit"
            )
    if choice.y_column != AUC:
        response = response.drop(AUC, strict=False).rename({choice.y_column: AUC})
    tables.check_response(response, path)
    return response.with_columns(pl.col(AUC).cast(pl.Float64))


def _response(path: Path, choice: Choice) -> tuple[pl.DataFrame, list[str]]:
    """Return the whole response table, with the columns that count as numbers, and notes."""
    form = text.recognise(path)
    columns = features.leading_rows(path, form)[0]
    used = [CELL, DRUG, choice.y_column]
    tables.require_columns(columns, used, path)
    if len(set(used)) < len(used):
        raise InputError(f"y_column: {choice.y_column} names what was tested: give a response")
    if twice := [name for name in used if columns.count(name) > 1]:
        raise InputError(f"{path} has several columns {twice[0]!r}: keep one")
    if tables.NUMBER in columns:
        raise InputError(f"{path} has a column {tables.NUMBER!r}, a name that is taken: rename it")
    # The other columns may turn from integers to text late in the file: look at every row.
    response = text.read(
        path, form, schema_overrides={CELL: pl.String, DRUG: pl.String}, infer_schema_length=None
    )
    fit = [FIT] if choice.min_r2fit is not None and FIT in response.columns else []
    used = [choice.y_column, *fit]
    notes = [*form.notes]
    if words := [name for name in used if response.schema[name] == pl.String]:
        response, more = numbers.parse(response, words, path=path, first_line=2)
        notes += more
    return response, notes
