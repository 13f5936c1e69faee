"""Controls: what a training can learn if one of its inputs is put in disorder.

A model that predicts as well with the features of another drug does not use what a drug is. The
permutations are functions of a seed, so that training, resume and scoring have the same one.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hed.data import dataset, partition, tables
from hed.data.dataset import Features

# Values of the hyperparameter `randomise`.
NONE, CELLS, DRUGS, RESPONSES = "none", "cells", "drugs", "responses"
CONTROLS = (NONE, DRUGS, CELLS, RESPONSES)


def features(params: Mapping[str, Any]) -> tuple[Features, Features]:
    """Return the features of all cells and all drugs of a run's data set, as the control has them.

    Of a permuted kind every id, the held-out one too, has the features of another one, or by
    chance its own.

    Args:
        params: `data_dir`, `randomise` and `rng_seed` of the run.
    """
    cells, drugs = dataset.read(Path(params["data_dir"]))
    random = np.random.default_rng([params["rng_seed"], 1])
    return _permuted(cells, CELLS, params, random), _permuted(drugs, DRUGS, params, random)


def responses(params: Mapping[str, Any], stage: str) -> pl.DataFrame:
    """Return the rows of a stage (`train`, `val`, `test`) of a run's partition.

    With the control `responses` each drug's AUC is permuted among its rows, but for those to test
    on. What is left is how a drug does on average; which cells respond to it is lost.

    Args:
        params: `input_dir`, `randomise` and `rng_seed` of the run.
    """
    rows = partition.read(Path(params["input_dir"]), stage)
    if params["randomise"] != RESPONSES or stage == "test":
        return rows
    order = pl.Series("order", np.random.default_rng([params["rng_seed"], 2]).random(len(rows)))
    shuffled = pl.col(tables.AUC).sort_by("order").over(tables.DRUG)
    return rows.with_columns(order).with_columns(shuffled).drop("order")


def _permuted(
    given: Features, control: str, params: Mapping[str, Any], random: np.random.Generator
) -> Features:
    """Return features, their rows permuted between ids if the run asks for that."""
    if params["randomise"] != control:
        return given
    return replace(given, values=given.values[random.permutation(len(given.ids))])
