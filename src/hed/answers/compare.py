"""Experiments side by side, drug by drug, with paired tests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy  # which imports scipy.stats where it is used: that takes a second

from hed import output
from hed.answers import pairing, scores
from hed.answers.grid import Floats
from hed.errors import InputError
from hed.experiment.description import partition_mode
from hed.experiment.kind import KINDS, titled
from hed.experiment.runs import read_experiment
from hed.watching import aggregate

# Columns beside those of the experiments; what is held out is one by its name.
RESERVED = {"index", "run", *(name for kind in KINDS.values() for name in (kind.noun, kind.unit))}
TESTS = ("wilcoxon", "t", "sign")
SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("experiment", "reference", "metric"), pl.String),
    **dict.fromkeys(("drugs", "missing", "better", "worse", "equal"), pl.Int64),
    **dict.fromkeys(("mean", "reference_mean", "difference", "low", "high"), pl.Float64),
    "median_difference": pl.Float64,
    **{f"{test}_p": pl.Float64 for test in TESTS},
    **{f"{test}_holm": pl.Float64 for test in TESTS},
    **dict.fromkeys(("rank_biserial", "cohen_d"), pl.Float64),
    "reason": pl.String,
}


def name(directories: Sequence[Path]) -> dict[str, Path]:
    """Return experiments by name, by path where two share a name; controls are labelled as such.

    Raises:
        InputError: if one is given twice, or they hold out different kinds of things.
    """
    names = [titled(read_experiment(path)) for path in directories]
    if len(set(names)) < len(names):
        names = [
            str(path) + title.removeprefix(path.resolve().name)
            for path, title in zip(directories, names, strict=True)
        ]
    named = dict(zip(names, directories, strict=True))
    if len(set(path.resolve() for path in directories)) < len(directories):
        raise InputError("an experiment cannot be compared with itself: give different directories")
    (first, mode), *others = ((name, partition_mode(path)) for name, path in named.items())
    for other, another in others:
        if another != mode:
            raise InputError(
                f"{first} was partitioned {mode} and {other} {another}: "
                "compare experiments that hold out the same"
            )
    return named


def read(directories: Sequence[Path], metric: str) -> dict[str, pl.DataFrame]:
    """Return the errors of experiments by the names of `name`, the first being the reference.

    Raises:
        InputError: as `name` does, or if a directory is not an experiment, or splits differ.
    """
    named = name(directories)
    pairing.check_rows(named)
    return {title: scores.read(path, [metric]) for title, path in named.items()}


def pair(tables: Mapping[str, pl.DataFrame], metric: str, noun: str = "drug") -> pl.DataFrame:
    """Return a row per drug in any experiment: drug, index, and a column per experiment.

    The columns have the experiments' names and the metric, null where an experiment has no score
    of the drug. Rows are in order of the index.

    Args:
        tables: those of `read`.
        noun: what is held out, for messages.

    Raises:
        InputError: if there is no such metric, or drugs cannot be matched.
    """
    if metric not in aggregate.METRICS:
        raise InputError(f"no metric {metric!r}: choose one of {', '.join(aggregate.METRICS)}")
    by = pairing.key(list(tables.values()))
    pairing.check(tables, by, noun)
    other = "drug" if by == "index" else "index"
    names = pl.concat(table.select("drug", "index") for table in tables.values())
    joined = names.group_by(by, maintain_order=True).agg(pl.col(other).drop_nulls().first())
    for name, table in tables.items():
        column = table.select(by, pl.col(metric).alias(_reserved(name)))
        joined = joined.join(column, on=by, how="left", maintain_order="left")
    return joined.select("drug", "index", pl.exclude("drug", "index")).sort(
        "index", nulls_last=True, maintain_order=True
    )


def differences(paired: pl.DataFrame) -> pl.DataFrame:
    """Return a row per drug and other experiment that both have, in the order of `paired`.

    Columns: drug, index, experiment, reference (the first experiment), value, reference_value,
    difference (value - reference_value).
    """
    reference, *others = paired.columns[2:]
    parts = [
        paired.select(
            "drug",
            "index",
            experiment=pl.lit(other),
            reference=pl.lit(reference),
            value=pl.col(other),
            reference_value=pl.col(reference),
            difference=pl.col(other) - pl.col(reference),
        ).drop_nulls("difference")
        for other in others
    ]
    return pl.concat(parts)


def test(
    paired: pl.DataFrame, metric: str, noun: str = "drug", *, dependent: bool = False
) -> pl.DataFrame:
    """Return a row per comparison of an experiment with the first one, over the drugs of both.

    Args:
        paired: as `pair` returns it.
        metric: of these errors.
        noun: what is held out; another one than `drug` stands in the column's name and in reasons.
        dependent: no test, since the rows share test rows (`pairing.share_rows`).

    Columns:
        experiment, reference, metric, drugs (in both), missing (in one of them only, or without a
        value); mean, reference_mean, difference (of the means; positive is more), low, high (its
        95 % t interval), median_difference; better, worse, equal: drugs, by the metric's sense;
        wilcoxon_p: signed rank (differences of zero by Pratt, 1959); t_p: paired t; sign_p: exact;
        {test}_holm: adjusted for the number of comparisons (Holm, Scand. J. Stat. 6, 1979);
        rank_biserial: Kerby, Compr. Psychol. 3 (2014), -1 to 1, positive if the experiment has
        more; cohen_d: mean difference / its standard deviation; reason: why a test is null.
    """
    reference, *others = paired.columns[2:]
    rows = [
        _compare(paired, reference, other, metric, noun, dependent=dependent) for other in others
    ]
    table = pl.DataFrame(rows, schema=SCHEMA)
    adjusted = {f"{t}_holm": holm(table[f"{t}_p"]) for t in TESTS}
    return table.with_columns(**adjusted).rename({"drugs": f"{noun}s"})


def upright(tests: pl.DataFrame) -> pl.DataFrame:
    """Return the comparisons of `test` as texts, a line per number and a column per comparison."""
    names = (tests["experiment"] + " - " + tests["reference"]).to_list()
    return output.upright(tests.drop("experiment", "reference"), names)


def unmatched(paired: pl.DataFrame, noun: str = "drug") -> Iterator[str]:
    """Yield sentences on drugs (or what `noun` says) for which an experiment has no score."""
    for name in paired.columns[2:]:
        count = paired[name].null_count()
        if count:
            yield f"{count} of {len(paired)} {noun}s have no score in {name}"


def holm(p_values: pl.Series) -> pl.Series:
    """Return p-values adjusted by Holm's step-down procedure; null stays null, without counting."""
    known = p_values.drop_nulls().to_numpy()
    place = np.argsort(known, kind="stable")
    stepped = np.maximum.accumulate(known[place] * np.arange(len(known), 0, -1))
    adjusted = np.empty_like(known)
    adjusted[place] = np.minimum(stepped, 1.0)
    values = iter(adjusted.tolist())
    return pl.Series([None if p is None else next(values) for p in p_values], dtype=pl.Float64)


