#!/usr/bin/env python3
"""For everyone: say what goes with the error of the held-out drugs of an experiment.

distance: to the nearest other drug, in the scaled descriptors; tanimoto: 1 - similarity of Morgan
fingerprints, with --smiles (needs rdkit); auc_mean, auc_sd, rows and sensitive (share of cells with
an AUC below 0.5) of its responses; noise: standard deviation between replicates. Prints rank
correlations with the error over drugs (with the opposite of a metric that is larger for better
drugs), and on stderr a small regression tree with what it explains for drugs that it was not fitted
to. With --drugs, a row per drug with its nearest drugs.
"""

import argparse
from pathlib import Path

import polars as pl

from hed import command, output
from hed.answers import explanation, heldout
from hed.answers.bootstrap import Resampling
from hed.answers.explanation import Sources
from hed.answers.heldout import HeldOut
from hed.answers.rule import METRICS
from hed.errors import InputError


def main() -> None:
    """Parse the arguments, read the predictions and the features, and print."""
    args = parse()
    held = heldout.read(args.experiment)
    table = tabulate(args, held)
    for note in held.notes:
        output.say(note)
    if args.drugs:
        output.show(table.with_columns(joined()), args.format)
        return
    output.show(explanation.correlate(table, args.metric, Resampling()), args.format)
    try:
        text, explained = explanation.grow(table, args.metric)
    except InputError as error:
        output.say(str(error))
        return
    output.say(f"a regression tree explains {explained:.0%} of the variance (cross-validated):")
    output.say(text.rstrip())


def joined() -> list[pl.Expr]:
    """Return the nearest drugs and their errors as texts."""
    errors = pl.col("nearest_errors").list.eval(
        pl.element().round(4).cast(pl.String).fill_null("-")
    )
    return [pl.col("nearest").list.join(", "), errors.list.join(", ")]


def tabulate(args: argparse.Namespace, held: HeldOut) -> pl.DataFrame:
    """Return the drugs of an experiment with what may explain their errors."""
    judged = explanation.judge(held, args.metric)
    sources = Sources(data=args.data, smiles=args.smiles)
    return explanation.explain(args.experiment, held, judged, args.metric, sources)


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument(
        "--metric", choices=METRICS, default="rmse", help="the error (default: %(default)s)"
    )
    explanation.add_options(parser)
    parser.add_argument("--drugs", action="store_true", help="a row per drug")
    output.add_format(parser)
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
