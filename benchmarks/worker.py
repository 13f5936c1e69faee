"""One measurement in a process of its own: prints a JSON object."""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()


def main() -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=["reference", "hed", "adam"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--partition", type=Path, required=True)
    parser.add_argument("--parameters", type=json.loads, default={}, help="overrides, as JSON")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    measured = {"reference": _reference, "hed": _hed, "adam": _adam}[args.who](args)
    measured["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


WARM = 10  # steps before those that are timed


def _reference(args: argparse.Namespace) -> dict[str, Any]:
    if args.parameters.get("onednn", True):
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import reference

    tables = reference.read(args.data, args.partition / "rsp_train_data.parquet")
    times = reference.train(tables, batch=32, rate=3.2e-4, steps=WARM + args.steps)
    step = (times[-1] - times[WARM - 1]) / args.steps
    val = reference.read(args.data, args.partition / "rsp_val_data.parquet")
    return {
        "ms_per_step": 1000 * step,
        "epoch_s": step * len(tables.response) / 32,
        "validation_rows_per_s": reference.prediction_rows_per_second(val, batch=1024, steps=5),
        "start_up_s": times[0] - STARTED,
    }


def _hed(args: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from hed import uno
    from hed.config import hyperparameters
    from hed.data import dataset
    from hed.data.dataset import Data
    from hed.training import backend, losses
    from hed.training.trainer import Trainer

    line = hyperparameters.UpfLine("RUN000", 0, {})
    params = hyperparameters.resolve(args.parameters, line)
    params |= {"input_dir": str(args.partition), "data_dir": str(args.data), "output_dir": ""}
    backend.configure(threads=args.threads)
    cells, drugs = dataset.read(args.data)
    described = uno.describe(params)
    train, val = (uno.read_rows(described.inputs, s, cells, drugs) for s in ("train", "val"))
    net, loss = uno.build(described, cells, drugs), losses.loss(params)
    trainer = Trainer(net, Data(cells, drugs, train, val), described.steps, loss)
    # The first rows of a whole epoch's order, which decides what a batch holds.
    rows = trainer.order(0)[: args.steps * params["batch_size"]]
    steps = -(-len(rows) // params["batch_size"])
    rates = np.full(steps, 1e-5, np.float32)
    trainer.train(rows, rates, first=0)
    warmed = time.perf_counter()
    seconds = _elapsed(lambda: trainer.train(rows, rates, first=steps))
    trainer.predict(val)
    return {
        "ms_per_step": 1000 * seconds / steps,
        "epoch_s": seconds * len(train) / len(rows),
        "validation_rows_per_s": len(val) / _elapsed(lambda: trainer.predict(val)),
        # All that came before the second epoch, less the steps of the first but one.
        "start_up_s": warmed - STARTED - seconds * (steps - 1) / steps,
    }


def _adam(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the update of all weights by itself, and how fast one core copies memory."""
    import numpy as np

    from hed import uno
    from hed.config import hyperparameters
    from hed.data import dataset
    from hed.training import backend, optimizer
    from hed.training.backend import tf

    backend.configure(threads=args.threads)
    params = uno.initialize_parameters()
    params |= {"input_dir": "", "data_dir": str(args.data), "output_dir": ""}
    net = uno.build(uno.describe(params), *dataset.read(args.data))
    adam = optimizer.optimizer(hyperparameters.default("optimizer"), net.model)
    gradients = [tf.zeros(weight.shape) for weight in net.model.trainable_variables]
    count = sum(int(tf.size(gradient)) for gradient in gradients)
    source, target = np.ones(count, np.float32), np.zeros(count, np.float32)
    update = tf.function(lambda: adam.apply(gradients, tf.constant(1e-5)), autograph=False)
    # Reads weight, both moments and gradient, writes the first three: 4 bytes each.
    traffic = 7 * 4 * count / 1e9
    calls = update, lambda: np.copyto(target, source)
    seconds, copied = (_median(call, args.steps) for call in calls)
    return {
        "weights": count,
        "update_ms": 1000 * seconds,
        "update_gb_per_s": traffic / seconds,
        "copy_gb_per_s": 2 * 4 * count / 1e9 / copied,
    }


def _median(call: Callable[[], Any], times: int) -> float:
    """Return the median seconds of a call, after a first one."""
    call()
    return statistics.median(_elapsed(call) for _ in range(times))


def _elapsed(call: Callable[[], Any]) -> float:
    """Return the seconds of a call."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
