"""Raw IMPROVE tables: both header forms, what is dropped, and what is refused."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hed.data import features, layout, raw, responses
from hed.data.tables import AUC, CELL, DRUG
from hed.errors import InputError

DEMO = Path(__file__).parents[1] / "data" / "gdsc2-demo"

RESPONSE = """
improve_sample_id improve_chem_id auc study
0697 drugB 0.5 X
5637 drugA 0.25 Y
0697 drugA 1 X
0697 drugA 0.75 X
"""
EXPRESSION = """
improve_sample_id TP53 EGFR
5637 1.5 -2
0697 0.25 3
"""
DESCRIPTORS = """
improve_chem_id ABC nAcid
drugA 1 2
drugB 3.5 4
"""


def tsv(text: str) -> str:
    """Return blank-separated text as TSV; `-` stands for an empty field."""
    rows = [line.split(" ") for line in text.strip().splitlines()]
    return "".join("\t".join("" if field == "-" else field for field in row) + "\n" for row in rows)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the three tables, some of them other than usual."""

    def write(
        *, response: str = RESPONSE, expression: str = EXPRESSION, descriptors: str = DESCRIPTORS
    ) -> Path:
        (tmp_path / layout.RESPONSE_TSV).write_text(tsv(response))
        (tmp_path / layout.EXPRESSION_TSV).write_text(tsv(expression))
        (tmp_path / layout.DESCRIPTOR_TSV).write_text(tsv(descriptors))
        return tmp_path

    return write


def assert_same(left: raw.Tables, right: raw.Tables) -> None:
    assert_frame_equal(left.response, right.response)
    assert_frame_equal(left.expression, right.expression)
    assert_frame_equal(left.descriptors, right.descriptors)
    assert left.dropped == right.dropped


# What is read


def test_the_demo_data_are_read_whole() -> None:
    data = raw.read(DEMO)
    assert data.response.shape == (3600, 4)
    assert data.expression.shape == (150, 401)
    assert data.descriptors.shape == (24, 1084)
    assert data.dropped == {"cells": 0, "drugs": 0, "rows": 0}


def test_order_ids_and_other_columns_are_those_of_the_files(write: Callable[..., Path]) -> None:
    data = raw.read(write())
    assert data.response.rows() == [
        ("0697", "drugB", 0.5, "X"),
        ("5637", "drugA", 0.25, "Y"),
        ("0697", "drugA", 1.0, "X"),
        ("0697", "drugA", 0.75, "X"),
    ]
    assert data.expression.rows() == [("5637", 1.5, -2.0), ("0697", 0.25, 3.0)]
    assert data.expression.columns == [CELL, "ge.TP53", "ge.EGFR"]
    assert data.descriptors.columns == [DRUG, "mordred.ABC", "mordred.nAcid"]


@pytest.mark.parametrize(
    ("header", "choice", "words"),
    [
        ("improve_sample_id improve_chem_id auc auc", {}, "several columns 'auc': keep one"),
        ("improve_sample_id improve_chem_id auc source_row", {}, "a name that is taken"),
        (
            "improve_sample_id improve_chem_id auc study",
            {"y_column": "improve_sample_id"},
            "names what was tested",
        ),
        (
            "improve_sample_id improve_chem_id auc r2fit",
            {"min_r2fit": 0.9},
            "has an r2fit of at least 0.9: lower",
        ),
    ],
)
def test_columns_that_cannot_be_used_are_refused(
    write: Callable[..., Path], header: str, choice: dict[str, Any], words: str
) -> None:
    source = write(response=f"{header}\n0697 drugB 0.5 0.1\n5637 drugA 0.25 0.2\n")
    with pytest.raises(InputError, match=words):
        raw.read(source, raw.Choice(**choice))


def test_ids_that_are_all_digits_keep_their_zeros(write: Callable[..., Path]) -> None:
    data = raw.read(write())
    assert data.response.schema[CELL] == data.expression.schema[CELL] == pl.String
    assert data.expression[CELL].to_list() == ["5637", "0697"]


def test_whole_numbers_are_read_as_floats(write: Callable[..., Path]) -> None:
    data = raw.read(write(response="improve_sample_id improve_chem_id auc\n0697 drugA 1"))
    features = [*data.expression.dtypes[1:], *data.descriptors.dtypes[1:]]
    assert {data.response.schema[AUC], *features} == {pl.Float64}


