"""What a response table, or an experiment, contains: its drugs, its cells, and their counts."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hed.answers import heldout
from hed.data import layout, numbers, preprocess, raw, responses, tables, text
from hed.data.raw import Choice
from hed.data.tables import CELL, DRUG, NOUN
from hed.errors import InputError
from hed.experiment.description import partition_mode
from hed.experiment.runs import list_runs, read_experiment
from hed.names import RECORD, RUNS


def is_experiment(path: Path) -> bool:
    """Return whether `path` is the directory of an experiment, not a data set."""
    return (path / RUNS).is_dir() or (path / RECORD).is_file()


def names(path: Path, column: str, choice: Choice = raw.ALL) -> list[str]:
    """Return the drugs or cells of a response table, or of a data directory's, in index order.

    Those without features count, too, since indices are those of the table.

    Args:
        path: the table or directory.
        column: `CELL` or `DRUG`.
        choice: the part of raw tables that an experiment uses, whose indices these are.

    Raises:
        InputError: if there is no table, it lacks `column`, or a row has no id there.
    """
    if layout.is_raw(path):
        return tables.distinct(raw.read(path, choice).response[column])
    table = path / tables.RESPONSE_FILE if path.is_dir() else path
    ids = tables.scan(table, [column]).select(column).collect()[column]
    if ids.null_count():
        raise InputError(f"{ids.null_count():,} rows of {table} have no {column}")
    return tables.distinct(ids)


def chosen(path: Path, given: Mapping[str, Any]) -> Choice:
    """Return the part of raw tables that the options of `options.add_choice` select.

    Raises:
        InputError: if they select a part of what is no raw table.
    """
    choice = preprocess.choice({**given, "genes": ""})  # which cells have features does not matter
    if choice != raw.ALL and not layout.is_raw(path):
        raise InputError(f"{path} has no raw tables of which a part could be chosen")
    return choice


def numbered(ids: Sequence[str], column: str, indices: Iterable[int]) -> pl.DataFrame:
    """Return index and drug (or cell) of `ids`, of all or only of those at `indices`.

    Raises:
        InputError: if there is none at an index.
    """
    chosen = sorted(set(indices))
    for index in chosen:
        tables.check_index(index, len(ids), NOUN[column])
    table = pl.DataFrame({NOUN[column]: ids}, schema={NOUN[column]: pl.String})
    return table.with_row_index("index")[chosen] if chosen else table.with_row_index("index")


def held_out_drugs(experiment: Path, indices: Iterable[int]) -> pl.DataFrame:
    """Return index and drug of what the runs of an experiment hold out, in index order.

    Raises:
        InputError: if the experiment does not name its drugs, as the original's do not, or none
            of its runs has an index.
    """
    described = read_experiment(experiment)
    if described.is_original:
        raise InputError(
            f"{experiment} does not name its drugs, since the original wrote it: "
            "give its DATA_SOURCE instead"
        )
    mode = partition_mode(experiment)
    if mode != "by_drug":
        raise InputError(f"{experiment} was partitioned {mode}: give its DATA_SOURCE instead")
    drugs = {
        r.index: r.drug
        for r in list_runs(read_experiment(experiment))
        if r.index is not None and r.drug
    }
    unknown = [index for index in indices if index not in drugs]
    if unknown:
        raise InputError(f"no run of {experiment} has index {unknown[0]}")
    chosen = sorted(set(indices) or drugs)
    return pl.DataFrame(
        {"index": chosen, "drug": [drugs[index] for index in chosen]},
        schema={"index": pl.Int64, "drug": pl.String},
    )


def predicted_cells(experiment: Path) -> pl.DataFrame:
    """Return the cells that the runs of an experiment predict, by name: cell, runs, rows.

    Raises:
        InputError: if it is not an experiment, or no run has predictions.
    """
    rows = heldout.predictions(list_runs(read_experiment(experiment))).parts
    if rows.is_empty():
        raise InputError(f"no run of {experiment} has predictions yet: wait for the first to end")
    return rows.group_by("cell").agg(runs=pl.col("run").n_unique(), rows=pl.len()).sort("cell")


def render_numbered(table: pl.DataFrame) -> str:
    """Return `%03i NAME` lines, as the original lists drugs."""
    return "".join(f"{index:03d} {name}\n" for index, name in table.iter_rows())


def count(path: Path) -> dict[str, str | int]:
    """Return the rows, drugs, cells and bytes of a response table, parquet or TSV.

    A directory stands for its response table. All rows count, including replicates; a missing id
    is no drug and no cell.

    Raises:
        InputError: if there is no table, or it lacks a column.
    """
    table = _response_table(path)
    distinct = {"drugs": pl.col(DRUG), "cells": pl.col(CELL)}
    found = _scan(table).select(
        rows=pl.len(), **{name: ids.drop_nulls().n_unique() for name, ids in distinct.items()}
    )
    counts = found.collect().row(0, named=True)
    return {"table": str(table), **counts, "bytes": table.stat().st_size}


def about(path: Path) -> list[str]:
    """Return sentences about the data of a response table: what may be wrong, what cannot be used.

    Features count if they are beside it. What makes them useless is a sentence, too.
    """
    try:
        if layout.is_raw(path):
            given = raw.read(path)
            return [*given.notes, *responses.notes(responses.of_raw(given), None)]
        if _is_text(path):
            return [*text.recognise(path).notes]
        return [*responses.notes(responses.beside(_response_table(path)), None)]
    except InputError as error:
        return [str(error)]


def _response_table(path: Path) -> Path:
    """Return the response table that a file or directory means."""
    if not path.is_dir():
        return path
    if layout.is_raw(path):
        return layout.find(path, layout.RESPONSE_TSV)
    return path / tables.RESPONSE_FILE


def _is_text(table: Path) -> bool:
    """Tell whether a file is a text table, by its name."""
    return bool({".tsv", ".txt", ".csv"} & set(table.suffixes))


def _scan(table: Path) -> pl.LazyFrame:
    """Return the ids of a response table, as strings."""
    if not _is_text(table):
        return tables.scan(table, [CELL, DRUG])
    form = text.recognise(table)
    frame = text.read(table, form, infer_schema=False, null_values=list(numbers.MISSING))
    tables.require_columns(frame.columns, [CELL, DRUG], table)
    return frame.lazy()
