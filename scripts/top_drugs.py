#!/usr/bin/env python3
"""For everyone: report the drugs to which a cell is most sensitive, true or predicted.

Each line is RUN, true AUC, predicted AUC, CELL. match_drugs.py compares two such lists.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import heldout, sensitivity
from hed.experiment import kind


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: top_drugs.py output/EXP000 pred ACH-000956 10",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "type",
        metavar="TYPE",
        choices=sensitivity.TYPES,
        help="order by the AUC that is true, or that is predicted (also: pred)",
    )
    parser.add_argument("cell", metavar="CELL", help="as list_cells.py lists it")
    parser.add_argument("count", metavar="COUNT", type=int, help="how many drugs")
    parser.add_argument(
        "--replicates",
        choices=sensitivity.REDUCTIONS,
        default="mean",
        help="of several rows of a drug, show their mean, or as the original the one of the "
        "lowest AUC by TYPE (default: %(default)s)",
    )
    output.add_format(parser, original=True)
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, read the predictions and print the drugs."""
    args = parse()
    held_out = heldout.read(args.experiment)
    top = sensitivity.top_drugs(
        held_out.rows,
        args.cell,
        order=sensitivity.TYPES[args.type],
        count=args.count,
        reduce=args.replicates,
    )
    for note in (*held_out.notes, *sensitivity.notes(top, args.replicates, args.count)):
        output.say(note)
    if args.format == output.ORIGINAL:
        for note in kind.not_drugs(args.experiment):
            output.say(f"{note}: --format csv names the drugs")
        sys.stdout.write(sensitivity.render(top))
    else:
        output.show(top, args.format)


if __name__ == "__main__":
    command.run(main)
