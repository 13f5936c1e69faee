"""How a run ended that had no rows to be tested on: as the original's, with `test-empty.txt`.

Its scores are undefined, its table of predictions has no rows, and it is marked as finished.
"""

from pathlib import Path

from hed.files import write_json, write_text

EMPTY, BASELINES = "test-empty.txt", "baseline_scores.json"
METRICS = ("mse", "rmse", "pcc", "scc", "r2")


def is_empty(run: Path) -> bool:
    """Return whether a run had no rows to be tested on."""
    return (run / EMPTY).is_file()


def result(run: Path) -> Path:
    """Return the file that says how a run ended, if it has ended."""
    return run / (EMPTY if is_empty(run) else "test_scores.json")


def write_empty(run: Path) -> None:
    """Write what such a run leaves instead of predictions, the scores last."""
    write_text(run / EMPTY, "EMPTY\n")
    write_json(run / BASELINES, {})
    write_text(run / "test_y_data_predicted.csv", "auc_true,auc_pred,labels\n")
    write_json(run / "test_scores.json", dict.fromkeys(METRICS))
