#!/usr/bin/env python3
"""For the graph: split the response table for one run: rsp_{train,val,test}_data.parquet."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from hed import command
from hed.data import partition, responses, tables

MODES = ("by_drug", "by_cell", "random")


def in_our_order(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the mode, which the original has first, as an option."""
    if arguments and arguments[0] in MODES and not Path(arguments[0]).exists():
        return ["--mode", *arguments]
    return [*arguments]


def main() -> None:
    """Read the response table, split it, write the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="as the original: partition.py by_drug --index 7 rsp_merged.parquet OUT",
    )
    parser.add_argument("response", type=Path, help="rsp_merged.parquet")
    parser.add_argument("out", type=Path, help="directory to write the three parts to")
    parser.add_argument("--index", type=int, required=True, help="index of the held-out drug")
    parser.add_argument("--mode", choices=MODES, default="by_drug")
    parser.add_argument("--validation", type=float, default=0.2, help="share (default 0.2)")
    parser.add_argument("--test", type=float, default=0.1, help="share in mode random (0.1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the experiment (default 0)")
    args = parser.parse_args(in_our_order(sys.argv[1:]))

    how = partition.Split(args.mode, args.validation, args.test, args.seed)
    found = responses.beside(args.response)
    counted = found.ids.get(tables.COUNTED.get(args.mode, ""))
    parts = partition.split(found.rows, args.index, how, counted)
    partition.write(parts, args.out)
    print(", ".join(f"{len(rows):,} {stage}" for stage, rows in parts.items()), "rows")


if __name__ == "__main__":
    command.run(main)
