"""One measurement in a process of its own: prints a JSON object."""

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

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
    data = Data(cells, drugs, *(uno.read_rows(params, s, cells, drugs) for s in ("train", "val")))
    trainer = Trainer(uno.build(params, cells, drugs), data, params)
    warm = min(params["steps_per_execution"], args.steps)
    trainer.steps(epoch=0, rate=1e-5, count=1)
    start_up = time.perf_counter() - STARTED
    trainer.steps(epoch=0, rate=1e-5, count=warm)
    begun = time.perf_counter()
    trainer.steps(epoch=0, rate=1e-5, count=args.steps)
    step = (time.perf_counter() - begun) / args.steps
    trainer.predict(data.val)
    begun = time.perf_counter()
    trainer.predict(data.val)
    return {
        "ms_per_step": 1000 * step,
        "epoch_s": step * len(data.train) / params["batch_size"],
        "validation_rows_per_s": len(data.val) / (time.perf_counter() - begun),
        "start_up_s": start_up,
    }


if __name__ == "__main__":
    main()