def test_a_column_of_the_response_may_turn_to_text_late(write: Callable[..., Path]) -> None:
    rows = "\n".join(f"0697 drugA 0.5 {number}" for number in range(2000))
    data = raw.read(
        write(response=f"improve_sample_id improve_chem_id auc n\n{rows}\n5637 drugA 1 x")
    )
    assert data.response.height == 2001


def test_is_raw_tells_where_a_response_table_is(write: Callable[..., Path], tmp_path: Path) -> None:
    assert not layout.is_raw(tmp_path)
    assert layout.is_raw(write())


# Header forms

BODY = "\n5637 1.5 -2\n0697 0.25 3"
SYSTEMS = "{} ENSG1 ENSG2\n{} 7157 1956\n{} TP53 EGFR"


@pytest.mark.parametrize(
    "header",
    [
        SYSTEMS.format("-", "-", "-"),
        SYSTEMS.format("Ensembl", "Entrez", "Gene_Symbol"),
        SYSTEMS.format("improve_sample_id", "-", "-"),
        SYSTEMS.format("-", "-", "-") + "\nimprove_sample_id - -",
        SYSTEMS.format("Ensembl", "Entrez", "Gene_Symbol") + "\nimprove_sample_id",
        "Gene_Symbol TP53 EGFR\nEntrez 7157 1956",
        "- TP53 EGFR",
        "- TP53 EGFR\nimprove_sample_id - -",
    ],
)
def test_every_header_form_gives_the_same_table(header: str, write: Callable[..., Path]) -> None:
    assert_same(raw.read(write(expression=header + BODY)), raw.read(write()))


def test_the_unnamed_columns_of_pandas_count_as_empty(write: Callable[..., Path]) -> None:
    header = SYSTEMS.format("@1", "@2", "@3") + BODY
    directory = write(expression=header)
    path = directory / layout.EXPRESSION_TSV
    path.write_text(re.sub("@(.)", r"Unnamed: 0_level_\1", path.read_text()))
    assert raw.read(directory).expression.columns == [CELL, "ge.TP53", "ge.EGFR"]


def test_the_demo_expression_is_the_same_with_three_header_rows(tmp_path: Path) -> None:
    for name in (layout.RESPONSE_TSV, layout.DESCRIPTOR_TSV):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    first, _, rest = (DEMO / layout.EXPRESSION_TSV).read_text().partition("\n")
    count = first.count("\t")
    ensembl = "\t".join(["", *(f"ENSG{number:011}" for number in range(count))])
    entrez = "\t".join(["", *(str(number) for number in range(count))])
    symbols = first.replace(CELL, "", 1)
    (tmp_path / layout.EXPRESSION_TSV).write_text("\n".join([ensembl, entrez, symbols, rest]))
    assert_same(raw.read(tmp_path), raw.read(DEMO))


def test_a_gene_without_symbol_has_the_name_of_another_system(write: Callable[..., Path]) -> None:
    header = "- ENSG1 - ENSG3\n- 7157 1956 -\n- A - -\n"
    data = raw.read(write(expression=header + "5637 1 2 3\n0697 3 4 5"))
    assert data.expression.columns == [CELL, "ge.A", "ge.1956", "ge.ENSG3"]


def test_equal_names_get_the_suffixes_of_pandas(write: Callable[..., Path]) -> None:
    text = "improve_sample_id A A B A.1 A\n5637 1 2 3 4 5\n0697 1 2 3 4 5"
    data = raw.read(write(expression=text))
    assert data.expression.columns == [CELL, "ge.A", "ge.A.2", "ge.B", "ge.A.1", "ge.A.3"]
    assert data.expression.row(0) == ("5637", 1.0, 2.0, 3.0, 4.0, 5.0)


@given(st.lists(st.sampled_from(["A", "A.1", "A.2", "B"]), max_size=8))
@settings(max_examples=25, deadline=None)
def test_suffixed_names_are_distinct_and_the_first_of_each_stays(names: list[str]) -> None:
    found = features._distinct(names)
    assert len(set(found)) == len(names)
    for name in names:
        assert found[names.index(name)] == name


def test_a_prefix_that_is_there_is_not_added_again(write: Callable[..., Path]) -> None:
    expression = EXPRESSION.replace("TP53", "ge.TP53")
    descriptors = DESCRIPTORS.replace("ABC", "mordred.ABC")
    assert_same(raw.read(write(expression=expression, descriptors=descriptors)), raw.read(write()))


