"""Scaling, and the parquet tables that it writes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn import preprocessing as sklearn_scalers

from hed.data import layout, preprocess, raw, responses, scaling, tables
from hed.data.tables import CELL, DRUG
from hed.errors import InputError

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "data" / "gdsc2-demo"
SCRIPT = ROOT / "scripts" / "preprocess.py"


@pytest.fixture(scope="module")
def demo() -> raw.Tables:
    return raw.read(DEMO)


def values(features: pl.DataFrame) -> np.ndarray:
    return features.drop(features.columns[0]).to_numpy()


# Scaling


@pytest.mark.parametrize(
    ("method", "scaler"),
    [
        ("std", sklearn_scalers.StandardScaler),
        ("minmax", sklearn_scalers.MinMaxScaler),
        ("maxabs", sklearn_scalers.MaxAbsScaler),
        ("robust", sklearn_scalers.RobustScaler),
    ],
)
def test_scaled_features_are_those_of_scikit_learn(
    method: str, scaler: type, demo: raw.Tables
) -> None:
    expected = scaler().fit_transform(values(demo.descriptors)).astype(np.float32)
    scaled = scaling.scale(demo.descriptors, DRUG, method)
    np.testing.assert_array_equal(values(scaled), expected)


def test_std_gives_mean_0_and_deviation_1(demo: raw.Tables) -> None:
    scaled = values(scaling.scale(demo.expression, CELL, "std")).astype(np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-5)


def test_minmax_spans_0_to_1_and_maxabs_reaches_1(demo: raw.Tables) -> None:
    spans = values(scaling.scale(demo.expression, CELL, "minmax"))
    assert (spans.min(axis=0) == 0).all()
    np.testing.assert_allclose(spans.max(axis=0), 1, rtol=1e-6)
    reaches = values(scaling.scale(demo.expression, CELL, "maxabs"))
    np.testing.assert_allclose(np.abs(reaches).max(axis=0), 1, rtol=1e-6)


def test_none_changes_only_the_type(demo: raw.Tables) -> None:
    scaled = scaling.scale(demo.expression, CELL, "none")
    assert_frame_equal(scaled, demo.expression.with_columns(pl.exclude(CELL).cast(pl.Float32)))


@pytest.mark.parametrize("method", scaling.METHODS)
def test_ids_order_and_names_are_untouched_and_features_are_float32(
    method: str, demo: raw.Tables
) -> None:
    scaled = scaling.scale(demo.expression, CELL, method)
    assert scaled[CELL].equals(demo.expression[CELL])
    assert scaled.columns == demo.expression.columns
    assert set(scaled.dtypes[1:]) == {pl.Float32}


FINITE = st.floats(-1e6, 1e6)
COLUMNWISE = [*scaling.SCALERS, "none"]


@given(constant=FINITE, other=st.lists(FINITE, min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("method", COLUMNWISE)
def test_constant_columns_stay_constant_and_finite(
    method: str, constant: float, other: list[float]
) -> None:
    ids = [f"c{n}" for n in range(len(other))]
    frame = pl.DataFrame({CELL: ids, "ge.a": [constant] * len(other), "ge.b": other})
    scaled = scaling.scale(frame, CELL, method)
    assert np.isfinite(values(scaled)).all()
    assert scaled["ge.a"].n_unique() == 1


@pytest.mark.parametrize("method", COLUMNWISE)
def test_as_many_cells_as_features_are_not_taken_for_a_transposed_table(method: str) -> None:
    frame = pl.DataFrame({CELL: ["a", "b"], "ge.a": [5.0, 5.0], "ge.b": [1.0, 2.0]})
    scaled = scaling.scale(frame, CELL, method)
    assert scaled["ge.a"].n_unique() == 1
    assert scaled["ge.b"].n_unique() == 2


@pytest.mark.parametrize("norm", scaling.NORMS)
def test_a_norm_scales_each_row(norm: str) -> None:
    frame = pl.DataFrame({CELL: ["a", "b"], "ge.a": [3.0, 0.0], "ge.b": [-4.0, 0.0]})
    scaled = values(scaling.scale(frame, CELL, norm))
    assert scaled[0].tolist() == pytest.approx(
        {"l1": [3 / 7, -4 / 7], "l2": [0.6, -0.8], "max": [0.75, -1.0]}[norm]
    )
    assert scaled[1].tolist() == [0, 0]


def test_rows_in_another_order_are_scaled_to_the_same_in_that_order(demo: raw.Tables) -> None:
    turned = scaling.scale(demo.expression.reverse(), CELL, "minmax")
    assert_frame_equal(turned, scaling.scale(demo.expression, CELL, "minmax").reverse())


def test_outliers_are_not_clipped() -> None:
    frame = pl.DataFrame({CELL: [str(n) for n in range(1001)], "ge.a": [0.0] * 1000 + [1.0]})
    assert scaling.scale(frame, CELL, "std")["ge.a"].max() == pytest.approx(1000**0.5, rel=1e-5)


def test_an_unknown_scaling_is_refused_with_the_known_ones(demo: raw.Tables) -> None:
    sentence = f"^no scaling is called 'z': choose {', '.join(scaling.METHODS)}$"
    with pytest.raises(InputError, match=sentence):
        scaling.scale(demo.expression, CELL, "z")


def test_values_beyond_float32_are_refused_by_name() -> None:
    frame = pl.DataFrame({CELL: ["a", "b"], "ge.a": [1.0, 2.0], "ge.b": [1.0, 1e40]})
    with pytest.raises(InputError, match="^column 'ge.b' is not finite after 'none' scaling: "):
        scaling.scale(frame, CELL, "none")


# Tables


def test_the_written_tables_pass_the_checks_of_a_data_source(tmp_path: Path) -> None:
    written = preprocess.preprocess(DEMO, tmp_path, ge_scaling="std", md_scaling="minmax")
    assert_frame_equal(responses.read_checked(tmp_path).rows, written.response)
    for name, frame in (
        (tables.EXPRESSION_FILE, written.expression),
        (tables.DESCRIPTOR_FILE, written.descriptors),
    ):
        assert_frame_equal(pl.read_parquet(tmp_path / name), frame)


def test_each_feature_table_has_its_own_scaling(tmp_path: Path, demo: raw.Tables) -> None:
    written = preprocess.preprocess(DEMO, tmp_path, ge_scaling="minmax", md_scaling="maxabs")
    assert_frame_equal(written.expression, scaling.scale(demo.expression, CELL, "minmax"))
    assert_frame_equal(written.descriptors, scaling.scale(demo.descriptors, DRUG, "maxabs"))
    assert_frame_equal(written.response, demo.response)


def write_raw(directory: Path, cells: str) -> Path:
    directory.mkdir()
    response = f"{CELL}\t{DRUG}\tauc\na\td\t0.5\nb\td\t0.25\n"
    (directory / layout.RESPONSE_TSV).write_text(response)
    (directory / layout.EXPRESSION_TSV).write_text(f"{CELL}\tG\n{cells}")
    (directory / layout.DESCRIPTOR_TSV).write_text(f"{DRUG}\tM\nd\t1\n")
    return directory


def test_scalers_are_fitted_on_the_cells_that_have_responses(tmp_path: Path) -> None:
    given_data = write_raw(tmp_path / "raw", "a\t1\nb\t3\nunseen\t1000\n")
    written = preprocess.preprocess(given_data, tmp_path, ge_scaling="std", md_scaling="std")
    assert written.expression.rows() == [("a", -1.0), ("b", 1.0)]


def test_a_cell_with_many_responses_counts_once_in_the_scaling(tmp_path: Path) -> None:
    given_data = write_raw(tmp_path / "raw", "a\t1\nb\t3\n")
    with (given_data / layout.RESPONSE_TSV).open("a") as stream:
        stream.write("a\td\t0.75\n" * 10)
    written = preprocess.preprocess(given_data, tmp_path, ge_scaling="std", md_scaling="std")
    assert written.response.height == 12
    assert written.expression["ge.G"].to_list() == [-1.0, 1.0]


def test_the_response_is_written_last_and_nothing_temporary_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    write_parquet = pl.DataFrame.write_parquet

    def spy(frame: pl.DataFrame, path: Path) -> None:
        order.append(path.name)
        assert not (tmp_path / tables.RESPONSE_FILE).exists()
        write_parquet(frame, path)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", spy)
    preprocess.preprocess(DEMO, tmp_path, ge_scaling="none", md_scaling="none")
    assert tables.RESPONSE_FILE in order[-1]
    names = {tables.RESPONSE_FILE, tables.EXPRESSION_FILE, tables.DESCRIPTOR_FILE}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_scaling_that_fails_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError):
        preprocess.preprocess(DEMO, out, ge_scaling="std", md_scaling="z")
    assert not out.exists()


# The command


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_says_what_it_read_dropped_and_wrote(tmp_path: Path) -> None:
    given_data = write_raw(tmp_path / "raw", "a\t1\nb\tnan\n")
    options = ("--ge-scaling", "none", "--md-scaling", "none")
    result = run(given_data, tmp_path / "out", *options)
    assert result.returncode == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"read     2 responses from {given_data}",
        "dropped  1 cells and 0 drugs with missing features; "
        "1 responses have no features and will not be used",
        f"wrote    2 responses, 1 cells x 1 genes, 1 drugs x 1 descriptors to {tmp_path / 'out'}",
    ]
    assert responses.read_checked(tmp_path / "out").rows.rows() == [("a", "d", 0.5)]


def test_the_command_ends_with_one_sentence_when_a_table_is_missing(tmp_path: Path) -> None:
    result = run(tmp_path, tmp_path / "out")
    assert result.returncode == 1
    assert result.stderr == f"error: no such file: {tmp_path / layout.RESPONSE_TSV}\n"


def test_the_help_names_every_scaling_and_the_default() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert result.stdout.count("{std,minmax,maxabs,robust,power_yj,l1,l2,max,none}") >= 2
    assert " ".join(result.stdout.split()).count("(default: std)") == 2
