"""Tables of a data set: ids are strings, drugs are numbered as they appear, errors say where."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed.data import responses, tables
from hed.data.tables import AUC, CELL, DESCRIPTORS, DRUG, EXPRESSION
from hed.errors import InputError

RESPONSE_CELLS, RESPONSE_DRUGS = ["c2", "c1"], ["7", "12"]
RESPONSE = {CELL: ["c2", "c1", "c2", "c2"], DRUG: ["7", "12", "12", "7"], AUC: [0.5, 1, 0.25, 0.5]}


def write(data, *, cells=("c1", "c2"), drugs=("12", "7"), **response):
    """Write a data set with some columns of its response other than usual, None for no column."""
    data.mkdir(exist_ok=True)
    columns = {k: v for k, v in {**RESPONSE, **response}.items() if v is not None}
    pl.DataFrame(columns, strict=False).write_parquet(data / tables.RESPONSE_FILE)
    for kind, ids in ((EXPRESSION, cells), (DESCRIPTORS, drugs)):
        features = {kind.id: list(ids), f"{kind.prefix}x": [0.5] * len(ids)}
        pl.DataFrame(features).write_parquet(data / kind.file)
    return data


def refuse(data):
    """Return the sentence with which a data set is refused."""
    with pytest.raises(InputError) as caught:
        responses.read_checked(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(ids=st.lists(st.text("ab7é", max_size=2)))
def test_ids_are_numbered_in_order_of_first_appearance(ids):
    assert tables.distinct(pl.Series(ids, dtype=pl.String)) == list(dict.fromkeys(ids))


def test_every_row_and_column_of_the_response_is_read_in_order(tmp_path):
    data = write(tmp_path, study=["a", "b", "a", "b"])
    response = responses.read_checked(data).rows
    assert response.to_dict(as_series=False) == {**RESPONSE, "study": ["a", "b", "a", "b"]}


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Int32, pl.UInt16, pl.Categorical, pl.String])
def test_ids_are_strings_however_they_are_stored(tmp_path, dtype):
    drugs = pl.Series(RESPONSE[DRUG])
    stored = drugs.cast(pl.Int64).cast(dtype) if dtype.is_integer() else drugs.cast(dtype)
    data = write(tmp_path, drugs=[12, 7], **{DRUG: stored})
    response = responses.read_checked(data).rows
    assert response[DRUG].to_list() == RESPONSE[DRUG]
    assert response[DRUG].dtype == pl.String


def test_ids_with_leading_zeros_stay_apart(tmp_path):
    data = write(tmp_path, drugs=["7", "07"], **{DRUG: ["07", "7", "07", "7"]})
    assert tables.distinct(responses.read_checked(data).rows[DRUG]) == ["07", "7"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_an_auc_that_is_not_finite_is_refused_with_its_number_and_first_row(tmp_path, bad):
    sentence = refuse(write(tmp_path, **{AUC: [0.5, 1.0, bad, bad]}))
    assert sentence.startswith("auc is not finite in 2 of 4 rows of /")
    assert sentence.endswith("first in row 2: drop these rows or repair them")


def test_an_auc_that_is_text_is_refused(tmp_path):
    sentence = refuse(write(tmp_path, **{AUC: ["0.5"] * 4}))
    assert sentence.startswith("column 'auc' of /")
    assert sentence.endswith("is String, not numeric")


def test_integers_are_an_auc(tmp_path):
    found = responses.read_checked(write(tmp_path, **{AUC: [0, 1, 0, 1]}))
    assert found.rows[AUC].to_list() == [0, 1, 0, 1]


@pytest.mark.parametrize("column", [CELL, DRUG])
def test_a_row_without_an_id_is_refused(tmp_path, column):
    sentence = refuse(write(tmp_path, **{column: [None, *RESPONSE[column][1:3], None]}))
    assert sentence.startswith("2 rows of /")
    assert sentence.endswith(f"have no {column}")


def test_an_empty_response_is_refused(tmp_path):
    none = {name: pl.Series([], dtype=pl.String) for name in (CELL, DRUG)}
    sentence = refuse(write(tmp_path, **none, **{AUC: pl.Series([], dtype=pl.Float64)}))
    assert sentence.endswith("rsp_merged.parquet has no rows")


@pytest.mark.parametrize("column", [CELL, DRUG, AUC])
def test_a_missing_column_is_refused_with_those_there_are(tmp_path, column):
    sentence = refuse(write(tmp_path, **{column: None}))
    others = ", ".join(name for name in (CELL, DRUG, AUC) if name != column)
    assert f"has no column {column!r}; its columns are {others}" in sentence


def test_at_most_five_columns_are_listed(tmp_path):
    with pytest.raises(InputError, match="its columns are a, b, c, d, e, ..."):
        tables.require_columns(list("abcdef"), [AUC], tmp_path)


@pytest.mark.parametrize("name", tables.FILES)
def test_a_missing_table_is_refused(tmp_path, name):
    (write(tmp_path) / name).unlink()
    assert refuse(tmp_path) == f"no such file: {tmp_path / name}"


@pytest.mark.parametrize("name", tables.FILES)
@pytest.mark.parametrize("content", [b"", b"improve_sample_id\tauc\n", b"PAR1 and no more"])
def test_a_table_that_is_not_parquet_is_refused(tmp_path, name, content):
    (write(tmp_path) / name).write_bytes(content)
    assert f"{name} cannot be read as parquet: " in refuse(tmp_path)


def test_responses_without_features_are_left_out_and_indices_stay_those_of_the_file(tmp_path):
    found = responses.read_checked(write(tmp_path, drugs=["12"], cells=["c2", "c3"]))
    assert found.rows[[CELL, DRUG]].rows() == [("c2", "12")]
    assert found.ids == {CELL: RESPONSE_CELLS, DRUG: RESPONSE_DRUGS}
    assert found.featureless == {CELL: ["c1"], DRUG: ["7"]}
    assert (found.empty(DRUG), found.empty(CELL)) == ([0], [1])
    assert list(responses.notes(found, DRUG)) == [
        "3 of 4 responses are not used: there are no features of 1 cell (c1) and 1 drug (7)",
        "no row to be tested on for 1 of 2 drugs, whose indices stay: 0 7",
    ]


def test_a_data_set_without_any_usable_response_is_refused(tmp_path):
    sentence = refuse(write(tmp_path, drugs=["8"]))
    assert sentence.startswith("no row of /") and "make their ids agree" in sentence


def test_responses_that_may_be_mistakes_are_counted(tmp_path):
    pairs = {CELL: ["c1", "c1", "c1", "c2"], DRUG: ["7", "7", "7", "12"]}
    found = responses.read(write(tmp_path, **pairs, **{AUC: [0.5, 0.5, 0.6, 1.2]}))
    assert list(responses.notes(found, DRUG)) == [
        "AUC outside 0 to 1, which a sigmoid cannot predict: 1 response",
        "exactly like an earlier one: 1 response; "
        "preprocess: drop_repeated drops those of raw tables",
    ]


def test_of_many_names_the_first_are_told():
    drugs = [f"d{i}" for i in range(8)]
    table = pl.DataFrame({CELL: ["c"] * 8, DRUG: drugs, AUC: [0.5] * 8})
    found = responses.select(table, {CELL: table[CELL], DRUG: table[DRUG][:1]})
    first, second = responses.notes(found, DRUG)
    assert "7 drugs (d1, d2, d3, d4, d5 and 2 more)" in first
    assert second.endswith("1 d1, 2 d2, 3 d3, 4 d4, 5 d5 and 2 more")
    assert len(list(responses.notes(found, None))) == 1


def test_features_of_ids_that_have_no_response_are_no_error(tmp_path):
    assert len(responses.read_checked(write(tmp_path, drugs=["7", "8", "12"])).rows) == 4


def test_an_id_with_two_rows_of_features_is_refused(tmp_path):
    sentence = refuse(write(tmp_path, cells=["c1", "c2", "c1"]))
    assert sentence.endswith("has several rows for cell 'c1': keep one")


@pytest.mark.parametrize("kind", [EXPRESSION, DESCRIPTORS])
def test_a_feature_table_without_features_is_refused(tmp_path, kind):
    data = write(tmp_path)
    pl.DataFrame({kind.id: ["c1"], "other.x": [1.0]}).write_parquet(data / kind.file)
    assert refuse(data).endswith(f"has no feature columns: none starts with {kind.prefix!r}")


def test_a_feature_table_without_ids_is_refused(tmp_path):
    data = write(tmp_path)
    pl.DataFrame({"mordred.x": [1.0]}).write_parquet(data / DESCRIPTORS.file)
    assert "has no column 'improve_chem_id'; its columns are mordred.x" in refuse(data)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            [1.0, float("nan")],
            "1 of 2 feature columns .* hold values that are missing or not finite",
        ),
        ([1.0, None], "first 'ge.bad'"),
        ([1.0, float("inf")], "first 'ge.bad'"),
        (["1", "x"], "column 'ge.bad' of .* is String, not numeric"),
    ],
)
def test_features_that_are_no_finite_numbers_are_refused(tmp_path, values, sentence):
    table = pl.DataFrame({tables.CELL: ["a", "b"], "ge.good": [1.0, 2.0], "ge.bad": values})
    table.write_parquet(tmp_path / tables.EXPRESSION_FILE)
    with pytest.raises(InputError, match=sentence):
        tables.check_features(tmp_path, tables.EXPRESSION)