@pytest.mark.parametrize("label", ["-", "index", "Unnamed:_0"])
def test_a_leading_index_column_is_dropped(label: str, write: Callable[..., Path]) -> None:
    rows = DESCRIPTORS.strip().splitlines()
    indexed = "\n".join([f"{label} {rows[0]}", *(f"{n} {row}" for n, row in enumerate(rows[1:]))])
    cells = EXPRESSION.strip().splitlines()
    expression = "\n".join([f"- {cells[0]}", *(f"{n} {row}" for n, row in enumerate(cells[1:]))])
    assert_same(raw.read(write(descriptors=indexed, expression=expression)), raw.read(write()))


def test_windows_line_ends_quotes_and_a_byte_order_mark_change_nothing(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    expected = raw.read(write())
    for name in (layout.RESPONSE_TSV, layout.EXPRESSION_TSV, layout.DESCRIPTOR_TSV):
        text = (tmp_path / name).read_text().replace("\n", "\r\n").replace("5637", '"5637"')
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert_same(raw.read(tmp_path), expected)


def test_booleans_and_words_for_missing_values_are_understood(write: Callable[..., Path]) -> None:
    descriptors = "improve_chem_id L x\ndrugA True 1\ndrugB False 2\ndrugC True NA\ndrugD True None"
    data = raw.read(write(descriptors=descriptors))
    assert data.descriptors.rows() == [("drugA", 1.0, 1.0), ("drugB", 0.0, 2.0)]
    assert data.dropped["drugs"] == 2


# What is dropped


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "-", "NA"])
def test_a_feature_row_that_is_not_finite_is_dropped_and_counted(
    value: str, write: Callable[..., Path]
) -> None:
    data = raw.read(write(expression=EXPRESSION.replace("5637 1.5", f"5637 {value}")))
    assert data.expression[CELL].to_list() == ["0697"]
    assert data.dropped == {"cells": 1, "drugs": 0, "rows": 1}
    assert responses.of_raw(data).rows.height == 3
    assert data.response.height == 4


def test_response_rows_without_features_are_counted_and_their_ids_keep_their_place(
    write: Callable[..., Path],
) -> None:
    response = RESPONSE + "5637 drugZ 0.5 X\nCELLZ drugA 0.5 X\nCELLZ drugZ 0.5 X\n"
    data = raw.read(write(response=response))
    assert data.dropped == {"cells": 0, "drugs": 0, "rows": 3}
    found = responses.of_raw(data)
    assert_frame_equal(found.rows, raw.read(write()).response)
    assert found.ids[DRUG] == ["drugB", "drugA", "drugZ"]


def test_features_without_response_are_left_out_and_not_counted(
    write: Callable[..., Path],
) -> None:
    expected = raw.read(write())
    more = write(expression=EXPRESSION + "other 1 2\n", descriptors=DESCRIPTORS + "drugZ 1 2\n")
    assert_same(raw.read(more), expected)


IDS = st.sampled_from("abcd")
FEATURES = st.dictionaries(IDS, st.sampled_from(["1", "-0.5", "nan", "inf"]), max_size=4)


@given(st.lists(st.tuples(IDS, IDS, st.floats(0, 1)), max_size=12), FEATURES, FEATURES)
@settings(max_examples=20, deadline=None)
def test_exactly_the_response_rows_with_finite_features_are_kept_in_order(
    rows: list[tuple[str, str, float]], cells: dict[str, str], drugs: dict[str, str]
) -> None:
    rows, cells, drugs = [("a", "a", 0.5), *rows], {**cells, "a": "1"}, {**drugs, "a": "1"}
    with tempfile.TemporaryDirectory() as name:
        for file, header, body in (
            (layout.RESPONSE_TSV, (CELL, DRUG, AUC), rows),
            (layout.EXPRESSION_TSV, (CELL, "F"), cells.items()),
            (layout.DESCRIPTOR_TSV, (DRUG, "F"), drugs.items()),
        ):
            lines = ["\t".join(map(str, row)) + "\n" for row in [header, *body]]
            (Path(name) / file).write_text("".join(lines))
        data = raw.read(Path(name))
    good = [{i for i, value in table.items() if value in "1-0.5"} for table in (cells, drugs)]
    kept = [row for row in rows if row[0] in good[0] and row[1] in good[1]]
    assert data.response.rows() == rows
    assert responses.of_raw(data).rows.rows() == kept
    assert data.expression[CELL].to_list() == [i for i in cells if i in {row[0] for row in kept}]
    assert data.descriptors[DRUG].to_list() == [i for i in drugs if i in {row[1] for row in kept}]
    assert data.dropped == {
        "cells": len(cells) - len(good[0]),
        "drugs": len(drugs) - len(good[1]),
        "rows": len(rows) - len(kept),
    }


