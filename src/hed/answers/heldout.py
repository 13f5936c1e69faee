"""All held-out predictions of an experiment in one table, with baselines for every row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from hed.answers import repeats
from hed.answers.grid import Booleans, Floats, Grid, Integers, arrange
from hed.data.tables import first_line
from hed.errors import InputError
from hed.experiment.kind import BY_DRUG, Kind, drug_label, kind_of, missing, permuted, titled
from hed.experiment.runs import Experiment, Run, list_runs, read_experiment
from hed.names import PREDICTED

NAMES = {"labels": "cell", "auc_true": "true", "auc_pred": "predicted", "drugs": "drug"}
# The last one is not in the original's files.
TYPES = {"labels": pl.String(), **dict.fromkeys(("auc_true", "auc_pred"), pl.Float64())}
TYPES["drugs"] = pl.String()
COLUMNS = ("run", "index", "held_out", "drug", "cell", "true", "predicted")


@dataclass(frozen=True)
class HeldOut:
    """The held-out predictions of one experiment.

    `parts` has a row per prediction: run, index (null if unknown), held_out (id of the drug, cell
    or group that the run holds out; `index N` or the run where the directory does not name it;
    never null), drug, cell, true, predicted (AUC, rounded to 4 decimals as in the files). `notes`
    are sentences on what is missing or was left out. `kind` says what runs hold out.
    """

    name: str
    runs: tuple[Run, ...]
    parts: pl.DataFrame
    notes: tuple[str, ...]
    kind: Kind = BY_DRUG

    @property
    def rows(self) -> pl.DataFrame:
        """The predictions averaged over the repeats of a run, under the id of the first."""
        return self._averaged[0]

    @property
    def repeat_of(self) -> dict[str, str]:
        """Runs that repeat another one, and the first of its repeats."""
        return {run.id: run.repeat_of for run in self.runs if run.repeat_of}

    @cached_property
    def _averaged(self) -> tuple[pl.DataFrame, Integers]:
        """The rows, and which of them each of `parts` belongs to."""
        if not self.repeat_of or self.parts.is_empty():
            return self.parts, np.arange(len(self.parts))
        return repeats.average(self.parts, self._by_cell, self.repeat_of)

    @cached_property
    def _by_cell(self) -> Grid:
        """`parts` by run and cell."""
        return arrange(self.parts, by="run")

    @property
    def by_run(self) -> Grid:
        """`parts` by run and by what is resampled."""
        unit = self.kind.unit
        return self._by_cell if unit == "cell" else arrange(self.parts, by="run", of=unit)

    def each(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `parts` with further columns of `rows`, and `average`, the mean prediction.

        Args:
            rows: `rows`, or those of `with_baselines`.
        """
        further = [name for name in rows.columns if name not in self.parts.columns]
        own = rows.select(pl.col("predicted").alias("average"), *further)[self._averaged[1]]
        return self.parts.hstack(own)

    @cached_property
    def grid(self) -> Grid:
        """The rows by drug and cell."""
        return arrange(self.rows)


def read(directory: Path) -> HeldOut:
    """Read run/*/test_y_data_predicted.csv of an experiment, also one of the original's.

    Raises:
        InputError: if the directory is not an experiment, no run has predictions, or they do not
            name the drugs.
    """
    experiment, kind = read_experiment(directory), kind_of(directory)
    held = predictions(list_runs(experiment), name=titled(experiment), kind=kind)
    held = replace(held, notes=(*controlled(experiment), *held.notes))
    check(held, directory)
    return held


def controlled(experiment: Experiment) -> Iterator[str]:
    """Yield a sentence on what the trainings of an experiment have permuted, if they have."""
    if control := permuted(experiment):
        yield f"a control: {control} permuted"


