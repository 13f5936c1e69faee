"""Generated data: shapes, determinism, ranges, and a signal that can be learnt."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hed.data import generate, layout, preprocess, raw, responses, tables
from hed.data.tables import AUC, CELL, DRUG
from hed.errors import InputError

SCRIPT = Path(__file__).parents[1] / "scripts" / "generate_data.py"
SMALL = {"drugs": 12, "cells": 30, "rows": 250, "genes": 20, "descriptors": 25, "seed": 1}


def small(**changes: int) -> raw.Tables:
    return generate.generate(**{**SMALL, **changes})


SIZES = {
    "drugs": st.integers(1, 12),
    "cells": st.integers(1, 12),
    "extra": st.integers(0, 300),
    "seed": st.integers(0, 1000),
}


@given(**SIZES)
@settings(max_examples=25, deadline=None)
def test_sizes_are_those_asked_for_and_every_id_has_a_row(
    drugs: int, cells: int, extra: int, seed: int
) -> None:
    rows = max(drugs, cells) + extra
    data = small(drugs=drugs, cells=cells, rows=rows, seed=seed)
    assert data.response.height == rows
    assert data.expression.shape == (cells, 21)
    assert data.descriptors.shape == (drugs, 26)
    assert set(data.response[CELL]) == set(data.expression[CELL])
    assert set(data.response[DRUG]) == set(data.descriptors[DRUG])
    assert data.response[AUC].is_between(0, 1, closed="none").all()
    assert np.isfinite(data.expression.drop(CELL).to_numpy()).all()


@given(**SIZES)
@settings(max_examples=25, deadline=None)
def test_a_pair_comes_again_only_when_all_pairs_are_there(
    drugs: int, cells: int, extra: int, seed: int
) -> None:
    rows = max(drugs, cells) + extra
    counts = (
        small(drugs=drugs, cells=cells, rows=rows, seed=seed)
        .response.group_by(CELL, DRUG)
        .len()["len"]
    )
    least = rows // (drugs * cells)
    assert set(counts) <= {least, least + 1}
    assert len(counts) == min(rows, drugs * cells)


def test_replicates_differ_by_noise() -> None:
    response = small(rows=12 * 30 * 2).response
    assert response.select(CELL, DRUG).n_unique() == 360
    assert response.n_unique() == 720
    spread = response.group_by(CELL, DRUG).agg(pl.col(AUC).max() - pl.col(AUC).min())[AUC]
    assert 0 < spread.mean() < 0.5 * response[AUC].std()


@pytest.mark.parametrize("drugs", [2, 3, 12])
def test_drugs_first_appear_in_another_order_than_that_of_their_names(drugs: int) -> None:
    for seed in range(8):
        found = tables.distinct(small(drugs=drugs, seed=seed, rows=40).response[DRUG])
        assert found != sorted(found)


def test_the_rows_of_a_drug_are_one_block() -> None:
    blocks = small().response.with_columns(block=pl.col(DRUG).rle_id())
    assert blocks["block"].n_unique() == 12


def test_ids_have_the_form_of_real_ones_and_sort_as_their_numbers() -> None:
    data = small(drugs=1200, cells=3, rows=1200)
    assert data.expression[CELL].to_list() == ["ACH-000001", "ACH-000002", "ACH-000003"]
    assert data.descriptors[DRUG][1199] == "Drug_1200"
    assert data.descriptors[DRUG].is_sorted()
    assert small().descriptors[DRUG][0] == "Drug_001"


@pytest.mark.parametrize("cells", [30, 20])  # 20: as many cells as genes
def test_features_are_standardised_float32(cells: int) -> None:
    data = small(cells=cells)
    for frame, prefix in ((data.expression, "ge."), (data.descriptors, "mordred.")):
        assert all(name.startswith(prefix) for name in frame.columns[1:])
        assert set(frame.dtypes[1:]) == {pl.Float32}
        features = frame.drop(frame.columns[0]).to_numpy().astype(np.float64)
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


@pytest.fixture(scope="module")
def medium() -> raw.Tables:
    return generate.generate(drugs=80, cells=150, rows=8000, genes=60, descriptors=70, seed=3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_auc_is_distributed_as_in_gdsc2(seed: int) -> None:
    auc = generate.generate(
        drugs=200, cells=200, rows=20_000, genes=5, descriptors=5, seed=seed
    ).response[AUC]
    assert auc.mean() == pytest.approx(0.88, abs=0.02)
    assert auc.std() == pytest.approx(0.14, abs=0.02)


def joined(data: raw.Tables) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the features of each row's cell and drug, and the logit of its AUC."""
    cells = data.response.select(CELL).join(data.expression, on=CELL, how="left")
    drugs = data.response.select(DRUG).join(data.descriptors, on=DRUG, how="left")
    auc = data.response[AUC].to_numpy()
    return cells.drop(CELL).to_numpy(), drugs.drop(DRUG).to_numpy(), np.log(auc / (1 - auc))


