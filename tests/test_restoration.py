"""What a run takes over from another experiment, besides the checkpoints of Uno."""

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
    restoration.continue_from(source, run)
    assert left_in(run) == {"save/weights.npy", "save/history.txt", "notes.txt"}
    (run / "save/weights.npy").write_text("newer")
    restoration.continue_from(source, run)
    assert (run / "save/weights.npy").read_text() == "newer"
