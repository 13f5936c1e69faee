"""The real Snakefile on the embedded data: undisturbed, killed and continued, restarted."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import tiny
from waiting import PATIENCE

ROOT = Path(__file__).parents[1]
RUNS = ("RUN000", "RUN007")
# What an interruption may not change by a single byte.
RESULTS = [
    "scores.csv",
    "epochs.txt",
    "high_error_drugs.csv",
    "ranking.csv",
    *(
        f"run/{run}/{name}"
        for run in RUNS
        for name in (
            "history.txt",
            "parameters.txt",
            "result.txt",
            "val_y_data_predicted.csv",
            "val_scores.json",
            "test_y_data_predicted.csv",
            "test_scores.json",
            "baseline_scores.json",
        )
    ),
]

pytestmark = pytest.mark.xdist_group("workflow")


def write_inputs(directory: Path) -> None:
    """Two runs of a network that takes a few seconds to train."""
    upf = "# two of the 24 drugs\n" + "".join(
        json.dumps({"id": run, "index": int(run[3:])}) + "\n" for run in RUNS
    )
    dflts = {
        "epochs": 14,
        **tiny.SMALL,
        "ckpt_keep_limit": 2,
    }
    (directory / "two.json").write_text(upf)
    (directory / "dflts-test.json").write_text(json.dumps(dflts))


def command(directory: Path, *more: str, cores: int = 2) -> list[str]:
    """The user's command, with everything written below `directory`."""
    return [
        f"{Path(sys.executable).parent}/snakemake",
        f"--cores={cores}",
        "--config",
        f"output={directory}/output",
        f"local_dir={directory}/local",
        f"upf={directory}/two.json",
        f"dflts={directory}/dflts-test.json",
        *more,
    ]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def snakemake(directory: Path, *more: str) -> str:
    done = subprocess.run(
        command(directory, *more),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def start_and_kill(directory: Path, when: Callable[[], bool]) -> None:
    """Start the workflow on one core and SIGKILL its whole process group at a moment."""
    with (directory / "killed.txt").open("w") as log:
        process = subprocess.Popen(
            command(directory, cores=1),
            cwd=ROOT,
            env=environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not when():
            assert process.poll() is None, (directory / "killed.txt").read_text()
            assert time.monotonic() < deadline, (directory / "killed.txt").read_text()
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def contents(experiment: Path) -> dict[str, bytes]:
    return {name: (experiment / name).read_bytes() for name in RESULTS}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("undisturbed")
    write_inputs(directory)
    snakemake(directory)
    return directory / "output" / "EXP000"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment killed when one run was finished and the other in the middle of training."""
    directory = tmp_path_factory.mktemp("killed")
    write_inputs(directory)
    experiment = directory / "output" / "EXP000"

    def in_the_middle() -> bool:
        marked = list(experiment.glob("markers/*"))
        training = [
            run
            for run in experiment.glob("run/*")
            if (run / "ckpts/epochs/003").is_dir() and not (run / "history.txt").exists()
        ]
        return len(marked) == 1 and bool(training)

    start_and_kill(directory, in_the_middle)
    return directory


def test_the_whole_experiment_runs_and_leaves_the_original_s_tree(undisturbed: Path) -> None:
    for name in (*RESULTS, "upf", "EXP000.tgz", "figures/errors.png", "progress.txt"):
        found = name if name != "upf" else "two.json"
        assert (undisturbed / found).stat().st_size > 0, found
    for run in RUNS:
        ckpts = undisturbed / "run" / run / "ckpts"
        assert os.readlink(ckpts / "last").startswith("epochs/")
        info = json.loads((ckpts / "last" / "ckpt-info.json").read_text())
        assert (ckpts / "best" / info["model_file"]).exists()
    assert sorted(p.name for p in undisturbed.glob("markers/*")) == [
        "marker-000.txt",
        "marker-007.txt",
    ]
    assert (undisturbed / "scores.csv").read_text().splitlines()[1].startswith("007,0.")


def test_the_held_out_drug_has_all_its_rows_predicted(undisturbed: Path) -> None:
    response = pl.read_parquet(undisturbed / "data/rsp_merged.parquet")
    drugs = response["improve_chem_id"].unique(maintain_order=True)
    for run in RUNS:
        rows = response.filter(pl.col("improve_chem_id") == drugs[int(run[3:])])
        table = pl.read_csv(
            undisturbed / f"run/{run}/test_y_data_predicted.csv",
            schema_overrides={"labels": pl.String},
        )
        assert table.columns == ["auc_true", "auc_pred", "labels"]
        assert table["labels"].to_list() == rows["improve_sample_id"].to_list()


def test_node_local_partitions_are_removed(undisturbed: Path) -> None:
    local = undisturbed.parents[1] / "local"
    assert not [path for path in local.rglob("*") if path.is_file()]


def test_a_finished_experiment_has_nothing_to_do(undisturbed: Path) -> None:
    before = contents(undisturbed)
    assert "othing to" in snakemake(undisturbed.parents[1])
    assert contents(undisturbed) == before
    assert not (undisturbed.parent / "EXP001").exists()


def test_a_repeated_run_with_other_scores_renews_the_tables(
    undisturbed: Path, tmp_path: Path
) -> None:
    shutil.copytree(undisturbed.parents[1], tmp_path / "copy", symlinks=True)
    scores = tmp_path / "copy/output/EXP000/run/RUN007/test_scores.json"
    scores.write_text(scores.read_text().replace('"mse": 0.', '"mse": 1.'))
    # In two starts: the second finds a marker that is done, and has to notice that it is new.
    snakemake(tmp_path / "copy", "--until", "mark")
    snakemake(tmp_path / "copy", "--until", "aggregate")
    table = (tmp_path / "copy/output/EXP000/scores.csv").read_text()
    assert table.splitlines()[1].startswith("007,1.")


def test_the_provenance_report_shows_scores_figure_and_page(undisturbed: Path) -> None:
    page = undisturbed.parents[1] / "provenance.html"
    snakemake(undisturbed.parents[1], "--report", str(page))
    for shown in ("scores.csv", "high_error_drugs.csv", "errors.png", "report.html"):
        assert shown in page.read_text()


def test_the_tarball_holds_the_scores_and_predictions(undisturbed: Path) -> None:
    with tarfile.open(undisturbed / "EXP000.tgz") as archive:
        names = archive.getnames()
    for name in ("scores.csv", "two.json", "dflts-test.json", "run/RUN007/test_scores.json"):
        assert f"EXP000/{name}" in names


def test_restarting_elsewhere_leaves_the_old_experiment_alone(
    killed: Path, undisturbed: Path, tmp_path: Path
) -> None:
    write_inputs(tmp_path)
    old = tmp_path / "output" / "EXP000"
    shutil.copytree(killed / "output" / "EXP000", old, symlinks=True)
    before = {p: p.read_bytes() for p in old.rglob("*") if p.is_file() and not p.is_symlink()}

    snakemake(tmp_path, "restart_from=EXP000")

    new = tmp_path / "output" / "EXP001"
    after = {p: p.read_bytes() for p in old.rglob("*") if p.is_file() and not p.is_symlink()}
    assert after == before
    assert contents(new) == contents(undisturbed)
    logs = [path.name for path in (new / "out").iterdir()]
    assert len([name for name in logs if name.endswith("-restore.txt")]) == 1
    trained = [path for path in (new / "out").iterdir() if path.name.endswith("-train.txt")]
    assert len(trained) == 1 and "resuming after epoch" in trained[0].read_text()


def test_an_experiment_killed_in_training_continues_to_the_same_bytes(
    killed: Path, undisturbed: Path
) -> None:
    snakemake(killed)
    assert contents(killed / "output" / "EXP000") == contents(undisturbed)
    logs = (killed / "output/EXP000/out").glob("*-train.txt")
    assert any("resuming after epoch" in log.read_text() for log in logs)
    assert not (killed / "output" / "EXP001").exists()
