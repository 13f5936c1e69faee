#!/usr/bin/env python3
"""Extract the test scores of an experiment: `index,score` a line, in index order.

The lines are printed and written to DIR/scores.csv; DIR/scores.parquet gets all metrics.
"""

import argparse
from pathlib import Path

from hed import aggregate, command


def main() -> None:
    """Parse the arguments, write the scores and print scores.csv."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
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
    args = parser.parse_args()
    table = aggregate.scores(args.experiment)
    print(aggregate.render_scores(table, args.metric), end="")
    aggregate.write_table(args.experiment, table, metric=args.metric)


if __name__ == "__main__":
    command.run(main)
