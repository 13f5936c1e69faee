"""The drugs that a cell is most sensitive to, and how many of them the predictions find."""

import difflib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from hed import files
from hed.errors import InputError

Order = Literal["true", "predicted"]
# The original says `pred`.
TYPES: Mapping[str, Order] = {"true": "true", "pred": "predicted", "predicted": "predicted"}

REDUCTIONS = ("mean", "min")
COLUMNS = ("run", "true", "predicted", "cell")


def top_drugs(
    rows: pl.DataFrame, cell: str, *, order: Order, count: int, reduce: str = "mean"
) -> pl.DataFrame:
    """Return the `count` drugs to which `cell` is most sensitive, lowest AUC first.

    Columns: run, true, predicted (AUC), cell, drug, replicates (the rows that were reduced to one).

    Args:
        rows: those of `heldout.HeldOut`.
        order: by which AUC; ties are in the order of the runs.
        reduce: "mean" of a run's replicates, of both AUCs; or "min", the replicate of the lowest
            AUC by `order`, which the original keeps.

    Raises:
        InputError: if no row has the cell, or `count` is less than 1.
    """
    if count < 1:
        raise InputError(f"COUNT must be at least 1, not {count}")
    found = rows.filter(pl.col("cell") == cell)
    if found.is_empty():
        raise InputError(f"no prediction for cell {cell!r}{_hint(rows, cell)}")
    auc = pl.col("true", "predicted")
    one = auc.mean() if reduce == "mean" else auc.sort_by(order).first()
    per_run = found.group_by("run", "drug", "cell", maintain_order=True).agg(
        one, replicates=pl.len()
    )
    return (
        per_run.sort(order, maintain_order=True).head(count).select(*COLUMNS, "drug", "replicates")
    )


def render(table: pl.DataFrame) -> str:
    """Return `RUN731  0.2939  0.3125  ACH-000956` lines: run, true, predicted, cell."""
    width = max(map(len, table["run"]), default=0)
    rows = table.select(COLUMNS).iter_rows()
    return "".join(f"{run:<{width}}  {a:.4f}  {p:.4f}  {cell}\n" for run, a, p, cell in rows)


def notes(top: pl.DataFrame, reduce: str, count: int) -> Iterator[str]:
    """Yield notes on a list of top drugs: how replicates were reduced, and
    whether it is shorter than wanted."""
    several = top.filter(pl.col("replicates") > 1)
    if len(several):
        how = "their mean" if reduce == "mean" else "the one of the lowest AUC"
        yield f"{len(several)} of {len(top)} drugs have several rows for the cell: {how} is shown"
    if len(top) < count:
        yield f"only {len(top)} drugs were tested on the cell"


def read_list(path: Path) -> pl.DataFrame:
    """Return a list that `top_drugs` printed to a file: run, true, predicted, cell.

    Raises:
        InputError: if it cannot be read, contains something else, or does not tell drugs apart.
    """
    lines = [line.split(maxsplit=3) for line in files.read_lines(path)]
    try:
        rows = [(run, float(a), float(p), cell.strip()) for run, a, p, cell in filter(None, lines)]
    except ValueError:
        rows = []
    if not rows:
        raise InputError(f"{path} is not a list that top_drugs.py printed: RUN TRUE PRED CELL")
    schema = {"run": pl.String, "true": pl.Float64, "predicted": pl.Float64, "cell": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if len(double := table.filter(table.select("run", "cell").is_duplicated())):
        raise InputError(
            f"{path} has {double['run'][0]} several times for {double['cell'][0]}, so its runs do "
            "not hold out drugs: score_cell.py compares the drugs of such an experiment"
        )
    return table


def match(true: pl.DataFrame, predicted: pl.DataFrame) -> pl.DataFrame:
    """Return the true list, with `hit`: whether the predicted list has the same run and cell.

    And the same drug, where both name it: a run may hold out something else.
    """
    both = {*true.columns} & {*predicted.columns}
    keys = [name for name in ("run", "drug", "cell") if name in both]
    found = predicted.select(keys).unique().with_columns(hit=True)
    joined = true.join(found, on=keys, how="left", maintain_order="left")
    return joined.with_columns(pl.col("hit").fill_null(False))


def render_match(matched: pl.DataFrame) -> str:
    """Return the original's `hit: ...` lines, and the share of the true list that was hit."""
    lines = render(matched.filter("hit")).splitlines()
    return "".join(f"hit: {line}\n" for line in lines) + f"{render_share(matched)}\n"


def render_share(matched: pl.DataFrame) -> str:
    """Return the share of a true list that was hit, as `hits: 30.0%`."""
    return f"hits: {100 * matched['hit'].sum() / len(matched):4.1f}%"


def _hint(rows: pl.DataFrame, cell: str) -> str:
    """Return the most similar cell, if any is similar, and how to see all."""
    near = difflib.get_close_matches(cell, rows["cell"].unique().to_list(), n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ":"
    return f"{meant} list_cells.py lists the cells"


def score_cells(
    rows: pl.DataFrame, *, count: int, cells: Sequence[str] | None = None
) -> pl.DataFrame:
    """Return a row per cell: how many of its `count` most sensitive drugs the predictions find.

    Columns: cell, drugs (tested), hits, share (of `count`; null if no more drugs were tested, since
    any prediction finds those). Replicates are their mean, ties are in the order of the runs, as in
    `top_drugs`.

    Args:
        rows: those of `heldout.HeldOut`.
        cells: only these, in this order; by name if none are given.

    Raises:
        InputError: if `count` is less than 1.
    """
    if count < 1:
        raise InputError(f"COUNT must be at least 1, not {count}")
    per_run = rows.group_by("cell", "run", "drug", maintain_order=True).agg(
        pl.col("true", "predicted").mean()
    )
    is_first = [pl.col(auc).rank("ordinal").over("cell") <= count for auc in ("true", "predicted")]
    scored = (
        per_run.with_columns(hit=pl.all_horizontal(is_first))
        .group_by("cell")
        .agg(drugs=pl.len().cast(pl.Int64), hits=pl.col("hit").sum().cast(pl.Int64))
        .with_columns(share=pl.when(pl.col("drugs") > count).then(pl.col("hits") / count))
        .sort("cell")
    )
    wanted = pl.DataFrame({"cell": cells}) if cells is not None else scored.select("cell")
    return wanted.join(scored, on="cell", how="left", maintain_order="left")


def read_cells(path: Path, rows: pl.DataFrame) -> list[str]:
    """Return the cells that a file lists, one a line.

    Raises:
        InputError: if it cannot be read, or a cell has no prediction.
    """
    cells = [line.strip() for line in files.read_lines(path) if line.strip()]
    known = set(rows["cell"].unique())
    for cell in cells:
        if cell not in known:
            raise InputError(f"no prediction for cell {cell!r} of {path}{_hint(rows, cell)}")
    return cells


def mean_share(scored: pl.DataFrame) -> str:
    """Return a sentence on what `score_cells` found over all cells."""
    shares = scored["share"].drop_nulls().to_list()
    few = len(scored) - len(shares)
    left_out = f" ({few:,} with no more drugs than asked for are left out)" if few else ""
    if not shares:
        return f"no mean: none of {few:,} cells was tested with more drugs than asked for"
    share = 100 * statistics.fmean(shares)
    return f"mean over {len(shares):,} cells{left_out}: {share:.1f}% of the drugs are found"
