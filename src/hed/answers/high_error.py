"""High error drugs: which held-out drugs a model predicts worse than others, and how surely.

Intervals and probabilities are bootstraps over the cells that a drug was tested on; where runs were
repeated, they also count how far trainings differ (see `repeats`). With one training per drug they
hold for this training; `stability` shows for two experiments what another one would change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

from hed.answers import columns as meaning
from hed.answers import draws, errors, moments, repeats
from hed.answers.bootstrap import Resampling
from hed.answers.heldout import HeldOut, with_baselines
from hed.answers.moments import Sums
from hed.answers.repeats import Repeats
from hed.answers.rule import THRESHOLDS, Rule, is_listed, noise_in, standardise, to_badness
from hed.watching.aggregate import BASELINES
from hed.words import listed

INTERVALS = ("rmse", "bias", *(f"skill_{name}" for name in BASELINES))
DEFAULT = Resampling()
# Columns from the repeats of a drug, and from its bootstrap draws.
OF_REPEATS = ("rmse_repeats", "rmse_repeats_sd", "high_repeats")
DRAWN = ("probability", "rank_low", "rank_high")

COLUMNS = meaning.names(meaning.HIGH_ERROR)
# Who is listed and how surely, besides the rule's metric.
JUDGED = ("rank", "run", "index", "drug", "z", "robust_z", "quantile", "high", "probability")


def tabulate(
    held: HeldOut,
    rule: Rule,
    *,
    how: Resampling = DEFAULT,
    columns: Sequence[str] = COLUMNS,
) -> pl.DataFrame:
    """Return a row per held-out drug, worst first; a row per run, if runs of a drug differ.

    Repeats of a run are one row, under the id of the first: errors are those of the mean
    prediction. What is undefined is null: correlations with a constant, intervals of a single
    cell. Only what `columns` need is computed; most of the time goes into the intervals.

    Columns: see `HIGH_ERROR` of `hed.answers.columns`.
    """
    wanted = Wanted.of(columns, rule)
    rows = with_baselines(held) if wanted.baselines else held.rows
    parts, grid = held.each(rows), held.by_run
    same = repeats.find(grid.drugs, held.repeat_of)
    of_runs = moments.per_cell(parts, grid, {*wanted.drawn, *wanted.skills})
    cells = {name: same.mean(values) for name, values in of_runs.items()}
    table = errors.describe(rows, wanted.described).with_columns(_counts(cells, same))
    scale: Sums = {}
    if wanted.baselines:
        table, scale = errors.compared(table, moments.total(cells), held.runs)
    drawn = draws.draw(of_runs, cells, same, metrics=wanted.drawn, how=how, scale=scale)
    if wanted.intervals:
        table = table.with_columns(drawn.intervals(table, wanted.intervals, how.level))
    if "funnel_z" in columns:
        table = table.with_columns(funnel_z=drawn.funnel(table["mse"].to_numpy()))
    if set(OF_REPEATS) & set(columns):
        table = _repeats(table, parts, held, rule)
    sums = drawn.both if wanted.ranks else {}
    return _judged(table, sums, rule, level=how.level).select(columns)


@dataclass(frozen=True)
class Wanted:
    """What some columns need.

    Attributes:
        described: metrics of the rows.
        intervals: metrics with an interval.
        drawn: metrics of each bootstrap draw.
        skills: metrics against baselines.
        ranks: whether any of `DRAWN` is wanted.
    """

    described: frozenset[str]
    intervals: tuple[str, ...]
    drawn: frozenset[str]
    skills: tuple[str, ...]
    ranks: bool

    @property
    def baselines(self) -> bool:
        """Return whether the rows need the baselines' predictions."""
        return bool(self.skills)

    @classmethod
    def of(cls, columns: Sequence[str], rule: Rule) -> "Wanted":
        """Return what these columns of `tabulate` need."""
        intervals = tuple(
            name for name in INTERVALS if {f"{name}_low", f"{name}_high"} & {*columns}
        )
        described = frozenset({"mse", rule.metric, *intervals, *columns})
        is_compared = any(name.startswith(("skill", "baseline", *BASELINES)) for name in described)
        ranks = bool({*DRAWN} & {*columns})
        drawn = {
            *intervals,
            *({rule.metric} if ranks else ()),
            *({"mse"} if "funnel_z" in columns else ()),
        }
        skills = tuple(f"skill_{name}" for name in BASELINES) if is_compared else ()
        return cls(described.union(skills), intervals, frozenset(drawn), skills, ranks)


