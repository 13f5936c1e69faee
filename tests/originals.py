"""Experiment directories in the formats of the original system, as its own source writes them.

`parameters.txt` in sections, absolute links that dangle once the directory has moved, a history of
the epochs since the last restart, one log per rank, NaN in JSON.
"""

import json
import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from hed.data import tables

# Where the original ran.
PLACE = "/lus/flare/projects/PROJECT/out/unorun/Output"
WIDTH = 16
DFLTS = {
    "epochs": 20,
    "input_dir": "/tmp/user/original",
    "calc_infer_scores": True,
    "custom_loss_module": "mae_poly_loss",
    "alpha": 6,
    "hyperparam_space": "block",
    "canc_arch": [WIDTH] * 3,
    "drug_arch": [WIDTH] * 3,
    "interaction_arch": [WIDTH] * 5,
    "pre_module": "hed_setup",
    "post_module": "hed_setup",
}
# What CANDLE and IMPROVE add to each run's own.
RESOLVED = {
    "batch_size": 32,
    "generator_batch_size": 1024,
    "learning_rate": 1e-5,
    "framework": "keras",
    "save": "/x/output",
    "model_name": "unorun",
    "y_data_files": [["response.tsv"]],
    "train_bool": True,
    "ckpt_metadata": None,
}
BEGUN = datetime(2025, 7, 17, 1)
SECONDS = 6000.123


def parameters_text(run_id: str, index: int, **more: Any) -> str:
    """Return a `parameters.txt` as `runner_utils.write_params` writes it."""
    values = {**DFLTS, **RESOLVED, "id": run_id, "index": index, **more}
    quoted = {n: f"'{v}'" if isinstance(v, str) else v for n, v in values.items()}
    lines = [f"{name}={value}" for name, value in quoted.items()]
    return "\n".join(["[Global Params]", *lines, "[Monitor Params]", "timeout=-1.0", ""])


def write_checkpoint(
    run: Path, epoch: int, *, best: float, first: bool, model: bytes = b""
) -> Path:
    """Write what CANDLE's `ckpt` leaves of an epoch; of most, the description alone is kept."""
    place = run / "ckpts" / "epochs" / f"{epoch:03d}"
    place.mkdir(parents=True, exist_ok=True)
    info = {
        "epoch": epoch,
        "save_best_metric": "val_loss",
        "best_metric_last": best,
        "model_file": "model.h5",
        "checksum": "__DISABLED__",
        "timestamp": f"{BEGUN + timedelta(seconds=SECONDS * epoch):%Y-%m-%d %H:%M:%S}",
        "time_elapsed": "__FIRST__" if first else SECONDS,
        "metadata": None,
    }
    (place / "ckpt-info.json").write_text(json.dumps(info) + "\n")
    if model:
        (place / "model.h5").write_bytes(model)
    return place


def link(run: Path, name: str, epoch: int, experiment: str = "EXP011") -> None:
    """Link a checkpoint by the place where the original ran."""
    place = run / "ckpts" / name
    place.unlink(missing_ok=True)
    place.symlink_to(f"{PLACE}/{experiment}/run/{run.name}/ckpts/epochs/{epoch:03d}")


def write_checkpoints(
    run: Path, losses: Sequence[float], *, first: int = 1, kept: int = 3, model: bytes = b"weights"
) -> None:
    """Write the checkpoints of epochs `first` to the last, of which `kept` have their models.

    Args:
        losses: val_loss of every epoch from 1.
    """
    last = len(losses)
    for epoch in range(first, last + 1):
        is_kept = epoch > last - kept
        best = min(losses[:epoch])
        write_checkpoint(
            run, epoch, best=best, first=epoch == first, model=model if is_kept else b""
        )
    # The best was reached before a restart, in an experiment that has gone.
    link(run, "best", losses.index(min(losses)) + 1, "EXP011" if first == 1 else "EXP283")
    link(run, "last", last)
    (run / "ckpts" / "ckpt.log").write_text("2025-07-17 01:00:00,123 CandleCkpt: initialized.\n")


def write_history(run: Path, losses: Sequence[float]) -> None:
    """Write `history.txt` and `result.txt`."""
    count = len(losses)
    history = {
        "loss": [1.1 * loss for loss in losses],
        "val_loss": list(losses),
        "r2_train": [0.7] * count,
        "r2_val": [0.72] * count,
        "lr": [3.199999919161201e-4] * count,
    }
    (run / "history.txt").write_text(json.dumps(history) + "\n")
    (run / "result.txt").write_text(f"{losses[-1]}\n")


def write_predictions(run: Path, stage: str, rows: pl.DataFrame, *, constant: bool = False) -> None:
    """Write the predictions of a stage and their scores; a constant has no correlation."""
    draw = random.Random(run.name + stage)
    true = rows[tables.AUC].to_list()
    predicted = [0.3117 if constant else min(max(t + draw.gauss(0, 0.08), 0), 1) for t in true]
    cells = rows[tables.CELL].to_list()
    lines = [f"{t:.4f},{p:.4f},{c}\n" for t, p, c in zip(true, predicted, cells, strict=True)]
    text = "auc_true,auc_pred,labels\n" + "".join(lines)
    (run / f"{stage}_y_data_predicted.csv").write_text(text)
    mse = float(np.mean((np.array(true) - predicted) ** 2))
    correlation = math.nan if constant else float(np.corrcoef(true, predicted)[0, 1])
    r2 = 1 - mse / float(np.var(true))
    scores = {"mse": mse, "rmse": mse**0.5, "pcc": correlation, "scc": correlation, "r2": r2}
    (run / f"{stage}_scores.json").write_text(json.dumps(scores))


