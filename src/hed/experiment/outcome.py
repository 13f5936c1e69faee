"""The outcome of a run without test rows: as in the original, with `test-empty.txt`.

Its scores are undefined, its table of predictions has no rows, and it is marked as finished.
"""

from pathlib import Path

from hed.files import write_json, write_text
from hed.names import BASELINE_SCORES, EMPTY, PREDICTED, TEST_SCORES

METRICS = ("mse", "rmse", "pcc", "scc", "r2")


def is_empty(run: Path) -> bool:
    """Return whether a run had no test rows."""
    return (run / EMPTY).is_file()


def result(run: Path) -> Path:
    """Return the file that records how a run ended, if it has ended."""
    return run / (EMPTY if is_empty(run) else TEST_SCORES)


def write_empty(run: Path) -> None:
    """Write what such a run leaves instead of predictions, the scores last."""
    write_text(run / EMPTY, "EMPTY\n")
    write_json(run / BASELINE_SCORES, {})
    write_text(run / PREDICTED, "auc_true,auc_pred,labels\n")
    write_json(run / TEST_SCORES, dict.fromkeys(METRICS))
