#!/usr/bin/env python3
"""For everyone: extract the test scores of an experiment: `index,score` a line, in index order.

The lines are printed and written to DIR/scores.csv; DIR/scores.parquet gets all metrics. With
--format the printed rows also have run and drug.
"""

import argparse
import sys
from pathlib import Path

from hed import command, output
from hed.experiment import kind, runs
from hed.watching import aggregate


def main() -> None:
    """Parse the arguments, write the scores and print them."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: extract.py output/EXP000 rmse",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "metric",
        metavar="METRIC",
        nargs="?",
        choices=aggregate.METRICS,
        default="mse",
        help=f"one of {', '.join(aggregate.METRICS)} (default: %(default)s)",
    )
    output.add_format(parser, original=True)
    args = parser.parse_args()
    found = runs.read_runs(args.experiment)
    table = aggregate.tabulate(found)
    missing = kind.missing(found, scored=set(table["run"]))
    for note in (*kind.not_drugs(args.experiment), *missing):
        output.say(note)
    if args.format == output.ORIGINAL:
        sys.stdout.write(aggregate.render_scores(table, args.metric))
    else:
        output.show(table.select("index", "run", "drug", args.metric), args.format)
    with output.where_permitted():
        aggregate.write_table(args.experiment, table, metric=args.metric)


if __name__ == "__main__":
    command.run(main)
