"""The most sensitive drugs of a cell are listed as the original lists them, one row a drug."""

import csv
import io
import json

import polars as pl
import pytest
from experiments import assert_is_refused, call_script, run_script, write_experiment

from hed.answers import sensitivity
from hed.errors import InputError

HEADER = "auc_true,auc_pred,labels\n"
# RUN: true, predicted of each row of the cell.
AUCS = {
    0: [(0.9, 0.2)],
    1: [(0.6, 0.8), (0.2, 0.8)],
    2: [(0.3, 0.3)],
    3: [],
    4: [(0.35, 0.9)],
}


def write_aucs(experiment):
    for index, aucs in AUCS.items():
        rows = "".join(f"{true:.4f},{predicted:.4f},ACH-000956\n" for true, predicted in aucs)
        path = experiment / f"run/RUN{index:03d}/test_y_data_predicted.csv"
        path.write_text(f"{HEADER}{rows}0.0001,0.0001,ACH-0009567\n")


@pytest.fixture(params=[False, True], ids=["ours", "original"])
def experiment(tmp_path, request):
    states = ["done"] * len(AUCS)
    directory = write_experiment(tmp_path / "EXP011", states, original=request.param)
    write_aucs(directory)
    return directory


def test_a_line_is_run_true_predicted_cell_lowest_true_auc_first(experiment):
    assert call_script("top_drugs.py", experiment, "true", "ACH-000956", 3).splitlines() == [
        "RUN002  0.3000  0.3000  ACH-000956",
        "RUN004  0.3500  0.9000  ACH-000956",
        "RUN001  0.4000  0.8000  ACH-000956",
    ]


@pytest.mark.parametrize("word", ["pred", "predicted"])
def test_the_predicted_order_is_by_the_other_auc(experiment, word):
    lines = call_script("top_drugs.py", experiment, word, "ACH-000956", 2).splitlines()
    assert [line.split()[0] for line in lines] == ["RUN000", "RUN002"]


def test_replicates_become_their_mean_and_that_is_said(experiment, capsys):
    printed = call_script("top_drugs.py", experiment, "true", "ACH-000956", 4)
    assert "RUN001  0.4000  0.8000" in printed
    said = capsys.readouterr().err
    assert said == "1 of 4 drugs have several rows for the cell: their mean is shown\n"


def test_the_originals_way_keeps_the_replicate_of_lowest_auc(experiment):
    args = ("true", "ACH-000956", 1, "--replicates", "min")
    assert call_script("top_drugs.py", experiment, *args) == "RUN001  0.2000  0.8000  ACH-000956\n"


def test_a_cell_whose_name_begins_with_another_is_another_cell(experiment):
    lines = call_script("top_drugs.py", experiment, "true", "ACH-0009567", 9).splitlines()
    assert lines == [f"RUN{i:03d}  0.0001  0.0001  ACH-0009567" for i in range(5)]


def test_fewer_drugs_than_wanted_are_listed_and_that_is_said(experiment, capsys):
    printed = call_script("top_drugs.py", experiment, "pred", "ACH-000956", 9)
    assert len(printed.splitlines()) == 4
    assert "only 4 drugs were tested on the cell" in capsys.readouterr().err


def test_runs_without_predictions_are_named(experiment, capsys):
    (experiment / "run/RUN002/test_y_data_predicted.csv").unlink()
    printed = call_script("top_drugs.py", experiment, "true", "ACH-000956", 1)
    assert printed == "RUN004  0.3500  0.9000  ACH-000956\n"
    assert "1 of 5 runs missing: RUN002" in capsys.readouterr().err


def test_other_forms_tell_the_drug_and_its_replicates(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * len(AUCS))
    write_aucs(experiment)
    args = (experiment, "true", "ACH-000956", 3, "--format")
    values = json.loads(call_script("top_drugs.py", *args, "json"))
    assert values[2] == {
        "run": "RUN001",
        "true": 0.4,
        "predicted": 0.8,
        "cell": "ACH-000956",
        "drug": "Drug-1",
        "replicates": 2,
    }
    rows = list(csv.DictReader(io.StringIO(call_script("top_drugs.py", *args, "csv"))))
    assert [row["drug"] for row in rows] == ["Drug-2", "Drug-4", "Drug-1"]
    assert call_script("top_drugs.py", *args, "table").split()[:3] == ["run", "true", "predicted"]


