"""Rows as positions in feature matrices."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hed.data import dataset, tables
from hed.data.dataset import Features
from hed.errors import InputError

CELLS = Features(pl.Series(["c2", "c1", "c3"]), np.zeros((3, 2), np.float32))
DRUGS = Features(pl.Series(["10", "9"]), np.zeros((2, 2), np.float32))


def response(cells: list[str], drugs: list[str]) -> pl.DataFrame:
    aucs = [0.1 * i for i in range(len(cells))]
    return pl.DataFrame({tables.CELL: cells, tables.DRUG: drugs, tables.AUC: aucs})


def write_expression(data: Path, frame: pl.DataFrame) -> Path:
    frame.write_parquet(data / tables.EXPRESSION_FILE)
    return data


def test_rows_keep_their_order_and_point_to_the_row_of_their_id() -> None:
    table = response(["c1", "c3", "c1", "c2"], ["9", "10", "9", "9"])
    rows = dataset.rows(table, CELLS, DRUGS)
    assert rows.cell.tolist() == [1, 2, 1, 0]
    assert rows.drug.tolist() == [1, 0, 1, 1]
    assert rows.labels.to_list() == ["c1", "c3", "c1", "c2"]
    assert np.allclose(rows.auc, [0.0, 0.1, 0.2, 0.3])
    assert len(rows) == 4


def test_positions_are_int32_and_aucs_float32() -> None:
    rows = dataset.rows(response(["c1"], ["9"]), CELLS, DRUGS)
    assert (rows.cell.dtype, rows.drug.dtype, rows.auc.dtype) == (np.int32, np.int32, np.float32)


@pytest.mark.parametrize(("cell", "drug"), [("c9", "9"), ("c1", "09")])
def test_an_id_without_features_is_refused_by_name(cell: str, drug: str) -> None:
    with pytest.raises(InputError, match="no features for '(c9|09)'"):
        dataset.rows(response(["c1", cell], ["9", drug]), CELLS, DRUGS)


def test_features_are_float32_in_the_order_of_the_table(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"ge.b": [1.0, 2.0], tables.CELL: ["x", "y"], "note": [7, 8], "ge.a": [3, 4]}
    )
    features = dataset.read_features(write_expression(tmp_path, frame), tables.EXPRESSION)
    assert features.ids.to_list() == ["x", "y"]
    assert features.values.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert features.values.dtype == np.float32
    assert features.values.flags["C_CONTIGUOUS"]


def test_ids_that_are_numbers_are_read_as_text(tmp_path: Path) -> None:
    frame = pl.DataFrame({tables.CELL: [7, 12], "ge.a": [0.5, 0.25]})
    features = dataset.read_features(write_expression(tmp_path, frame), tables.EXPRESSION)
    assert features.ids.to_list() == ["7", "12"]


def test_a_table_without_feature_columns_is_refused(tmp_path: Path) -> None:
    frame = pl.DataFrame({tables.CELL: ["x"], "gene": [0.5]})
    with pytest.raises(InputError, match="none starts with 'ge.'"):
        dataset.read_features(write_expression(tmp_path, frame), tables.EXPRESSION)
