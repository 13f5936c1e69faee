"""Files of predictions and scores of a run, in the original's form."""

from pathlib import Path

import numpy as np
import polars as pl

from hed.files import replacing, write_json
from hed.names import PREDICTED_OF, SCORES_OF
from hed.training import metrics


def write(
    run: Path,
    stage: str,
    *,
    true: np.ndarray,
    labels: pl.Series,
    predicted: np.ndarray,
    drugs: pl.Series | None = None,
) -> metrics.Scores:
    """Write `<stage>_y_data_predicted.csv`, then `<stage>_scores.json`, and return the scores.

    The scores are those of the predictions before they are rounded to 4 decimals.

    Args:
        true, predicted: AUC of n rows.
        labels: ids of their cells.
        drugs: ids of their drugs, for one more column than the original has.
    """
    table = pl.DataFrame(
        {"auc_true": true, "auc_pred": predicted.astype(np.float32), "labels": labels}
    )
    if drugs is not None:
        table = table.with_columns(drugs.alias("drugs"))
    with replacing(run / PREDICTED_OF.format(stage)) as path:
        table.write_csv(path, float_precision=4)
    scores = metrics.scores(true, predicted)
    write_json(run / SCORES_OF.format(stage), scores)
    return scores
