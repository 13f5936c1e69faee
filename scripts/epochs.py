#!/usr/bin/env python3
"""For everyone: report the completed epochs of all runs, and write them to DIR/epochs.txt.

A run that was started and that no process works on has failed; --format and stderr say why.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from hed import command, files, output
from hed.experiment import runs
from hed.names import EPOCHS
from hed.watching import aggregate, health


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: epochs.py output/EXP000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "level",
        metavar="1",
        nargs="?",
        help="ignored: the original's command line has it (epochs.sh DIR 1)",
    )
    output.add_format(parser, original=True)
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, print the epochs and write epochs.txt."""
    args = parse()
    found = runs.read_runs(args.experiment)
    healths = health.diagnose(found)
    pairs = list(zip(found, healths, strict=True))
    text = aggregate.render_epochs([replace(run, state=each.state) for run, each in pairs])
    if args.format == output.ORIGINAL:
        sys.stdout.write(text)
        for run, each in pairs:
            if each.reason:
                output.say(f"{run.id} failed: {each.reason}")
    else:
        output.show(health.tabulate(found, healths), args.format)
    with output.where_permitted():
        files.write_text(args.experiment / EPOCHS, text)


if __name__ == "__main__":
    command.run(main)
