"""Uno as a CANDLE model: `initialize_parameters()` and `run(params)`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hed.config import hyperparameters, schema
from hed.data import controls, dataset
from hed.data.controls import Inputs
from hed.data.dataset import Data, Features, Rows
from hed.files import write_json, write_text
from hed.names import CHECKPOINTS, HISTORY, RANK, RECORD, RESULT, STOPPED, TIMINGS
from hed.site import place
from hed.training import (
    architecture,
    backend,
    checkpoint,
    choice,
    losses,
    network,
    precision,
    predictions,
    schedule,
    trainer,
    weights,
)
from hed.training import kept as shelf
from hed.training.architecture import Architecture
from hed.training.backend import tf
from hed.training.checkpoint import Policy
from hed.training.kept import Shelf
from hed.training.loop import Trained, train
from hed.training.network import Network
from hed.training.schedule import Schedule
from hed.training.trainer import Steps, Trainer, matrix, predict

# Many runs may use one process (see `hed.warm`).
WARM = True
_SHELF = Shelf()


def initialize_parameters() -> dict[str, Any]:
    """Return Uno's hyperparameters with their defaults."""
    return schema.defaults(hyperparameters.definition())


def resolve(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters as the run will use them, with its precision decided.

    Args:
        params: as for `run`.
    """
    device = backend.configure(threads=params["threads"])
    experiment = Path(params["output_dir"]).parents[1]
    return {
        **params,
        "precision": precision.resolve(
            params["precision"],
            device,
            experiment if (experiment / RECORD).exists() else None,
        ),
    }


@dataclass(frozen=True)
class Run:
    """What the hyperparameters of one run describe.

    Attributes:
        directory: of the run.
        inputs: the tables and the partition that it reads.
        architecture: of its network.
        steps, rules, policy: how it is trained, for how long, and what is saved.
        predicts_with: which checkpoint predicts, `best` or `last`.
        key: of what its graph depends on.
    """

    directory: Path
    inputs: Inputs
    architecture: Architecture
    steps: Steps
    rules: Schedule
    policy: Policy
    predicts_with: str
    key: str

    @property
    def ckpts(self) -> Path:
        """Directory of its checkpoints."""
        return self.directory / CHECKPOINTS

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that predicts."""
        return choice.predicting(self.directory, self.predicts_with)

    @property
    def model(self) -> Path:
        """Its weights."""
        return self.checkpoint / checkpoint.MODEL


def describe(params: Mapping[str, Any]) -> Run:
    """Return what the hyperparameters of a run describe.

    Args:
        params: as for `run`, as `resolve` returns them.
    """
    return Run(
        directory=Path(params["output_dir"]),
        inputs=controls.inputs(params),
        architecture=architecture.architecture(params),
        steps=trainer.steps(params),
        rules=schedule.schedule(params),
        policy=checkpoint.policy(params),
        predicts_with=params["predict_with"],
        key=shelf.key(params),
    )


def run(params: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Train one run, from its last checkpoint if there is one, and return its history.

    Called again when training has ended, it only writes the results again.

    Args:
        params: every hyperparameter, and `output_dir` (the run's directory), `input_dir` (its
            partition), `data_dir` (the features), `threads`.
    """
    described = describe(resolve(params))
    device = backend.configure(threads=params["threads"])
    write_text(described.directory / RANK, place.describe(device))
    kept = _SHELF.find(described.key)
    cells, drugs = (kept.cells, kept.drugs) if kept else controls.features(described.inputs)
    parts = (read_rows(described.inputs, stage, cells, drugs) for stage in ("train", "val"))
    data = Data(cells, drugs, *parts)
    print(f"{len(data.train):,} training rows, {len(data.val):,} validation rows, on {device}")
    if kept:
        made = kept.begin(data)
    else:
        loss = losses.loss(params)
        made = Trainer(build(described, cells, drugs), data, described.steps, loss)
        _SHELF.keep(described.key, data, made)
    if params["output_bias"] == "mean":
        network.start_from(made.network, float(data.train.auc.mean(dtype=np.float64)))
    trained = train(made, data, described.rules, described.policy, described.ckpts)
    _finish(made, data, trained, described)
    return trained.state.history


def predict_test(params: Mapping[str, Any]) -> np.ndarray:
    """Return the AUC that a run's chosen checkpoint predicts for its n test rows, float32.

    Args:
        params: as for `run`.
    """
    precision.require(params["precision"], backend.configure(threads=params["threads"]))
    described = describe(params)
    if kept := _SHELF.find(described.key):
        weights.load(kept.trainer.network, described.model)
        return kept.trainer.predict(read_rows(described.inputs, "test", kept.cells, kept.drugs))
    cells, drugs = controls.features(described.inputs)
    rows = read_rows(described.inputs, "test", cells, drugs)
    net = build(described, cells, drugs)
    weights.load(net, described.model)
    auc = tf.function(predict, autograph=False)(
        net,
        matrix(cells, described.steps.precision),
        matrix(drugs, described.steps.precision),
        tf.constant(rows.cell),
        tf.constant(rows.drug),
        batch=described.steps.predicted,
    )
    return np.asarray(auc.numpy())


def read_rows(inputs: Inputs, stage: str, cells: Features, drugs: Features) -> Rows:
    """Return the rows of one stage (`train`, `val`, `test`) of a run's partition."""
    return dataset.rows(controls.responses(inputs, stage), cells, drugs)


def build(described: Run, cells: Features, drugs: Features) -> Network:
    """Return the network of a run with fresh weights."""
    return network.build(
        described.architecture,
        cell_features=cells.values.shape[1],
        drug_features=drugs.values.shape[1],
        precision=described.steps.precision,
        seed=described.steps.seed,
    )


def _finish(made: Trainer, data: Data, trained: Trained, described: Run) -> None:
    """Write what the original leaves of a training, the history last: it means all is there."""
    directory, state = described.directory, trained.state
    stopped = directory / STOPPED
    if state.schedule.stopped:
        write_text(stopped, f"early stopping: {state.epoch}/{described.rules.epochs}\n")
    else:
        stopped.unlink(missing_ok=True)
    place = described.checkpoint
    predicted = trained.predicted.get(checkpoint.epoch_of(place))
    if predicted is None:
        weights.load(made.network, place / checkpoint.MODEL)
        predicted = made.predict(data.val)
    predictions.write(
        directory, "val", true=data.val.auc, labels=data.val.labels, predicted=predicted
    )
    last = state.history["val_loss"][-1]
    # For epochs that the original trained, only the best metric is known.
    known = state.best_metric if math.isfinite(state.best_metric) else math.nan
    write_text(directory / RESULT, f"{known if last is None else last}\n")
    timings = {"epoch_seconds": state.seconds, "train_rows": len(data.train)}
    write_json(directory / TIMINGS, timings)
    write_json(directory / HISTORY, state.history)
