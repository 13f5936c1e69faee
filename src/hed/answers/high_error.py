"""High error drugs: which held-out drugs a model predicts worse than others, and how surely.

Intervals and probabilities are bootstraps over the cells that a drug was tested on. They hold for
this training; what another training would change, `stability` shows for two experiments.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from hed.answers import moments
from hed.answers.bootstrap import ROUNDING, Resampling, bca
from hed.answers.grid import Floats, arrange
from hed.answers.heldout import HeldOut, with_baselines
from hed.answers.moments import BASELINES, Sums
from hed.errors import InputError
from hed.experiment.runs import Run, read_object

METRICS = ("rmse", "mse", "mae", "bias", "pcc", "scc", "r2", "skill_cell_mean", "skill_train_mean")
LARGER_IS_WORSE = ("rmse", "mse", "mae", "bias")
INTERVALS = ("rmse", "bias", "skill_cell_mean", "skill_train_mean")
# Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993), call 3.5 for the robust z-score.
THRESHOLDS = {"robust_z": 3.5, "z": 3.0, "quantile": 0.95, "top": 10.0}
# The share of the standard deviation that the MAD of a normal distribution is.
NORMAL_MAD = 0.6745
DEFAULT = Resampling()

COLUMNS = (
    *("rank", "run", "index", "drug", "rows", "cells", "auc_mean", "auc_sd", "auc_iqr"),
    *("mse", "rmse", "rmse_low", "rmse_high", "mae", "bias", "bias_low", "bias_high"),
    *("pcc", "scc", "r2", "rmse_over_sd", "baseline"),
    *(f"{name}_mse" for name in BASELINES),
    *(f"skill_{name}{end}" for name in BASELINES for end in ("", "_low", "_high")),
    *("z", "robust_z", "quantile", "funnel_z", "high", "probability"),
)
# Who is listed and how surely, beside the rule's metric.
JUDGED = ("rank", "run", "index", "drug", "z", "robust_z", "quantile", "high", "probability")


@dataclass(frozen=True)
class Rule:
    """Which drugs are high error drugs: those whose `metric` lies far out among all drugs.

    Attributes:
        metric: one of `METRICS`. Correlations, r2 and skill are bad where they are low; a bias
            counts by its size.
        by: `robust_z` (0.6745 (x - median) / MAD), `z`, `quantile` (share of the drugs that are at
            most as bad) or `top` (place among the worst).
        threshold: the least `by` of a high error drug, for `top` their number; None for
            `THRESHOLDS`.

    Raises:
        InputError: if there is no such metric or `by`.
    """

    metric: str = "rmse"
    by: str = "robust_z"
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse what there is no rule for."""
        for value, known in ((self.metric, METRICS), (self.by, THRESHOLDS)):
            if value not in known:
                raise InputError(f"no rule by {value!r}: choose one of {', '.join(known)}")

    @property
    def least(self) -> float:
        """The threshold in use."""
        return THRESHOLDS[self.by] if self.threshold is None else self.threshold

    @property
    def text(self) -> str:
        """The rule in words."""
        if self.by == "top":
            return f"the {self.least:g} worst by {self.metric}"
        return f"{self.by} of {self.metric} at least {self.least:g}"


