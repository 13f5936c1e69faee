#!/usr/bin/env python3
"""For the graph: split the response table for one run: rsp_{train,val,test}_data.parquet."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed import command
from hed.data import groups, partition, responses, row_lists, scaling, splits, tables
from hed.data.responses import Responses
from hed.errors import InputError


def in_our_order(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the mode, which comes first in the original, as an option."""
    if arguments and arguments[0] in partition.MODES and not Path(arguments[0]).exists():
        return ["--mode", *arguments]
    return [*arguments]


def split(args: argparse.Namespace, found: Responses) -> dict[str, pl.DataFrame]:
    """Return the parts that the arguments ask for."""
    if args.mode == partition.BY_FILE:
        if len(args.splits) != len(splits.STAGES):
            raise InputError("mode file needs --splits TRAIN VAL TEST, three files of row numbers")
        return row_lists.split(found, dict(zip(splits.STAGES, args.splits, strict=True)))
    grouped = groups.read(args.groups) if args.groups else None
    how = partition.Split(args.mode, args.validation, args.test, args.seed, grouped)
    counted = found.ids.get(tables.COUNTED.get(args.mode, ""))
    return partition.split(found.rows, args.index, how, counted)


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="as the original: partition.py by_drug --index 7 rsp_merged.parquet OUT",
    )
    parser.add_argument("response", type=Path, help="rsp_merged.parquet")
    parser.add_argument("out", type=Path, help="directory to write the three parts to")
    parser.add_argument("--index", type=int, required=True, help="index of the held-out drug")
    parser.add_argument("--mode", choices=partition.MODES, default="by_drug")
    parser.add_argument("--validation", type=float, default=0.2, help="share (default 0.2)")
    parser.add_argument("--test", type=float, default=0.1, help="share in mode random (0.1)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the experiment (default 0)")
    parser.add_argument(
        "--splits",
        nargs="*",
        type=Path,
        metavar="FILE",
        default=[],
        help="in mode file: row numbers to train on, to validate on and to test on",
    )
    parser.add_argument(
        "--groups", type=Path, metavar="FILE", help="in mode by_group: the group of each id"
    )
    for option, features in (("--ge-scaling", "gene expression"), ("--md-scaling", "descriptors")):
        parser.add_argument(
            option,
            choices=scaling.METHODS,
            help=f"write the {features} beside the parts, scaled without a look at the test rows",
        )
    return parser.parse_args(in_our_order(sys.argv[1:]))


def main() -> None:
    """Read the response table, split it, write the parts."""
    args = parse()
    found = responses.beside(args.response)
    parts = split(args, found)
    partition.write(parts, args.out)
    if args.ge_scaling or args.md_scaling:
        methods = {tables.CELL: args.ge_scaling or "none", tables.DRUG: args.md_scaling or "none"}
        partition.write_features(parts, args.out, args.response.parent, methods)
    print(", ".join(f"{len(rows):,} {stage}" for stage, rows in parts.items()), "rows")


if __name__ == "__main__":
    command.run(main)
