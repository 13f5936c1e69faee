#!/usr/bin/env python3
"""For everyone: list the high error drugs, worst first, with intervals and baselines.

A drug is listed if its error lies far out among all drugs, by default with a robust z-score of
3.5 or more. `probability` is the share of bootstrap draws of cells, and of trainings if there are
repeats, in which it is listed. Cells, groups or splits are listed if runs hold out those. A table
has the main columns, csv and json have all. --beside adds the rmse of other models. With --against,
show which of the drugs another experiment (another seed, loss or precision) lists, too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hed import command, output
from hed.answers import beside, heldout, high_error, pairing, stability
from hed.answers.bootstrap import Resampling
from hed.answers.rule import METRICS, THRESHOLDS, Rule
from hed.experiment.kind import kind_of

# The most informative first: a narrow terminal has no room for the last.
MAIN = ["rank", "drug", "run", "rmse", "rmse_low", "rmse_high", "robust_z", "probability"]
MAIN += ["skill_cell_mean", "bias", "cells", "auc_sd", "cell_mean_mse", "quantile", "high"]
MATCHED = ["drug", "listed", "first", "second", "probability_first", "probability_second"]
MATCHED += ["index", "high_first", "high_second"]


def main() -> None:
    """Parse the arguments, read the predictions and print the list."""
    args = parse()
    others = beside.read(args.experiment, args.beside)
    rule = Rule(metric=args.metric, by=args.by, threshold=args.threshold)
    how = Resampling(replicates=args.replicates, seed=args.seed)
    # Both lists need little of each drug: intervals would take the time of another experiment.
    columns = (*high_error.JUDGED, rule.metric) if args.against else high_error.COLUMNS
    table = tabulate(args.experiment, rule, how, columns)
    kind = kind_of(args.experiment)
    found = f"{table['high'].sum()} of {len(table)} {kind.noun}s are high error {kind.noun}s"
    output.say(f"{found}: {rule.text}")
    if args.against:
        pairing.check_rows({str(path): path for path in (args.experiment, args.against)})
        other = tabulate(args.against, rule, how, columns)
        show_matched(table, other, rule, kind.noun, args)
        return
    listed = table if args.all else table.filter("high")
    if others:
        listed = others.join(listed)
        for note in others.notes:
            output.say(note)
        over = f"over the {others.common} {kind.noun}s that all have"
        for row in others.levels().iter_rows(named=True):
            output.say(f"{row['experiment']}: {beside.METRIC} {row['mean']:.4f} {over}")
    main = MAIN if args.metric in MAIN else [*MAIN[:3], args.metric, *MAIN[3:]]
    main = [name.replace("cell_mean", kind.baseline) for name in main]
    at = main.index(beside.METRIC) + 1
    main[at:at] = others.others if others else []
    chosen = listed.select(main) if args.format == "table" else listed
    output.show(kind.columns(chosen), args.format)


def show_matched(
    table: pl.DataFrame, other: pl.DataFrame, rule: Rule, noun: str, args: argparse.Namespace
) -> None:
    """Print the drugs of either list, or how far both agree."""
    names = (str(args.experiment), str(args.against))
    joined = stability.join(dict(zip(names, (table, other), strict=True)), rule, noun)
    output.say("\n".join(stability.unmatched(joined, names, noun)) or f"both have all {noun}s")
    if args.agreement:
        agreement = stability.agree(joined)
        # One row of many numbers: one line each.
        upright = output.upright(agreement, ["agreement"])
        output.show(upright if args.format == "table" else agreement, args.format)
        return
    chosen = joined if args.all else joined.filter(pl.col("listed") != "neither")
    output.show(chosen.select(MATCHED) if args.format == "table" else chosen, args.format)


def tabulate(directory: Path, rule: Rule, how: Resampling, columns: Sequence[str]) -> pl.DataFrame:
    """Return the table of an experiment; say what is missing."""
    held = heldout.read(directory)
    table = high_error.tabulate(held, rule, how=how, columns=columns)
    for note in (*held.notes, *high_error.unlisted(table, rule, held.kind.noun)):
        output.say(f"{directory}: {note}")
    return table


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("--metric", choices=METRICS, default="rmse", help="default: %(default)s")
    parser.add_argument(
        "--by",
        choices=THRESHOLDS,
        default="robust_z",
        help="what has to reach the threshold; top: the place (default: %(default)s)",
    )
    defaults = ", ".join(f"{name} {value:g}" for name, value in THRESHOLDS.items())
    parser.add_argument("--threshold", type=float, help=f"default: {defaults}")
    parser.add_argument("--all", action="store_true", help="print all drugs, listed or not")
    beside.add_option(parser)
    parser.add_argument("--against", metavar="DIR", type=Path, help="compare with this experiment")
    parser.add_argument(
        "--agreement", action="store_true", help="with --against: print how far both lists agree"
    )
    draws = Resampling()
    parser.add_argument("--replicates", type=int, default=draws.replicates, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=draws.seed, help="of the bootstrap")
    output.add_format(parser)
    args = parser.parse_args()
    if args.agreement and not args.against:
        parser.error("--agreement needs --against DIR")
    if args.beside and args.against:
        parser.error("give --beside or --against, not both")
    if args.against and args.against.resolve() == args.experiment.resolve():
        parser.error("--against needs another experiment than DIR")
    return args


if __name__ == "__main__":
    command.run(main)
