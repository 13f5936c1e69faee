#!/usr/bin/env python3
"""Draw the error of each held-out drug of an experiment beside the baselines."""

import argparse
from pathlib import Path

from hed import command, figures


def main() -> None:
    """Parse the arguments and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("output", metavar="OUT.png", type=Path, help="or .pdf or .svg")
    args = parser.parse_args()
    figures.draw_errors(args.experiment, args.output)


if __name__ == "__main__":
    command.run(main)
