#!/usr/bin/env python3
"""For everyone: report which drugs of a true list are in a predicted list, and their share.

Both are lists that top_drugs.py printed. Drugs match if run and cell are the same.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.answers import sensitivity


def main() -> None:
    """Parse the arguments, read the lists and print the matches."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: match_drugs.py true.list pred.list",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("true", metavar="TRUE", type=Path, help="by top_drugs.py DIR true ...")
    parser.add_argument("predicted", metavar="PREDICTED", type=Path, help="by ... DIR pred ...")
    output.add_format(parser, original=True)
    args = parser.parse_args()
    true, predicted = (sensitivity.read_list(path) for path in (args.true, args.predicted))
    matched = sensitivity.match(true, predicted)
    if args.format == output.ORIGINAL:
        sys.stdout.write(sensitivity.render_match(matched))
    else:
        output.show(matched, args.format)
        output.say(sensitivity.render_share(matched))


if __name__ == "__main__":
    command.run(main)
