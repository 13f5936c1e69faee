#!/usr/bin/env python3
"""For everyone: report how far an experiment has come and how long it will still take.

The report is printed and written to DIR/progress.txt. RUNs = DONE + NEWs (running) + WAIT + FAIL
(started, but no process works on them: scripts/epochs.py says why). TIME is the time left if as
many runs keep running at once as now.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import polars as pl
from rich.console import Console

from hed import command, output
from hed.errors import InputError
from hed.watching import progress, watch

SECONDS = 10.0
DAY = 86400


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: progress.py output/EXP000 --watch",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=float,
        const=SECONDS,
        help=f"show it again every so many seconds (default: {SECONDS:.0f}) until all is done",
    )
    output.add_format(parser, original=True)
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, print the progress and write progress.txt."""
    args = parse()
    if args.watch is not None:
        if not 0 < args.watch <= DAY:
            raise InputError(f"--watch takes more than 0 and at most {DAY} s, not {args.watch:g}")
        if args.format != output.ORIGINAL:
            raise InputError("--watch shows a screen: leave out --format")
        watch.watch(args.experiment, seconds=args.watch, console=Console())
    found = progress.read_progress(args.experiment)
    if args.watch is None:
        show(found, args.format)
    with output.where_permitted():
        progress.write_progress(args.experiment, found)


def show(found: progress.Progress, form: str) -> None:
    """Print the progress in one of the forms."""
    if form == output.ORIGINAL:
        sys.stdout.write(progress.render(found))
    elif form == "table":
        texts = progress.texts(found)
        output.show(pl.DataFrame({"key": list(texts), "value": list(texts.values())}), "table")
    elif form == "json":
        sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")
    else:
        output.show(pl.DataFrame([asdict(found)]), "csv")


if __name__ == "__main__":
    command.run(main)
