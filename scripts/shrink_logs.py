#!/usr/bin/env python3
"""For operators: summarise out-*.txt to summary-*.txt, without the framework's noise.

Informational lines of TensorFlow, XLA, oneDNN and absl are dropped, and all but the last update of
each progress bar. Repeated warnings and errors are shown once and counted at the end. Every error,
traceback and warning is kept. Logs that have not changed since the last time are skipped.
"""

import argparse
from pathlib import Path

from hed import command, output
from hed.watching import summaries


def main() -> None:
    """Parse the arguments, summarise the logs and show what that saved."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: shrink_logs.py output/EXP000",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="an experiment, or its directory out"
    )
    output.add_format(parser)
    args = parser.parse_args()
    found = summaries.find(args.directory)
    logs = summaries.outdated(found)
    bar = output.track(summaries.shrink(logs), "shrinking", total=len(logs))
    shrunk = summaries.table(bar)
    output.show(shrunk, args.format)
    output.say(summaries.told(shrunk, len(found)))


if __name__ == "__main__":
    command.run(main)
