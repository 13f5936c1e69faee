"""What the report of an experiment says: numbers, figures, a row per drug, every prediction."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import plotnine as p9
import polars as pl
from PIL import Image

from hed.answers import convergence, figures, heldout, high_error, ranking, scores
from hed.answers.errors import correlation
from hed.answers.plots import errors, predictions, ranks, training
from hed.answers.report import packing
from hed.answers.report.packing import Packed
from hed.answers.rule import Rule
from hed.errors import InputError
from hed.experiment import aggregate, description, usage
from hed.experiment.kind import Kind

DPI = 170
# Figures of few colours: a quarter of the bytes, and no difference to see.
PALETTE = 96

# Of the table of high error drugs, what the page has of each drug; the baseline is its kind's.
COLUMNS = (
    *("index", "drug", "run", "repeats", "rows", "cells", "auc_mean", "auc_sd"),
    *("rmse", "rmse_low", "rmse_high", "rmse_repeats_sd", "mse", "bias", "pcc", "scc", "r2"),
    *("baseline_rmse", "train_mean_rmse", "skill"),
    *("z", "robust_z", "quantile", "high", "probability"),
)


@dataclass(frozen=True)
class Fact:
    """A headline number, what it is, and what it compares with."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Figure:
    """A picture and what it shows: `image` is a PNG, `width` and `height` are its pixels."""

    name: str
    title: str
    text: str
    image: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Contents:
    """All that a report says.

    `drugs` has the columns `COLUMNS`, worst first; `data` are sentences about the data set, as the
    start of the experiment said them; `notes` are sentences on what is missing.
    """

    name: str
    kind: Kind
    facts: tuple[Fact, ...]
    figures: tuple[Figure, ...]
    drugs: pl.DataFrame
    predictions: Packed
    rule: str
    data: tuple[str, ...]
    notes: tuple[str, ...]


def read(directory: Path) -> Contents:
    """Read an experiment and compute what its report says.

    Raises:
        InputError: if the directory is not an experiment that holds out drugs, or no run has
            predictions.
    """
    held, rule = heldout.read(directory), Rule()
    judged = high_error.tabulate(held, rule)
    judged = _with_baselines(judged, held.kind)
    cells = ranking.rank_cells(held)
    by_drug = scores.together(aggregate.tabulate(held.runs), held)
    histories = convergence.read_histories(held.runs)
    trained = convergence.per_run(held.runs, histories)
    drawn, left_out = _draw(directory, held, cells, by_drug, histories)
    return Contents(
        name=held.name,
        kind=held.kind,
        facts=(*_error_facts(judged, held), *_rank_facts(cells), *_training_facts(trained)),
        figures=tuple(drawn),
        drugs=judged.select(COLUMNS),
        predictions=packing.pack(held.rows.with_columns(cell=held.kind.unit)),
        rule=rule.text,
        data=tuple((description.read(directory) or {}).get("about_data", ())),
        notes=(*held.notes, *high_error.unlisted(judged, rule), *left_out),
    )


