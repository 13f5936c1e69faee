"""An experiment directory of the published size with made-up results, written in seconds.

Every file has the form that a run leaves (docs/output.md). All runs share the content of one
validation file and one model through hard links: no command reads what differs there, and 2.4 GB
need not be written.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from hed.config import hyperparameters, repeats
from hed.config.hyperparameters import UpfLine
from hed.data import tables
from hed.training import metrics

Floats = npt.NDArray[np.float64]

NOISE = 0.05
# Shrinkage of the predictions to the mean, as of a model that is not sure of itself.
LEARNED = {"drug": 0.4, "cell": 0.9}


@dataclass(frozen=True)
class Size:
    """How much an experiment holds: test rows are per run and of distinct cells.

    Of each of `runs` there are so many `repeats`.
    """

    runs: int = 770
    cells: int = 1100
    rows: int = 770
    validation_rows: int = 118_000
    epochs: int = 20
    repeats: int = 1
    descriptors: int = 1500


def write(directory: Path, size: Size, *, seed: int = 0) -> Path:
    """Write an experiment whose runs are all done; return `directory`.

    `seed` changes the predictions, not the truth, as another training would.
    """
    for name in ("out", "run", "markers"):
        (directory / name).mkdir(parents=True)
    lines = [UpfLine(id=f"RUN{i:03d}", index=i, overrides={}) for i in range(size.runs)]
    upf = repeats.expand(lines, size.repeats, {})
    _write_settings(directory, upf, size)
    _write_descriptors(directory / "data", size)
    cells = np.array([f"ACH-{i:06d}" for i in range(size.cells)])
    shared = _write_shared(directory, size, seed)
    for repeat in range(size.repeats):
        true, predicted, chosen = _results(size, seed + repeat)
        for line in upf[repeat * size.runs : (repeat + 1) * size.runs]:
            index, rows = line.index, chosen[line.index]
            table = {"auc_true": true[index, rows], "auc_pred": predicted[index, rows]}
            baseline = np.delete(true, index, axis=0)[:, rows].mean(axis=0)
            run = directory / "run" / line.id
            _write_run(run, line, pl.DataFrame({**table, "labels": cells[rows]}), baseline, size)
            _link_shared(run, *shared)
            marker = _marker(line, repeat)
            (directory / f"markers/marker-{marker}.txt").write_text(f"run/{line.id}\n")
            _write_log(directory / f"out/out-{line.id}-train.txt", size.epochs)
    for source in shared:
        source.unlink()
    return directory


def _write_descriptors(directory: Path, size: Size) -> None:
    """Write descriptors of all drugs."""
    directory.mkdir()
    values = np.random.default_rng(3).normal(size=(size.runs, size.descriptors))
    names = [f"mordred.d{i}" for i in range(size.descriptors)]
    drugs = pl.Series(tables.DRUG, [f"Drug_{i:03d}" for i in range(size.runs)])
    table = pl.DataFrame(values.astype(np.float32), schema=names)
    table.insert_column(0, drugs).write_parquet(directory / tables.DESCRIPTOR_FILE)


def _results(size: Size, seed: int) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return true and predicted AUC (drugs x cells), and the cells of each drug's rows."""
    truth, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    drug = 0.88 - truth.gamma(1.2, 0.07, (size.runs, 1))
    cell = truth.normal(0, 0.04, (1, size.cells))
    shape = (size.runs, size.cells)
    true = np.clip(drug + cell + truth.normal(0, NOISE, shape), 0, 1)
    guess = true.mean() + LEARNED["drug"] * (drug - true.mean()) + LEARNED["cell"] * cell
    drift = rng.normal(0, 0.02, (size.runs, 1))
    predicted = np.clip(guess + drift + rng.normal(0, NOISE / 2, shape), 0, 1)
    chosen = np.argsort(truth.random(shape), axis=1)[:, : size.rows]
    return true, predicted, np.sort(chosen, axis=1)


def _marker(line: UpfLine, repeat: int) -> str:
    """Return what names a run's marker: the id too, where an earlier run has the index."""
    return f"{line.index:03d}-{line.id}" if repeat else f"{line.index:03d}"


