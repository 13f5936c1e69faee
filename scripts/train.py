#!/usr/bin/env python3
"""For the graph: train one run, from its last checkpoint if there is one."""

import argparse
import os
from pathlib import Path

from hed import candle, command, lock
from hed.config import hyperparameters
from hed.data import partition
from hed.files import write_json
from hed.training import checkpoint
from hed.training.monitor import monitoring


def main() -> None:
    """Resolve the run's hyperparameters and hand them to its model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="directory of the run; its name is the run's id")
    parser.add_argument("--upf", type=Path, required=True, help="UPF that has the run")
    parser.add_argument("--dflts", type=Path, required=True, help="hyperparameters of every run")
    parser.add_argument("--partition", type=Path, required=True, help="rsp_*_data.parquet")
    parser.add_argument("--data", type=Path, required=True, help="preprocessed data set")
    parser.add_argument("--restart-from", type=Path, help="experiment whose checkpoints to use")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--monitor", type=float, default=0, help="seconds between samples (0: none)"
    )
    args = parser.parse_args()

    dflts = hyperparameters.read_dflts(args.dflts)
    default = hyperparameters.model_of(dflts)
    line = hyperparameters.find(args.upf, args.run.name, default)
    model = candle.load(hyperparameters.model_of(line.overrides, default))
    params = candle.parameters(model, dflts, line)
    run, parts, data = (path.resolve() for path in (args.run, args.partition, args.data))
    # Held until this process ends: two trainings of one run would overwrite each other.
    held = lock.acquire(run)
    if held is None:
        print(f"waiting for {lock.holder(run)}, which is training this run", flush=True)
        held = lock.acquire(run, wait=True)
    places = candle.surroundings(run, parts, data, args.threads)
    params = candle.resolved(model, params, places)
    write_json(run / "parameters.txt", candle.plain(params))
    if args.restart_from:
        checkpoint.adopt(args.restart_from / "run" / run.name / "ckpts", run / "ckpts")
    candle.prepare(run)
    if not partition.is_tested(parts):
        print(f"what index {line.index} holds out has no row to be tested on: nothing to train for")
        write_json(run / candle.HISTORY, {})
        return
    partition.link_features(parts, data)
    os.chdir(run)  # as model_runner does
    with monitoring(run / "monitor.csv", args.monitor):
        result = model.run({**params, **places})
    candle.finish(run, result)


if __name__ == "__main__":
    command.run(main)