def tabulate(
    held: HeldOut,
    rule: Rule,
    *,
    how: Resampling = DEFAULT,
    columns: Sequence[str] = COLUMNS,
) -> pl.DataFrame:
    """Return a row per held-out drug (per run, if several hold out one drug), worst first.

    What is undefined is null: correlations with a constant, intervals of a single cell. Only what
    `columns` need is computed; most of the time goes into the intervals.

    Columns:
        rank (1 = worst by the rule's metric), run, index, drug, rows, cells;
        auc_mean, auc_sd, auc_iqr: of the true AUC;
        mse, rmse, mae, bias (mean of predicted - true), pcc, scc, r2;
        train_mean_mse, cell_mean_mse, baseline: `recorded` in baseline_scores.json, or
        `recomputed` from the other drugs' held-out rows; skill_*: 1 - mse / baseline's mse;
        {metric}_low, _high, of `INTERVALS`: the BCa interval;
        rmse_over_sd: rmse / auc_sd, the error against the drug's own spread;
        funnel_z: (mse - median mse of all drugs) / its bootstrap standard error, the error against
        what so many cells can tell (Spiegelhalter, Stat. Med. 24, 2005);
        z, robust_z, quantile: of the rule's metric over drugs, larger is worse;
        high (bool): in the list; probability: share of bootstrap draws in which it is.
    """
    intervals = [name for name in INTERVALS if {f"{name}_low", f"{name}_high"} & set(columns)]
    used = {"mse", rule.metric, *intervals, *columns}
    has_baselines = any(name.startswith(("skill", "baseline", *BASELINES)) for name in used)
    if has_baselines:
        used |= {f"skill_{name}" for name in BASELINES}
    rows = with_baselines(held) if has_baselines else held.rows
    cells = moments.per_cell(rows, arrange(rows, by="run"), used)
    counts = pl.Series("cells", (cells["n"] > 0).sum(axis=0), dtype=pl.Int64)
    table, scale = _describe(rows, used).with_columns(counts), dict[str, Floats]()
    if has_baselines:
        table, scale = _with_baselines(table, moments.total(cells), held.runs)
    # Each sum that is drawn takes time. Of a recorded baseline, which saw the training rows only,
    # the level is taken, and the pattern over cells of the recomputed one.
    drawn_metrics = {rule.metric, *intervals, *({"mse"} if "funnel_z" in columns else ())}
    needed = sorted(moments.needed(drawn_metrics))
    cells = {name: cells[name] * scale.get(name, 1.0) for name in needed}
    drawn = moments.replicate(cells, how)
    if intervals:
        table = _with_intervals(table, intervals, cells, drawn, level=how.level)
    if "funnel_z" in columns:
        table = table.with_columns(funnel_z=_funnel(table["mse"].to_numpy(), drawn))
    return _judged(table, drawn, rule).select(columns)


def unlisted(table: pl.DataFrame, rule: Rule) -> Iterator[str]:
    """Yield sentences on drugs of `tabulate` that the rule cannot judge."""
    undefined = int(table[rule.metric].null_count())
    if undefined:
        yield f"{rule.metric} is undefined for {undefined} of {len(table)} drugs: not judged"
    if rule.by in table.columns and table[rule.by].null_count() > undefined:
        yield f"{rule.by} is undefined: too few drugs differ in {rule.metric}"


def _describe(rows: pl.DataFrame, used: Collection[str]) -> pl.DataFrame:
    """Return spread and errors of each run, those that are used, in order of first appearance."""
    true, predicted = pl.col("true"), pl.col("predicted")
    error = predicted - true
    varies = true.max() > true.min()
    both = varies & (predicted.max() > predicted.min())
    means = {"mse": (error**2).mean(), "mae": error.abs().mean(), "bias": error.mean()}
    table = (
        rows.lazy()
        .group_by("run", maintain_order=True)
        .agg(
            pl.col("index").first(),
            pl.col("drug").first(),
            rows=pl.len().cast(pl.Int64),
            auc_mean=true.mean(),
            auc_sd=true.std(),
            auc_iqr=true.quantile(0.75, "linear") - true.quantile(0.25, "linear"),
            **means,
            pcc=pl.when(both).then(pl.corr(true, predicted)),
            scc=pl.when(both).then(pl.corr(true, predicted, method="spearman")),
            r2=pl.when(varies).then(1 - means["mse"] / true.var(ddof=0)),
        )
    )
    table = table.with_columns(
        rmse=pl.col("mse").sqrt(),
        rmse_over_sd=pl.when(pl.col("auc_sd") > 0).then(pl.col("mse").sqrt() / pl.col("auc_sd")),
    )
    # What is not selected is not computed; another engine adds in another order.
    used = {"run", "index", "drug", *used}
    table = table.select(pl.selectors.by_name(*used, require_all=False))
    return table.collect(engine="in-memory")


def _with_baselines(
    table: pl.DataFrame, total: Sums, runs: Sequence[Run]
) -> tuple[pl.DataFrame, dict[str, Floats]]:
    """Add the baselines and the skill; return also by what recorded exceed recomputed ones."""
    directories = {run.id: run.directory for run in runs}
    found = [read_object(directories[run] / "baseline_scores.json") or {} for run in table["run"]]
    columns, scale = {}, {}
    for name in BASELINES:
        recorded = np.array([_mse(each.get(name)) for each in found])
        recomputed = total[name] / total["n"]
        used = np.where(np.isfinite(recorded), recorded, recomputed)
        columns[f"{name}_mse"] = used
        scale[name] = np.divide(used, recomputed, out=np.ones_like(used), where=recomputed > 0)
    is_recorded = pl.Series(np.isfinite(recorded))
    table = table.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()),
        baseline=pl.when(is_recorded).then(pl.lit("recorded")).otherwise(pl.lit("recomputed")),
    )
    skills = {
        f"skill_{name}": pl.when(pl.col(f"{name}_mse") > 0).then(
            1 - pl.col("mse") / pl.col(f"{name}_mse")
        )
        for name in BASELINES
    }
    return table.with_columns(**skills), scale


