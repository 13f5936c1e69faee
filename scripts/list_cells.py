#!/usr/bin/env python3
"""For everyone: list the cells of an experiment, or those of a data set with their indices.

Of an experiment, the cells that its runs predict, one per line, by name; --format adds the number
of runs and rows. Of a data set, `INDEX NAME` lines; the index of a cell is its position among the
distinct cells in order of first appearance. An experiment that uses a part of raw tables counts
that part alone: give its settings of `preprocess` as options.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import inventory
from hed.data import options, tables
from hed.errors import InputError


def main() -> None:
    """Parse the arguments, read the cells and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: list_cells.py output/EXP000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        metavar="DIR|RSP_PARQUET|DATA_DIR",
        type=Path,
        help=f"an experiment, a response table, or a directory with {tables.RESPONSE_FILE} "
        "or raw tables",
    )
    parser.add_argument(
        "indices", metavar="INDEX", type=int, nargs="*", help="list only these (of a data set)"
    )
    options.add_choice(parser)
    output.add_format(parser, original=True)
    args = parser.parse_args()
    choice = inventory.chosen(args.path, vars(args))
    if inventory.is_experiment(args.path):
        if args.indices:
            raise InputError(f"the cells of {args.path} have no indices: give its DATA_SOURCE")
        cells = inventory.predicted_cells(args.path)
        text = "".join(f"{cell}\n" for cell in cells["cell"])
    else:
        ids = inventory.names(args.path, tables.CELL, choice)
        cells = inventory.numbered(ids, tables.CELL, args.indices)
        text = inventory.render_numbered(cells)
    if args.format == output.ORIGINAL:
        sys.stdout.write(text)
    else:
        output.show(cells, args.format)


if __name__ == "__main__":
    command.run(main)
