#!/usr/bin/env python3
"""For everyone: report how many of a cell's most sensitive drugs the predictions find."""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import heldout, sensitivity


def main() -> None:
    """Parse the arguments, read the predictions and print the matches."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: score_cell.py output/EXP000 ACH-000956"
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("cell", metavar="CELL", help="as list_cells.py lists it")
    parser.add_argument(
        "count", metavar="COUNT", type=int, nargs="?", default=10, help="of drugs (default 10)"
    )
    output.add_format(parser, original=True)
    args = parser.parse_args()
    held = heldout.read(args.experiment)
    true, predicted = (
        sensitivity.top_drugs(held.rows, args.cell, order=order, count=args.count)
        for order in ("true", "predicted")
    )
    matched = sensitivity.match(true, predicted)
    for note in (*held.notes, *sensitivity.notes(true, "mean", args.count)):
        output.say(note)
    if args.format == output.ORIGINAL:
        sys.stdout.write(sensitivity.render_match(matched))
    else:
        output.show(matched, args.format)


if __name__ == "__main__":
    command.run(main)
