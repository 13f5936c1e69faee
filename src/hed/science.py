"""The science of one run, as its jobs call it: train, then score. The model is any of CANDLE's."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO

import polars as pl

from hed import candle, lock
from hed.config import hyperparameters
from hed.config.original import Parameters
from hed.data import partition, tables
from hed.experiment import outcome, restoration
from hed.files import read_json, write_json
from hed.names import BASELINE_SCORES, CHECKPOINTS, HISTORY, MONITOR, PARAMETERS, RUNS
from hed.site.monitor import monitoring
from hed.training import checkpoint, metrics, predictions


@dataclass(frozen=True)
class Place:
    """Where a run finds and leaves its files, all absolute.

    Attributes:
        run: its directory, whose name is its id.
        partition: directory of `rsp_{train,val,test}_data.parquet`.
        data: the preprocessed data set.
        threads: CPU threads that it may use.
    """

    run: Path
    partition: Path
    data: Path
    threads: int = 1

    def surroundings(self) -> Parameters:
        """Return what the model is given, after linking the features into the partition."""
        partition.link_features(self.partition, self.data)
        features = partition.features(self.partition, self.data)
        return candle.surroundings(self.run, self.partition, features, self.threads)


def train(
    place: Place, upf: Path, dflts: Path, *, restart_from: Path | None, monitor: float
) -> None:
    """Train a run, from its last checkpoint if there is one.

    Args:
        upf: has the run.
        dflts: hyperparameters of every run.
        restart_from: experiment whose checkpoints to use.
        monitor: seconds between samples of the machine's usage, 0 for none.

    Raises:
        InputError: if the run's hyperparameters are not the model's, or no model can be trained.
    """
    run = place.run
    given = hyperparameters.read_dflts(dflts)
    default = hyperparameters.model_of(given)
    line = hyperparameters.find(upf, run.name, default)
    model = candle.load(hyperparameters.model_of(line.overrides, default))
    params = candle.parameters(model, given, line)
    # Two trainings of one run would overwrite each other.
    with _lock(run):
        _train(place, model, params, line.index, restart_from=restart_from, monitor=monitor)


def _train(
    place: Place,
    model: ModuleType,
    params: Parameters,
    index: int,
    *,
    restart_from: Path | None,
    monitor: float,
) -> None:
    """Train a run whose hyperparameters are known, and which this process has locked."""
    run = place.run
    surroundings = place.surroundings()
    params = candle.resolved(model, params, surroundings)
    write_json(run / PARAMETERS, candle.plain(params))
    if restart_from:
        _adopt(restart_from / RUNS / run.name, run, model)
    candle.prepare(run)
    if not partition.is_tested(place.partition):
        print(f"what index {index} holds out has no row to be tested on: nothing to train for")
        write_json(run / HISTORY, {})
        return
    os.chdir(run)  # as model_runner does
    with monitoring(run / MONITOR, monitor):
        result = model.run({**params, **surroundings})
    candle.finish(run, result)


def _adopt(source: Path, run: Path, model: ModuleType) -> None:
    """Copy what an unfinished run of another experiment continues from."""
    checkpoint.adopt(source / CHECKPOINTS, run / CHECKPOINTS)
    # What another model continues from is its own business.
    if model.__name__ != hyperparameters.OURS and source.is_dir():
        restoration.continue_from(source, run)


def _lock(run: Path) -> IO[str]:
    """Return the lock of a run, once no other process trains it."""
    held = lock.acquire(run)
    if held is None:
        print(f"waiting for {lock.holder(run)}, which is training this run", flush=True)
        held = lock.acquire(run, wait=True)
    assert held is not None
    return held


def score(place: Place, *, name_drugs: bool = False) -> str:
    """Predict a run's test rows, write predictions, scores and baselines; return a line on them.

    The scores come last, since they mean that the run is finished.

    Args:
        name_drugs: the predictions name the drug of each row, as well as the cell.

    Raises:
        InputError: if the run was not trained, or its model does not predict one AUC per row.
    """
    run = place.run
    if not partition.is_tested(place.partition):
        outcome.write_empty(run)
        return "0 test rows"
    params = read_json(run / PARAMETERS)
    train, test = (partition.read(place.partition, stage) for stage in ("train", "test"))
    write_json(run / BASELINE_SCORES, metrics.baselines(train, test))
    model = candle.load(params["model"])
    params = {**candle.restored(model, params), **place.surroundings()}
    scores = predictions.write(
        run,
        "test",
        true=test[tables.AUC].cast(pl.Float32).to_numpy(),
        labels=test[tables.CELL],
        predicted=candle.predict(model, params, test),
        drugs=test[tables.DRUG] if name_drugs else None,
    )
    return f"{len(test):,} test rows: {scores}"
