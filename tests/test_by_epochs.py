"""Test scores are grouped by the epochs that were trained."""

from pathlib import Path

import pytest
from experiments import assert_is_refused, call_script, run_script, write_experiment

from hed.answers import by_epochs


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [
        write_experiment(tmp_path / f"EXP00{epochs}", ["done"] * count, epochs=epochs)
        for epochs, count in ((5, 3), (1, 2))
    ]


def test_scores_of_several_experiments_are_distributed_by_epochs(two: list[Path]) -> None:
    table = by_epochs.distribution(by_epochs.read(two, "rmse"))
    assert table.select("epochs", "runs").rows() == [(1, 2), (5, 3)]
    assert table["median"].to_list() == pytest.approx([0.085, 0.09])
    assert table["mean"].to_list() == pytest.approx([0.085, 0.09])


def test_the_command_prints_runs_too(two: list[Path]) -> None:
    printed = call_script(
        "scores_by_epochs.py", two[0], "--runs", "--metric", "mse", "--format", "csv"
    )
    header, *rows = printed.splitlines()
    assert header == "experiment,run,drug,epochs,score"
    assert len(rows) == 3 and rows[0].startswith("EXP005,RUN000,Drug-0,5,0.0064")


def test_a_figure_shows_one_experiment_or_several(two: list[Path], tmp_path: Path) -> None:
    for directories in (two[:1], two):
        call_script("plot.py", "epochs", *directories, tmp_path / "epochs.svg")
        assert b"<svg" in (tmp_path / "epochs.svg").read_bytes()


def test_an_experiment_without_scores_is_refused(tmp_path: Path) -> None:
    experiment = write_experiment(tmp_path / "EXP000", ["waiting"])
    assert_is_refused(run_script("scores_by_epochs.py", experiment), "no run has test scores yet")
