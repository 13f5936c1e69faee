#!/usr/bin/env python3
"""For everyone: write a UPF with one run for each index: {"id": "RUN000", "index": 0}, ..."""

import argparse
from pathlib import Path

from hed import command
from hed.config import hyperparameters
from hed.errors import InputError
from hed.files import write_text


def main() -> None:
    """Write COUNT lines to OUTPUT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="number of runs")
    parser.add_argument("output", type=Path, help="file to write")
    args = parser.parse_args()
    if args.count < 1:
        raise InputError(f"COUNT must be at least 1, not {args.count}")
    runs = hyperparameters.generate_upf(range(args.count))
    write_text(args.output, hyperparameters.format_upf(runs))


if __name__ == "__main__":
    command.run(main)
