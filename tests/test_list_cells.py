"""The cells of an experiment are listed by name, those of a data set by index."""

import json
import subprocess
import sys

import polars as pl
import pytest
from experiments import SCRIPTS, assert_is_refused, call_script, run_script, write_experiment

from hed.errors import InputError


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rsp_merged.parquet"
    cells = ["Zeta", "Alpha", "Zeta", "17"]
    pl.DataFrame({"improve_sample_id": cells, "improve_chem_id": ["d"] * 4}).write_parquet(path)
    return path


@pytest.mark.parametrize("original", [False, True])
def test_the_cells_that_an_experiment_predicts_are_listed_by_name(tmp_path, original):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "running"], original=original)
    path = experiment / "run/RUN000/test_y_data_predicted.csv"
    path.write_text("auc_true,auc_pred,labels\n0.5,0.5,b\n0.5,0.5,a\n0.6,0.5,b\n")
    assert call_script("list_cells.py", experiment) == "a\nb\n"
    values = json.loads(call_script("list_cells.py", experiment, "--format", "json"))
    assert values == [{"cell": "a", "runs": 1, "rows": 1}, {"cell": "b", "runs": 1, "rows": 2}]


def test_the_cells_of_a_data_set_are_listed_in_order_of_first_appearance(table):
    assert call_script("list_cells.py", table) == "000 Zeta\n001 Alpha\n002 17\n"
    assert call_script("list_cells.py", table.parent, 2) == "002 17\n"


def test_other_forms_have_index_and_cell(table):
    printed = call_script("list_cells.py", table, 1, "--format", "csv")
    assert printed == "index,cell\n1,Alpha\n"


def test_an_index_out_of_range_is_refused_with_the_range(table):
    assert_is_refused(run_script("list_cells.py", table, 3), "no cell at index 3", "(0 to 2)")


def test_the_cells_of_an_experiment_have_no_index(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"])
    with pytest.raises(InputError, match="no indices: give its DATA_SOURCE"):
        call_script("list_cells.py", experiment, 0)


def test_an_experiment_without_predictions_is_refused(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["waiting", "running"])
    with pytest.raises(InputError, match="no run of .* has predictions"):
        call_script("list_cells.py", experiment)


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"])
    path = experiment / "run/RUN000/test_y_data_predicted.csv"
    rows = "".join(f"0.5,0.5,cell-{i}\n" for i in range(20_000))
    path.write_text(f"auc_true,auc_pred,labels\n{rows}")
    command = f"{sys.executable} {SCRIPTS / 'list_cells.py'} {experiment} | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("cell-0\n", "")
