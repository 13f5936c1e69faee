"""Which rows of two experiments' tables are of the same drug."""

from collections.abc import Mapping, Sequence

import polars as pl

from hed.errors import InputError


def key(tables: Sequence[pl.DataFrame]) -> str:
    """Return what drugs are matched by: `drug` if all tables name all of theirs, else `index`.

    The original's experiments do not name drugs; there an index is the same drug as long as the
    response tables are the same.
    """
    return "drug" if all(_are_named(table) for table in tables) else "index"


def check(tables: Mapping[str, pl.DataFrame], by: str) -> None:
    """Refuse tables, by the name of their experiment, in which drugs cannot be matched.

    Raises:
        InputError: if a row has no index where that is needed, or several have the same drug.
    """
    for name, table in tables.items():
        if table[by].null_count():
            run = table.filter(pl.col(by).is_null())["run"][0]
            raise InputError(f"nothing tells which drug {run} of {name} holds out: add its index")
        repeated = table.filter(table[by].is_duplicated())
        if len(repeated):
            runs = " and ".join(repeated.filter(pl.col(by) == repeated[by][0])["run"][:2])
            raise InputError(
                f"{runs} of {name} hold out the same drug: "
                "compare experiments with one run per drug"
            )


def _are_named(table: pl.DataFrame) -> bool:
    """Return whether every row has a drug that is more than a label made of its index or run."""
    label = pl.concat_str(pl.lit("index "), pl.col("index").cast(pl.String))
    stand_in = (pl.col("drug") == label).fill_null(False) | (pl.col("drug") == pl.col("run"))
    return bool(table.select((pl.col("drug").is_not_null() & ~stand_in).all()).item())
