#!/usr/bin/env python3
"""For everyone: show how far each drug of a true list has moved in a predicted one.

Both are lists that top_drugs.py printed, long enough that each drug is in both; or one table that
has both, as the original takes it: list_diff.py COUNT TABLE.csv.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import shifts


def main() -> None:
    """Parse the arguments, read the lists and print the shifts."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: list_diff.py true.list pred.list --count 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("true", metavar="TRUE|COUNT", help="by top_drugs.py DIR true ...")
    parser.add_argument(
        "predicted", metavar="PREDICTED|TABLE.csv", type=Path, help="by ... DIR pred ..."
    )
    parser.add_argument("--count", type=int, help="only the first of the true list (default: all)")
    output.add_format(parser, original=True)
    args = parser.parse_args()
    if args.true.isdigit() and not Path(args.true).exists():
        if args.count is not None:
            parser.error(f"{args.true} is the count already: leave --count out")
        lists, count = shifts.read_table(args.predicted), int(args.true)
    else:
        lists, count = shifts.read_lists(Path(args.true), args.predicted), args.count
    table = shifts.tabulate(*lists, count)
    if absent := table["shift"].null_count():
        output.say(f"{absent} of {len(table)} runs are not in the predicted list: print it longer")
    if args.format == output.ORIGINAL:
        sys.stdout.write(shifts.render(table))
    else:
        output.show(table, args.format)


if __name__ == "__main__":
    command.run(main)
