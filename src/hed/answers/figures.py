"""The figures of an experiment by name: what each reads and draws."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotnine as p9

from hed.answers import (
    beside,
    by_epochs,
    compare,
    convergence,
    explanation,
    heldout,
    mean_ranks,
    pairing,
    ranking,
    scores,
)
from hed.answers.bootstrap import Resampling
from hed.answers.explanation import NO_OTHER, Sources
from hed.answers.plots import (
    comparison,
    contest,
    epochs,
    errors,
    predictions,
    ranks,
    reasons,
    theme,
    tiles,
    training,
)
from hed.errors import InputError
from hed.experiment import usage
from hed.experiment.kind import kind_of, titled
from hed.experiment.runs import count_first, list_runs, read_experiment, track_runs


def draw(figure: str, directory: Path, output: Path) -> None:
    """Draw a figure of `FIGURES` to a PNG, PDF or SVG file.

    Raises:
        InputError: if the directory is not an experiment or has nothing to draw yet, or the name
            of `output` has no known ending.
    """
    theme.check(output)
    theme.save(FIGURES[figure](directory), output)


def draw_errors(directory: Path, others: Sequence[Path], output: Path) -> None:
    """Draw the error of each held-out drug beside the baselines, and beside other experiments.

    Raises:
        InputError: as `draw` does, or if the others cannot be compared.
    """
    theme.check(output)
    theme.save(of_errors(directory, others), output)


def draw_reasons(directory: Path, sources: Sources, output: Path) -> None:
    """Draw what goes with the error of a drug.

    Raises:
        InputError: as `draw` does, or if the experiment's features are not found.
    """
    theme.check(output)
    theme.save(of_reasons(directory, sources), output)


def draw_comparison(directories: Sequence[Path], output: Path, *, metric: str) -> None:
    """Draw each drug's score in several experiments against that in the first.

    Raises:
        InputError: if there is no such metric, the experiments cannot be compared, or the name of
            `output` has no known ending.
    """
    theme.check(output)
    tables = compare.read(directories, metric)
    noun = kind_of(directories[0]).noun
    differences = compare.differences(compare.pair(tables, metric, noun))
    theme.save(comparison.plot(differences, metric=metric, noun=noun), output)


def draw_contest(directories: Sequence[Path], output: Path, *, metric: str) -> None:
    """Draw several experiments by their mean rank over drugs.

    Raises:
        InputError: as `draw_comparison` does, or if there are fewer than three experiments.
    """
    theme.check(output)
    tables = compare.read(directories, metric)
    noun = kind_of(directories[0]).noun
    dependent = pairing.share_rows(directories[0])
    found = mean_ranks.contest(compare.pair(tables, metric, noun), metric, dependent=dependent)
    theme.save(contest.plot(found, noun=noun), output)


def draw_by_epochs(directories: Sequence[Path], output: Path, *, metric: str) -> None:
    """Draw the test scores of all runs by the number of trained epochs.

    Raises:
        InputError: as `by_epochs.read` does, or if the name of `output` has no known ending.
    """
    theme.check(output)
    table = by_epochs.read(directories, metric)
    names = ", ".join(table["experiment"].unique(maintain_order=True))
    title = f"{names}: {len(table)} runs"
    theme.save(epochs.plot(table, metric=metric, title=title), output)


def of_errors(directory: Path, others: Sequence[Path] = ()) -> p9.ggplot:
    """Return the error of each held-out drug, cell or split beside baselines and experiments."""
    experiment, kind = read_experiment(directory), kind_of(directory)
    runs = list_runs(experiment)
    table = scores.beside_baselines(runs, ["rmse"]).drop_nulls("rmse")
    title = f"{titled(experiment)}: {len(table)} of {count_first(runs)} runs"
    tested = f"each tested on {kind.rows} that its training never saw"
    title = f"{title}, {tested}"
    compared = beside.read(directory, others)
    if compared is None:
        return errors.plot(table, title=title, kind=kind)
    return errors.plot(compared.join(table), title=title, kind=kind, others=compared.others)


def of_reasons(directory: Path, sources: Sources = NO_OTHER) -> p9.ggplot:
    """Return what goes with the error of a drug."""
    held = heldout.read(directory)
    judged = explanation.judge(held, "rmse")
    drugs = explanation.explain(directory, held, judged, "rmse", sources)
    found = explanation.correlate(drugs, "rmse", Resampling())
    return reasons.plot(drugs, found, metric="rmse", title=told(held))


def of_predictions(directory: Path) -> p9.ggplot:
    """Return true against predicted AUC of all held-out rows."""
    held = heldout.read(directory)
    return predictions.plot(held.rows, title=told(held))


def of_ranks(directory: Path) -> p9.ggplot:
    """Return how well drugs are ranked for each cell."""
    held = heldout.read(directory)
    return ranks.plot(ranking.rank_cells(held), title=told(held))


def of_training(directory: Path) -> p9.ggplot:
    """Return loss by epoch over all runs."""
    experiment = read_experiment(directory)
    runs = track_runs(experiment)
    histories = convergence.read_histories(runs)
    title = f"{titled(experiment)}: {histories['run'].n_unique()} of {len(runs)} runs"
    return training.plot(histories, title=title)


def of_tiles(directory: Path) -> p9.ggplot:
    """Return the figure of which run was on which tile when."""
    name = titled(read_experiment(directory))
    records = read_tiles(directory)
    if not records:
        raise InputError(
            f"{name} has no record of tiles, which only runs on a cluster's blocks leave "
            "(profiles/aurora and the like): the other figures do not need it"
        )
    table = tiles.tabulate(records)
    return tiles.plot(table, title=f"{name}: {len(table)} runs that ended")


def read_tiles(directory: Path) -> list[dict[str, Any]]:
    """Return the pilot's records of its tiles, [] if there are none.

    Raises:
        InputError: if one is damaged.
    """
    pilot = directory / usage.PILOT
    try:
        return usage.read(pilot)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"a file of {pilot / usage.TILES} is damaged: remove it") from None


def told(held: heldout.HeldOut) -> str:
    """Return what the predictions are of, as a figure's subtitle."""
    runs = f"{held.parts['run'].n_unique()} of {len(held.runs)} runs"
    return f"{held.name}: {runs}, {len(held.rows):,} held-out rows"


FIGURES: Mapping[str, Callable[[Path], p9.ggplot]] = {
    "errors": of_errors,
    "predictions": of_predictions,
    "ranking": of_ranks,
    "convergence": of_training,
    "tiles": of_tiles,
    "reasons": of_reasons,
}
