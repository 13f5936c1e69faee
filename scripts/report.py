#!/usr/bin/env python3
"""For everyone: write the report of an experiment: one HTML page that needs no network.

Headline numbers, figures, and a table of drugs that can be searched and sorted; each drug opens
its own predictions.
"""

import argparse
from pathlib import Path

from hed import command
from hed.answers.report import page


def main() -> None:
    """Parse the arguments and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "output", metavar="OUT.html", type=Path, nargs="?", help="default: DIR/report.html"
    )
    args = parser.parse_args()
    page.write(args.experiment, args.output or args.experiment / "report.html")


if __name__ == "__main__":
    command.run(main)
