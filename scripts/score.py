#!/usr/bin/env python3
"""For the graph: predict a run's test rows; write predictions, scores and baselines."""

import argparse
from pathlib import Path

import polars as pl

from hed import candle, command
from hed.data import partition, tables
from hed.experiment import outcome
from hed.files import read_json, write_json
from hed.training import metrics, predictions


def main() -> None:
    """Read, predict, write; the scores come last, since they say that the run is finished."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="directory of a trained run")
    parser.add_argument("--partition", type=Path, required=True, help="rsp_*_data.parquet")
    parser.add_argument("--data", type=Path, required=True, help="preprocessed data set")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    args = parser.parse_args()

    if not partition.is_tested(args.partition):
        outcome.write_empty(args.run)
        print("0 test rows")
        return
    params = read_json(args.run / "parameters.txt")
    train, test = (partition.read(args.partition, stage) for stage in ("train", "test"))
    write_json(args.run / "baseline_scores.json", metrics.baselines(train, test))
    model = candle.load(params["model"])
    run, parts, data = (path.resolve() for path in (args.run, args.partition, args.data))
    partition.link_features(parts, data)
    places = candle.surroundings(run, parts, data, args.threads)
    predicted = candle.predict(model, {**candle.restored(model, params), **places}, test)
    scores = predictions.write(
        args.run,
        "test",
        true=test[tables.AUC].cast(pl.Float32).to_numpy(),
        labels=test[tables.CELL],
        predicted=predicted,
    )
    print(f"{len(test):,} test rows: {scores}")


if __name__ == "__main__":
    command.run(main)
