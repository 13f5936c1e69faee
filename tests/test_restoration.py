"""What a run takes over from another experiment, besides the checkpoints of Uno."""

import os
from pathlib import Path

from experiments import write_json

from hed.experiment import restoration
from hed.names import HISTORY, TEST_SCORES


def write_run(place: Path) -> Path:
    """Write what another model left in a run that it finished."""
    for name, text in {
        "save/weights.npy": "weights",
        "save/history.txt": "its own",
        ".hidden": "x",
        "notes.txt": "mine",
        "test_y_data_predicted.csv": "auc_true,auc_pred,labels\n0.5,0.4,c\n",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    write_json(place / HISTORY, {"loss": [0.5]})
    write_json(place / TEST_SCORES, {"mse": 0.01})
    return place


def left_in(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


def test_a_finished_run_is_taken_over_with_all_that_its_model_left(tmp_path: Path) -> None:
    source, run = write_run(tmp_path / "EXP000/run/RUN000"), tmp_path / "EXP001/run/RUN000"
    restoration.restore(source, run)
    whole = (left_in(source) - {".hidden"}) | {"baseline_scores.json", "restored.txt"}
    assert left_in(run) == whole
    assert (run / "save/history.txt").read_text() == "its own"


def test_an_unfinished_run_goes_on_from_what_its_model_left_and_not_from_our_files(
    tmp_path: Path,
) -> None:
    source, run = write_run(tmp_path / "EXP000/run/RUN000"), tmp_path / "EXP001/run/RUN000"
    (source / "ckpts/epochs").mkdir(parents=True)
    (source / "ckpts/epochs/model").touch()
    os.utime(source / "save/weights.npy", (1e9, 1e9))
    (source / "save/last").symlink_to("weights.npy")
    (run / ".save.tmp").mkdir(parents=True)  # of a copy that was interrupted
    restoration.continue_from(source, run)
    found = {"save/weights.npy", "save/history.txt", "save/last", "notes.txt", ".adopted"}
    assert left_in(run) == found
    assert os.readlink(run / "save/last") == "weights.npy"
    assert (run / "save/weights.npy").stat().st_mtime == 1e9


def test_what_a_run_deletes_or_replaces_does_not_come_back(tmp_path: Path) -> None:
    source, run = write_run(tmp_path / "EXP000/run/RUN000"), tmp_path / "EXP001/run/RUN000"
    restoration.continue_from(source, run)
    (run / "save/weights.npy").write_text("newer")
    (run / "notes.txt").unlink()
    restoration.continue_from(source, run)
    assert (run / "save/weights.npy").read_text() == "newer"
    assert not (run / "notes.txt").exists()
    # As in a run that was started before this was noted.
    (run / ".adopted").unlink()
    restoration.continue_from(source, run)
    assert (run / "save/weights.npy").read_text() == "newer"
