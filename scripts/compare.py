#!/usr/bin/env python3
"""For everyone: compare experiments (models, losses, seeds) with the first one, drug by drug.

Paired tests over the drugs that both have: Wilcoxon's signed rank, Student's t, sign; with
several experiments also adjusted by Holm's method. A drug is better if its error is lower, or
its correlation or r2 higher. With --ranks, rank three or more experiments on each drug instead:
mean ranks, wins, and which of them differ.
"""

import argparse
from pathlib import Path

from hed import command, output
from hed.answers import compare, likeness, mean_ranks, pairing
from hed.experiment import kind
from hed.watching import aggregate


def main() -> None:
    """Parse the arguments, read the scores and print the comparison."""
    args = parse()
    tables = compare.read(args.experiments, args.metric)
    held_out = kind.kind_of(args.experiments[0])
    paired = compare.pair(tables, args.metric, held_out.noun)
    doubts = likeness.doubts(compare.name(args.experiments))
    for note in (*compare.unmatched(paired, held_out.noun), *doubts):
        output.say(note)
    if args.drugs:
        output.show(held_out.columns(paired), args.format)
        return
    dependent = pairing.share_rows(args.experiments[0])
    if args.ranks:
        found = mean_ranks.contest(paired, args.metric, dependent=dependent)
        output.say(found.text(held_out.noun))
        output.show(found.table, args.format)
        return
    tests = compare.test(paired, args.metric, held_out.noun, dependent=dependent)
    # One comparison has many numbers: a line for each.
    output.show(compare.upright(tests) if args.format == "table" else tests, args.format)


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "experiments", metavar="DIR", type=Path, nargs="+", help="experiments, as EXP010 EXP011"
    )
    parser.add_argument(
        "--metric", choices=aggregate.METRICS, default="rmse", help="default: %(default)s"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--ranks", action="store_true", help="mean ranks over drugs, and wins")
    shown.add_argument("--drugs", action="store_true", help="a row per drug, without tests")
    output.add_format(parser)
    args = parser.parse_args()
    if len(args.experiments) < 2:
        parser.error("give two experiments or more")
    return args


if __name__ == "__main__":
    command.run(main)
