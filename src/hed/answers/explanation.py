"""Why is a drug a high error drug: how far it is from the others, and what its responses are like.

Rank correlations, and one small regression tree that is judged on drugs that it was not fitted to,
show which of these go with the error over drugs.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from hed.answers import high_error, similar
from hed.answers.bootstrap import Resampling, draw
from hed.answers.grid import Floats
from hed.answers.heldout import HeldOut
from hed.answers.rule import Rule, to_badness
from hed.answers.similar import Similar
from hed.data import scaling, smiles, tables
from hed.data.options import TRAINING
from hed.errors import InputError
from hed.experiment import description

# What is needed from the table of high error drugs, besides the metric.
_COLUMNS = ("drug", "run", "index", "high", "auc_mean", "auc_sd", "rows")
# Below it a cell counts as sensitive, as in `classification`.
SENSITIVE = 0.5
TREE_DEPTH, FOLDS = 3, 5
REASONS = {
    "distance": "nearest drug (descriptors)",
    "tanimoto": "nearest drug (1 - Tanimoto)",
    "auc_mean": "mean AUC",
    "auc_sd": "sd of the AUC",
    "rows": "rows",
    "sensitive": "share of sensitive cells",
    "noise": "sd between replicates",
}


CORRELATIONS = {
    "reason": pl.String(),
    "drugs": pl.Int64(),
    **dict.fromkeys(("spearman", "low", "high"), pl.Float64()),
}


@dataclass(frozen=True)
class Sources:
    """The sources of what may explain an error.

    Attributes:
        data: the directory of the scaled features; None: the one that the experiment used.
        smiles: a table of the drugs' SMILES; None: without structures.
    """

    data: Path | None = None
    smiles: Path | None = None


NO_OTHER = Sources()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that name `Sources`."""
    parser.add_argument(
        "--smiles", type=Path, metavar="FILE", help="table of improve_chem_id and smiles"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="preprocessed data, if moved")


def judge(held: HeldOut, metric: str) -> pl.DataFrame:
    """Return of `high_error.tabulate` what `explain` needs; high drugs are those of the rule."""
    return high_error.tabulate(held, Rule(metric=metric), columns=(*_COLUMNS, metric))


def explain(
    directory: Path, held: HeldOut, judged: pl.DataFrame, metric: str, sources: Sources
) -> pl.DataFrame:
    """Return the drugs of an experiment with what may explain their errors: see `describe`.

    Args:
        directory: the experiment.
        held: its predictions.
        judged: as `high_error.tabulate` returns it.
        metric: the error.
        sources: of features and structures.

    Raises:
        InputError: if its runs hold out something other than a drug, or features are not found.
    """
    if held.kind.noun != "drug":
        raise InputError(f"the runs of {directory} hold out {held.kind.rows}, not a drug")
    judged = _each_once(judged.drop_nulls(metric), metric)
    drugs = judged["drug"].to_list()
    data = sources.data or _data_of(directory)
    # What no run was trained on is nobody's neighbour.
    among = _with_responses(data)
    near = similar.by_descriptors(data, drugs, among=among, method=_left_scaling(directory))
    shape = None
    if sources.smiles:
        given = smiles.read(sources.smiles)
        structures = {n: s for n, s in given.items() if among is None or n in among}
        shape = similar.by_fingerprints(structures, drugs)
    return describe(held, judged, metric, near, shape)


def _each_once(judged: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Return a row per drug: the mean of the metric, if several runs hold a drug out."""
    first = pl.exclude("drug", metric, "high").first()
    return judged.group_by("drug", maintain_order=True).agg(
        pl.col(metric).mean(), pl.col("high").any(), first
    )


def _left_scaling(directory: Path) -> str:
    """Return the scaling of the descriptors that an experiment left to each of its partitions."""
    settings = (description.read(directory) or {}).get("identity", {}).get("preprocess", {})
    return str(settings["md_scaling"]) if settings.get("scale_on") == TRAINING else scaling.NONE


def _data_of(directory: Path) -> Path:
    """Return the directory of the features that an experiment used."""
    described = description.read(directory) or {}
    if "data" not in described:
        raise InputError(f"{directory} does not name its data: give them with --data")
    return Path(directory, described["data"])


def _with_responses(data: Path) -> set[str] | None:
    """Return the drugs of a data set that have responses; None if only features are left of it."""
    path = data / tables.RESPONSE_FILE
    if not path.exists():
        return None
    return set(tables.scan(path, [tables.DRUG]).select(tables.DRUG).unique().collect().to_series())


def describe(
    held: HeldOut, judged: pl.DataFrame, metric: str, near: Similar, shape: Similar | None
) -> pl.DataFrame:
    """Return a row per drug of `judged` (see `high_error.tabulate`, one run per drug), worst first.

    Columns: drug, the metric, high; nearest (the most similar drugs, by fingerprints if there are
    any), nearest_errors (their metric, null for one that is not held out); distance (scaled
    descriptors), tanimoto (1 - similarity); auc_mean, auc_sd, rows; sensitive (share of cells with
    an AUC below 0.5); noise (standard deviation between replicates, null without).
    """
    rows = held.rows.join(judged.select("run"), on="run", how="semi")
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
        .join(_of_responses(rows), on="drug", how="left", maintain_order="left")
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
    """Return a row per known reason of `REASONS`: how it goes with the error over drugs.

    A metric such as pcc, which is larger for better predictions, counts with the opposite sign.

    Columns: reason, drugs (that have it), spearman, low, high (percentile bootstrap over drugs).
    """
    rows = []
    for reason in REASONS:
        both = table.select(reason, metric).drop_nulls().cast(pl.Float64).to_numpy()
        both[:, 1] = to_badness(both[:, 1], metric)
        if len(both) < 4 or np.ptp(both[:, 0]) == 0:
            continue
        found = _spearman(both, np.ones((1, len(both))))[0]
        drawn = _spearman(both, draw(len(both), how))
        ends = np.nanquantile(drawn, [(1 - how.level) / 2, (1 + how.level) / 2])
        rows.append((reason, len(both), float(found), *map(float, ends)))
    table = pl.DataFrame(rows, schema=CORRELATIONS, orient="row")
    return table.sort(pl.col("spearman").abs(), descending=True, maintain_order=True)


def _spearman(pairs: Floats, weights: Floats) -> Floats:
    """Return Spearman's correlation of n pairs, n x 2, in each of B samples.

    Args:
        weights: how often a pair is in a sample, B x n.
    """
    one, other = (_ranks(values, weights) for values in pairs.T)
    below = np.sqrt((weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1))
    above: Floats = (weights * one * other).sum(axis=1)
    found: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return found


def _ranks(values: Floats, weights: Floats) -> Floats:
    """Return the ranks of n values about their mean in each of B samples, B x n; ties share one.

    Sorting the values once, instead of each sample, takes an eighth of the time.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = tied.cumsum(axis=1) - tied / 2 - weights.sum(axis=1, keepdims=True) / 2
    ranks: Floats = middle[:, np.searchsorted(ordered[starts], values)]
    return ranks


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
