#!/usr/bin/env python3
"""For everyone: draw a figure of an experiment, to PNG, PDF or SVG.

errors: of each held-out drug (or cell, or split) beside the baselines and other experiments, high
error drugs named; reasons: what goes with the error of a drug (--smiles, --data: what it reads);
predictions: true against predicted AUC; ranking: of drugs for each cell; convergence: loss by epoch
over all runs; tiles: which run was on which tile when, of experiments on a cluster; comparison:
each drug's score in several experiments against that in the first; contest: three or more
experiments by their mean rank over drugs, joined where no difference is shown (a critical
difference diagram); epochs: test scores by the number of trained epochs, of one or several
experiments.
"""

import argparse
from pathlib import Path

from hed import command
from hed.answers import explanation, figures
from hed.answers.explanation import Sources
from hed.watching import aggregate

ERRORS, REASONS = "errors", "reasons"
COMPARISON, CONTEST, EPOCHS = "comparison", "contest", "epochs"
METRIC = "rmse"
OF_A_METRIC = {
    COMPARISON: figures.draw_comparison,
    CONTEST: figures.draw_contest,
    EPOCHS: figures.draw_by_epochs,
}


def main() -> None:
    """Parse the arguments and draw the figure."""
    args = parse()
    if args.figure == ERRORS:
        figures.draw_errors(args.experiments[0], args.experiments[1:], args.output)
    elif args.figure == REASONS:
        sources = Sources(args.data, args.smiles)
        figures.draw_reasons(args.experiments[0], sources, args.output)
    elif args.figure in OF_A_METRIC:
        OF_A_METRIC[args.figure](args.experiments, args.output, metric=args.metric or METRIC)
    else:
        figures.draw(args.figure, args.experiments[0], args.output)


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: plot.py errors output/EXP000 errors.pdf",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = (*figures.FIGURES, *OF_A_METRIC)
    parser.add_argument("figure", metavar="FIGURE", choices=choices, help=" | ".join(choices))
    parser.add_argument(
        "experiments",
        metavar="DIR",
        type=Path,
        nargs="+",
        help=f"an experiment, as EXP011; {COMPARISON}: two or more, {CONTEST}: three or more, "
        f"{EPOCHS} and {ERRORS}: any number",
    )
    parser.add_argument("output", metavar="OUT.png", type=Path, help="or .pdf or .svg")
    parser.add_argument(
        "--metric",
        choices=aggregate.METRICS,
        help=f"for {COMPARISON}, {CONTEST} and {EPOCHS} (default: {METRIC})",
    )
    explanation.add_options(parser)
    args = parser.parse_args()
    least = {COMPARISON: 2, CONTEST: 3}.get(args.figure, 1)
    many = args.figure in (*OF_A_METRIC, ERRORS)
    if len(args.experiments) < least or (len(args.experiments) > 1 and not many):
        parser.error(f"{args.figure} needs {least} experiment{'s or more' if many else ''}")
    if args.figure != REASONS and (args.smiles or args.data):
        parser.error(f"--smiles and --data are for the figure {REASONS}")
    if args.figure not in OF_A_METRIC and args.metric:
        parser.error(f"--metric is for the figures {', '.join(OF_A_METRIC)}")
    return args


if __name__ == "__main__":
    command.run(main)
