#!/usr/bin/env python3
"""For everyone: show how well drugs are ranked for each cell, from held-out predictions.

Lowest AUC, the most sensitive, first. Spearman and Kendall (tau-b) compare whole orders; recall is
the share of the true top drugs among as many predicted ones; ndcg weights them by rank. Printed
over all cells, or with --cells for each, beside a random order and drug_mean, an oracle that
knows the drug's mean over the other cells, which is unknown for a new drug. Where training rows
have the drug, the baseline mean_effects ranks, too.
With --classify: precision, recall and F-beta of calling a pair sensitive.
"""

import argparse
from pathlib import Path

import polars as pl

from hed import command, output
from hed.answers import classification, heldout, ranking
from hed.answers.heldout import HeldOut

DEFAULTS = {"top": 10, "sensitive": 0.5, "beta": 1.0}
CALLS = ["method", "precision", "recall", "f_beta", "prevalence", "sensitive", "predicted", "hits"]


def main() -> None:
    """Parse the arguments, read the predictions and print the table."""
    args = parse()
    held = heldout.read(args.experiment)
    for note in (*held.notes, *heldout.replicates(held)):
        output.say(note)
    table = classify(held, args) if args.classify else rank(held, args)
    if args.method:
        table = table.filter(pl.col("method").is_in(args.method))
    if args.format == "table":
        # The most informative first: a narrow terminal has no room for the last.
        first = [*(["cell"] if args.cells else []), *(CALLS if args.classify else [])]
        table = table.select(*first, pl.exclude("cell", r"^.*_sd$", *first))
    output.show(table, args.format)


def rank(held: HeldOut, args: argparse.Namespace) -> pl.DataFrame:
    """Return the ranking quality of each cell or over all."""
    cells = ranking.rank_cells(held, k=args.top)
    for note in ranking.undefined(cells):
        output.say(note)
    return cells if args.cells else ranking.summarise(cells, ranking.one_order(held, k=args.top))


def classify(held: HeldOut, args: argparse.Namespace) -> pl.DataFrame:
    """Return the classification of each cell or over all."""
    table = classification.classify(held, threshold=args.sensitive, beta=args.beta)
    return table.filter(pl.col("cell").is_not_null() == args.cells)


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--top", metavar="K", type=int, help=f"drugs that count (default: {DEFAULTS['top']})"
    )
    parser.add_argument("--cells", action="store_true", help="a row per cell, not over all cells")
    parser.add_argument(
        "--method", action="append", choices=ranking.METHODS, help="only this; may be repeated"
    )
    parser.add_argument("--classify", action="store_true", help="sensitive or not, by a threshold")
    parser.add_argument(
        "--sensitive",
        metavar="AUC",
        type=float,
        help=f"an AUC below this is sensitive (default: {DEFAULTS['sensitive']})",
    )
    parser.add_argument(
        "--beta", type=float, help=f"weight of the recall (default: {DEFAULTS['beta']:g})"
    )
    output.add_format(parser)
    args = parser.parse_args()
    if args.classify and args.top is not None:
        parser.error("--top ranks, and --classify does not: give one of them")
    if not args.classify and (args.sensitive, args.beta) != (None, None):
        parser.error("--sensitive and --beta need --classify")
    for name, value in DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args


if __name__ == "__main__":
    command.run(main)
