#!/usr/bin/env python3
"""For the graph: collect scores.csv, scores.parquet, epochs.txt and progress.txt of all runs."""

import argparse
from pathlib import Path

from hed import command
from hed.watching import aggregate


def main() -> None:
    """Parse the arguments and write the four files into the experiment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--metric",
        choices=aggregate.METRICS,
        default="mse",
        help="the metric in scores.csv (default: %(default)s); scores.parquet has all",
    )
    args = parser.parse_args()
    aggregate.write_all(args.experiment, args.metric)


if __name__ == "__main__":
    command.run(main)
