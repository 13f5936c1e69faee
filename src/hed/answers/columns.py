"""What the columns of the tables of answers mean: tables and docs/output.md are made from this."""

from collections.abc import Mapping

from hed.watching.aggregate import BASELINES

# Names, separated by commas, in the order of the table.
Meanings = Mapping[str, str]

HIGH_ERROR: Meanings = {
    "rank": "1 is the worst, by the rule's metric",
    "run, index, drug": "what was held out; the run is the first of its repeats",
    "repeats": (
        "runs whose predictions are averaged; intervals of one training know nothing of others"
    ),
    "rows, cells": "held-out rows, and different cells among them",
    "auc_mean, auc_sd, auc_iqr": "mean, standard deviation and interquartile range of the true AUC",
    "mse, rmse": "error of the mean prediction",
    "rmse_low, rmse_high": "its 95 % interval; empty for a single cell, as are all intervals",
    "rmse_repeats, rmse_repeats_sd": (
        "mean and standard deviation of the repeats' own rmse; empty without repeats"
    ),
    "mae": "mean absolute error",
    "bias, bias_low, bias_high": "mean of predicted - true, and its interval",
    "pcc, scc, r2": (
        "Pearson's and Spearman's correlation, coefficient of determination; empty for a constant"
    ),
    "rmse_over_sd": "rmse / auc_sd: the error against the drug's own spread",
    "baseline": (
        "where the baselines are from: `recorded` by the run, or `recomputed` from what only other "
        "runs hold out"
    ),
    ", ".join(f"{name}_mse" for name in BASELINES): "error of each baseline",
    ", ".join(f"skill_{name}{end}" for name in BASELINES for end in ("", "_low", "_high")): (
        "1 - mse / the baseline's mse, and its interval: above 0, the model is better"
    ),
    "z, robust_z, quantile": (
        "where the rule's metric lies among all drugs, larger is worse: in standard deviations, in "
        "those that follow from the median absolute deviation, as a share"
    ),
    "funnel_z": (
        "(mse - median mse of all drugs) / its standard error: the error against what so many "
        "cells can show (Spiegelhalter, Stat. Med. 24, 2005)"
    ),
    "high": "whether the rule lists the drug",
    "probability": "share of the draws in which it does; empty where no drug can be judged",
    "high_repeats": "share of its repeats that would be listed, among the same repeats of others",
    "rank_low, rank_high": "range of the rank in 95 % of the draws",
}

RANKING: Meanings = {
    "cell": "whose drugs are ranked, lowest AUC first",
    "method": (
        "`model`; `random`, the mean over random orders; the baselines `mean_effects`, `cell_mean` "
        "and `train_mean`; `drug_mean`, the drug's mean over the other cells, which nobody knows "
        "of a new drug"
    ),
    "drugs": "how many are ranked",
    "spearman, kendall": "rank correlation of predicted and true AUC (Kendall's tau-b)",
    "recall": "share of the true top 10 among the predicted top 10",
    "ndcg, ndcg_all": (
        "normalised discounted cumulative gain, where the gain is 1 - AUC, of the top 10 and of all"
    ),
    "spearman_sd, kendall_sd, recall_sd, ndcg_sd, ndcg_all_sd": (
        "of `random`: standard deviation over random orders"
    ),
    "reason": "why a measure is empty",
}


def names(meanings: Meanings) -> tuple[str, ...]:
    """Return the names of the columns, in the order of the table."""
    return tuple(name for together in meanings for name in together.split(", "))


def table(meanings: Meanings) -> list[str]:
    """Return the rows of a Markdown table."""
    marked = {", ".join(f"`{n}`" for n in k.split(", ")): v for k, v in meanings.items()}
    return ["| column | what |", "|---|---|", *(f"| {k} | {v} |" for k, v in marked.items())]
