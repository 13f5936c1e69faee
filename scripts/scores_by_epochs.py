#!/usr/bin/env python3
"""For everyone: show how test scores are distributed, by the epochs that were trained.

Over the runs of one experiment, or of several with other epochs; plot.py epochs draws them.
"""

import argparse
from pathlib import Path

from hed import command, output
from hed.answers import by_epochs
from hed.watching import aggregate


def main() -> None:
    """Parse the arguments, read the scores and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: scores_by_epochs.py output/EXP001 output/EXP005 --metric mse",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiments", metavar="DIR", type=Path, nargs="+", help="as EXP011")
    parser.add_argument("--metric", choices=aggregate.METRICS, default="rmse")
    parser.add_argument("--runs", action="store_true", help="a row per run")
    output.add_format(parser)
    args = parser.parse_args()
    table = by_epochs.read(args.experiments, args.metric)
    output.show(table if args.runs else by_epochs.distribution(table), args.format)


if __name__ == "__main__":
    command.run(main)
