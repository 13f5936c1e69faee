#!/usr/bin/env python3
"""For developers: generate test data of any size, with a signal that a model can learn.

It is written as the three parquet tables of DATA_SOURCE, or with --raw as raw IMPROVE tables.
The same options give the same bytes.
"""

import argparse
import sys
from pathlib import Path

from hed import command
from hed.data import generate, preprocess

SMALL = {"drugs": 24, "cells": 60, "genes": 50, "descriptors": 60}


def sizes(args: argparse.Namespace) -> dict[str, int]:
    """Return the requested sizes; by default those of small or of published data."""
    defaults = generate.PUBLISHED if args.published else SMALL
    given = {name: getattr(args, name) for name in SMALL}
    result = {name: defaults[name] if size is None else size for name, size in given.items()}
    usual = generate.usual_rows(result["drugs"], result["cells"])
    return {**result, "rows": usual if args.rows is None else args.rows}


def main() -> None:
    """Parse the arguments, generate the data and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="directory for the tables")
    for name, size in SMALL.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"default: {size}")
    parser.add_argument("--rows", type=int, metavar="N", help="default: 70 %% of all pairs")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--published", action="store_true", help=published())
    parser.add_argument("--raw", action="store_true", help="write raw TSV tables")
    args = parser.parse_args()
    data = generate.generate(**sizes(args), seed=args.seed)
    (generate.write_raw if args.raw else preprocess.write)(data, args.out)
    print(
        f"wrote {data.response.height:,} responses, "
        f"{data.expression.height:,} cells x {data.expression.width - 1:,} genes, "
        f"{data.descriptors.height:,} drugs x {data.descriptors.width - 1:,} descriptors "
        f"to {args.out}",
        file=sys.stderr,
    )


def published() -> str:
    """Return the help text of --published."""
    sizes = ", ".join(f"{size:,} {name}" for name, size in generate.PUBLISHED.items())
    return f"the published size: {sizes}"


if __name__ == "__main__":
    command.run(main)
