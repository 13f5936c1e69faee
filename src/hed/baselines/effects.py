"""Mean effects of training rows, for rows that point into feature matrices."""

import polars as pl

from hed.baselines.fitted import Floats, Given, Predict
from hed.data import tables
from hed.data.dataset import Rows
from hed.training import metrics


def fit(given: Given) -> Predict:
    """Return a function that predicts the training mean + effect of the cell + of the drug."""
    train = _table(given.train)

    def predict(rows: Rows) -> Floats:
        return metrics.means(train, _table(rows))["mean_effects"]

    return predict


def _table(rows: Rows) -> pl.DataFrame:
    """Return rows as a response table whose ids are positions."""
    return pl.DataFrame({tables.CELL: rows.cell, tables.DRUG: rows.drug, tables.AUC: rows.auc})
