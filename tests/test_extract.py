"""The scores of an experiment are printed in each form, whoever wrote it."""

import csv
import io
import json

import pytest
from experiments import call_script, make_scores, write_experiment, write_json


@pytest.mark.parametrize("original", [False, True])
def test_the_originals_lines_are_printed_and_missing_runs_are_named(tmp_path, original, capsys):
    states = ["done", "running", "done"]
    experiment = write_experiment(tmp_path / "EXP011", states, original=original)
    assert call_script("extract.py", experiment, "rmse") == "000,0.080000000\n002,0.100000000\n"
    assert capsys.readouterr().err == "1 of 3 runs missing: RUN001\n"


def test_other_forms_name_run_and_drug_and_leave_out_what_is_undefined(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "done"])
    write_json(experiment / "run/RUN001/test_scores.json", make_scores(0.1, pcc=None))
    found = json.loads(call_script("extract.py", experiment, "pcc", "--format", "json"))
    assert found == [
        {"index": 0, "run": "RUN000", "drug": "Drug-0", "pcc": 0.5},
        {"index": 1, "run": "RUN001", "drug": "Drug-1", "pcc": None},
    ]
    rows = list(csv.reader(io.StringIO(call_script("extract.py", experiment, "--format", "csv"))))
    assert rows[0] == ["index", "run", "drug", "mse"]
    lines = call_script("extract.py", experiment, "pcc", "--format", "table").splitlines()
    assert lines[2].split() == ["1", "RUN001", "Drug-1", "-"]


def test_whatever_is_printed_the_file_has_the_originals_lines(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"])
    call_script("extract.py", experiment, "rmse", "--format", "json")
    assert (experiment / "scores.csv").read_text() == "000,0.080000000\n"
