"""Test data of any size with a planted signal, shaped like GDSC2.

Cells and drugs have latent factors. Features are noisy linear maps of the factors; the AUC is the
sigmoid of a drug effect, a cell effect and an interaction, all of them functions of the factors,
so that a model can learn it from the features.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from hed import files
from hed.data import layout, raw
from hed.data.tables import AUC, CELL, DESCRIPTORS, DRUG, EXPRESSION
from hed.errors import InputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PUBLISHED = {"drugs": 770, "cells": 1100, "rows": 591_563, "genes": 958, "descriptors": 1613}
# The share of all pairs that the published data set has measured.
FILLED = PUBLISHED["rows"] / (PUBLISHED["drugs"] * PUBLISHED["cells"])

RANK = 6
FEATURE_NOISE = 0.3  # share of a feature's variance
# Shares of the variance of the AUC's logit; GDSC2 owes about half of it to drugs, little to cells.
DRUG_SHARE, CELL_SHARE, INTERACTION_SHARE, NOISE_SHARE = 0.5, 0.1, 0.3, 0.1
# The normal logit whose sigmoid has mean .88 and standard deviation .14.
LOGIT_MEAN, LOGIT_SD = 2.63, 1.41
DECIMALS = 6


def generate(
    *, drugs: int, cells: int, rows: int, genes: int, descriptors: int, seed: int
) -> raw.Tables:
    """Return a data set with standardised float32 features; the same seed gives the same.

    Pairs are distinct as far as there are enough; beyond that they are replicates that differ by
    noise. Every drug and cell has a row. Rows come drug by drug, drugs in a random order.

    Raises:
        InputError: if a size is below 1, the seed below 0, or `rows` too few for all ids.
    """
    sizes = {"drugs": drugs, "cells": cells, "rows": rows, "genes": genes}
    _check({**sizes, "descriptors": descriptors}, seed)
    rng = np.random.Generator(np.random.PCG64(seed))
    cell_factors = _standard(rng.standard_normal((cells, RANK)))
    drug_factors = _standard(rng.standard_normal((drugs, RANK)))
    expression = _features(cell_factors, genes, rng)
    mordred = _features(drug_factors, descriptors, rng)
    cell, drug = _pairs(cells, drugs, rows, rng)
    auc = _auc(cell_factors, drug_factors, cell, drug, rng)
    cell_ids = _ids("ACH-", cells, digits=6)
    drug_ids = _ids("Drug_", drugs, digits=3)
    response = {CELL: cell_ids.gather(cell), DRUG: drug_ids.gather(drug), AUC: auc}
    return raw.Tables(
        response=pl.DataFrame(response).with_columns(study=pl.lit("generated")),
        expression=_table(cell_ids.alias(CELL), expression, EXPRESSION.prefix + "GENE"),
        descriptors=_table(drug_ids.alias(DRUG), mordred, DESCRIPTORS.prefix + "MD"),
        dropped={"cells": 0, "drugs": 0, "rows": 0},
    )


def _check(sizes: dict[str, int], seed: int) -> None:
    """Refuse sizes that no data set can have."""
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} is {size}: give at least 1")
    if seed < 0:
        raise InputError(f"seed is {seed}: give 0 or more")
    least = least_rows(sizes["drugs"], sizes["cells"])
    if sizes["rows"] < least:
        raise InputError(
            f"{sizes['rows']:,} rows are too few for {sizes['drugs']:,} drugs and "
            f"{sizes['cells']:,} cells, each of which needs one: give at least {least:,}"
        )


def least_rows(drugs: int, cells: int) -> int:
    """Return the fewest rows in which every drug and every cell appears."""
    return max(drugs, cells)


def usual_rows(drugs: int, cells: int) -> int:
    """Return how many rows a data set of these sizes has if it is as dense as the published one."""
    return max(least_rows(drugs, cells), round(FILLED * drugs * cells))


def _ids(stem: str, count: int, *, digits: int) -> pl.Series:
    """Return `count` ids from 1 on, padded so that their order as text is that of the numbers."""
    width = max(digits, len(str(count)))
    return pl.Series([f"{stem}{number:0{width}}" for number in range(1, count + 1)])


def _standard(values: Floats) -> Floats:
    """Return values with mean 0 and variance 1 in each column; constant columns become 0."""
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, 1))


def _features(factors: Floats, count: int, rng: np.random.Generator) -> Floats:
    """Return `count` standardised features (rows x count) that reflect the factors with noise."""
    signal = factors @ rng.standard_normal((RANK, count)) / np.sqrt(RANK)
    noise = rng.standard_normal(signal.shape)
    return _standard(np.sqrt(1 - FEATURE_NOISE) * signal + np.sqrt(FEATURE_NOISE) * noise)


def _table(ids: pl.Series, features: Floats, stem: str) -> pl.DataFrame:
    """Return a feature table; rounded, so that a raw copy is small and exact."""
    names = [f"{stem}{number}" for number in range(1, features.shape[1] + 1)]
    values = pl.DataFrame(features.round(4).astype(np.float32), schema=names, orient="row")
    return values.insert_column(0, ids)


def _pairs(
    cells: int, drugs: int, rows: int, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return the cell and the drug of each row, as positions among the ids."""
    grid = cells * drugs
    # Stepping through both permutations at once visits every id, and no pair twice.
    steps = np.arange(least_rows(drugs, cells))
    cover = rng.permutation(cells)[steps % cells] * drugs + rng.permutation(drugs)[steps % drugs]
    full, rest = divmod(rows, grid)
    if full:
        chosen = rng.choice(grid, rest, replace=False)
    else:
        others = np.setdiff1d(np.arange(grid), cover, assume_unique=True)
        chosen = np.concatenate([cover, rng.choice(others, rest - cover.size, replace=False)])
    pairs = rng.permutation(np.concatenate([np.tile(np.arange(grid), full), chosen]))
    cell, drug = np.divmod(pairs, drugs)
    order = np.argsort(_unsorted(drugs, rng)[drug], kind="stable")
    return cell[order], drug[order]


