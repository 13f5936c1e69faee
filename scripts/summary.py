#!/usr/bin/env python3
"""For everyone: show the drugs (cells, splits) of highest error, and the baselines."""

import argparse
from pathlib import Path

from hed import command
from hed.answers import beside, summary


def main() -> None:
    """Parse the arguments and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--count", type=int, default=10, help="how many to show (default: %(default)s)"
    )
    beside.add_option(parser)
    args = parser.parse_args()
    summary.print_summary(args.experiment, count=args.count, others=args.beside)


if __name__ == "__main__":
    command.run(main)
