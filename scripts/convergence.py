#!/usr/bin/env python3
"""For everyone: show how the trainings converged: epochs to the best, losses, time.

Printed over all runs; with --epochs the losses of each epoch, with --runs a row per run.
"""

import argparse
from pathlib import Path

from hed import command, output
from hed.answers import convergence
from hed.experiment import kind, runs


def main() -> None:
    """Parse the arguments, read the histories and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--epochs", action="store_true", help="a row per measure and epoch")
    what.add_argument("--runs", action="store_true", help="a row per run")
    output.add_format(parser)
    args = parser.parse_args()
    found = runs.read_runs(args.experiment)
    histories = convergence.read_histories(found)
    table = convergence.per_run(found, histories)
    for remark in (*kind.not_drugs(args.experiment), *convergence.remarks(found, table)):
        output.say(remark)
    if args.epochs:
        table = convergence.band(histories)
    elif not args.runs:
        table = convergence.summarise(table)
    output.show(table, args.format)


if __name__ == "__main__":
    command.run(main)
