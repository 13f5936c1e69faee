"""A response table is counted as it is, in each form that it may have."""

import json

import polars as pl
import pytest
from experiments import assert_is_refused, call_script, run_script

from hed.errors import InputError

ROWS = "improve_sample_id improve_chem_id auc\nc1 17 1\nc1 17 2\nc2 None 1\nc3 Zeta 1\n"


@pytest.fixture
def response(tmp_path):
    path = tmp_path / "response.tsv"
    path.write_text(ROWS.replace(" ", "\t"))
    return path


@pytest.fixture
def parquet(response, tmp_path):
    path = tmp_path / "data" / "rsp_merged.parquet"
    path.parent.mkdir()
    pl.read_csv(response, separator="\t", null_values="None").write_parquet(path)
    return path


def count(*args):
    return json.loads(call_script("stat.py", *args, "--format", "json"))


def test_rows_drugs_cells_and_bytes_are_counted(response, parquet):
    expected = {"rows": 4, "drugs": 2, "cells": 3}
    for path in (response, parquet):
        found = {"table": str(path), **expected, "bytes": path.stat().st_size}
        assert count(path) == [found]


def test_a_directory_stands_for_its_response_table(response, parquet):
    assert count(parquet.parent) == count(parquet)
    assert count(response.parent) == count(response)


def test_several_tables_are_compared(response, parquet):
    lines = call_script("stat.py", response, parquet).splitlines()
    assert lines[0].split() == ["table", "rows", "drugs", "cells", "bytes"]
    assert [line.split()[1:4] for line in lines[1:]] == [["4", "2", "3"]] * 2


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [("tsv", "no column 'improve_sample_id'"), ("parquet", "cannot be read as parquet")],
)
def test_what_is_no_response_table_is_refused(tmp_path, suffix, reason):
    path = tmp_path / f"table.{suffix}"
    with pytest.raises(InputError, match="no such file"):
        count(path)
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(InputError, match=reason):
        count(path)


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "response.tsv").write_text("")
    assert_is_refused(run_script("stat.py", tmp_path), "response.tsv", "has no rows")
