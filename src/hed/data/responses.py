"""The usable responses, those whose cell and drug have features, numbered as in the file.

Preprocessing drops incomplete features but not the responses, so a response table may name cells
and drugs without features. Indices count them, or a UPF would hold out other drugs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from hed.data import raw, tables
from hed.data.tables import CELL, DRUG, NOUN
from hed.errors import InputError
from hed.words import listed


@dataclass(frozen=True)
class Responses:
    """A response table.

    Attributes:
        rows: the responses whose cell and drug have features, in the order of the file.
        ids: for `CELL` and `DRUG`, the distinct ids of the whole file in order of first appearance.
        featureless: of these, those that have no features.
        total: rows of the file that were selected.
        numbers: of each of `rows`, its number in the file, from 0.
        file_rows: rows of the file; None if preprocessing selected some and recorded no count.
    """

    rows: pl.DataFrame
    ids: Mapping[str, list[str]]
    featureless: Mapping[str, list[str]]
    total: int
    numbers: pl.Series
    file_rows: int | None

    def empty(self, column: str) -> list[int]:
        """Return the indices of drugs (or cells) without usable rows."""
        used = set(self.rows[column].unique())
        return [index for index, each in enumerate(self.ids[column]) if each not in used]


def read(data: Path) -> Responses:
    """Return the responses of a preprocessed data set.

    Raises:
        InputError: if a table is missing or damaged, or no response has features.
    """
    response = tables.read_response(data / tables.RESPONSE_FILE)
    known = {kind.id: tables.feature_ids(data, kind) for kind in tables.KINDS}
    found = select(response, known)
    if found.rows.is_empty():
        raise InputError(
            f"no row of {data / tables.RESPONSE_FILE} has both its cell in "
            f"{tables.EXPRESSION_FILE} and its drug in {tables.DESCRIPTOR_FILE}: make their ids "
            f"agree (cells are like {response[CELL][0]!r} here, drugs like {response[DRUG][0]!r})"
        )
    return found


def beside(table: Path) -> Responses:
    """Return the responses of a table, only those with features if feature tables are beside it.

    Raises:
        InputError: as `read` does.
    """
    if table.name == tables.RESPONSE_FILE and all(
        (table.parent / kind.file).exists() for kind in tables.KINDS
    ):
        return read(table.parent)
    response = tables.read_response(table)
    return select(response, {column: response[column] for column in (CELL, DRUG)})


def of_raw(data: raw.Tables) -> Responses:
    """Return the responses of raw tables."""
    found = select(data.response, {CELL: data.expression[CELL], DRUG: data.descriptors[DRUG]})
    # Tables that were not read from files have all their rows.
    return replace(found, file_rows=data.file_rows or found.file_rows)


def read_checked(data: Path) -> Responses:
    """Return the responses of a preprocessed data set after checking all features' values.

    Raises:
        InputError: as `read` does, or if a feature is not a finite number.
    """
    for kind in tables.KINDS:
        tables.check_features(data, kind)
    return read(data)


def select(response: pl.DataFrame, known: Mapping[str, pl.Series]) -> Responses:
    """Return the responses with features.

    Args:
        response: all rows, with `CELL` and `DRUG`.
        known: for both, the ids that have features.
    """
    ids = {column: tables.distinct(response[column]) for column in (CELL, DRUG)}
    having = {column: set(known[column]) for column in ids}
    featureless = {column: [i for i in ids[column] if i not in having[column]] for column in ids}
    is_numbered = tables.NUMBER in response.columns
    rows = response if is_numbered else response.with_row_index(tables.NUMBER)
    for column, absent in featureless.items():
        if absent:
            rows = rows.filter(~pl.col(column).is_in(absent))
    return Responses(
        rows=rows if is_numbered else rows.drop(tables.NUMBER),
        ids=ids,
        featureless=featureless,
        total=len(response),
        numbers=rows[tables.NUMBER].cast(pl.Int64),
        file_rows=None if is_numbered else len(response),
    )


def summary(responses: Responses) -> str:
    """Return a sentence on how many responses there are, and of how many drugs and cells."""
    ids = responses.ids
    found = (
        f"{len(responses.rows):,} responses of {len(ids[DRUG]):,} drugs in {len(ids[CELL]):,} cells"
    )
    studies = raw.sources(responses.rows)
    return f"{found}, from {listed(studies)}" if studies else found


def notes(responses: Responses, column: str | None) -> Iterator[str]:
    """Yield sentences on unusable responses, and on drugs (or cells) without usable ones.

    Args:
        column: what indices count; None where they are seeds.
    """
    yield from _doubts(responses.rows)
    dropped = responses.total - len(responses.rows)
    if not dropped:
        return
    whose = [
        f"{_counted(len(absent), NOUN[of])} ({listed(absent)})"
        for of, absent in responses.featureless.items()
        if absent
    ]
    yield (
        f"{dropped:,} of {responses.total:,} responses are not used: "
        f"there are no features of {' and '.join(whose)}"
    )
    if column and (empty := responses.empty(column)):
        named = [f"{index} {responses.ids[column][index]}" for index in empty]
        yield (
            f"no row to be tested on for {len(empty):,} of "
            f"{_counted(len(responses.ids[column]), NOUN[column])}, whose indices stay: "
            f"{listed(named)}"
        )


def _doubts(rows: pl.DataFrame) -> Iterator[str]:
    """Yield sentences on responses that may be mistakes."""
    auc = pl.col(tables.AUC)
    outside = rows.select(((auc < 0) | (auc > 1)).sum()).item()
    if outside:
        yield f"AUC outside 0 to 1, which a sigmoid cannot predict: {_counted(outside, 'response')}"
    repeated = len(rows) - len(rows.drop(tables.NUMBER, strict=False).unique())
    if repeated:
        yield (
            f"exactly like an earlier one: {_counted(repeated, 'response')}; "
            "preprocess: drop_repeated drops those of raw tables"
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
