"""Several models ranked on each drug: Friedman's test, which differ, which wins how often.

Demsar, Statistical Comparisons of Classifiers over Multiple Data Sets, J. Mach. Learn. Res. 7
(2006), with drugs for data sets; pairs are tested by Conover's procedure and adjusted by Holm's.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy

from hed.answers import pairing
from hed.answers.grid import Floats
from hed.errors import InputError
from hed.watching.aggregate import LOWER_IS_BETTER

LEVEL = 0.05


@dataclass(frozen=True)
class Contest:
    """What ranks over drugs say about several experiments.

    Attributes:
        metric: by which they are ranked.
        table: a row per experiment, the best first: experiment, rank (mean over drugs; 1 is the
            best, ties share), best (drugs of which it is the best; ties by shares), mean, median
            (of the metric), letters (between experiments that share one no difference is shown at
            `LEVEL`; empty without a test).
        drugs: how many all experiments have.
        statistic, p_value: of Friedman's test; NaN where it does not apply.
    """

    metric: str
    table: pl.DataFrame
    drugs: int
    statistic: float
    p_value: float

    def text(self, noun: str = "drug") -> str:
        """Return the test in a sentence, or why there is none."""
        if np.isnan(self.p_value):
            return f"no test: {pairing.dependence(noun)}"
        return (
            f"Friedman's test over {self.drugs} {noun}s: chi2 = {self.statistic:.1f}, "
            f"p = {self.p_value:.2g}; between those that share a letter no difference is shown at "
            f"{LEVEL:g} (Conover's test, Holm's adjustment)"
        )


def contest(paired: pl.DataFrame, metric: str, *, dependent: bool = False) -> Contest:
    """Rank experiments on each drug that all of them have.

    Args:
        paired: as `compare.pair` returns it.
        metric: of these errors.
        dependent: no test, since the rows share test rows (`pairing.share_rows`).

    Raises:
        InputError: if there are fewer than three experiments, or two drugs that all have.
    """
    names = paired.columns[2:]
    values = paired.select(names).drop_nulls().to_numpy()
    if len(names) < 3 or len(values) < 2:
        raise InputError(
            f"ranks need three experiments or more, and two of what they hold out: {len(names)} "
            f"experiments have {len(values)} in common"
        )
    badness = values if metric in LOWER_IS_BETTER else -values
    ranks = scipy.stats.rankdata(badness, axis=1)
    if (ranks == ranks.mean()).all():
        raise InputError("no experiment differs from another on any drug: nothing to rank")
    statistic, p_value = (
        (np.nan, np.nan) if dependent else scipy.stats.friedmanchisquare(*badness.T)
    )
    first = badness == badness.min(axis=1, keepdims=True)
    table = pl.DataFrame(
        {
            "experiment": names,
            "rank": ranks.mean(axis=0),
            "best": (first / first.sum(axis=1, keepdims=True)).sum(axis=0),
            "mean": values.mean(axis=0),
            "median": np.median(values, axis=0),
        }
    )
    order = table["rank"].arg_sort().to_numpy()
    table = table[order].with_columns(letters=pl.Series(_letters(badness[:, order], p_value)))
    return Contest(metric, table, len(values), float(statistic), float(p_value))


def _letters(badness: Floats, p_value: float) -> list[str]:
    """Return the letters of columns; empty ones without a test of all, of which NaN is the p."""
    count = badness.shape[1]
    if np.isnan(p_value):
        return [""] * count
    # Without a difference over all, none between two is reported.
    return letter(pairwise(badness) if p_value < LEVEL else np.ones((count, count)))


def letter(p_values: Floats) -> list[str]:
    """Return letters for each of n things: two that share one are not told apart at `LEVEL`.

    Args:
        p_values: adjusted, n x n.
    """
    import scikit_posthocs

    found = scikit_posthocs.compact_letter_display(p_values, alpha=LEVEL)
    return [letters.replace(" ", "") for letters in found]


def pairwise(badness: Floats) -> Floats:
    """Return the adjusted p-value of each pair of n columns, n x n.

    Where all drugs rank the columns alike, nothing varies: any difference is certain.
    """
    # The import takes seconds, and most commands do not need it.
    import scikit_posthocs

    ranks = scipy.stats.rankdata(badness, axis=1)
    if (ranks == ranks[0]).all():
        certain: Floats = np.equal.outer(ranks[0], ranks[0]).astype(np.float64)
        return certain
    found = scikit_posthocs.posthoc_conover_friedman(badness, p_adjust="holm")
    adjusted: Floats = found.to_numpy()
    return adjusted
