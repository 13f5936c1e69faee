#!/usr/bin/env python3
"""Report how far an experiment has come and how long it will still take.

The report is printed and written to DIR/progress.txt. A run counts as NEW when it was started
and is not done; TIME is the time left, as long as as many runs go on at once as do now.
"""

import argparse
import json
from pathlib import Path

from hed import command, progress


def main() -> None:
    """Parse the arguments, print the progress and write progress.txt."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--format",
        choices=("text", "json"),
        default="text",
        help="what to print (default: %(default)s); progress.txt is always text",
    )
    args = parser.parse_args()
    found = progress.read_progress(args.experiment)
    as_json = args.format == "json"
    print(json.dumps(found, indent=2) + "\n" if as_json else progress.render(found), end="")
    progress.write_progress(args.experiment, found)


if __name__ == "__main__":
    command.run(main)