def check(held: HeldOut, directory: Path) -> None:
    """Refuse predictions from which nothing can be concluded.

    Raises:
        InputError: if there are none, or they do not name the drugs.
    """
    if held.parts.is_empty():
        raise InputError(f"no run of {directory} has predictions yet: wait for the first to end")
    if held.parts["drug"].null_count():
        raise InputError(
            f"the predictions of {directory}, whose runs were tested on {held.kind.rows}, do not "
            "name the drugs (an older version wrote them): run snakemake --forcerun score once"
        )


def predictions(runs: Sequence[Run], *, name: str = "", kind: Kind = BY_DRUG) -> HeldOut:
    """Return the predictions of runs, which may have none yet; `drug` is null where unknown.

    Args:
        name: of their experiment.
    """
    # An empty file is one that a run is about to fill.
    paths = {path: run for run in runs if _has_bytes(path := run.directory / PREDICTED)}
    found, counts, unreadable = _read_files(list(paths))
    whole = pl.all_horizontal(pl.col("true", "predicted").is_finite(), pl.col("cell").is_not_null())
    places = np.repeat(np.arange(len(paths)), counts)
    rows = _named(paths.values())[places].hstack(found).filter(whole)
    if kind is BY_DRUG:
        rows = rows.with_columns(drug="held_out")
    return HeldOut(
        name=name,
        runs=tuple(runs),
        parts=rows.select(COLUMNS),
        kind=kind,
        notes=(
            *missing(runs, scored=set(rows["run"].unique())),
            *(f"{path} was left out: {reason}" for path, reason in unreadable.items()),
            *_left_out(len(found) - len(rows)),
        ),
    )


def with_baselines(held: HeldOut) -> pl.DataFrame:
    """Return the rows with `train_mean`, `cell_mean` and `mean_effects`.

    They are means of the AUC over what the other runs hold out, and this one does not: of all rows,
    of those of the same cell (of all if there are none), and the latter + the mean of the same drug
    - the mean of all. `baseline_scores.json` compares with the same, except that here validation
    rows count, too. Of several runs that hold out the same, with the same truth, the first counts,
    and a row that several hold out counts once. Null if there is no other.
    """
    rows = held.rows
    own = (rows["run"] == rows.select(pl.first("run").over("held_out"))["run"]).to_numpy()
    counted = _once(rows, own) if held.kind.overlaps else own
    mean, cell = _means_of_others(rows, counted, own, "cell")
    drug = cell if held.kind is BY_DRUG else _means_of_others(rows, counted, own, "drug")[1]
    train_mean = pl.Series("train_mean", mean).fill_nan(None)
    cell_mean = pl.Series("cell_mean", cell).fill_nan(None).fill_null(train_mean)
    drug_mean = pl.Series(drug).fill_nan(None).fill_null(train_mean)
    effects = cell_mean if held.kind is BY_DRUG else cell_mean + drug_mean - train_mean
    return rows.with_columns(train_mean, cell_mean, effects.alias("mean_effects"))


def _once(rows: pl.DataFrame, own: Booleans) -> Booleans:
    """Return `own` without the rows that an earlier one of its runs has.

    Equal rows of the same run are replicates, and stay.
    """
    names = ("drug", "cell", "true")
    copy = pl.int_range(pl.len()).over("run", *names)
    distinct = rows.filter(own).select(pl.struct(*names, copy.alias("copy")).is_first_distinct())
    counted = own.copy()
    counted[own] = distinct.to_series().to_numpy()
    return counted


def _means_of_others(
    rows: pl.DataFrame, counted: Booleans, own: Booleans, of: str
) -> tuple[Floats, Floats]:
    """Return for each row the mean of what only others hold out: of all, of the same cell or drug.

    NaN where there is nothing.

    Args:
        counted: which rows count, each once.
        own: which are those that each run, or the first of its likes, holds out.
    """
    grid = arrange(rows, by="held_out", of=of)
    true = rows["true"].to_numpy()
    others = grid.sum(true * counted).sum(axis=0) - grid.sum(true * own)
    # Whole numbers, so that nothing is left of nothing.
    number = grid.sum(counted.astype(float)).sum(axis=0) - grid.sum(own.astype(float))
    whole = _ratio(others.sum(axis=1), number.sum(axis=1))
    return whole[grid.drug], _ratio(others, number)[grid.drug, grid.cell]


