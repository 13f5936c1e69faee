"""Uno as a CANDLE model: `initialize_parameters()` and `run(params)`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hed import candle
from hed.config import hyperparameters, schema
from hed.data import controls, dataset
from hed.data.dataset import Data, Features, Rows
from hed.files import write_json, write_text
from hed.names import RECORD
from hed.site import place
from hed.training import architecture, backend, checkpoint, network, precision, predictions, weights
from hed.training.backend import tf
from hed.training.kept import Shelf
from hed.training.loop import State, train
from hed.training.network import Network
from hed.training.trainer import Trainer, matrix, predict

# Many runs may use one process (see `hed.warm`).
WARM = True
_SHELF = Shelf()


def initialize_parameters() -> dict[str, Any]:
    """Return Uno's hyperparameters with their defaults."""
    return schema.defaults(hyperparameters.definition())


def resolve(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters as the run will use them: its precision decided.

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


def run(params: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Train one run, from its last checkpoint if there is one, and return its history.

    Called again when training has ended, it only writes the results again.

    Args:
        params: every hyperparameter, and `output_dir` (the run's directory), `input_dir` (its
            partition), `data_dir` (the features), `threads`.
    """
    directory = Path(params["output_dir"])
    params = resolve(params)
    device = backend.configure(threads=params["threads"])
    write_text(directory / "rank.txt", place.describe(device))
    kept = _SHELF.find(params)
    cells, drugs = (kept.cells, kept.drugs) if kept else controls.features(params)
    data = Data(
        cells, drugs, *(read_rows(params, stage, cells, drugs) for stage in ("train", "val"))
    )
    print(f"{len(data.train):,} training rows, {len(data.val):,} validation rows, on {device}")
    if kept:
        trainer = kept.begin(data)
    else:
        trainer = _SHELF.keep(params, data, Trainer(build(params, cells, drugs), data, params))
    state = train(trainer, data, params, directory / "ckpts")
    _finish(trainer, data, state, params, directory)
    return state.history


def predict_test(params: Mapping[str, Any]) -> np.ndarray:
    """Return the AUC that a run's chosen checkpoint predicts for its n test rows, float32.

    Args:
        params: as for `run`.
    """
    precision.require(params["precision"], backend.configure(threads=params["threads"]))
    chosen = checkpoint.predicting(Path(params["output_dir"]), params["predict_with"])
    if kept := _SHELF.find(params):
        weights.load(kept.trainer.network, chosen / checkpoint.MODEL)
        return kept.trainer.predict(read_rows(params, "test", kept.cells, kept.drugs))
    cells, drugs = controls.features(params)
    rows = read_rows(params, "test", cells, drugs)
    net = build(params, cells, drugs)
    weights.load(net, chosen / checkpoint.MODEL)
    auc = tf.function(predict, autograph=False)(
        net,
        matrix(cells, params["precision"]),
        matrix(drugs, params["precision"]),
        tf.constant(rows.cell),
        tf.constant(rows.drug),
        batch=params["generator_batch_size"],
    )
    return np.asarray(auc.numpy())


def read_rows(params: Mapping[str, Any], stage: str, cells: Features, drugs: Features) -> Rows:
    """Return the rows of one stage (`train`, `val`, `test`) of a run's partition."""
    return dataset.rows(controls.responses(params, stage), cells, drugs)


def build(params: Mapping[str, Any], cells: Features, drugs: Features) -> Network:
    """Return the network that a run's hyperparameters describe, with fresh weights."""
    return network.build(
        architecture.architecture(params),
        cell_features=cells.values.shape[1],
        drug_features=drugs.values.shape[1],
        precision=params["precision"],
        seed=params["rng_seed"],
    )


def _finish(
    trainer: Trainer, data: Data, state: State, params: Mapping[str, Any], directory: Path
) -> None:
    """Write what the original leaves of a training, the history last: it says that all is there."""
    stopped = directory / checkpoint.STOPPED
    if state.schedule.stopped:
        write_text(stopped, f"early stopping: {state.epoch}/{params['epochs']}\n")
    else:
        stopped.unlink(missing_ok=True)
    chosen = checkpoint.predicting(directory, params["predict_with"])
    weights.load(trainer.network, chosen / checkpoint.MODEL)
    predicted = trainer.predict(data.val)
    predictions.write(
        directory, "val", true=data.val.auc, labels=data.val.labels, predicted=predicted
    )
    last = state.history["val_loss"][-1]
    # Of epochs that the original trained no more than the best metric is known.
    known = state.best_metric if math.isfinite(state.best_metric) else math.nan
    write_text(directory / "result.txt", f"{known if last is None else last}\n")
    timings = {"epoch_seconds": state.seconds, "train_rows": len(data.train)}
    write_json(directory / "timings.json", timings)
    write_json(directory / candle.HISTORY, state.history)