# What is refused


@pytest.mark.parametrize("name", layout.FILES)
def test_a_missing_or_empty_file_is_named(name: str, write: Callable[..., Path]) -> None:
    directory = write()
    (directory / name).write_text("")
    with pytest.raises(InputError, match=rf"{name} is empty$"):
        raw.read(directory)
    (directory / name).unlink()
    with pytest.raises(InputError, match=rf"no such file: .*{name}$"):
        raw.read(directory)


@pytest.mark.parametrize(
    ("table", "text", "sentence"),
    [
        ("response", RESPONSE.splitlines()[1], "response.tsv has no rows"),
        ("expression", EXPRESSION.splitlines()[1], "expression.tsv has no rows"),
        ("descriptors", DESCRIPTORS.splitlines()[1], "mordred.tsv has no rows"),
        ("response", RESPONSE.replace("auc", "AAC"), "response.tsv has no column 'auc'; its"),
        (
            "response",
            RESPONSE.replace(CELL, "cell"),
            "has no column 'improve_sample_id'; its columns are cell,",
        ),
        ("response", RESPONSE.replace("0.25", "nan"), "auc is not finite in 1 of 4 rows"),
        ("response", RESPONSE.replace("0.25", "-"), "first in row 1: drop these rows"),
        ("response", RESPONSE.replace("0.25", "NA"), "auc is not finite in 1 of 4 rows"),
        ("response", RESPONSE.replace("0.25", "inf"), "auc is not finite in 1 of 4 rows"),
        (
            "response",
            RESPONSE.replace("0.25", "high"),
            "auc.* not numeric, line 3 holds 'high'",
        ),
        ("response", RESPONSE.replace("5637", "-"), "1 rows of .* have no improve_sample_id"),
        (
            "response",
            RESPONSE + "a b c d e f",
            "line 6 of .*response.tsv has more fields than its first",
        ),
        ("expression", EXPRESSION.replace(CELL, "cell"), "no column 'improve_sample_id'"),
        ("descriptors", DESCRIPTORS.replace(DRUG, "drug"), "no column 'improve_chem_id'"),
        ("descriptors", "- ABC\n0 1", "mordred.tsv has no column 'improve_chem_id'"),
        ("expression", f"{CELL}\n5637\n0697", "has no feature columns beside 'improve_sample_id'"),
        ("expression", EXPRESSION.replace("1.5", "high"), "column 'TP53' .* line 2 holds 'high'"),
        (
            "descriptors",
            DESCRIPTORS.replace("3.5", "3,500"),
            "column 'ABC' .* line 3 holds '3,500'",
        ),
        ("expression", EXPRESSION + "5637 0 0", "several rows for cell '5637': keep one"),
        ("descriptors", DESCRIPTORS + "drugB 0 0", "several rows for drug 'drugB': keep one"),
        ("descriptors", DESCRIPTORS + "- 0 0", "1 rows of .* have no improve_chem_id"),
        ("descriptors", DESCRIPTORS.replace("ABC", "-"), "column 2 of .* has no name"),
        ("descriptors", f"{DRUG} a b\ndrugA 1 2 3", "line 2 of .* has more fields than its first"),
        ("expression", "- A B\n- 7157 1956" + BODY, "has 2 header rows .* 'Gene_Symbol'"),
        (
            "descriptors",
            DESCRIPTORS.replace("drugA 1", "drugA nan").replace("drugB 3.5", "drugB inf"),
            r"no row of .* delete columns .* 'ABC' \(finite in 0 of 2 rows\)",
        ),
        (
            "expression",
            EXPRESSION.replace("5637", "ACH-1").replace("0697", "ACH-2"),
            "no row of .* make their ids agree .* '0697' here and 'ACH-1' there",
        ),
    ],
)
def test_a_malformed_table_is_refused_in_a_sentence(
    table: str, text: str, sentence: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        raw.read(write(**{table: text}))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(write: Callable[..., Path]) -> None:
    directory = write()
    (directory / layout.EXPRESSION_TSV).write_bytes(b"\x1f\x8b\xff\xfe\x00")
    with pytest.raises(InputError, match=r"is not text in UTF-8 .line 1 has the byte 0x1f"):
        raw.read(directory)


def test_reading_needs_neither_scikit_learn_nor_tensorflow() -> None:
    code = (
        "import sys; from hed.data import raw; print({'sklearn', 'tensorflow'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "set()\n"
