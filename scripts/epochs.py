#!/usr/bin/env python3
"""Report the completed epochs of all runs; the report is also written to DIR/epochs.txt."""

import argparse
from pathlib import Path

from hed import aggregate, command, files, runs


def main() -> None:
    """Parse the arguments, print the epochs and write epochs.txt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "level",
        metavar="1",
        nargs="?",
        help="ignored: the original's command line has it (epochs.sh DIR 1)",
    )
    args = parser.parse_args()
    text = aggregate.render_epochs(runs.read_runs(args.experiment))
    print(text, end="")
    files.write_text(args.experiment / aggregate.EPOCHS_FILE, text)


if __name__ == "__main__":
    command.run(main)
