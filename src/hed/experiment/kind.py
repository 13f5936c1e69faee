"""What each run of an experiment holds out, and what to call it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hed.data.controls import NONE
from hed.experiment import description
from hed.experiment.runs import Experiment, Run, recorded_dflts
from hed.words import listed

RANDOMISE = "randomise"


@dataclass(frozen=True)
class Kind:
    """What each run of an experiment holds out, and what its baselines predict.

    Attributes:
        noun: drug, cell, group or split.
        title: of the errors, such as `held-out drug`.
        rows: what a run is tested on.
        baselines: names of `scores.LEVELS` to what they predict, the better one first.
        design: what each run was trained on and what it predicted, in a sentence.
        unit: what is resampled for the interval of an error, cell or drug.
        overlaps: whether runs may hold out the same rows.
    """

    noun: str
    title: str
    rows: str
    baselines: Mapping[str, str]
    design: str
    unit: str = "cell"
    overlaps: bool = False

    @property
    def best(self) -> str:
        """The name of the baseline to beat, such as `cell mean`."""
        return next(iter(self.baselines))

    @property
    def baseline(self) -> str:
        """The prefix of its columns, such as cell_mean."""
        return self.best.replace(" ", "_")

    def columns(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return a table of drugs, columns renamed by what is held out and what is resampled."""
        names = {"drug": self.noun, "cells": f"{self.unit}s"}
        return table.rename({old: new for old, new in names.items() if old in table.columns})


MEAN_OF_ALL = {"training mean": "the mean AUC of all training rows"}
OF_EFFECTS = {
    "mean effects": "training mean + effect of the cell + effect of the drug",
    **MEAN_OF_ALL,
}
OF_ROWS = {
    "mean effects": OF_EFFECTS["mean effects"],
    "cell mean": "each cell's mean AUC over the training rows",
    **MEAN_OF_ALL,
}
BY_DRUG = Kind(
    noun="drug",
    title="held-out drug",
    rows="a drug",
    baselines={"cell mean": "each cell's mean AUC over the training drugs", **MEAN_OF_ALL},
    design=(
        "Each run was trained on all drugs but one, and predicted the AUC of the cells under that "
        "drug."
    ),
)
KINDS = {
    "by_drug": BY_DRUG,
    "by_cell": Kind(
        noun="cell",
        title="held-out cell",
        rows="a cell",
        baselines=OF_EFFECTS,
        design="Each run was trained on all cells but one, and predicted that cell's AUC under the "
        "drugs.",
        unit="drug",
    ),
    "by_group": Kind(
        noun="group",
        title="held-out group",
        rows="a group",
        baselines=OF_ROWS,
        design="Each run was trained without the drugs (or cells) of one group, and predicted "
        "their AUC.",
    ),
    "random": Kind(
        noun="split",
        title="random split",
        rows="random rows",
        baselines=OF_ROWS,
        design="Each run was trained on a random part of the rows, and predicted others.",
        overlaps=True,
    ),
    "file": Kind(
        noun="split",
        title="split from files",
        rows="rows of a file",
        baselines=OF_ROWS,
        design="Each run was trained and tested on the rows that files prescribe.",
        overlaps=True,
    ),
}


def kind_of(directory: Path) -> Kind:
    """Return what the runs of an experiment hold out."""
    return KINDS.get(description.partition_mode(directory), BY_DRUG)


def titled(experiment: Experiment) -> str:
    """Return the name of an experiment, with what is permuted in it: `EXP001 (drugs permuted)`."""
    control = permuted(experiment)
    return f"{experiment.name} ({control} permuted)" if control else experiment.name


def permuted(experiment: Experiment) -> str:
    """Return what the runs of a control permute, such as `drugs`; empty if they permute nothing."""
    usual = (recorded_dflts(experiment.dflts) if experiment.dflts else {}).get(RANDOMISE, NONE)
    found = {str(line.get(RANDOMISE, usual)) for line in experiment.named.values()}
    if not found - {NONE}:
        return ""
    return " or ".join(sorted("nothing" if each == NONE else each for each in found))


def missing(runs: Sequence[Run], *, scored: set[str]) -> Iterator[str]:
    """Yield lines on which runs have no scores, and which had no test rows."""
    empty = [drug_label(run.id, run.index, run.drug) for run in runs if run.empty]
    absent = [run.id for run in runs if run.id not in scored and not run.empty]
    for names, what in ((absent, "runs missing"), (empty, "runs had no row to be tested on")):
        if names:
            yield f"{len(names)} of {len(runs)} {what}: {listed(names)}"


def not_drugs(directory: Path) -> Iterator[str]:
    """Yield a sentence on what the runs of an experiment hold out, if it is not drugs."""
    kind = kind_of(directory)
    if kind != BY_DRUG:
        yield f"{directory}: each run was tested on {kind.rows}, not on a drug"


def drug_label(run: str, index: int | None, drug: str | None) -> str:
    """Return what to call a held-out drug; the original's directories do not name it."""
    return drug or (run if index is None else f"index {index}")


def shorten(text: str, width: int) -> str:
    """Return `text` cut to `width` characters."""
    return text if len(text) <= width else f"{text[: width - 2]}.."
