#!/usr/bin/env python3
"""For everyone: export the key logs and results of an experiment into EXPnnn.tgz.

It has the UPF, DFLTS, scores, epochs and progress, and each run's scores, parameters, history
and predictions, but no models. The same contents give the same bytes.
"""

import argparse
import sys
from pathlib import Path

from hed import command
from hed.experiment import aggregate, archive


def main() -> None:
    """Parse the arguments, write the tarball and print its path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("--output", metavar="FILE", type=Path, help="default: DIR/EXPnnn.tgz")
    args = parser.parse_args()
    print(archive.export(args.experiment, args.output))
    if not (args.experiment / aggregate.SCORES_FILE).exists():
        print("without scores.csv: run scripts/aggregate.py first to include it", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