def _mse(scores: object) -> float:
    """Return the mse of a baseline's scores, NaN if they have none."""
    value = scores.get("mse") if isinstance(scores, dict) else None
    return float(value) if isinstance(value, int | float) else np.nan


def _with_intervals(
    table: pl.DataFrame, metrics: Sequence[str], cells: Sums, drawn: Sums, *, level: float
) -> pl.DataFrame:
    """Add the BCa intervals of the metrics."""
    without = moments.without_each(cells)
    ends: dict[str, Floats] = {}
    for metric in metrics:
        estimate = table[metric].fill_null(np.nan).to_numpy()
        values = moments.compute(metric, drawn)
        low, high = bca(estimate, values, moments.compute(metric, without), level)
        ends |= {f"{metric}_low": low, f"{metric}_high": high}
    return table.with_columns(pl.Series(k, v).fill_nan(None) for k, v in ends.items())


def _funnel(mse: Floats, drawn: Sums) -> pl.Series:
    """Return funnel_z of each run."""
    error = np.nanstd(moments.compute("mse", drawn), axis=0, ddof=1)
    certain = error <= ROUNDING * mse
    values = np.where(certain, np.nan, (mse - np.median(mse)) / np.maximum(error, 1e-300))
    return pl.Series(values).fill_nan(None)


def _judged(table: pl.DataFrame, drawn: Sums, rule: Rule) -> pl.DataFrame:
    """Add the place of each drug among all, and whether the rule lists it; sort worst first."""
    badness = _badness(table[rule.metric].fill_null(np.nan).to_numpy(), rule.metric)
    known = np.isfinite(badness)
    columns = {name: np.full(len(badness), np.nan) for name in (*THRESHOLDS, "probability")}
    for name in THRESHOLDS:
        columns[name][known] = standardise(badness[known], name)
    high = np.zeros(len(badness), dtype=bool)
    high[known] = _is_listed(badness[known], rule)
    if rule.metric in moments.NEEDED:
        values = _badness(moments.compute(rule.metric, drawn)[:, known], rule.metric)
        # A draw that has none of a drug's cells tells nothing of it.
        values = np.where(np.isfinite(values), values, badness[known])
        columns["probability"][known] = _is_listed(values, rule).mean(axis=0)
    table = table.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in columns.items()), high=high
    )
    ranked = table.rename({"top": "rank"}).with_columns(pl.col("rank").cast(pl.Int64))
    return ranked.sort("rank", nulls_last=True, maintain_order=True)


def _badness(values: Floats, metric: str) -> Floats:
    """Return a metric so that larger is worse."""
    if metric == "bias":
        values = np.abs(values)
    worse: Floats = values if metric in LARGER_IS_WORSE else -values
    return worse


def _is_listed(badness: Floats, rule: Rule) -> npt.NDArray[np.bool_]:
    """Return which drugs (last axis) the rule lists."""
    place = standardise(badness, rule.by)
    listed: npt.NDArray[np.bool_] = place <= rule.least if rule.by == "top" else place >= rule.least
    return listed


def standardise(values: Floats, by: str) -> Floats:
    """Return where values lie among those of the last axis, larger being worse (see `Rule.by`).

    NaN where that is undefined: a single value, or no spread.
    """
    if by in ("quantile", "top"):
        return _placed(values, by)
    if by == "z":
        centre = values.mean(axis=-1, keepdims=True)
        spread = values.std(axis=-1, keepdims=True, ddof=min(1, values.shape[-1] - 1))
    else:
        centre = np.median(values, axis=-1, keepdims=True)
        spread = np.median(np.abs(values - centre), axis=-1, keepdims=True) / NORMAL_MAD
    undefined = np.full_like(values, np.nan)
    scores: Floats = np.divide(values - centre, spread, out=undefined, where=spread > 0)
    return scores


def _placed(values: Floats, by: str) -> Floats:
    """Return the share of values at most as large as each, or its place from the largest."""
    count = values.shape[-1]
    no_worse: Floats = np.apply_along_axis(_count_at_most, -1, values)
    place: Floats = no_worse / count if by == "quantile" else count - no_worse + 1.0
    return place


def _count_at_most(values: Floats) -> Floats:
    """Return how many values are at most as large as each."""
    count: Floats = np.searchsorted(np.sort(values), values, side="right").astype(np.float64)
    return count
