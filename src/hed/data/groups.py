"""Groups of drugs or of cells that a run holds out together: mechanisms, scaffolds, tissues.

A table gives each drug (or cell) its group: a column with the ids as the response table has them,
`improve_chem_id` or `improve_sample_id`, and a column `group` (or any, if it is the only other).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.data import numbers, tables, text
from hed.data.tables import CELL, DRUG, NOUN
from hed.errors import InputError
from hed.words import listed

GROUP = "group"


@dataclass(frozen=True)
class Groups:
    """Which group each drug (or cell) is in.

    Attributes:
        column: `DRUG` or `CELL`, whose ids are grouped.
        of: id to group; an id without one is never held out.
        names: the groups, in order of first appearance in the table: what indices count.
        digest: of ids and groups, whatever the file's name.
    """

    column: str
    of: Mapping[str, str]
    names: list[str]
    digest: str

    def members(self, ids: pl.Series, index: int) -> pl.Series:
        """Return which ids are in the group with an index, as a mask.

        Raises:
            InputError: if there is no such group.
        """
        tables.check_index(index, len(self.names), GROUP)
        chosen = [each for each, group in self.of.items() if group == self.names[index]]
        return ids.is_in(chosen)

    def unknown(self, ids: pl.Series) -> list[str]:
        """Return sentences on grouped ids that no response has, and on ids without a group.

        Raises:
            InputError: if no id of the groups has responses, or one group has all of them.
        """
        used = set(ids.unique())
        groups = {self.of.get(each) for each in used}
        if groups == {None}:
            raise InputError(
                f"partition: no {NOUN[self.column]} of groups has responses: make the ids of the "
                "table those of the data"
            )
        if len(groups) == 1:
            raise InputError(
                f"partition: all {NOUN[self.column]}s are in the group {groups.pop()!r}: without "
                "them there is nothing to train on"
            )
        noun = NOUN[self.column]
        absent, apart = [i for i in self.of if i not in used], sorted(used - self.of.keys())
        return [
            f"{len(names):,} {noun}s {what}: {listed(names)}"
            for names, what in (
                (absent, "of the groups have no responses"),
                (apart, "are in no group, and never held out"),
            )
            if names
        ]


def read(path: Path) -> Groups:
    """Return the groups that a table gives, tab- or comma-separated.

    Raises:
        InputError: if it is missing or no such table, or an id has two groups.
    """
    if not path.is_file():
        raise InputError(f"partition: groups: no such file: {path}")
    form = text.recognise(path)
    table = text.read(path, form, infer_schema=False, null_values=list(numbers.MISSING))
    column, group = _columns(table, path)
    rows = table.select(id=column, group=group).drop_nulls().unique(maintain_order=True)
    if rows.is_empty():
        raise InputError(f"{path} gives no {NOUN[column]} a group")
    if rows["id"].is_duplicated().any():
        twice = rows.filter(rows["id"].is_duplicated())["id"][0]
        groups = rows.filter(pl.col("id") == twice)[GROUP].to_list()
        raise InputError(f"{path} has {twice} in several groups ({listed(groups)}): give it one")
    digest = hashlib.blake2b(rows.write_csv().encode(), digest_size=16).hexdigest()
    return Groups(column, dict(rows.iter_rows()), tables.distinct(rows[GROUP]), digest)


def _columns(table: pl.DataFrame, path: Path) -> tuple[str, str]:
    """Return the columns of ids and of groups."""
    ids = [column for column in (DRUG, CELL) if column in table.columns]
    if len(ids) != 1:
        raise InputError(
            f"{path} needs one column of ids, {DRUG} or {CELL}; its columns are "
            f"{listed(table.columns)}"
        )
    others = [column for column in table.columns if column not in ids]
    if GROUP in others:
        return ids[0], GROUP
    if len(others) != 1:
        raise InputError(
            f"{path} needs a column {GROUP!r}; its columns are {listed(table.columns)}"
        )
    return ids[0], others[0]