def unlisted(table: pl.DataFrame, rule: Rule, noun: str = "drug") -> Iterator[str]:
    """Yield sentences on drugs (or what `noun` says) of `tabulate` that the rule cannot judge."""
    undefined = int(table[rule.metric].null_count())
    if undefined:
        yield f"{rule.metric} is undefined for {undefined} of {len(table)} {noun}s: not judged"
    if rule.by in table.columns and table[rule.by].null_count() > undefined:
        yield f"{rule.by} is undefined: too few {noun}s differ in {rule.metric}"
    if "repeats" in table.columns:
        yield from _uneven(table, noun)


def _uneven(table: pl.DataFrame, noun: str) -> Iterator[str]:
    """Yield sentences on drugs of fewer trainings than others."""
    most = int(table["repeats"].to_numpy().max(initial=0))
    fewer = table.filter(pl.col("repeats") < most)
    alone = fewer.filter(repeats=1)
    if len(fewer):
        yield (
            f"{len(fewer)} of {len(table)} {noun}s have predictions of fewer than {most} "
            f"trainings, and larger errors for that: {listed(fewer['drug'].to_list())}"
        )
    if len(alone):
        yield f"intervals of {noun}s with one training know nothing of others"


def _counts(cells: Sums, same: Repeats) -> list[pl.Series]:
    """Return how many cells and repeats each drug has."""
    return [
        pl.Series("cells", (cells["n"] > 0).sum(axis=0), dtype=pl.Int64),
        pl.Series("repeats", same.counts, dtype=pl.Int64),
    ]


def _repeats(table: pl.DataFrame, parts: pl.DataFrame, held: HeldOut, rule: Rule) -> pl.DataFrame:
    """Add how the repeats of each drug differ; null where there is one."""
    if not held.repeat_of:
        return table.with_columns(pl.lit(None, pl.Float64).alias(name) for name in OF_REPEATS)
    own = errors.describe(parts, {"mse", "rmse", rule.metric}).with_columns(
        first=pl.col("run").replace(held.repeat_of),
        # Which repeat it is, whether or not those before it have predictions.
        number=pl.col("run").replace_strict(repeats.number(held.runs)),
    )
    if rule.metric.startswith("skill"):
        baselines = table.select(*(f"{name}_mse" for name in BASELINES), first="run")
        own = own.join(baselines, on="first", maintain_order="left").with_columns(errors.skills())
    judged = own.with_columns(
        high=pl.col(rule.metric).map_batches(partial(_high, rule=rule)).over("number")
    )
    several = judged.filter(pl.len().over("first") > 1)
    found = several.group_by("first").agg(
        rmse_repeats=pl.col("rmse").mean(),
        rmse_repeats_sd=pl.col("rmse").std(),
        high_repeats=pl.col("high").mean(),
    )
    return table.join(found, left_on="run", right_on="first", how="left", maintain_order="left")


def _high(values: pl.Series, *, rule: Rule) -> pl.Series:
    """Return which values of the rule's metric are those of high error drugs."""
    badness = to_badness(values.fill_null(np.nan).to_numpy(), rule.metric)
    known = np.isfinite(badness)
    high = np.zeros(len(badness), dtype=bool)
    high[known] = is_listed(badness[known], rule)
    return pl.Series(high)


def _judged(table: pl.DataFrame, drawn: Sums, rule: Rule, *, level: float) -> pl.DataFrame:
    """Add the rank of each drug among all, and whether the rule lists it; sort worst first.

    Args:
        drawn: draws that give probability and ranges of ranks; empty for neither.
    """
    badness = to_badness(table[rule.metric].fill_null(np.nan).to_numpy(), rule.metric)
    known = np.isfinite(badness)
    columns = {name: np.full(len(badness), np.nan) for name in (*THRESHOLDS, *DRAWN)}
    for name in THRESHOLDS:
        columns[name][known] = standardise(badness[known], name)
    if drawn and rule.metric in moments.NEEDED:
        values = to_badness(moments.compute(rule.metric, drawn)[:, known], rule.metric)
        # A draw that has none of a drug's cells says nothing about it.
        values = np.where(np.isfinite(values), values, badness[known])
        ends = np.quantile(standardise(values, "top"), [(1 - level) / 2, (1 + level) / 2], axis=0)
        listed = is_listed(values, rule, noise_in(values, badness[known], rule)).mean(axis=0)
        # Without spread over drugs nobody is judged, in no draw.
        listed[np.isnan(columns[rule.by][known])] = np.nan
        for name, each in zip(DRAWN, (listed, *ends), strict=True):
            columns[name][known] = each
    table = table.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        high=_high(table[rule.metric], rule=rule),
    )
    ranked = table.rename({"top": "rank"}).with_columns(pl.col("rank").cast(pl.Int64))
    return ranked.sort("rank", nulls_last=True, maintain_order=True)
