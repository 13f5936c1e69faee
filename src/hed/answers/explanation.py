"""Why is a drug a high error drug: how far it is from the others, and what its responses are like.

Which of it goes with the error over drugs is told by rank correlations, and by one small regression
tree that is judged on drugs that it was not fitted to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats
from scipy.spatial.distance import cdist

from hed.answers.bootstrap import Resampling
from hed.answers.grid import Floats
from hed.answers.heldout import HeldOut
from hed.data import dataset, tables, text
from hed.errors import InputError

NEAREST = 3
# Below it a cell counts as sensitive, as in `classification`.
SENSITIVE = 0.5
TREE_DEPTH, FOLDS = 3, 5
# Morgan fingerprints of radius 2, as ECFP4 has it: Rogers and Hahn, J. Chem. Inf. Model. 50 (2010).
RADIUS, BITS = 2, 2048
REASONS = ("distance", "tanimoto", "auc_mean", "auc_sd", "rows", "sensitive", "noise")


@dataclass(frozen=True)
class Similar:
    """The drugs nearest to each of n drugs, and how far the nearest is.

    Attributes:
        names: n lists of `NEAREST` drugs, the nearest first.
        distance: n, to the nearest one.
    """

    names: list[list[str]]
    distance: Floats


def by_descriptors(data: Path, drugs: Sequence[str]) -> Similar:
    """Return the nearest drugs by the scaled descriptors (Euclidean), among all of a data set.

    A drug without descriptors has none, and no distance.
    """
    features = dataset.read_features(data, tables.DESCRIPTORS)
    place = {drug: row for row, drug in enumerate(features.ids)}
    values = features.values.astype(np.float64)
    rows = np.array([place.get(drug, -1) for drug in drugs])
    distance = cdist(values[rows], values)
    distance[rows < 0] = np.nan
    return _nearest(distance, drugs, features.ids.to_list())


def by_fingerprints(smiles: Mapping[str, str], drugs: Sequence[str]) -> Similar:
    """Return the nearest drugs by 1 - Tanimoto similarity of Morgan fingerprints.

    A drug without SMILES that rdkit reads has none, and no distance.

    Raises:
        InputError: if rdkit is not installed.
    """
    try:
        from rdkit import Chem, DataStructs, RDLogger
        from rdkit.Chem import rdFingerprintGenerator
    except ImportError:
        raise InputError("SMILES need rdkit: pip install rdkit, or leave --smiles out") from None
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    read = {drug: Chem.MolFromSmiles(text) for drug, text in smiles.items()}
    prints = {drug: generator.GetFingerprint(found) for drug, found in read.items() if found}
    known = list(prints.values())
    distance = np.full((len(drugs), len(known)), np.nan)
    for row, drug in enumerate(drugs):
        if drug in prints:
            distance[row] = 1 - np.array(DataStructs.BulkTanimotoSimilarity(prints[drug], known))
    return _nearest(distance, drugs, list(prints))


def read_smiles(path: Path) -> dict[str, str]:
    """Return the SMILES of drugs in a table with the columns improve_chem_id and smiles.

    Raises:
        InputError: if it is missing or no such table.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    table = text.read(path, text.recognise(path), infer_schema=False)
    tables.require_columns(table.columns, [tables.DRUG, "smiles"], path)
    return dict(table.select(tables.DRUG, "smiles").drop_nulls().iter_rows())


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


def describe(
    held: HeldOut, judged: pl.DataFrame, metric: str, near: Similar, shape: Similar | None
) -> pl.DataFrame:
    """Return a row per drug of `judged` (see `high_error.tabulate`), worst first.

    Columns: drug, the metric, high; nearest (the most similar drugs, by fingerprints if there are
    any), nearest_errors (their metric, null for one that is not held out); distance (scaled
    descriptors), tanimoto (1 - similarity); auc_mean, auc_sd, rows; sensitive (share of cells with
    an AUC below 0.5); noise (standard deviation between replicates, null without).
    """
    names = (shape or near).names
    errors = dict(judged.select("drug", metric).iter_rows())
    nan = np.full(len(judged), np.nan)
    return (
        judged.select("drug", metric, "high", "auc_mean", "auc_sd", "rows")
        .with_columns(
            nearest=pl.Series(names, dtype=pl.List(pl.String)),
            nearest_errors=pl.Series([[errors.get(n) for n in of] for of in names]),
            distance=pl.Series(near.distance).fill_nan(None),
            tanimoto=pl.Series(shape.distance if shape else nan).fill_nan(None),
        )
        .join(_of_responses(held.rows), on="drug", how="left", maintain_order="left")
    )


def _of_responses(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the share of sensitive cells, and the noise between replicates, of each drug."""
    pairs = rows.group_by("drug", "cell").agg(
        mean=pl.col("true").mean(), spread=pl.col("true").var(), free=pl.len() - 1
    )
    within = (pl.col("spread") * pl.col("free")).sum() / pl.col("free").sum()
    return pairs.group_by("drug").agg(
        sensitive=(pl.col("mean") < SENSITIVE).mean(),
        noise=pl.when(pl.col("free").sum() > 0).then(within.sqrt()),
    )


def correlate(table: pl.DataFrame, metric: str, how: Resampling) -> pl.DataFrame:
    """Return a row per reason of `REASONS` that is known: how it goes with the error over drugs.

    Columns: reason, drugs (that have it), spearman, low, high (percentile bootstrap over drugs).
    """
    rows = []
    for reason in REASONS:
        both = table.select(reason, metric).drop_nulls().to_numpy()
        if len(both) < 4 or np.ptp(both[:, 0]) == 0:
            continue
        found = _spearman(both[None])[0]
        chosen = np.random.default_rng(how.seed).integers(0, len(both), (how.replicates, len(both)))
        ends = np.nanquantile(_spearman(both[chosen]), [(1 - how.level) / 2, (1 + how.level) / 2])
        rows.append((reason, len(both), float(found), *map(float, ends)))
    names = ("reason", "drugs", "spearman", "low", "high")
    table = pl.DataFrame(rows, schema=names, orient="row")
    return table.sort(pl.col("spearman").abs(), descending=True, maintain_order=True)


def _spearman(samples: Floats) -> Floats:
    """Return Spearman's correlation of each of B samples, B x n x 2."""
    ranks = stats.rankdata(samples, axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    one, other = ranks[..., 0], ranks[..., 1]
    below = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    above: Floats = (one * other).sum(axis=1)
    found: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return found


def grow(table: pl.DataFrame, metric: str) -> tuple[str, float]:
    """Return a small regression tree of the error as text, and its cross-validated r2.

    Raises:
        InputError: if there are too few drugs.
    """
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.tree import DecisionTreeRegressor, export_text

    known = [name for name in REASONS if table[name].null_count() == 0]
    if len(table) < 4 * FOLDS:
        raise InputError(f"{len(table)} drugs are too few for a tree: {4 * FOLDS} are needed")
    reasons, errors = table.select(known).to_numpy(), table[metric].to_numpy()
    least = max(3, len(table) // 20)
    tree = DecisionTreeRegressor(max_depth=TREE_DEPTH, min_samples_leaf=least, random_state=0)
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    predicted = cross_val_predict(tree, reasons, errors, cv=folds)
    explained = 1 - float(np.mean((predicted - errors) ** 2) / np.var(errors))
    return export_text(tree.fit(reasons, errors), feature_names=known, decimals=3), explained
