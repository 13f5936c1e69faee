"""What the report of an experiment says: numbers, figures, a row per drug, every prediction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.answers import (
    beside,
    convergence,
    explanation,
    figures,
    heldout,
    high_error,
    ranking,
    scores,
)
from hed.answers.beside import Beside
from hed.answers.bootstrap import Resampling
from hed.answers.explanation import NO_OTHER, Sources
from hed.answers.plots import comparison, contest, errors, predictions, ranks, reasons, training
from hed.answers.report import facts, packing, pictures
from hed.answers.report.facts import Fact
from hed.answers.report.packing import Packed
from hed.answers.report.pictures import Figure, Picture
from hed.answers.rule import Rule
from hed.errors import InputError
from hed.experiment import description, usage
from hed.experiment.kind import Kind
from hed.experiment.runs import read_runs
from hed.watching import aggregate

# What the page shows of each drug in the table of high error drugs; the baseline is its kind's.
COLUMNS = (
    *("index", "drug", "run", "repeats", "rows", "cells", "auc_mean", "auc_sd"),
    *("rmse", "rmse_low", "rmse_high", "rmse_repeats_sd", "mse", "bias", "pcc", "scc", "r2"),
    *("baseline_rmse", "train_mean_rmse", "skill"),
    *("z", "robust_z", "quantile", "high", "probability"),
)
# What explains the errors, where it is known.
EXPLAINED = ("nearest", "distance", "tanimoto", "sensitive", "noise")


@dataclass(frozen=True)
class Contents:
    """Everything that a report says.

    `drugs` has the columns `COLUMNS`, those of `EXPLAINED` (null where unknown) and one for each of
    `others`, experiments beside this one; worst first. `levels` compares these, see
    `Beside.levels`. `data` are sentences about the data set, as printed at the start of the
    experiment; `notes` are sentences on what is missing.
    """

    name: str
    kind: Kind
    facts: tuple[Fact, ...]
    figures: tuple[Figure, ...]
    drugs: pl.DataFrame
    others: tuple[str, ...]
    levels: pl.DataFrame | None
    predictions: Packed
    rule: str
    data: tuple[str, ...]
    notes: tuple[str, ...]


def read(directory: Path, sources: Sources = NO_OTHER, others: Sequence[Path] = ()) -> Contents:
    """Read an experiment and compute what its report says.

    Args:
        directory: the experiment.
        sources: of features and structures, which may explain errors.
        others: experiments to be shown beside it.

    Raises:
        InputError: if the directory is not an experiment, no run has predictions, or one of the
            others cannot be compared.
    """
    held, rule = heldout.read(directory), Rule()
    compared = beside.read(directory, others)
    judged = _with_baselines(high_error.tabulate(held, rule), held.kind)
    unjudged = high_error.unlisted(judged, rule, held.kind.noun)
    explained, why_not = _explain(directory, held, judged, sources)
    cells = ranking.rank_cells(held)
    runs = read_runs(directory)
    by_drug = scores.together(aggregate.tabulate(runs), held)
    histories = convergence.read_histories(runs)
    told = (
        *facts.of_errors(judged, held),
        *facts.beside(compared, held.kind.noun),
        *facts.of_ranks(cells, held),
        *facts.of_training(convergence.per_run(runs, histories)),
    )
    apart = compared.notes if compared else ()
    drawn, left_out = pictures.draw(
        [
            *_of_errors(by_drug, held, compared),
            *_of_reasons(explained, held),
            *_of_the_rest(directory, held, cells, histories),
        ]
    )
    return Contents(
        name=held.name,
        kind=held.kind,
        facts=told,
        figures=tuple(drawn),
        drugs=_columns(judged, explained, compared),
        others=tuple(compared.others) if compared else (),
        levels=compared.levels() if compared else None,
        predictions=packing.pack(held.rows.with_columns(cell=held.kind.unit)),
        rule=rule.text,
        data=tuple((description.read(directory) or {}).get("about_data", ())),
        notes=(*held.notes, *unjudged, *apart, *left_out, *why_not),
    )


def _with_baselines(judged: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Add the root of the baselines' errors, and the skill beside the kind's baseline."""
    return judged.drop("baseline").with_columns(
        train_mean_rmse=pl.col("train_mean_mse").sqrt(),
        baseline_rmse=pl.col(f"{kind.baseline}_mse").sqrt(),
        skill=f"skill_{kind.baseline}",
    )


def _explain(
    directory: Path, held: heldout.HeldOut, judged: pl.DataFrame, sources: Sources
) -> tuple[pl.DataFrame | None, list[str]]:
    """Return what may explain the errors of drugs, or a sentence on why nothing does."""
    if held.kind.noun != "drug":
        return None, []
    try:
        return explanation.explain(directory, held, judged, "rmse", sources), []
    except InputError as error:
        return None, [f"the nearest drugs and what goes with the errors are left out: {error}"]


def _columns(
    judged: pl.DataFrame, explained: pl.DataFrame | None, compared: Beside | None
) -> pl.DataFrame:
    """Return a row per drug with everything that the page shows of it."""
    table = judged.select(COLUMNS)
    if explained is None:
        table = table.with_columns(pl.lit(None).alias(name) for name in EXPLAINED)
    else:
        found = explained.select("drug", *EXPLAINED)
        table = table.join(found, on="drug", how="left", validate="m:1", maintain_order="left")
    return compared.join(table) if compared else table


def _of_errors(
    by_drug: pl.DataFrame, held: heldout.HeldOut, compared: Beside | None
) -> Iterator[Picture]:
    """Yield the figures of errors, and of this and other experiments."""
    told, noun = figures.told(held), held.kind.noun
    others = compared.others if compared else []
    table = compared.join(by_drug) if compared else by_drug
    yield Picture(
        "errors",
        f"Error of each {held.kind.title}",
        lambda: errors.plot(table, title=told, kind=held.kind, others=others),
    )
    if compared and compared.contest:
        found = compared.contest
        yield Picture("contest", "Which model is better", lambda: contest.plot(found, noun=noun))
    elif compared:
        each = compared.differences()
        yield Picture(
            "comparison",
            f"Beside {others[0]}",
            lambda: comparison.plot(each, metric=beside.METRIC, noun=noun),
        )


def _of_reasons(explained: pl.DataFrame | None, held: heldout.HeldOut) -> Iterator[Picture]:
    """Yield the figure of what goes with the errors, where it is known."""
    if explained is not None:
        yield Picture(
            "reasons",
            "What goes with the error of a drug",
            lambda: reasons.plot(
                explained,
                explanation.correlate(explained, "rmse", Resampling()),
                metric="rmse",
                title=figures.told(held),
            ),
        )


def _of_the_rest(
    directory: Path, held: heldout.HeldOut, cells: pl.DataFrame, histories: pl.DataFrame
) -> Iterator[Picture]:
    """Yield the figures of predictions, ranks, training, and of tiles where there were any."""
    told, runs = figures.told(held), f"{held.name}: {len(held.runs):,} runs"
    yield Picture(
        "predictions", "True and predicted AUC", lambda: predictions.plot(held.rows, title=told)
    )
    yield Picture(
        "ranking",
        "How well drugs are ranked for a cell",
        lambda: ranks.plot(cells, title=told),
    )
    yield Picture("convergence", "Loss by epoch", lambda: training.plot(histories, title=runs))
    if (directory / usage.PILOT).exists():
        yield Picture("tiles", "Runs on tiles", lambda: figures.of_tiles(directory))
