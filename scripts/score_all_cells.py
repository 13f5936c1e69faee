#!/usr/bin/env python3
"""For everyone: report for each cell how many of its most sensitive drugs the predictions find."""

import argparse
from pathlib import Path

from hed import command, output
from hed.answers import heldout, sensitivity


def main() -> None:
    """Parse the arguments, read the predictions and print a row for each cell."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: score_all_cells.py output/EXP000 --count 20"
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("--count", type=int, default=10, help="of drugs (default 10)")
    parser.add_argument(
        "--cells", metavar="FILE", type=Path, help="only these, one a line (all_cells.txt)"
    )
    output.add_format(parser)
    args = parser.parse_args()
    held = heldout.read(args.experiment)
    cells = sensitivity.read_cells(args.cells, held.rows) if args.cells else None
    table = sensitivity.score_cells(held.rows, count=args.count, cells=cells)
    for note in (*held.notes, sensitivity.mean_share(table)):
        output.say(note)
    output.show(table, args.format)


if __name__ == "__main__":
    command.run(main)
