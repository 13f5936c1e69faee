#!/usr/bin/env python3
"""For the graph: copy a finished run of an earlier experiment, which is not modified."""

import argparse
from pathlib import Path

from hed import command
from hed.experiment import restoration


def main() -> None:
    """Copy the best and the last checkpoint and every file, the scores last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="directory of the finished run")
    parser.add_argument("run", type=Path, help="directory to copy it to")
    args = parser.parse_args()

    files = restoration.restore(args.source, args.run)
    print(f"copied {len(files)} files from {args.source}")


if __name__ == "__main__":
    command.run(main)
