#!/usr/bin/env python3
"""For everyone: export the key logs and results of an experiment into EXPnnn.tgz.

It has the UPF, DFLTS, scores, epochs and progress, and each run's scores, parameters, history
and predictions, but no models. The same contents give the same bytes. With --parquet, write one
table of all predictions instead (run, repeat, index, held_out, drug, cell, true, predicted), which
DrEval, pandas and others read.
"""

import argparse
import sys
from pathlib import Path

from hed import command, results
from hed.names import SCORES
from hed.watching import archive


def main() -> None:
    """Parse the arguments, write the tarball and print its path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="default: DIR/EXPnnn.tgz or .parquet"
    )
    parser.add_argument("--parquet", action="store_true", help="one table of all predictions")
    args = parser.parse_args()
    if args.parquet:
        print(write_predictions(args.experiment, args.output))
        return
    print(archive.export(args.experiment, args.output))
    if not (args.experiment / SCORES).exists():
        print("without scores.csv: run scripts/aggregate.py first to include it", file=sys.stderr)


def write_predictions(experiment: Path, output: Path | None) -> Path:
    """Write the predictions of an experiment as a table; return its path."""
    found = results.load(experiment)
    path = output or experiment / f"{found.name}.parquet"
    results.write_parquet(found, path)
    return path


if __name__ == "__main__":
    command.run(main)
