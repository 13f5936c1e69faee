"""Other experiments beside one: models, baselines or controls with the same held-out drugs."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.answers import compare, likeness, mean_ranks, pairing
from hed.answers.mean_ranks import Contest
from hed.answers.scores import LEVELS
from hed.errors import InputError
from hed.experiment.kind import kind_of

METRIC = "rmse"
# As many as a figure has colours for.
MOST = 5


@dataclass(frozen=True)
class Beside:
    """Several experiments, the first of which is the main one.

    Attributes:
        by: drug or index, whatever matches their drugs.
        paired: drug, index, and the `METRIC` of each experiment by its name.
        contest: their ranks; None if there are fewer than three.
        notes: sentences on what else than the model differs.
    """

    by: str
    paired: pl.DataFrame
    contest: Contest | None
    notes: tuple[str, ...] = ()

    @property
    def others(self) -> list[str]:
        """The names of the other experiments."""
        return self.paired.columns[3:]

    @property
    def _both(self) -> pl.DataFrame:
        """The rows of what all experiments have."""
        return self.paired.drop_nulls(self.paired.columns[2:])

    @property
    def common(self) -> int:
        """How many drugs all experiments have."""
        return len(self._both)

    def join(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return a table of the first experiment's drugs with a column per other experiment."""
        taken = [name for name in self.others if name in table.columns or name in LEVELS]
        if taken:
            raise InputError(
                f"an experiment cannot be named {taken[0]!r} here: rename its directory"
            )
        others = self.paired.select(self.by, *self.others).drop_nulls(self.by)
        return table.join(others, on=self.by, how="left", maintain_order="left")

    def differences(self) -> pl.DataFrame:
        """Return the differences between the others and the first, as `compare.differences`."""
        return compare.differences(self.paired)

    def levels(self) -> pl.DataFrame:
        """Return a row per experiment, over the drugs of all of them.

        Columns: experiment, mean, median; better (drugs on which it is better than the first); of
        three or more experiments also rank, best, letters (see `mean_ranks.Contest`).
        """
        first, *others = self.paired.columns[2:]
        both = self._both
        table = pl.DataFrame(
            {
                "experiment": [first, *others],
                "mean": [both[name].mean() for name in (first, *others)],
                "median": [both[name].median() for name in (first, *others)],
                "better": [None, *(int((both[name] < both[first]).sum()) for name in others)],
            }
        )
        if self.contest is None:
            return table
        ranks = self.contest.table.select("experiment", "rank", "best", "letters")
        return table.join(ranks, on="experiment").sort("rank", maintain_order=True)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a command the option `--beside`."""
    parser.add_argument(
        "--beside",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[],
        help=f"other experiments (models, baselines) of the same drugs, {MOST} at most",
    )


def read(directory: Path, others: Sequence[Path]) -> Beside | None:
    """Read the scores of an experiment and of others; None if there are no others.

    Raises:
        InputError: if there are too many, or they cannot be compared or have no drug in common.
    """
    if not others:
        return None
    if len(others) > MOST:
        raise InputError(f"{len(others)} experiments beside one are too many: give {MOST} at most")
    tables = compare.read([directory, *others], METRIC)
    noun = kind_of(directory).noun
    paired = compare.pair(tables, METRIC, noun)
    if paired.drop_nulls(paired.columns[2:]).is_empty():
        raise InputError(f"no {noun} has scores in all of {', '.join(tables)}")
    by = pairing.key(list(tables.values()))
    return Beside(
        by=by,
        paired=paired,
        contest=_contest(paired, dependent=pairing.share_rows(directory)),
        notes=tuple(likeness.doubts(compare.name([directory, *others]))),
    )


def _contest(paired: pl.DataFrame, *, dependent: bool) -> Contest | None:
    """Return the ranks of experiments; None if too few have any, or none differ."""
    try:
        return mean_ranks.contest(paired, METRIC, dependent=dependent)
    except InputError:
        return None
