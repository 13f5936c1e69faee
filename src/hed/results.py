"""An experiment for a notebook: `load(DIR)` gives its tables, ours or one of the original's.

    from hed import results

    found = results.load("output/EXP000")
    found.predictions.group_by("held_out").agg(...)

Tables are polars data frames, read when they are first asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from hed.answers import convergence, heldout, high_error, ranking
from hed.answers.heldout import HeldOut
from hed.answers.rule import Rule
from hed.experiment.kind import Kind, drug_label, kind_of
from hed.experiment.runs import Experiment, Run, TrackedRun, read_experiment, track_runs
from hed.files import replacing
from hed.watching import aggregate

PREDICTIONS = ("run", "repeat", "index", "held_out", "drug", "cell", "true", "predicted")


@dataclass(frozen=True)
class Results:
    """The tables of one experiment, which may still be running."""

    directory: Path
    name: str
    kind: Kind
    _experiment: Experiment
    _runs: tuple[TrackedRun, ...]

    @cached_property
    def runs(self) -> pl.DataFrame:
        """A row per run: run, repeat (from 1), index, held_out, state, epochs_done, epochs_planned.

        `repeat_of` names the first of a run's repeats, the run itself if it is that.
        """
        rows = [
            (r.id, r.first, r.index, _held_out(r), r.state, r.epochs_done, r.epochs_planned)
            for r in self._runs
        ]
        names = ("run", "repeat_of", "index", "held_out", "state", "epochs_done", "epochs_planned")
        table = pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
        repeat = pl.int_range(1, pl.len() + 1).over("repeat_of").alias("repeat")
        return table.select("run", "repeat_of", repeat, *names[2:])

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """A row per prediction of a held-out row: the columns `PREDICTIONS`, AUC 0 to 1.

        `drug` is null where the files of an old experiment do not have it.
        """
        repeats = self.runs.select("run", "repeat")
        joined = self._held.parts.join(repeats, on="run", maintain_order="left")
        return joined.select(PREDICTIONS)

    @property
    def ensemble(self) -> pl.DataFrame:
        """The predictions averaged over the repeats of a run, under the id of the first."""
        return self._held.rows.select(name for name in PREDICTIONS if name != "repeat")

    @cached_property
    def scores(self) -> pl.DataFrame:
        """A row per run with test scores: of the model, of the baselines; rows, epochs, seconds."""
        return self._named(aggregate.tabulate(self._runs))

    @cached_property
    def epochs(self) -> pl.DataFrame:
        """A row per run and epoch: loss, val_loss, r2_train, r2_val, lr, seconds."""
        return self._named(convergence.read_histories(self._runs))

    @cached_property
    def tiles(self) -> pl.DataFrame:
        """A row per run on a tile of a cluster: block, node, tile, start and end in hours."""
        # Plotting takes seconds to import.
        from hed.answers import figures
        from hed.answers.plots import tiles

        return tiles.tabulate(figures.read_tiles(self.directory))

    def high_error(self, rule: Rule | None = None) -> pl.DataFrame:
        """Return a row per held-out drug, worst first (see `hed.answers.high_error.tabulate`).

        Raises:
            InputError: if no run has predictions yet, or they do not name the drugs.
        """
        heldout.check(self._held, self.directory)
        return self.kind.columns(high_error.tabulate(self._held, rule or Rule()))

    def ranking(self, *, k: int = 10) -> pl.DataFrame:
        """Return a row per cell and method (see `hed.answers.ranking.rank_cells`).

        Raises:
            InputError: as of `high_error`, or if k is below 1.
        """
        heldout.check(self._held, self.directory)
        return ranking.rank_cells(self._held, k=k)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what is permuted, is missing or was left out of the predictions."""
        return (*heldout.controlled(self._experiment), *self._held.notes)

    @cached_property
    def _held(self) -> HeldOut:
        return heldout.predictions(self._runs, name=self.name, kind=self.kind)

    def _named(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return a table of runs with what they hold out, as in `runs`."""
        names = {run.id: _held_out(run) for run in self._runs}
        return table.with_columns(
            drug=pl.col("run").replace_strict(names, return_dtype=pl.String)
        ).rename({"drug": "held_out"})


def _held_out(run: Run) -> str:
    """Return what a run holds out, or its label where that has no name."""
    return drug_label(run.id, run.index, run.drug)


def load(directory: str | Path) -> Results:
    """Return the results of an experiment.

    Raises:
        InputError: if the directory is not an experiment.
    """
    path = Path(directory)
    experiment = read_experiment(path)
    runs = tuple(track_runs(experiment))
    return Results(path, experiment.name, kind_of(path), experiment, runs)


def write_parquet(found: Results, output: Path) -> None:
    """Write all predictions as one parquet table."""
    with replacing(output) as temporary:
        found.predictions.write_parquet(temporary)