def ranks_by_effects(rows: pl.DataFrame) -> bool:
    """Return True if mean effects can rank drugs: training rows have those that a run holds out."""
    return len(rows.select("drug", "held_out").unique()) > rows["drug"].n_unique()


def replicates(held: HeldOut) -> Iterator[str]:
    """Yield a sentence on pairs of cell and drug with several rows, where their mean is used."""
    count = held.grid.count()
    several = int((count > 1).sum())
    if several:
        yield (
            f"{several:,} of {int((count > 0).sum()):,} pairs of cell and drug have several rows "
            "(replicates, or several runs): their mean is used"
        )


def _ratio(total: Floats, count: Floats) -> Floats:
    """Return means, NaN where there is nothing to average."""
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _read_files(paths: Sequence[Path]) -> tuple[pl.DataFrame, list[int], dict[Path, str]]:
    """Return the rows of all files, how many each has, and why some could not be read."""
    try:
        files = [path.read_bytes() for path in paths]
        table, counts = _parse(_join(files)), [_count(file) for file in files]
    except (pl.exceptions.PolarsError, OSError):
        return _read_each(paths)
    return (table, counts, {}) if len(table) == sum(counts) else _read_each(paths)


def _join(files: Sequence[bytes]) -> bytes:
    """Return all files as one, which is parsed ten times as fast as one by one.

    Empty if their first lines differ, or if one has quotes, which may contain line breaks.
    """
    ends = [file.find(b"\n") + 1 or len(file) for file in files]
    headers = {file[:end].rstrip(b"\n") for file, end in zip(files, ends, strict=True)}
    if len(headers) != 1 or any(b'"' in file for file in files):
        return b""
    joined: list[bytes | memoryview] = [*headers, b"\n"]
    for file, end in zip(files, ends, strict=True):
        if end < len(file):
            joined += [memoryview(file)[end:], b"" if file.endswith(b"\n") else b"\n"]
    return b"".join(joined)


def _count(file: bytes) -> int:
    """Return the lines after the first one."""
    return file.count(b"\n") - file.endswith(b"\n")


def _read_each(paths: Sequence[Path]) -> tuple[pl.DataFrame, list[int], dict[Path, str]]:
    """Read one file after the other, so that an incomplete one does not spoil the others."""
    none = pl.DataFrame(schema=TYPES).rename(NAMES)
    tables, unreadable = [], {}
    for path in paths:
        try:
            tables.append(_parse(path.read_bytes()))
        except (pl.exceptions.PolarsError, OSError) as error:
            tables.append(none)
            unreadable[path] = first_line(error)
    return pl.concat([none, *tables]), [len(table) for table in tables], unreadable


def _parse(file: bytes) -> pl.DataFrame:
    """Return the rows of a file of predictions: cell, true, predicted, drug; columns by name."""
    table = pl.read_csv(file, schema_overrides=TYPES, infer_schema=False)
    if "drugs" not in table.columns:
        table = table.with_columns(drugs=pl.lit(None, pl.String))
    return table.select(*TYPES).rename(NAMES).rechunk()


def _named(runs: Iterable[Run]) -> pl.DataFrame:
    """Return each run, its index, and the name of what it holds out."""
    rows = [(run.id, run.index, drug_label(run.id, run.index, run.drug)) for run in runs]
    names = {"run": pl.String, "index": pl.Int64, "held_out": pl.String}
    return pl.DataFrame(rows, schema=names, orient="row")


def _left_out(count: int) -> Iterator[str]:
    """Yield a sentence on rows that lack a value."""
    if count:
        yield f"{count:,} rows of predictions were left out: they lack a finite value or a cell"
