#!/usr/bin/env python3
"""For everyone: write the report of an experiment: one HTML page that needs no network.

Headline numbers, figures, and a table of drugs that can be searched and sorted; each drug opens
its own predictions and links to the most similar drugs. With --beside, other models (or baselines,
or controls) that held out the same drugs are in the figures and tables, too.
"""

import argparse
from pathlib import Path

from hed import command
from hed.answers import beside, explanation
from hed.answers.explanation import Sources
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
    beside.add_option(parser)
    explanation.add_options(parser)
    args = parser.parse_args()
    output = args.output or args.experiment / "report.html"
    page.write(args.experiment, output, Sources(args.data, args.smiles), args.beside)


if __name__ == "__main__":
    command.run(main)