def rank_biserial(difference: Floats) -> float:
    """Return the matched-pairs rank-biserial correlation; zeros share their ranks but not a side.

    The sum of the ranks of |difference| with the sign of the difference, over the sum of all.
    """
    ranks = scipy.stats.rankdata(np.abs(difference))
    return float((ranks * np.sign(difference)).sum() / ranks.sum())


def _reserved(name: str) -> str:
    """Refuse an experiment's name that is also a column's."""
    if name in RESERVED:
        raise InputError(f"an experiment cannot be named {name!r} here: rename its directory")
    return name


def _compare(
    paired: pl.DataFrame, reference: str, other: str, metric: str, noun: str, *, dependent: bool
) -> dict[str, Any]:
    """Return the row of one comparison, without the adjusted p-values."""
    both = paired.select(reference, other).drop_nulls()
    old, new = both[reference].to_numpy(), both[other].to_numpy()
    difference = new - old
    more, less = int((difference > 0).sum()), int((difference < 0).sum())
    better, worse = (less, more) if metric in aggregate.LOWER_IS_BETTER else (more, less)
    present = paired.select(pl.any_horizontal(pl.col(reference, other).is_not_null()).sum()).item()
    return {
        "experiment": other,
        "reference": reference,
        "metric": metric,
        "drugs": len(both),
        "missing": present - len(both),
        "better": better,
        "worse": worse,
        "equal": len(both) - more - less,
        "mean": both[other].mean(),
        "reference_mean": both[reference].mean(),
        "difference": float(difference.mean()) if len(both) else None,
        "median_difference": float(np.median(difference)) if len(both) else None,
        **(_untested(difference, noun) if dependent else _tested(difference, noun)),
    }


def _untested(difference: Floats, noun: str) -> dict[str, float | str | None]:
    """Return what is known of differences that depend on each other."""
    reason = f"{pairing.dependence(noun)}: no test"
    return {
        "rank_biserial": rank_biserial(difference) if difference.any() else None,
        "reason": reason,
    }


def _tested(difference: Floats, noun: str) -> dict[str, float | str | None]:
    """Return the tests of paired differences, or why there are none."""
    if len(difference) < 2:
        return {"reason": f"fewer than two {noun}s in both"}
    if not difference.any():
        return {"reason": f"no {noun} differs"}
    deviation = float(difference.std(ddof=1))
    signs = int((difference > 0).sum()), int((difference != 0).sum())
    found: dict[str, float | str | None] = {
        "wilcoxon_p": float(scipy.stats.wilcoxon(difference, zero_method="pratt").pvalue),
        "sign_p": float(scipy.stats.binomtest(*signs).pvalue),
        "rank_biserial": rank_biserial(difference),
    }
    # Rounding leaves a trace of spread if all differ by the same amount.
    if deviation <= 1e-12 * float(np.abs(difference).max()):
        return {**found, "reason": f"all {noun}s differ by the same: no t test"}
    ends = scipy.stats.ttest_1samp(difference, 0.0)
    interval = ends.confidence_interval()
    return {
        **found,
        "t_p": float(ends.pvalue),
        "low": float(interval.low),
        "high": float(interval.high),
        "cohen_d": float(difference.mean()) / deviation,
    }
