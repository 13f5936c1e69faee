"""The results of an experiment on one screen: the worst drugs, the baselines, where files are.

What a run holds out is a drug, unless the experiment was partitioned otherwise (see `Kind`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.table import Table

from hed.answers import beside, errors, heldout, scores
from hed.answers.beside import Beside
from hed.answers.scores import LEVELS
from hed.errors import InputError
from hed.experiment.kind import Kind, drug_label, kind_of, missing, shorten, titled
from hed.experiment.runs import count_first, read_experiment, track_runs
from hed.names import FIGURES, SCORES, SCORES_TABLE
from hed.watching import aggregate

WIDTH = 80
RUN_WIDTH = 8
DRUG_WIDTH = 20
OTHER_WIDTH = 30

# rich's own boxes have lines that are not ASCII, or frames that waste the width.
RULED = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def print_summary(directory: Path, *, count: int, others: Sequence[Path] = ()) -> None:
    """Print the `count` drugs of highest error and what they compare with, for people.

    Args:
        directory: the experiment.
        count: of drugs.
        others: experiments that the errors are compared with.

    Raises:
        InputError: if the directory is not an experiment, the others cannot be compared, or
            `count` is below 1.
    """
    if count < 1:
        raise InputError(f"--count must be at least 1, not {count}")
    # Names may look like rich's markup or emoji codes.
    console = Console(width=WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(summarise(directory, count=count, others=others))
    # rich fills every line with blanks; and a path must not be wrapped, or it cannot be copied.
    lines = [line.rstrip() for line in captured.get().splitlines()]
    print("\n".join([*lines, "", *(f" {shown(path)}" for path in result_files(directory))]))


def summarise(directory: Path, *, count: int, others: Sequence[Path] = ()) -> RenderableType:
    """Return the summary of an experiment, 80 columns wide; see `print_summary`."""
    experiment, kind = read_experiment(directory), kind_of(directory)
    name, runs = titled(experiment), track_runs(experiment)
    each, held = aggregate.tabulate(runs), heldout.predictions(runs)
    table = scores.together(each, held).sort(
        "rmse", descending=True, nulls_last=True, maintain_order=True
    )
    notes = [f" {note}" for note in missing(runs, scored=set(each["run"]))]
    if table.is_empty():
        return Group(f" {name}: no run has test scores yet", *notes)
    worst, kind = table.head(count), known(kind, table)
    shown = f"{len(worst)} of {count_first(runs)} runs"
    title = f" {name}: highest error on held-out rows, {shown}"
    lines = (*compared(table, kind), *correlated(table, held.rows, kind))
    comparison = [f" {line}" for line in lines]
    tables: list[RenderableType] = [
        "",
        title,
        "",
        _worst(worst, kind),
        "",
        _levels(table, kind),
        "",
    ]
    if found := beside.read(directory, others):
        tables += [_beside(found), ""]
        notes += [f" {note}" for note in found.notes]
    return Group(*tables, *comparison, *notes)


def known(kind: Kind, table: pl.DataFrame) -> Kind:
    """Return the kind with the first and the last of its baselines that a run has.

    Old experiments lack some.
    """
    names = [name for name in kind.baselines if table[LEVELS[name]].count()] or [*kind.baselines]
    baselines = {name: kind.baselines[name] for name in (names[0], names[-1])}
    return replace(kind, baselines=baselines)


def compared(table: pl.DataFrame, kind: Kind) -> Iterator[str]:
    """Yield lines that compare the model with the better baseline, if any run has it."""
    name = kind.best
    meaning = kind.baselines[name]
    pairs = table.select("rmse", baseline=LEVELS[name]).drop_nulls()
    if len(pairs):
        better = int((pairs["rmse"] < pairs["baseline"]).sum())
        yield f"{name}: rmse of predicting {meaning}"
        yield f"the model is better than that in {better} of {len(pairs)} runs"


def correlated(table: pl.DataFrame, rows: pl.DataFrame, kind: Kind) -> Iterator[str]:
    """Yield lines on the correlation within what is held out, and what that over all rows hides."""
    within = table["pcc"].drop_nans().median()
    whole = errors.correlation(rows)
    if isinstance(within, float) and whole is not None:
        yield f"Pearson r within a {kind.noun}, median: {within:.3f}"
        yield f"over all rows together: {whole:.3f}, which also tells how {kind.noun}s differ"


def result_files(directory: Path) -> list[Path]:
    """Return the results of an experiment that exist: tables, figures, tarball."""
    tables = [directory / name for name in (SCORES, SCORES_TABLE)]
    found = [sorted(directory.glob(p)) for p in ("*.png", f"{FIGURES}/*.png", "*.tgz")]
    return [path for path in (*tables, *sum(found, [])) if path.is_file()]


def shown(path: Path) -> Path:
    """Return `path` relative to the current directory if it is below it, else absolute."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _worst(table: pl.DataFrame, kind: Kind) -> Table:
    """Return the table of drugs, highest error first."""
    baseline = kind.best
    lines = Table(box=RULED, show_edge=False)
    lines.add_column(justify="right")
    lines.add_column("run", no_wrap=True)
    lines.add_column(kind.noun, no_wrap=True)
    for heading in ("rows", "rmse", baseline, "scc", "r2"):
        lines.add_column(heading, justify="right", no_wrap=True)
    for rank, row in enumerate(table.iter_rows(named=True), start=1):
        lines.add_row(str(rank), *_cells(row, LEVELS[baseline]))
    return lines


def _cells(row: Mapping[str, Any], baseline: str) -> Iterator[str]:
    """Yield what the table of drugs says of one run."""
    yield shorten(row["run"], RUN_WIDTH)
    yield shorten(drug_label(row["run"], row["index"], row["drug"]), DRUG_WIDTH)
    yield "-" if row["rows"] is None else f"{row['rows']:,}"
    for column, digits in (("rmse", 4), (baseline, 4), ("scc", 3), ("r2", 3)):
        yield _fixed(row[column], digits)


def _levels(table: pl.DataFrame, kind: Kind) -> Table:
    """Return mean and median error of the model and of the baselines, over the runs of all."""
    known = [name for name in ("model", *kind.baselines) if table[LEVELS[name]].count()]
    both = table.drop_nulls([LEVELS[name] for name in known])
    errors = {name: both[LEVELS[name]] for name in known}
    number = f"{len(both):,} of {len(table):,} runs" if len(both) < len(table) else "runs"
    lines = Table(box=RULED, show_edge=False)
    lines.add_column(f"rmse over {number}", no_wrap=True)
    for name in errors:
        lines.add_column(name, justify="right")
    lines.add_row("mean", *(_fixed(column.mean(), 4) for column in errors.values()))
    lines.add_row("median", *(_fixed(column.median(), 4) for column in errors.values()))
    return lines


def _beside(found: Beside) -> Table:
    """Return mean and median error of several experiments over the drugs of all of them."""
    levels = found.levels()
    lines = Table(box=RULED, show_edge=False)
    lines.add_column("rmse over runs of all", no_wrap=True)
    for heading in ("mean", "median", "better in", *(("mean rank",) if found.contest else ())):
        lines.add_column(heading, justify="right")
    for row in levels.iter_rows(named=True):
        better = "-" if row["better"] is None else str(row["better"])
        ranks = (_fixed(row["rank"], 2),) if found.contest else ()
        errors = (_fixed(row[name], 4) for name in ("mean", "median"))
        lines.add_row(shorten(row["experiment"], OTHER_WIDTH), *errors, better, *ranks)
    return lines


def _fixed(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, float) else "-"
