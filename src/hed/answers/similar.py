"""The drugs nearest to a drug, by descriptors or by structure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hed.answers.grid import Floats
from hed.data import dataset, scaling, smiles, tables

NEAREST = 3
# Decimals of squared distances, far above the rounding of their sums.
ROUNDED = 6


@dataclass(frozen=True)
class Similar:
    """The drugs nearest to each of n drugs, and how far the nearest is.

    Attributes:
        names: n lists of `NEAREST` drugs, the nearest first.
        distance: n, to the nearest one.
    """

    names: list[list[str]]
    distance: Floats


def by_descriptors(
    data: Path,
    drugs: Sequence[str],
    *,
    among: Collection[str] | None = None,
    method: str = scaling.NONE,
) -> Similar:
    """Return the nearest drugs by the scaled descriptors (Euclidean).

    A drug without descriptors has none, and no distance.

    Args:
        data: directory of the features.
        drugs: those whose neighbours are wanted.
        among: those that may be neighbours; None for all of the data set.
        method: that scales the descriptors, over all drugs, if they are not scaled yet.
    """
    features = dataset.read_features(data, tables.DESCRIPTORS)
    place = {drug: row for row, drug in enumerate(features.ids)}
    values = features.values.astype(np.float64)
    values = scaling.fitted(values, values, method)
    rows = np.array([place.get(drug, -1) for drug in drugs])
    others = features.ids.to_list()
    counted = [row for row, drug in enumerate(others) if among is None or drug in among]
    distance = _euclidean(values[rows], values[counted])
    distance[rows < 0] = np.nan
    return _nearest(distance, drugs, [others[row] for row in counted])


def _euclidean(these: Floats, others: Floats) -> Floats:
    """Return the distances of m rows from n others, m x n.

    By a product of matrices: scipy's and scikit-learn's functions take longer to import than this
    to compute. Equal rows are at 0, as are those that are closer than 7e-4.
    """
    squares = [np.einsum("ij,ij->i", rows, rows) for rows in (these, others)]
    squared = np.add.outer(*squares) - 2 * these @ others.T
    distance: Floats = np.sqrt(np.maximum(squared.round(ROUNDED), 0.0))
    return distance


def by_fingerprints(structures: Mapping[str, str], drugs: Sequence[str]) -> Similar:
    """Return the nearest drugs by 1 - Tanimoto similarity of Morgan fingerprints.

    A drug without SMILES that rdkit reads has none, and no distance.

    Args:
        structures: SMILES by drug, of all drugs to search.
        drugs: those whose neighbours are wanted.

    Raises:
        InputError: if rdkit is not installed.
    """
    prints = smiles.fingerprints(structures)
    known = list(prints.values())
    distance = np.full((len(drugs), len(known)), np.nan)
    for row, drug in enumerate(drugs):
        if drug in prints:
            distance[row] = smiles.dissimilarity(prints[drug], known)
    return _nearest(distance, drugs, list(prints))


def _nearest(distance: Floats, drugs: Sequence[str], others: Sequence[str]) -> Similar:
    """Return the nearest of others, apart from each drug itself."""
    place = {name: column for column, name in enumerate(others)}
    for row, drug in enumerate(drugs):
        if drug in place:
            distance[row, place[drug]] = np.nan
    far = np.where(np.isfinite(distance), distance, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :NEAREST]
    names = [
        [others[column] for column in chosen if np.isfinite(far[row, column])]
        for row, chosen in enumerate(order)
    ]
    least = far.min(axis=1, initial=np.inf)
    return Similar(names, np.where(np.isfinite(least), least, np.nan))
