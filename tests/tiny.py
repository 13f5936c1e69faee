"""A tiny data set and a tiny network, with which a training takes a second."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hed.config import hyperparameters, schema
from hed.data import generate, partition, tables
from hed.training import precision

SIZES = {"drugs": 5, "cells": 20, "rows": 300, "genes": 6, "descriptors": 5, "seed": 3}
NETWORK = {
    "hyperparam_space": "block",
    "canc_arch": [8, 8],
    "drug_arch": [8],
    "interaction_arch": [16],
    "epochs": 3,
    "batch_size": 16,
    "warmup_epochs": 1,
}
# One that takes a few seconds on the embedded data.
SMALL = {
    "batch_size": 16,
    "warmup_epochs": 2,
    "hyperparam_space": "block",
    "canc_arch": [64, 32],
    "drug_arch": [64, 32],
    "interaction_arch": [64, 32],
}


def write_data(directory: Path, **sizes: int) -> Path:
    """Write a preprocessed data set and its partition for the first drug; return `directory`."""
    data = generate.generate(**{**SIZES, **sizes})
    directory.mkdir(parents=True, exist_ok=True)
    data.response.write_parquet(directory / tables.RESPONSE_FILE)
    data.expression.write_parquet(directory / tables.EXPRESSION_FILE)
    data.descriptors.write_parquet(directory / tables.DESCRIPTOR_FILE)
    partition.write(partition.split(data.response, 0, partition.Split()), directory)
    return directory


def parameters(**changes: Any) -> dict[str, Any]:
    """Return the hyperparameters of a tiny network, with changes."""
    return {**schema.defaults(hyperparameters.definition()), **NETWORK, **changes}


def run_parameters(data: Path, run: Path, **changes: Any) -> dict[str, Any]:
    """Return what `uno.run` takes to train a run on a data set of `write_data`."""
    places = {"data_dir": str(data), "input_dir": str(data), "output_dir": str(run), "threads": 1}
    return {**parameters(**changes), **places}


def response(data: Path, stage: str) -> pl.DataFrame:
    """Return one part of the partition."""
    return partition.read(data, stage)


# The second stack has no kernels for it on an old CPU; what happens then has a test of its own.
needs_bfloat16 = pytest.mark.skipif(
    not precision.computes_bfloat16(), reason="Intel's extension needs AVX-512 for bfloat16"
)
PRECISIONS = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]