def test_an_unknown_cell_is_refused_with_the_nearest(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"] * len(AUCS))
    write_aucs(experiment)
    result = run_script("top_drugs.py", experiment, "true", "ACH-00956", 3)
    assert_is_refused(result, "'ACH-00956'", "did you mean 'ACH-000956'?", "list_cells.py")


def test_a_count_below_one_is_refused(experiment):
    with pytest.raises(InputError, match="COUNT must be at least 1, not 0"):
        call_script("top_drugs.py", experiment, "true", "ACH-000956", 0)


def test_an_unknown_type_is_a_mistake_in_the_command_line(experiment, capsys):
    with pytest.raises(SystemExit, match="2"):
        call_script("top_drugs.py", experiment, "auc", "ACH-000956", 3)
    assert "invalid choice: 'auc'" in capsys.readouterr().err


def test_equal_aucs_are_in_the_order_of_the_runs():
    rows = pl.DataFrame(
        {"run": ["b", "a", "c"], "drug": ["x", "y", "z"], "cell": "k"}
        | {"true": [0.5, 0.5, 0.5], "predicted": [0.1, 0.2, 0.3]}
    )
    assert sensitivity.top_drugs(rows, "k", order="true", count=3)["run"].to_list() == list("bac")


def write_lists(directory):
    """Write ten true and ten predicted lines, three of which are of the same runs."""
    paths = []
    for name, first in (("true", 0), ("pred", 7)):
        lines = [f"RUN{i:03d}  0.2939  0.3125  ACH-000956\n" for i in range(first, first + 10)]
        paths.append(directory / f"{name}.list")
        paths[-1].write_text("".join(lines))
    return paths


def test_the_match_of_two_lists_is_told_as_the_original_tells_it(tmp_path):
    assert call_script("match_drugs.py", *write_lists(tmp_path)).splitlines() == [
        "hit: RUN007  0.2939  0.3125  ACH-000956",
        "hit: RUN008  0.2939  0.3125  ACH-000956",
        "hit: RUN009  0.2939  0.3125  ACH-000956",
        "hits: 30.0%",
    ]


def test_a_list_matches_itself_and_another_cell_is_no_hit(tmp_path):
    true, other = write_lists(tmp_path)
    assert call_script("match_drugs.py", true, true).endswith("hits: 100.0%\n")
    other.write_text(true.read_text().replace("ACH-000956", "ACH-000001"))
    assert call_script("match_drugs.py", true, other) == "hits:  0.0%\n"


def test_the_match_in_other_forms_has_a_row_for_each_true_drug(tmp_path):
    values = json.loads(call_script("match_drugs.py", *write_lists(tmp_path), "--format", "json"))
    assert [value["hit"] for value in values] == [False] * 7 + [True] * 3


@pytest.mark.parametrize("text", ["", "index,mse\n000,0.1\n", "RUN001 a b c\n"])
def test_what_is_no_list_is_refused(tmp_path, text):
    path = tmp_path / "x.list"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a list that top_drugs.py printed"):
        sensitivity.read_list(path)


def test_a_list_whose_runs_are_no_drugs_is_refused(tmp_path):
    path = tmp_path / "x.list"
    path.write_text("RUN001 0.1 0.2 A B\nRUN001 0.3 0.4 A B\n")
    with pytest.raises(InputError, match="x.list has RUN001 several times for A B, so its runs do"):
        sensitivity.read_list(path)


def test_lists_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "x.list"
    path.write_bytes("RUN001 0.1 0.2 Zürich\n".encode("latin-1"))
    with pytest.raises(InputError, match="x.list is not a text file in UTF-8"):
        sensitivity.read_list(path)
    with pytest.raises(InputError, match="x.list is not a text file in UTF-8"):
        sensitivity.read_cells(path, pl.DataFrame({"cell": ["a"]}))


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file: .*/a"):
        call_script("match_drugs.py", tmp_path / "a", tmp_path / "b")
