#!/usr/bin/env python3
"""For everyone: count the rows, drugs and cells of response tables, and say what is unusual."""

import argparse
import sys
from pathlib import Path

import polars as pl

from hed import command, output
from hed.answers import inventory


def main() -> None:
    """Parse the arguments, count and show."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: stat.py data/gdsc2-demo rsp_merged.parquet"
    )
    parser.add_argument(
        "tables",
        metavar="TABLE",
        type=Path,
        nargs="+",
        help="a response table, parquet or TSV, or a directory that has one",
    )
    output.add_format(parser)
    args = parser.parse_args()
    output.show(pl.DataFrame([inventory.count(path) for path in args.tables]), args.format)
    for path in args.tables:
        for sentence in inventory.about(path):
            print(f"note: {path}: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