def _unsorted(count: int, rng: np.random.Generator) -> npt.NDArray[Any]:
    """Return a random permutation that is not the identity, if there is another."""
    order = rng.permutation(count)
    return np.roll(order, 1) if np.array_equal(order, np.arange(count)) else order


def _auc(
    cell_factors: Floats,
    drug_factors: Floats,
    cell: Integers,
    drug: Integers,
    rng: np.random.Generator,
) -> Floats:
    """Return the AUC of each row, strictly between 0 and 1."""
    drug_effect = _standard(drug_factors @ rng.standard_normal(RANK))
    cell_effect = _standard(cell_factors @ rng.standard_normal(RANK))
    mixed = cell_factors @ rng.standard_normal((RANK, RANK)) / RANK
    interaction = np.einsum("ij,ij->i", mixed[cell], drug_factors[drug])
    logit = (
        np.sqrt(DRUG_SHARE) * drug_effect[drug]
        + np.sqrt(CELL_SHARE) * cell_effect[cell]
        + np.sqrt(INTERACTION_SHARE) * interaction
        + np.sqrt(NOISE_SHARE) * rng.standard_normal(cell.size)
    )
    auc = 1 / (1 + np.exp(-(LOGIT_MEAN + LOGIT_SD * logit)))
    smallest = 10.0**-DECIMALS
    return np.asarray(auc.round(DECIMALS).clip(smallest, 1 - smallest))


def write_raw(data: raw.Tables, out: Path) -> None:
    """Write a data set into `out` as raw IMPROVE tables with bare names; the response last."""
    for frame, name in (
        (_bare(data.expression, EXPRESSION.prefix), layout.EXPRESSION_TSV),
        (_bare(data.descriptors, DESCRIPTORS.prefix), layout.DESCRIPTOR_TSV),
        (data.response, layout.RESPONSE_TSV),
    ):
        with files.replacing(out / name) as temporary:
            frame.write_csv(temporary, separator="\t")


def _bare(features: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return features.rename(lambda name: name.removeprefix(prefix))
