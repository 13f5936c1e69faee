#!/usr/bin/env python3
"""For the graph: turn raw IMPROVE tables into the scaled parquet tables of DATA_SOURCE."""

import argparse
import sys
from pathlib import Path

from hed import command
from hed.data import layout, options, preprocess, raw, scaling


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "raw", type=Path, metavar="RAW", help=f"directory with {layout.RESPONSE_TSV} and the others"
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="directory for the parquet tables")
    for option, features in (("--ge-scaling", "gene expression"), ("--md-scaling", "descriptors")):
        parser.add_argument(
            option,
            choices=scaling.METHODS,
            default="std",
            help=f"how to scale {features} over the cells or drugs (default: %(default)s)",
        )
    options.add_choice(parser)
    parser.add_argument(
        "--genes", default="", help="file of gene symbols, one a line, or landmark (all genes)"
    )
    return parser.parse_args()


def report(data: raw.Tables, source: Path, out: Path) -> str:
    """Return what was read, dropped and written, a line each."""
    dropped = data.dropped
    return (
        f"read     {data.response.height:,} responses from {source}\n"
        f"dropped  {dropped['cells']:,} cells and {dropped['drugs']:,} drugs with missing "
        f"features; {dropped['rows']:,} responses have no features and will not be used\n"
        f"wrote    {data.response.height:,} responses, "
        f"{data.expression.height:,} cells x {data.expression.width - 1:,} genes, "
        f"{data.descriptors.height:,} drugs x {data.descriptors.width - 1:,} descriptors to {out}"
    )


def main() -> None:
    """Parse the arguments, preprocess and report."""
    args = parse()
    data = preprocess.preprocess(
        args.raw,
        args.out,
        ge_scaling=args.ge_scaling,
        md_scaling=args.md_scaling,
        choice=preprocess.choice(vars(args)),
    )
    for note in data.notes:
        print(f"note: {note}", file=sys.stderr)
    print(report(data, args.raw, args.out), file=sys.stderr)


if __name__ == "__main__":
    command.run(main)
