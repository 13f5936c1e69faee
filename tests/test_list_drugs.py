"""Drugs are numbered in order of first appearance, as in existing experiments."""

import json
import subprocess
import sys

import polars as pl
import pytest
from experiments import (
    SCRIPTS,
    assert_is_refused,
    call_script,
    run_script,
    write_experiment,
    write_json,
)

from hed.errors import InputError

DRUGS = ["Zeta", "Alpha", "Zeta", "17", "Alpha", "Mu"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "rsp_merged.parquet"
    pl.DataFrame({"improve_sample_id": ["c"] * 6, "improve_chem_id": DRUGS}).write_parquet(path)
    return path


def test_all_drugs_are_listed_in_order_of_first_appearance(table):
    assert call_script("list_drugs.py", table) == "000 Zeta\n001 Alpha\n002 17\n003 Mu\n"


def test_a_data_directory_stands_for_its_response_table(table):
    assert call_script("list_drugs.py", table.parent).startswith("000 Zeta\n")


def test_raw_tables_are_listed_too_and_drugs_without_features_keep_their_place(tmp_path):
    tables = {
        "response.tsv": "improve_sample_id improve_chem_id auc\nc Zeta 1\nc None 1\nc 17 1\n",
        "cancer_gene_expression.tsv": "improve_sample_id TP53\nc 1\n",
        "drug_mordred.tsv": "improve_chem_id ABC\n17 1\nZeta 2\n",
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text.replace(" ", "\t"))
    assert call_script("list_drugs.py", tmp_path) == "000 Zeta\n001 None\n002 17\n"


def test_chosen_drugs_are_listed_in_index_order(table):
    assert call_script("list_drugs.py", table, 3, 1) == "001 Alpha\n003 Mu\n"


@pytest.mark.parametrize("index", [4, -1])
def test_an_index_out_of_range_is_refused_with_the_range(table, index):
    expected = f"error: no drug at index {index}: the response table has 4 drugs (0 to 3)"
    result = run_script("list_drugs.py", table, 0, index)
    assert_is_refused(result, expected)
    assert result.stdout == ""


def test_a_row_without_a_drug_is_refused(table):
    pl.DataFrame({"improve_chem_id": ["a", None]}).write_parquet(table)
    assert_is_refused(run_script("list_drugs.py", table), "1 rows", "have no improve_chem_id")


def test_a_missing_table_is_refused(tmp_path):
    assert_is_refused(run_script("list_drugs.py", tmp_path), "no such file", "rsp_merged.parquet")


def test_a_reader_that_leaves_early_is_no_error(table):
    many = pl.DataFrame({"improve_chem_id": [f"drug-{i}" for i in range(20_000)]})
    many.write_parquet(table)
    command = f"{sys.executable} {SCRIPTS / 'list_drugs.py'} {table} | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("000 drug-0\n", "")


def test_other_forms_have_index_and_drug(table):
    values = json.loads(call_script("list_drugs.py", table, 3, 1, "--format", "json"))
    assert values == [{"index": 1, "drug": "Alpha"}, {"index": 3, "drug": "Mu"}]
    assert call_script("list_drugs.py", table, 0, "--format", "table").split() == [
        *("index", "drug"),
        *("0", "Zeta"),
    ]


def test_an_experiment_lists_the_drugs_that_its_runs_hold_out(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "waiting", "running"])
    assert call_script("list_drugs.py", experiment) == "000 Drug-0\n001 Drug-1\n002 Drug-2\n"
    assert call_script("list_drugs.py", experiment, 2) == "002 Drug-2\n"
    with pytest.raises(InputError, match="no run of .* has index 3"):
        call_script("list_drugs.py", experiment, 3)


def test_an_experiment_of_the_original_does_not_name_its_drugs(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    with pytest.raises(InputError, match="the original wrote it: give its DATA_SOURCE"):
        call_script("list_drugs.py", experiment)


def test_an_experiment_that_holds_out_cells_has_no_drugs_to_list(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"])
    described = json.loads((experiment / "experiment.json").read_text())
    described["identity"] = {"partition": {"mode": "by_cell"}}
    write_json(experiment / "experiment.json", described)
    with pytest.raises(InputError, match="was partitioned by_cell"):
        call_script("list_drugs.py", experiment)


def test_the_original_s_option_for_an_index_is_understood(table):
    assert call_script("list_drugs.py", "--index", 1, table) == "001 Alpha\n"
