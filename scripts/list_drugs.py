#!/usr/bin/env python3
"""For everyone: list the drugs of a data set or an experiment: `INDEX NAME` a line.

The index of a drug is its position among the distinct drugs in order of first appearance. An
experiment that uses a part of raw tables counts that part alone: give its settings of `preprocess`
as options.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import inventory
from hed.data import options, tables


def main() -> None:
    """Parse the arguments, read the table and print the drugs."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: list_drugs.py data/gdsc2-demo 7",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        metavar="RSP_PARQUET|DATA_DIR|EXPERIMENT",
        type=Path,
        help=f"a response table, a directory with {tables.RESPONSE_FILE} or raw tables, "
        "or an experiment that names its drugs",
    )
    parser.add_argument(
        "indices", metavar="INDEX", type=int, nargs="*", help="list only these (default: all)"
    )
    parser.add_argument(
        "--index", metavar="N", type=int, action="append", default=[], help="the same"
    )
    options.add_choice(parser)
    output.add_format(parser, original=True)
    args = parser.parse_args()
    indices = [*args.indices, *args.index]
    choice = inventory.chosen(args.path, vars(args))
    if inventory.is_experiment(args.path):
        drugs = inventory.held_out_drugs(args.path, indices)
    else:
        ids = inventory.names(args.path, tables.DRUG, choice)
        drugs = inventory.numbered(ids, tables.DRUG, indices)
    if args.format == output.ORIGINAL:
        sys.stdout.write(inventory.render_numbered(drugs))
    else:
        output.show(drugs, args.format)


if __name__ == "__main__":
    command.run(main)