def model(cell_features: int, drug_features: int, path: Path) -> bytes:
    """Return a model of `DFLTS` as Keras 2 saves it: layers numbered as they were created."""
    towers = [[features, *[WIDTH] * 3] for features in (cell_features, drug_features)]
    sizes = [*towers, [2 * WIDTH, *[WIDTH] * 5, 1]]
    shapes = [pair for block in sizes for pair in zip(block[:-1], block[1:], strict=True)]
    draw = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        layers = file.create_group("model_weights")
        for number, shape in enumerate(shapes):
            name = f"dense_{number}" if number else "dense"
            layer = layers.create_group(name)
            names = [f"{name}/kernel:0", f"{name}/bias:0"]
            layer.attrs["weight_names"] = names
            kernel = draw.normal(0, shape[0] ** -0.5, shape).astype(np.float32)
            for each, value in zip(names, (kernel, np.zeros(shape[1], np.float32)), strict=True):
                layer[each] = value
    return path.read_bytes()


def write(data: Path, directory: Path) -> Path:
    """Write an experiment of the 24 drugs of a preprocessed data set, 13 of which were begun.

    RUN000 was restarted after epoch 16 and has no description of epoch 1; RUN010 predicted a
    constant; RUN011 has no test rows; RUN012 was cut off after epoch 7.
    """
    response = tables.read_response(data / tables.RESPONSE_FILE)
    drugs = tables.distinct(response[tables.DRUG])
    for name in ("out", "run", "markers"):
        (directory / name).mkdir(parents=True)
    write_tops(directory, len(drugs))
    features = [len(pl.read_parquet_schema(data / name)) - 1 for name in tables.FILES[1:]]
    saved = model(*features, directory / "out" / "model.h5")
    (directory / "out" / "model.h5").unlink()
    for index in range(13):
        held = response.filter(pl.col(tables.DRUG) == drugs[index])
        others = response.filter(pl.col(tables.DRUG) != drugs[index]).head(690)
        _write_run(directory, index, held, others, saved)
    return directory


def write_tops(directory: Path, count: int) -> None:
    """Write what the launcher leaves at the top of the experiment."""
    texts = {
        "jobid.txt": "6543210.aurora-pbs-0001.hostmgmt.cm.aurora.alcf.anl.gov\n",
        "dflts-e20-a6.json": json.dumps(DFLTS, indent=2) + "\n",
        "hed-gen-770.json": "".join(
            json.dumps({"id": f"RUN{i:03d}", "index": i}) + "\n" for i in range(count)
        ),
        "cfg-sys-1.sh": "# UPF CFG SYS 1\nexport PROCS=${PROCS:-4}\n",
        "turbine.log": "JOB: 6543210\nPROCS:      781\nPPN:        12\nPROGRAM: workflow.tic\n",
        "turbine-env.txt": "PATH=/x\n",
        "turbine-pbs.sh": "#!/bin/bash\n",
        "output.txt": "[0] hello\nMPIEXEC TIME: 1234.5\nCODE: 0\nCOMPLETED: 2025-07-17 20:00\n",
        "run.sh.log": "x\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text)


def _write_run(
    directory: Path, index: int, held: pl.DataFrame, others: pl.DataFrame, saved: bytes
) -> None:
    run = directory / "run" / f"RUN{index:03d}"
    run.mkdir()
    (run / "parameters.txt").write_text(parameters_text(run.name, index, instance_directory=run))
    (run / "rank.txt").write_text(f"{index * 7 % 780}\n")
    (directory / "out" / f"out-{index * 7 % 780:03d}.txt").write_text(_log(run.name, index == 12))
    losses = [0.007 + 0.011 * math.exp(-epoch / 4) for epoch in range(20)]
    if index == 12:
        write_checkpoints(run, losses[:7], model=saved)
        return
    if index == 0:
        losses[1] = 0.0066
        (run / "stop.marker").write_text("early stopping: 4/20\n")
    write_checkpoints(
        run, losses, first=2 if index == 0 else 1, kept=1 if index == 0 else 3, model=saved
    )
    write_history(run, losses[16:] if index == 0 else losses)
    if index == 11:
        (run / "test-empty.txt").write_text("EMPTY\n")
    else:
        write_predictions(run, "test", held, constant=index == 10)
    write_predictions(run, "val", others)
    (directory / "markers" / f"marker-{index:03d}.txt").write_text("DONE\n")


def _log(run: str, failed: bool) -> str:
    """Return the log of a rank."""
    epochs = "".join(
        f"Epoch {e}/20\n\r    1/10000 [>....] - ETA: 1:23:45 - loss: 0.0111{chr(8) * 60}"
        f"\r10000/10000 [====] - 6000s 600ms/step - loss: 0.0101 - val_loss: 0.0092\n"
        for e in (1, 2)
    )
    end = (
        'Traceback (most recent call last):\n  File "/x.py", line 1, in run\n    boom()\n'
        "RuntimeError: UR error: device lost\n"
        if failed
        else f"IMPROVE_RESULT 0.0092\nMODEL RUNNER INFO  run_tensorflow: {run} done.\n"
    )
    return f"2025-07-17 01:02:05 MODEL RUNNER INFO  framework:   keras\n{epochs}{end}"
