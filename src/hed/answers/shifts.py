"""How far each drug of a true list has moved in a predicted one."""

import csv
from pathlib import Path

import polars as pl

from hed.answers import sensitivity
from hed.errors import InputError

# The columns of true and predicted runs in the tables of the original's `list_diff`, from 0, and
# its lines of headings.
TRUE, PREDICTED, HEADINGS = 1, 4, 2


def read_table(path: Path) -> tuple[list[str], list[str]]:
    """Return the true and the predicted list from the original's table, which has both.

    Raises:
        InputError: if there is no such file, or it has too few columns.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    with path.open(newline="") as stream:
        rows = [row for row in list(csv.reader(stream))[HEADINGS:] if row]
    if not rows or any(len(row) <= PREDICTED for row in rows):
        raise InputError(
            f"{path} is not a table of list_diff: two lines of headings, then true runs in column "
            f"{TRUE + 1} and predicted ones in column {PREDICTED + 1}, separated by commas"
        )
    return [row[TRUE] for row in rows], [row[PREDICTED] for row in rows]


def read_lists(true: Path, predicted: Path) -> tuple[list[str], list[str]]:
    """Return the runs of two lists that top_drugs.py printed.

    Raises:
        InputError: if one is missing, or holds something else.
    """
    lists = (sensitivity.read_list(path)["run"].to_list() for path in (true, predicted))
    first, second = lists
    return first, second


def tabulate(true: list[str], predicted: list[str], count: int | None = None) -> pl.DataFrame:
    """Return a row for each of the first `count` runs of the true list.

    Columns: rank (from 0), run, there (the run that has this rank in the predicted list), shift
    (ranks by which the run is later in the predicted list; null if it is not in it).

    Raises:
        InputError: if `count` is below 1.
    """
    if count is not None and count < 1:
        raise InputError(f"COUNT must be at least 1, not {count}")
    places = {run: place for place, run in reversed(list(enumerate(predicted)))}
    rows = [
        (rank, run, predicted[rank] if rank < len(predicted) else None, _shift(places, run, rank))
        for rank, run in enumerate(true[:count])
    ]
    schema = {"rank": pl.Int64, "run": pl.String, "there": pl.String, "shift": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _shift(places: dict[str, int], run: str, rank: int) -> int | None:
    return places[run] - rank if run in places else None


def render(table: pl.DataFrame) -> str:
    """Return the original's lines: rank, run, the run that is there, shift; and both sums."""
    lines = [
        f"{rank:4} {run} {there or '-'} {'   -' if shift is None else f'{shift:4}'}\n"
        for rank, run, there, shift in table.iter_rows()
    ]
    total = int(table["shift"].sum())
    squares = int((table["shift"] ** 2).sum())
    return "".join([*lines, f"\ndiff_sum:  {total:8}\n", f"diff_sum2: {squares:8}\n"])
