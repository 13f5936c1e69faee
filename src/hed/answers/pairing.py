"""Which rows of two experiments' tables are of the same drug."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from hed.answers import heldout
from hed.errors import InputError
from hed.experiment.kind import KINDS, kind_of
from hed.experiment.runs import list_runs, read_experiment

# Of these, an index or a name does not tell which rows a run holds out.
BY_CHOICE = tuple(KINDS[mode] for mode in ("by_group", "random", "file"))


def key(tables: Sequence[pl.DataFrame]) -> str:
    """Return what drugs are matched by: `drug` if all tables name all of theirs, else `index`.

    The original's experiments do not name drugs; there an index is the same drug as long as the
    response tables are the same.
    """
    return "drug" if all(_are_named(table) for table in tables) else "index"


def check(tables: Mapping[str, pl.DataFrame], by: str, noun: str = "drug") -> None:
    """Refuse tables, by the name of their experiment, in which drugs cannot be matched.

    Another noun than `drug` stands in the sentences.

    Raises:
        InputError: if a row has no index where that is needed, or several have the same drug.
    """
    for name, table in tables.items():
        if table[by].null_count():
            run = table.filter(pl.col(by).is_null())["run"][0]
            raise InputError(f"nothing tells which {noun} {run} of {name} holds out: add its index")
        repeated = table.filter(table[by].is_duplicated())
        if len(repeated):
            runs = " and ".join(repeated.filter(pl.col(by) == repeated[by][0])["run"][:2])
            raise InputError(
                f"{runs} of {name} hold out the same {noun}: "
                f"compare experiments with one run per {noun}"
            )


def check_rows(experiments: Mapping[str, Path]) -> None:
    """Refuse experiments whose splits (groups) have other rows under the same index (name).

    Those that hold out drugs or cells are not read: they are told apart by their ids.

    Raises:
        InputError: which names the first one.
    """
    first, *others = experiments
    if kind_of(experiments[first]) not in BY_CHOICE:
        return
    expected = _rows_of(experiments[first])
    for other in others:
        found = _rows_of(experiments[other])
        for held_out in expected.keys() & found.keys():
            if _differ(found[held_out], expected[held_out]):
                raise InputError(
                    f"{held_out} has other test rows in {other} than in {first} (another seed or "
                    "other files): compare experiments that were split alike"
                )


def dependence(noun: str) -> str:
    """Return why nothing is tested where `share_rows` holds."""
    return f"{noun}s share test rows, so that they are no independent sample"


def share_rows(directory: Path) -> bool:
    """Return whether some runs of an experiment were tested on the same rows.

    Their scores are then no independent sample, and tests would find too much.
    """
    kind = kind_of(directory)
    if not kind.overlaps:
        return False
    rows = heldout.predictions(list_runs(read_experiment(directory)), kind=kind).rows
    each = rows.select("held_out", "drug", "cell", "true").unique()
    return bool(each.select("drug", "cell", "true").is_duplicated().any())


def _differ(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    """Return whether both have rows that the other lacks; a model may have failed on some.

    Drugs count if both name them.
    """
    named = not (one["drug"].has_nulls() or other["drug"].has_nulls())
    columns = ["drug", "cell", "true"] if named else ["cell", "true"]
    lacking = (a.join(b, on=columns, how="anti").height for a, b in ((one, other), (other, one)))
    return all(lacking)


def _rows_of(directory: Path) -> dict[str, pl.DataFrame]:
    """Return the rows that each split or group of an experiment has, with their truth."""
    runs = list_runs(read_experiment(directory))
    rows = heldout.predictions(runs, kind=kind_of(directory)).rows
    return {
        str(name): part for (name,), part in rows.partition_by("held_out", as_dict=True).items()
    }


def _are_named(table: pl.DataFrame) -> bool:
    """Return whether every row has a drug that is more than a label made of its index or run."""
    label = pl.concat_str(pl.lit("index "), pl.col("index").cast(pl.String))
    stand_in = (pl.col("drug") == label).fill_null(False) | (pl.col("drug") == pl.col("run"))
    return bool(table.select((pl.col("drug").is_not_null() & ~stand_in).all()).item())