def _write_settings(directory: Path, upf: list[UpfLine], size: Size) -> None:
    """Write experiment.json, the UPF and DFLTS."""
    (directory / "upf.json").write_text(hyperparameters.format_upf(upf))
    _write_json(directory / "dflts-e20.json", {"epochs": size.epochs})
    runs = [
        {
            "id": line.id,
            "index": line.index,
            "held_out": f"Drug_{line.index:03d}",
            "marker": _marker(line, number // size.runs),
        }
        for number, line in enumerate(upf)
    ]
    settings = {"name": directory.name, "upf": "upf.json", "dflts": "dflts-e20.json"}
    settings["data"] = "data"
    _write_json(directory / "experiment.json", {**settings, "runs": runs})


def _write_shared(directory: Path, size: Size, seed: int) -> tuple[Path, Path]:
    """Write what all runs share: validation predictions and a model."""
    rng = np.random.default_rng(seed)
    values = rng.random((2, size.validation_rows))
    labels = [f"ACH-{i:06d}" for i in rng.integers(0, size.cells, size.validation_rows)]
    table = pl.DataFrame({"auc_true": values[0], "auc_pred": values[1], "labels": labels})
    validation, model = directory / "val_y_data_predicted.csv", directory / "model.h5"
    table.write_csv(validation, float_precision=4)
    model.write_bytes(bytes(1_000_000))
    return validation, model


def _link_shared(run: Path, validation: Path, model: Path) -> None:
    """Give a run the shared files under their own names."""
    os.link(validation, run / validation.name)
    for place in run.glob("ckpts/epochs/*"):
        os.link(model, place / model.name)


def _write_run(run: Path, line: UpfLine, table: pl.DataFrame, baseline: Floats, size: Size) -> None:
    """Write a finished run, but for its validation predictions and models."""
    index = line.index
    epochs = size.epochs if index % 10 else size.epochs - index % 7
    _write_checkpoints(run / "ckpts", epochs)
    table.write_csv(run / "test_y_data_predicted.csv", float_precision=4)
    true, predicted = table["auc_true"].to_numpy(), table["auc_pred"].to_numpy()
    scores = metrics.scores(true, predicted)
    _write_json(run / "test_scores.json", scores)
    _write_json(run / "val_scores.json", scores)
    means = np.full(len(true), baseline.mean())
    baselines = {
        "train_mean": metrics.scores(true, means),
        "cell_mean": metrics.scores(true, baseline),
    }
    _write_json(run / "baseline_scores.json", baselines)
    _write_json(run / "parameters.txt", hyperparameters.resolve({"epochs": size.epochs}, line))
    _write_training(run, index, epochs=epochs, planned=size.epochs)


def _write_training(run: Path, index: int, *, epochs: int, planned: int) -> None:
    """Write the history and times of a training, which stopped early if `epochs` < `planned`."""
    rng = np.random.default_rng([2, index])
    loss = 0.006 + 0.02 * np.exp(-np.arange(epochs) / 4) + rng.normal(0, 3e-4, epochs)
    history = {
        "loss": loss,
        "val_loss": loss + 5e-4,
        "r2_train": 1 - loss / 0.03,
        "r2_val": 1 - loss / 0.03,
        "lr": np.full(epochs, 3.2e-4),
    }
    _write_json(run / "history.txt", {k: v.tolist() for k, v in history.items()})
    seconds = (150 + 10 * rng.random(epochs)).tolist()
    _write_json(run / "timings.json", {"epoch_seconds": seconds, "train_rows": 472_000})
    node, tile = divmod(index % 156, 12)
    (run / "rank.txt").write_text(f"block: 1.pbs\nnode: x{node:04d}\ntile: {tile}\ndevice: XPU\n")
    (run / "result.txt").write_text(f"{loss[-1]}\n")
    if epochs < planned:
        (run / "stop.marker").write_text(f"early stopping: {epochs}/{planned}\n")


def _write_checkpoints(directory: Path, epochs: int, kept: int = 3) -> None:
    """Write the last `kept` checkpoints with their links, but for the models."""
    for epoch in range(epochs - kept + 1, epochs + 1):
        place = directory / "epochs" / f"{epoch:03d}"
        place.mkdir(parents=True)
        _write_json(place / "ckpt-info.json", {"epoch": epoch, "model_file": "model.h5"})
    for link in ("best", "last"):
        (directory / link).symlink_to(f"epochs/{epochs:03d}")


def _write_log(path: Path, epochs: int) -> None:
    """Write a log in which most is the framework's progress bar, as in the original's."""
    bar = "".join(f"\r{i}/461 [====>.......] - ETA: 1:23 - loss: 0.0123" for i in range(461))
    path.write_text("".join(f"Epoch {i + 1}/{epochs}\n{bar}\n" for i in range(epochs)))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value))
