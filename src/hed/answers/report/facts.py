"""The headline numbers of a report."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from hed.answers import heldout, ranking
from hed.answers.beside import Beside
from hed.answers.errors import correlation
from hed.answers.rule import Rule


@dataclass(frozen=True)
class Fact:
    """A headline number, what it is, and what to compare it with."""

    label: str
    value: str
    detail: str


def of_errors(judged: pl.DataFrame, held: heldout.HeldOut) -> Iterator[Fact]:
    """Yield how many runs there are, how large their errors, and how many are high."""
    names = ("rmse", "baseline_rmse", "train_mean_rmse")
    medians = {name: shown(judged[name].median(), 4) for name in names}
    noun, baseline = held.kind.noun, held.kind.best
    runs = f"{held.parts['run'].n_unique():,} of {len(held.runs):,}"
    yield Fact("runs with predictions", runs, f"{len(held.rows):,} held-out rows")
    baselines = f"{baseline} {medians['baseline_rmse']}, training mean "
    yield Fact("median rmse", medians["rmse"], baselines + medians["train_mean_rmse"])
    within, whole = judged["pcc"].median(), correlation(held.rows)
    hidden = f"over all rows together {shown(whole, 3)}, which also tells how {noun}s differ"
    yield Fact(f"median Pearson r within a {noun}", shown(within, 3), hidden)
    both = judged.drop_nulls("skill")
    better = int((both["skill"] > 0).sum())
    title = f"{noun}s predicted better than by the {baseline}"
    yield Fact(title, f"{better:,}", f"of {len(both):,}")
    yield Fact(f"high error {noun}s", f"{int(judged['high'].sum()):,}", Rule().text)


def of_ranks(cells: pl.DataFrame, held: heldout.HeldOut) -> Iterator[Fact]:
    """Yield how well drugs are ranked for a cell, and what chance would do."""
    summary = ranking.summarise(cells, ranking.one_order(held))
    titles = {"spearman": "Spearman over cells, mean", "recall": "recall of the top 10, mean"}
    for measure, title in titles.items():
        model, effects, random = (
            summary.filter(method=method, measure=measure).row(0, named=True)
            for method in ("model", ranking.BY_EFFECTS, "random")
        )
        if model["mean"] is not None:
            within, chance = (
                f"{shown(row['mean_low'], 3)} to {shown(row['mean_high'], 3)}"
                for row in (model, random)
            )
            ranked = (
                "" if effects["mean"] is None else f"mean effects {shown(effects['mean'], 3)}; "
            )
            detail = f"{within} over cells; {ranked}{chance} by a random order of the drugs (95 %)"
            yield Fact(title, shown(model["mean"], 3), detail)


def of_training(trained: pl.DataFrame) -> Iterator[Fact]:
    """Yield how training went, if it was recorded."""
    best = trained["best_val_loss"].drop_nulls()
    if len(best):
        count = len(trained.filter(status="stopped early"))
        stopped = f"{count:,} of {len(trained):,} runs stopped early"
        yield Fact("median of the best val_loss", shown(best.median(), 4), stopped)
    seconds = trained["seconds_per_epoch"].drop_nulls()
    if len(seconds):
        hours = float(trained["seconds"].sum()) / 3600
        median = f"{shown(seconds.median(), 1)} s"
        yield Fact("median time of an epoch", median, f"{hours:,.1f} h of training in all")


def beside(others: Beside | None, noun: str) -> Iterator[Fact]:
    """Yield how often the model is better than other experiments, if there are any."""
    if others is None:
        return
    levels = others.levels()
    first = others.paired.columns[2]
    both = others.paired.drop_nulls(others.paired.columns[2:])
    for row in levels.filter(pl.col("experiment") != first).iter_rows(named=True):
        better = int((both[first] < both[row["experiment"]]).sum())
        detail = f"of {len(both):,}; its median rmse {shown(row['median'], 4)}"
        title = f"{noun}s predicted better than by {row['experiment']}"
        yield Fact(title, f"{better:,}", detail)


def shown(value: object, digits: int) -> str:
    """Return a number in decimals, a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"
