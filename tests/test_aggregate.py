"""The scores of all runs are collected without loss, in index order, whatever is missing."""

import math

import polars as pl
import pytest
from experiments import (
    assert_is_refused,
    call_script,
    make_scores,
    run_script,
    write_experiment,
    write_json,
    write_marker,
    write_run,
    write_upf,
)

from hed.errors import InputError
from hed.watching import aggregate

MIXED = ["done", "running", "done", "waiting"]


@pytest.fixture
def mixed(tmp_path):
    return write_experiment(tmp_path / "EXP011", MIXED)


def test_each_run_with_test_scores_is_one_row(mixed):
    table = aggregate.scores(mixed)
    assert table["run"].to_list() == ["RUN000", "RUN002"]
    assert table["drug"].to_list() == ["Drug-0", "Drug-2"]
    assert table["rmse"].to_list() == [0.08, 0.10]


def test_baselines_rows_epochs_and_seconds_stand_beside_the_scores(mixed):
    row = aggregate.scores(mixed).row(1, named=True)
    assert (row["cell_mean_rmse"], row["train_mean_rmse"]) == (0.09, 0.15)
    assert (row["rows"], row["epochs"], row["seconds"]) == (7, 20, 120.0)


def test_columns_and_types_are_the_same_with_and_without_rows(mixed, tmp_path):
    empty = write_experiment(tmp_path / "EXP000", ["waiting"])
    assert aggregate.scores(mixed).schema == aggregate.scores(empty).schema == aggregate.SCHEMA


def test_what_an_original_does_not_record_is_null(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    row = aggregate.scores(experiment).row(0, named=True)
    absent = {key for key, value in row.items() if value is None}
    baselines = {f"{b}_{m}" for b in aggregate.BASELINES for m in aggregate.METRICS}
    assert absent == baselines | {"drug", "seconds"}


def test_scores_csv_is_index_and_metric_in_index_order(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 3, original=True)
    lines = [{"id": f"RUN00{i}", "index": index} for i, index in enumerate((11, 2, 0))]
    write_upf(experiment / "hed-gen.json", lines)
    aggregate.write_all(experiment, "rmse")
    expected = "000,0.100000000\n002,0.090000000\n011,0.080000000\n"
    assert (experiment / "scores.csv").read_text() == expected


def test_both_runs_of_one_index_are_in_scores_csv(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 2, original=True)
    write_upf(experiment / "hed-gen.json", [{"id": f"RUN00{i}", "index": 0} for i in (0, 1)])
    aggregate.write_all(experiment, "rmse")
    assert (experiment / "scores.csv").read_text() == "000,0.080000000\n000,0.090000000\n"


def test_an_undefined_correlation_is_null_in_the_table_and_nan_in_the_text(mixed):
    write_json(mixed / "run/RUN000/test_scores.json", make_scores(0.1, pcc=None))
    write_json(mixed / "run/RUN002/test_scores.json", make_scores(0.1, pcc=math.nan))
    aggregate.write_all(mixed, "pcc")
    assert (mixed / "scores.csv").read_text() == "000,nan\n002,nan\n"
    assert pl.read_parquet(mixed / "scores.parquet")["pcc"].to_list() == [None, None]


def test_scores_parquet_holds_the_table(mixed):
    aggregate.write_all(mixed, "mse")
    assert pl.read_parquet(mixed / "scores.parquet").equals(aggregate.scores(mixed))


def test_a_run_that_nothing_gives_an_index_is_in_the_table_but_not_in_the_text(mixed):
    run = write_run(mixed, 50, state="done")
    (run / "parameters.txt").write_text("{")
    aggregate.write_all(mixed, "mse")
    assert aggregate.scores(mixed)["index"].to_list() == [0, 2, None]
    assert len((mixed / "scores.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["baseline_scores.json", "timings.json", "history.txt"])
def test_a_half_written_file_leaves_its_columns_null_and_the_row_in_place(mixed, name):
    (mixed / "run/RUN000" / name).write_text('{"cell_mean": {')
    assert aggregate.scores(mixed)["rmse"].to_list() == [0.08, 0.10]


def test_half_written_scores_are_no_scores(mixed):
    (mixed / "run/RUN000/test_scores.json").write_text('{"mse": 0.1')
    assert aggregate.scores(mixed)["run"].to_list() == ["RUN002"]


def test_epochs_are_aligned_and_end_with_their_total(mixed):
    aggregate.write_all(mixed, "mse")
    assert (mixed / "epochs.txt").read_text().splitlines() == [
        "RUN000 20/20 done",
        "RUN001  7/20 running",
        "RUN002 20/20 done",
        "RUN003  0/20 waiting",
        "total: 47/80",
    ]


def test_an_unknown_metric_is_refused_with_the_known_ones(mixed):
    with pytest.raises(InputError, match="no metric 'auc': choose one of mse, rmse, pcc, scc, r2"):
        aggregate.write_all(mixed, "auc")
    assert not (mixed / "scores.csv").exists()


def test_the_aggregate_command_writes_all_four_files_of_a_running_experiment(mixed):
    call_script("aggregate.py", mixed, "--metric", "r2")
    assert (mixed / "scores.csv").read_text() == "000,-0.200000000\n002,-0.200000000\n"
    assert all((mixed / n).exists() for n in ("scores.parquet", "epochs.txt", "progress.txt"))


def test_the_extract_command_prints_what_it_writes(mixed):
    printed = call_script("extract.py", mixed)
    assert printed == (mixed / "scores.csv").read_text()
    assert printed == "000,0.006400000\n002,0.010000000\n"


@pytest.mark.parametrize("more", [[], ["1"]])
def test_the_epochs_command_takes_the_originals_second_argument(mixed, more):
    printed = call_script("epochs.py", mixed, *more)
    assert printed == (mixed / "epochs.txt").read_text()
    assert printed.endswith("total: 47/80\n")


@pytest.mark.parametrize("script", ["aggregate.py", "extract.py", "epochs.py"])
def test_commands_refuse_a_directory_that_is_no_experiment(tmp_path, script):
    assert_is_refused(run_script(script, tmp_path), "is not an experiment", "EXP000")


def test_a_marker_alone_makes_no_row(mixed):
    write_marker(mixed, 3)
    assert aggregate.scores(mixed)["run"].to_list() == ["RUN000", "RUN002"]
