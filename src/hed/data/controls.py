"""Controls: what a training can learn if one of its inputs is permuted.

A model that predicts as well with the features of another drug does not use what a drug is. The
permutations are functions of a seed, so that training, resume and scoring have the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hed.data import dataset, partition, tables
from hed.data.dataset import Features

# Values of the hyperparameter `randomise`.
NONE, CELLS, DRUGS, RESPONSES = "none", "cells", "drugs", "responses"
CONTROLS = (NONE, DRUGS, CELLS, RESPONSES)


@dataclass(frozen=True)
class Inputs:
    """What a run reads.

    Attributes:
        features: directory of the tables of features.
        partition: directory of the run's partition.
        control: which of `CONTROLS`.
        seed: of the permutation.
    """

    features: Path
    partition: Path
    control: str
    seed: int


def inputs(params: Mapping[str, Any]) -> Inputs:
    """Return what the run of these hyperparameters reads.

    Args:
        params: `data_dir`, `input_dir`, `randomise` and `rng_seed` of the run.
    """
    places = Path(params["data_dir"]), Path(params["input_dir"])
    return Inputs(*places, control=params["randomise"], seed=params["rng_seed"])


def features(given: Inputs) -> tuple[Features, Features]:
    """Return the features of all cells and all drugs of a run's data set, as the control has them.

    In a permuted kind every id, including the held-out one, has the features of another, or by
    chance its own.
    """
    cells, drugs = dataset.read(given.features)
    random = np.random.default_rng([given.seed, 1])
    if given.control == CELLS:
        cells = _permuted(cells, random)
    if given.control == DRUGS:
        drugs = _permuted(drugs, random)
    return cells, drugs


def responses(given: Inputs, stage: str) -> pl.DataFrame:
    """Return the rows of a stage (`train`, `val`, `test`) of a run's partition.

    With the control `responses` each drug's AUC is permuted among its rows, except the test rows.
    What is left is a drug's average effect; which cells respond to it is lost.
    """
    rows = partition.read(given.partition, stage)
    if given.control != RESPONSES or stage == "test":
        return rows
    order = pl.Series("order", np.random.default_rng([given.seed, 2]).random(len(rows)))
    shuffled = pl.col(tables.AUC).sort_by("order").over(tables.DRUG)
    return rows.with_columns(order).with_columns(shuffled).drop("order")


def _permuted(given: Features, random: np.random.Generator) -> Features:
    """Return features, their rows permuted between ids."""
    return replace(given, values=given.values[random.permutation(len(given.ids))])