def r2_on_a_fifth(features: np.ndarray, truth: np.ndarray) -> float:
    """Return the r2 that ridge regression on four fifths of the rows has on the others."""
    test = np.random.default_rng(0).random(len(truth)) < 0.2
    design = np.hstack([features, np.ones((len(truth), 1))]).astype(np.float64)
    known = design[~test]
    penalty = 10.0 * np.eye(design.shape[1])
    weights = np.linalg.solve(known.T @ known + penalty, known.T @ truth[~test])
    error = truth[test] - design[test] @ weights
    return float(1 - error.var() / truth[test].var())


def test_a_linear_model_of_the_features_learns_the_main_effects(medium: raw.Tables) -> None:
    cells, drugs, logit = joined(medium)
    assert r2_on_a_fifth(np.hstack([cells, drugs]), logit) > 0.5
    assert r2_on_a_fifth(np.hstack([cells, drugs]), medium.response[AUC].to_numpy()) > 0.25


def test_products_of_features_learn_the_interaction_too(medium: raw.Tables) -> None:
    cells, drugs, logit = joined(medium)
    products = np.einsum("ni,nj->nij", cells[:, :14], drugs[:, :14]).reshape(len(logit), -1)
    assert r2_on_a_fifth(np.hstack([cells, drugs, products]), logit) > 0.75


def test_features_of_other_drugs_and_cells_tell_nothing(medium: raw.Tables) -> None:
    cells, drugs, logit = joined(medium)
    shuffled = np.random.default_rng(1).permutation(len(logit))
    assert r2_on_a_fifth(np.hstack([cells, drugs])[shuffled], logit) < 0.05


@pytest.mark.parametrize("write", [preprocess.write, generate.write_raw])
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(write, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write(small(seed=seed), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 3
    for name in files:
        first = (tmp_path / "a" / name).read_bytes()
        assert (tmp_path / "b" / name).read_bytes() == first
        assert (tmp_path / "c" / name).read_bytes() != first


def test_raw_tables_read_back_are_those_generated(tmp_path: Path) -> None:
    data = small()
    generate.write_raw(data, tmp_path)
    found = raw.read(tmp_path)
    assert_frame_equal(found.response, data.response)
    assert found.expression.equals(found.expression.with_columns(pl.exclude(CELL).round(4)))
    for left, right in (
        (found.expression, data.expression),
        (found.descriptors, data.descriptors),
    ):
        assert_frame_equal(left.with_columns(pl.selectors.float().cast(pl.Float32)), right)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rows": 29}, "^29 rows are too few for 12 drugs and 30 cells, .* give at least 30$"),
        ({"drugs": 0}, "^drugs is 0: give at least 1$"),
        ({"descriptors": -1}, "^descriptors is -1: give at least 1$"),
        ({"seed": -1}, "^seed is -1: give 0 or more$"),
    ],
)
def test_impossible_sizes_are_refused_in_a_sentence(change: dict[str, int], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        small(**change)


# The command


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_writes_a_data_source(tmp_path: Path) -> None:
    result = run(tmp_path, "--drugs", 10, "--cells", 20, "--genes", 3, "--descriptors", 4)
    assert result.returncode == 0
    assert result.stderr == (
        f"wrote 140 responses, 20 cells x 3 genes, 10 drugs x 4 descriptors to {tmp_path}\n"
    )
    assert responses.read_checked(tmp_path).rows.height == 140


def test_the_command_writes_raw_tables_that_can_be_preprocessed(tmp_path: Path) -> None:
    assert run(tmp_path / "raw", "--raw", "--rows", 99, "--seed", 4).returncode == 0
    assert layout.is_raw(tmp_path / "raw")
    preprocess.preprocess(tmp_path / "raw", tmp_path / "data", ge_scaling="std", md_scaling="std")
    assert responses.read_checked(tmp_path / "data").rows.height == 99


def test_the_published_table_is_as_full_as_usual() -> None:
    published = generate.PUBLISHED
    assert generate.usual_rows(published["drugs"], published["cells"]) == published["rows"]
    assert generate.usual_rows(2, 2) == 3


def test_published_is_the_published_size_where_no_other_is_given(tmp_path: Path) -> None:
    result = run(tmp_path, "--published", "--rows", 1234, "--descriptors", 2)
    assert result.stderr.startswith(
        "wrote 1,234 responses, 1,100 cells x 958 genes, 770 drugs x 2 descriptors"
    )


def test_the_help_gives_the_published_size() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert "591,563 rows" in " ".join(result.stdout.split())