def _with_baselines(judged: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Add the root of the baselines' errors, and the skill beside the kind's baseline."""
    return judged.drop("baseline").with_columns(
        train_mean_rmse=pl.col("train_mean_mse").sqrt(),
        baseline_rmse=pl.col(f"{kind.baseline}_mse").sqrt(),
        skill=f"skill_{kind.baseline}",
    )


def _error_facts(judged: pl.DataFrame, held: heldout.HeldOut) -> Iterator[Fact]:
    """Yield how many runs there are, how large their errors, and how many are high."""
    names = ("rmse", "baseline_rmse", "train_mean_rmse")
    medians = {name: _shown(judged[name].median(), 4) for name in names}
    noun, baseline = held.kind.noun, held.kind.best
    runs = f"{held.parts['run'].n_unique():,} of {len(held.runs):,}"
    yield Fact("runs with predictions", runs, f"{len(held.rows):,} held-out rows")
    baselines = f"{baseline} {medians['baseline_rmse']}, training mean "
    yield Fact("median rmse", medians["rmse"], baselines + medians["train_mean_rmse"])
    within, whole = judged["pcc"].median(), correlation(held.rows)
    hidden = f"over all rows together {_shown(whole, 3)}, which also tells how {noun}s differ"
    yield Fact(f"median Pearson r within a {noun}", _shown(within, 3), hidden)
    both = judged.drop_nulls("skill")
    better = int((both["skill"] > 0).sum())
    title = f"{noun}s predicted better than by the {baseline}"
    yield Fact(title, f"{better:,}", f"of {len(both):,}")
    yield Fact(f"high error {noun}s", f"{int(judged['high'].sum()):,}", Rule().text)


def _rank_facts(cells: pl.DataFrame) -> Iterator[Fact]:
    """Yield how well drugs are ranked for a cell."""
    summary = ranking.summarise(cells)
    titles = {"spearman": "Spearman over cells, mean", "recall": "recall of the top 10, mean"}
    for measure, title in titles.items():
        model, random = (
            summary.filter(method=method, measure=measure).row(0, named=True)
            for method in ("model", "random")
        )
        if model["mean"] is not None:
            ends = f"{_shown(model['mean_low'], 3)} to {_shown(model['mean_high'], 3)}"
            detail = f"95 %: {ends}; random order {_shown(random['mean'], 3)}"
            yield Fact(title, _shown(model["mean"], 3), detail)


def _training_facts(trained: pl.DataFrame) -> Iterator[Fact]:
    """Yield how training went, if it was recorded."""
    best = trained["best_val_loss"].drop_nulls()
    if len(best):
        count = len(trained.filter(status="stopped early"))
        stopped = f"{count:,} of {len(trained):,} runs stopped early"
        yield Fact("median of the best val_loss", _shown(best.median(), 4), stopped)
    seconds = trained["seconds_per_epoch"].drop_nulls()
    if len(seconds):
        hours = float(trained["seconds"].sum()) / 3600
        median = f"{_shown(seconds.median(), 1)} s"
        yield Fact("median time of an epoch", median, f"{hours:,.1f} h of training in all")


def _shown(value: object, digits: int) -> str:
    """Return a number in decimals, a dash where there is none."""
    return f"{value:.{digits}f}" if isinstance(value, float) else "–"


def _draw(
    directory: Path,
    held: heldout.HeldOut,
    cells: pl.DataFrame,
    by_drug: pl.DataFrame,
    histories: pl.DataFrame,
) -> tuple[list[Figure], list[str]]:
    """Return the figures that can be drawn, and sentences on those that cannot."""
    told, runs = figures.told(held), f"{held.name}: {len(held.runs):,} runs"
    wanted: dict[str, tuple[str, Callable[[], p9.ggplot]]] = {
        "errors": (
            f"Error of each {held.kind.title}",
            lambda: errors.plot(by_drug, title=told, kind=held.kind),
        ),
        "predictions": (
            "True and predicted AUC",
            lambda: predictions.plot(held.rows, title=told),
        ),
        "ranking": ("How well drugs are ranked for a cell", lambda: ranks.plot(cells, title=told)),
        "convergence": ("Loss by epoch", lambda: training.plot(histories, title=runs)),
    }
    if (directory / usage.PILOT).exists():
        wanted["tiles"] = "Runs on tiles", lambda: figures.of_tiles(directory)
    drawn, left_out = [], []
    for name, (title, make) in wanted.items():
        try:
            drawn.append(_render(name, title, make()))
        except InputError as error:
            left_out.append(f"the figure “{title}” is left out: {error}")
    return drawn, left_out


def _render(name: str, title: str, plot: p9.ggplot) -> Figure:
    """Return a figure as a small PNG."""
    drawn, small = io.BytesIO(), io.BytesIO()
    plot.save(drawn, format="png", dpi=DPI, verbose=False)
    image = Image.open(drawn).convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE)
    image.save(small, format="png", optimize=True)
    text = " ".join(str(plot.labels.caption).split())
    return Figure(name, title, text, small.getvalue(), *image.size)
