"""Small experiment directories, as ours and as the original system writes them."""

import hashlib
import io
import json
import random
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import originals

SCRIPTS = Path(__file__).parent.parent / "scripts"
METRICS = ("mse", "rmse", "pcc", "scc", "r2")

Values = dict[str, Any]


def write_experiment(
    directory: Path, states: list[str], *, original: bool = False, epochs: int = 20
) -> Path:
    """Write an experiment with one run per state of `states`, run N holding out drug N."""
    for name in ("out", "run", "markers"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    upf = "hed-gen.json" if original else "upf.json"
    write_upf(directory / upf, [{"id": name_run(i), "index": i} for i in range(len(states))])
    write_json(directory / "dflts-demo.json", {"epochs": epochs, "input_dir": "/tmp/original"})
    (directory / "jobid.txt").write_text("5845341.aurora-pbs\n")
    if not original:
        write_description(directory, len(states))
    for index, state in enumerate(states):
        write_run(directory, index, state=state, original=original, epochs=epochs)
    return directory


def write_description(directory: Path, count: int) -> None:
    """Write experiment.json, which only our experiments have."""
    runs = [
        {"id": name_run(i), "index": i, "held_out": name_drug(i), "marker": f"{i:03d}"}
        for i in range(count)
    ]
    value = {"name": directory.name, "upf": "upf.json", "dflts": "dflts-demo.json", "runs": runs}
    write_json(directory / "experiment.json", value)


def partition_by(experiment: Path, mode: str) -> Path:
    """Let an experiment say how it was partitioned; random splits hold out nothing by name."""
    described = json.loads((experiment / "experiment.json").read_text())
    described["identity"] = {"partition": {"mode": mode}}
    if mode == "random":
        described["runs"] = [{**run, "held_out": None} for run in described["runs"]]
    write_json(experiment / "experiment.json", described)
    return experiment


def write_upf(path: Path, lines: list[Values]) -> None:
    """Write an unrolled parameter file with a comment and a blank line."""
    path.write_text("# runs\n\n" + "".join(json.dumps(line) + "\n" for line in lines))


def write_run(
    experiment: Path, index: int, *, state: str, original: bool = False, epochs: int = 20
) -> Path:
    """Write the directory of a run: done, running after 7 epochs, or not at all if waiting."""
    run = experiment / "run" / name_run(index)
    if state == "waiting":
        return run
    run.mkdir(parents=True, exist_ok=True)
    losses = [0.02 - 0.0005 * i for i in range(epochs if state == "done" else 7)]
    if original:
        text = originals.parameters_text(run.name, index, epochs=epochs)
        (run / "parameters.txt").write_text(text)
        (run / "rank.txt").write_text(f"{index}\n")
        (experiment / "out" / f"out-{index:03d}.txt").write_text("Epoch 1/20\n")
        originals.write_checkpoints(run, losses)
    else:
        write_json(run / "parameters.txt", {"index": index, "epochs": epochs, "id": run.name})
        (experiment / "out" / f"out-{run.name}-train.txt").write_text("epoch 1\n")
        write_checkpoint(run, epoch=len(losses))
    if state == "done":
        write_results(run, index, losses, original=original)
        write_marker(experiment, index)
    return run


def write_checkpoint(run: Path, *, epoch: int) -> Path:
    """Write the checkpoint of an epoch and let `last` point to it."""
    checkpoint = run / "ckpts" / "epochs" / f"{epoch:03d}"
    checkpoint.mkdir(parents=True, exist_ok=True)
    write_json(checkpoint / "ckpt-info.json", {"epoch": epoch, "model_file": "model.h5"})
    (checkpoint / "model.h5").write_bytes(b"weights")
    last = run / "ckpts" / "last"
    last.unlink(missing_ok=True)
    last.symlink_to(Path("epochs") / checkpoint.name)
    return checkpoint


def write_results(run: Path, index: int, losses: list[float], *, original: bool) -> None:
    """Write what a finished run leaves: scores, predictions, history and, if ours, more."""
    if original:
        originals.write_history(run, losses)
    else:
        write_json(run / "history.txt", {"loss": losses, "val_loss": losses})
    for part in ("val", "test"):
        write_json(run / f"{part}_scores.json", make_scores(0.08 + 0.01 * index))
        write_predictions(run / f"{part}_y_data_predicted.csv", rows=5 + index)
    if not original:
        seconds = [6.0] * len(losses)
        write_json(run / "timings.json", {"epoch_seconds": seconds, "train_rows": 100})
        baselines = {"train_mean": make_scores(0.15), "cell_mean": make_scores(0.09)}
        write_json(run / "baseline_scores.json", baselines)


def write_predictions(path: Path, *, rows: int) -> None:
    """Write predictions of `rows` cells."""
    lines = [f"0.9168,0.3117,ACH-{i:06d}\n" for i in range(rows)]
    path.write_text("auc_true,auc_pred,labels\n" + "".join(lines))


def write_marker(experiment: Path, index: int) -> Path:
    """Mark the run of `index` as finished."""
    marker = experiment / "markers" / f"marker-{index:03d}.txt"
    marker.write_text("")
    return marker


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file in place."""
    path.write_text(json.dumps(value))


def make_scores(rmse: float, **changed: Any) -> Values:
    """Return the five metrics of a run that has this rmse."""
    return {"mse": rmse**2, "rmse": rmse, "pcc": 0.5, "scc": 0.45, "r2": -0.2, **changed}


def name_run(index: int) -> str:
    """Return the id of the run of `index`."""
    return f"RUN{index:03d}"


def name_drug(index: int) -> str:
    """Return the drug of `index`."""
    return f"Drug-{index}"


def digest_tree(directory: Path) -> dict[str, str]:
    """Return the digest of every file below `directory`, to see that nothing changed."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def run_script(name: str, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of scripts/ as a user does."""
    command = [sys.executable, str(SCRIPTS / name), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def call_script(name: str, *args: object) -> str:
    """Call the `main` of a command of scripts/ in this process; return what it prints."""
    with redirect_stdout(io.StringIO()) as printed, patch("sys.argv", [name, *map(str, args)]):
        runpy.run_path(str(SCRIPTS / name))["main"]()
    return printed.getvalue()


def assert_is_refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check that a command ended with one sentence that has all `words`, and no traceback."""
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert all(word in result.stderr for word in words), result.stderr


def scatter_errors(experiment: Path, *, seed: int = 0) -> None:
    """Give every run an error of its own, as a real experiment has."""
    draw = random.Random(seed)
    for run in sorted((experiment / "run").iterdir()):
        level = 0.05 + draw.gammavariate(3.0, 0.02)
        write_json(run / "test_scores.json", make_scores(level))
        cell, mean = level * draw.uniform(0.75, 1.1), level * draw.uniform(0.95, 1.5)
        baselines = {"cell_mean": make_scores(cell), "train_mean": make_scores(mean)}
        write_json(run / "baseline_scores.json", baselines)


def copy_experiment(experiment: Path, target: Path) -> Path:
    """Copy an experiment with its links."""
    return Path(shutil.copytree(experiment, target, symlinks=True))
