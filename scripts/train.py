#!/usr/bin/env python3
"""For the graph: train one run, from its last checkpoint if there is one."""

import argparse
from pathlib import Path

from hed import command, science
from hed.data import copies


def main() -> None:
    """Parse the arguments and train."""
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

    places = args.run.resolve(), args.partition.resolve(), copies.nearest(args.data)
    science.train(
        science.Place(*places, threads=args.threads),
        args.upf,
        args.dflts,
        restart_from=args.restart_from,
        monitor=args.monitor,
    )


if __name__ == "__main__":
    command.run(main)
