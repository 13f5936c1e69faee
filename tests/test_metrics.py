"""Scores are those of IMPROVE; baselines know nothing of the held-out drug."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from improvelib.metrics import compute_metrics

from hed.data.tables import AUC, CELL, DRUG
from hed.training import metrics

# AUC has four decimals; on so coarse a grid ties are frequent.
aucs = st.integers(0, 10_000).map(lambda value: value / 10_000)
tied = st.integers(0, 4).map(lambda value: value / 4)
paired = st.one_of(
    st.lists(st.tuples(aucs, aucs), min_size=2, max_size=50),
    st.lists(st.tuples(tied, tied), min_size=2, max_size=50),
)


def frame(rows):
    """Return a response table of (cell, drug, auc) rows."""
    return pl.DataFrame(rows, schema=[CELL, DRUG, AUC], orient="row")


@given(pairs=paired)
def test_scores_are_those_of_improve(pairs):
    true, predicted = np.array(pairs).T
    assume(np.ptp(true) > 0 and np.ptp(predicted) > 0)
    expected = compute_metrics(true, predicted, metric_type="regression")
    assert metrics.scores(true, predicted) == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_single_precision_is_scored_in_double():
    true, predicted = np.random.default_rng(0).random((2, 10_000), np.float32)
    expected = metrics.scores(true.astype(np.float64), predicted.astype(np.float64))
    assert metrics.scores(true, predicted) == expected


@given(value=aucs, predicted=st.lists(aucs, min_size=2, max_size=20))
def test_what_a_constant_truth_leaves_undefined_is_none(value, predicted):
    scores = metrics.scores(np.full(len(predicted), value), np.array(predicted))
    assert (scores["pcc"], scores["scc"], scores["r2"]) == (None, None, None)
    assert scores["mse"] == pytest.approx(np.mean((value - np.array(predicted)) ** 2))


@given(value=aucs, true=st.lists(aucs, min_size=2, max_size=20, unique=True))
def test_a_constant_prediction_has_an_r2_but_no_correlation(value, true):
    scores = metrics.scores(np.array(true), np.full(len(true), value))
    assert (scores["pcc"], scores["scc"]) == (None, None)
    assert scores["r2"] == pytest.approx(1 - scores["mse"] / np.var(true))


def test_one_row_has_an_error_and_nothing_else():
    assert metrics.scores(np.array([0.5]), np.array([0.25])) == {
        "mse": 0.0625,
        "rmse": 0.25,
        "pcc": None,
        "scc": None,
        "r2": None,
    }


def test_a_perfect_prediction_is_one_by_every_measure():
    true = np.array([0.1, 0.2, 0.4])
    expected = {"mse": 0, "rmse": 0, "pcc": 1, "scc": 1, "r2": 1}
    assert metrics.scores(true, true) == pytest.approx(expected)


def test_spearman_sees_order_only():
    true = np.array([0.1, 0.2, 0.3, 0.9])
    scores = metrics.scores(true, true**3)
    assert scores["scc"] == pytest.approx(1)
    assert scores["pcc"] < 0.99


TRAIN = frame([("a", "x", 0.2), ("a", "y", 0.5), ("a", "y", 0.5), ("b", "x", 1.0)])
TEST = frame([("b", "z", 0.9), ("a", "z", 0.5), ("new", "z", 0.45)])


def test_the_cell_mean_is_that_of_the_training_rows_of_each_cell():
    found = metrics.baselines(TRAIN, TEST)["cell_mean"]
    # Means: a .4 (replicates count), b 1; a cell that is not in training has the mean of all.
    expected = metrics.scores(np.array([0.9, 0.5, 0.45]), np.array([1.0, 0.4, 0.55]))
    assert found == pytest.approx(expected)
    assert found["mse"] == pytest.approx(0.01)


def test_the_training_mean_is_that_of_all_training_rows():
    found = metrics.baselines(TRAIN, TEST)["train_mean"]
    expected = metrics.scores(np.array([0.9, 0.5, 0.45]), np.full(3, 0.55))
    assert found == expected
    assert found["rmse"] == pytest.approx(math.sqrt((0.35**2 + 0.05**2 + 0.1**2) / 3))
    assert (found["pcc"], found["scc"]) == (None, None)


def test_baselines_do_not_use_the_truth_of_the_test_rows():
    changed = TEST.with_columns(pl.Series(AUC, [0.9, 0.5, 0.55]))
    before, after = (metrics.baselines(TRAIN, test)["cell_mean"]["mse"] for test in (TEST, changed))
    # Only the third error changes, from .1 to 0, so the prediction has not moved.
    assert (before - after) * 3 == pytest.approx(0.01)


def test_baselines_are_the_same_in_single_precision_and_in_any_order():
    single = TRAIN.with_columns(pl.col(AUC).cast(pl.Float32)).reverse()
    for name, scores in metrics.baselines(TRAIN, TEST).items():
        assert metrics.baselines(single, TEST)[name] == pytest.approx(scores, abs=1e-7)


def test_the_means_of_cells_have_the_same_last_digits_each_time():
    random = np.random.default_rng(1)
    cells = [f"c{number % 150}" for number in random.permutation(2760)]
    train = frame({CELL: cells, DRUG: ["d"] * 2760, AUC: random.random(2760)})
    test = train.unique(CELL, maintain_order=True)
    # Where polars decides at random, it decides otherwise in 1 of 500.
    assert len({metrics.means(train, test)["cell_mean"].tobytes() for _ in range(4000)}) == 1


def test_replicates_of_a_test_row_are_scored_each():
    test = frame([("b", "z", 0.9), ("b", "z", 0.8)])
    assert metrics.baselines(TRAIN, test)["cell_mean"]["mse"] == pytest.approx((0.01 + 0.04) / 2)
