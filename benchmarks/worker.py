"""One measurement in a process of its own: prints a JSON object."""

import argparse
import json
import os
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hed.dataset import Rows

STARTED = time.perf_counter()


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=["reference", "hed"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--partition", type=Path, required=True)
    parser.add_argument("--parameters", type=json.loads, default={}, help="overrides, as JSON")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    measured = {"reference": _reference, "hed": _hed}[args.who](args)
    measured["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


def _reference(args: argparse.Namespace) -> dict[str, Any]:
    import reference

    tables = reference.read(args.data, args.partition / "rsp_train_data.parquet")
    step = reference.seconds_per_step(tables, batch=32, rate=3.2e-4, warm=10, steps=args.steps)
    val = reference.read(args.data, args.partition / "rsp_val_data.parquet")
    rows = reference.prediction_rows_per_second(val, batch=1024, steps=5)
    return {
        "ms_per_step": 1000 * step,
        "epoch_s": step * len(tables.response) / 32,
        "validation_rows_per_s": rows,
    }


def _hed(args: argparse.Namespace) -> dict[str, Any]:
    from hed import backend, hyperparameters, uno
    from hed.dataset import Data
    from hed.trainer import Trainer

    line = hyperparameters.UpfLine("RUN000", 0, {})
    params = hyperparameters.resolve(args.parameters, line) | {"input_dir": str(args.partition)}
    backend.configure(threads=args.threads)
    cells, drugs = uno.read_features(args.data)
    train, val = (uno.read_rows(params, stage, cells, drugs) for stage in ("train", "val"))
    some = first(train, args.steps * params["batch_size"])
    trainer = Trainer(uno.build(params, cells, drugs), Data(cells, drugs, some, val), params)
    trainer.epoch(0, 1e-5)
    start_up = time.perf_counter() - STARTED
    begun = time.perf_counter()
    trainer.epoch(1, 1e-5)
    seconds = time.perf_counter() - begun
    trainer.predict(val)
    begun = time.perf_counter()
    trainer.predict(val)
    return {
        "ms_per_step": 1000 * seconds / args.steps,
        "epoch_s": seconds * len(train) / len(some),
        "validation_rows_per_s": len(val) / (time.perf_counter() - begun),
        "start_up_s": start_up - seconds,
    }


def first(rows: "Rows", count: int) -> "Rows":
    """Return the first rows: an epoch of just the steps that are to be measured."""
    return replace(
        rows,
        cell=rows.cell[:count],
        drug=rows.drug[:count],
        auc=rows.auc[:count],
        labels=rows.labels[:count],
    )


if __name__ == "__main__":
    main()
