"""Measures of order are those of scipy and scikit-learn; references are what they say they are."""

import itertools
import json
import math
import warnings

import numpy as np
import polars as pl
import pytest
from answers import draw, hold, write
from experiments import assert_is_refused, run_script
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import ndcg_score, precision_recall_fscore_support

from hed.answers import classification, order, ranking
from hed.errors import InputError
from hed.watching.aggregate import BASELINES

values = st.integers(0, 6).map(lambda value: value / 8)
lists = st.lists(st.tuples(values, values), min_size=2, max_size=40)


def arranged(values, *, before=0, after=0):
    """Return the order of a single list, among places without a value."""
    among = np.pad(np.asarray(values, float), (before, after), constant_values=np.nan)
    return order.arrange(among[None])


def orders(pairs, **missing):
    """Return true and predicted values, and their orders."""
    true, predicted = np.array(pairs, dtype=float).T
    return true, predicted, arranged(true, **missing), arranged(predicted, **missing)


def quiet(function, *arguments, **options):
    """Call a function of scipy, which warns of constants."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments, **options)


@given(pairs=lists, before=st.integers(0, 2), after=st.integers(0, 2))
def test_spearman_and_kendall_are_those_of_scipy_with_ties_and_constants(pairs, before, after):
    true, predicted, x, y = orders(pairs, before=before, after=after)
    expected = quiet(stats.spearmanr, true, predicted).statistic
    assert order.spearman(x, y) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    expected = quiet(stats.kendalltau, true, predicted).statistic
    assert order.kendall(x, y) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("decimals", [1, 6], ids=["ties", "levels of two bytes"])
def test_kendall_is_exact_for_more_values_than_are_compared_at_once(decimals):
    true, predicted = np.random.default_rng(0).random((2, 700)).round(decimals)
    expected = stats.kendalltau(true, predicted).statistic
    found = order.kendall(arranged(true), arranged(predicted))
    assert found == pytest.approx(expected, abs=1e-12)


@given(pairs=lists, k=st.integers(1, 12))
def test_ndcg_is_that_of_scikit_learn(pairs, k):
    true, predicted, x, y = orders(pairs)
    gain = [1 - true]
    expected = ndcg_score(gain, [-predicted], k=k)
    assert order.ndcg(gain, x, y, order.discounts(50, k)) == pytest.approx(expected)
    expected = ndcg_score(gain, [-predicted])
    assert order.ndcg(gain, x, y, order.discounts(50)) == pytest.approx(expected)


def test_recall_counts_the_true_top_among_the_predicted_top():
    x, y = (arranged(values) for values in ([1, 2, 3, 4, 5, 6], [3, 9, 1, 2, 7, 8]))
    # True top 3: a b c; predicted: c d a.
    assert order.recall(x, y, order.first(6, 3)) == pytest.approx(2 / 3)


@settings(max_examples=20)
@given(pairs=st.lists(st.tuples(values, values), min_size=3, max_size=5))
def test_recall_with_ties_is_the_mean_over_all_ways_to_break_them(pairs):
    true, predicted, x, y = orders(pairs)
    k, size = 2, len(pairs)

    def tops(scores):
        """Return the top k of every order that agrees with the scores."""
        ways = itertools.permutations(range(size))
        return [set(w[:k]) for w in ways if all(np.diff(scores[list(w)]) >= 0)]

    hits = [len(a & b) / k for a in tops(true) for b in tops(predicted)]
    assert order.recall(x, y, order.first(size, k)) == pytest.approx(np.mean(hits))


@settings(max_examples=20)
@given(true=st.lists(values, min_size=3, max_size=5))
def test_a_random_order_has_the_mean_and_spread_over_all_permutations(true):
    x = arranged(true)
    size = len(true)
    ways = [arranged(way) for way in itertools.permutations(range(size))]
    gain, first, falling = 1 - np.array([true]), order.first(size, 2), order.discounts(size, 2)
    for found, all_ways in (
        (order.random_spearman(x), [order.spearman(x, w) for w in ways]),
        (order.random_kendall(x), [order.kendall(x, w) for w in ways]),
        (order.random_recall(x, first), [order.recall(x, w, first) for w in ways]),
        (
            order.random_ndcg(gain, x, falling),
            [order.ndcg(gain, x, w, falling) for w in ways],
        ),
    ):
        expected = (np.mean(all_ways), np.std(all_ways))
        assert np.ravel(found) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_lists_of_different_lengths_are_ordered_as_each_by_itself():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 9, (2, 30, 40)) / 8
    is_missing = rng.random((30, 40)) < rng.random((30, 1))
    together = [order.arrange(np.where(is_missing, np.nan, each)) for each in (true, predicted)]
    gains = np.where(is_missing, 0.0, 1 - true)
    first, falling = order.first(40, 5), order.discounts(40, 5)

    def measures(gain, x, y):
        pairs = order.random_kendall(x), order.random_recall(x, first)
        pairs += order.random_spearman(x), order.random_ndcg(gain, x, falling)
        single = order.spearman(x, y), order.kendall(x, y), order.recall(x, y, first)
        return [*single, order.ndcg(gain, x, y, falling), *itertools.chain(*pairs)]

    alone = [
        np.ravel(measures(gain[None, ~gone], arranged(x[~gone]), arranged(y[~gone])))
        for gain, x, y, gone in zip(gains, true, predicted, is_missing, strict=True)
    ]
    found = np.transpose(measures(gains, *together))
    assert found == pytest.approx(np.array(alone), abs=1e-12, nan_ok=True)


def cell_of(held, method="model", **options):
    """Return the row of the only cell."""
    return ranking.rank_cells(held, **options).filter(method=method).row(0, named=True)


def one_cell(pairs):
    return hold({drug: [("c", *pair)] for drug, pair in enumerate(pairs)})


def test_a_perfect_ranking_is_one_by_every_measure_and_a_reversed_one_minus_one():
    up = [(0.1, 0.3), (0.2, 0.4), (0.3, 0.5), (0.4, 0.6)]
    found = cell_of(one_cell(up), k=2)
    assert [found[m] for m in ranking.MEASURES] == pytest.approx([1] * 5)
    down = cell_of(one_cell([(t, -p) for t, p in up]), k=2)
    assert (down["spearman"], down["kendall"], down["recall"]) == pytest.approx((-1, -1, 0))


def test_every_cell_is_ranked_as_scipy_ranks_it():
    rows = draw(12, 5)
    table = ranking.rank_cells(hold(rows), k=3).filter(method="model")
    for cell, found in zip(range(5), table.iter_rows(named=True), strict=True):
        true, predicted = np.array([rows[d][cell][1:] for d in rows]).T
        assert found["cell"] == f"C{cell:03d}"
        assert found["spearman"] == pytest.approx(stats.spearmanr(true, predicted).statistic)
        assert found["kendall"] == pytest.approx(stats.kendalltau(true, predicted).statistic)
        assert found["ndcg"] == pytest.approx(ndcg_score([1 - true], [-predicted], k=3))


def test_replicates_are_reduced_to_their_mean():
    held = hold(
        {
            0: [("c", 0.1, 0.1), ("c", 0.9, 0.9)],  # .5, .5
            1: [("c", 0.4, 0.2)],
            2: [("c", 0.6, 0.7)],
        }
    )
    found = cell_of(held, k=1)
    assert (found["drugs"], found["spearman"], found["recall"]) == (3, pytest.approx(1), 1)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(0.5, 0.5)], "fewer than two drugs"),
        ([(0.5, 0.1), (0.5, 0.2), (0.5, 0.3)], "all true values are equal"),
        ([(0.1, 0.5), (0.2, 0.5), (0.3, 0.5)], "all predictions are equal"),
    ],
)
def test_an_undefined_correlation_is_null_with_a_reason_and_no_warning(pairs, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = one_cell(pairs)
        found = cell_of(held, k=1)
        ranking.summarise(ranking.rank_cells(held, k=1), ranking.one_order(held, k=1))
    assert (found["spearman"], found["kendall"]) == (None, None)
    assert reason in found["reason"]


def test_no_ranking_is_above_the_gain_of_drugs_that_do_nothing():
    found = cell_of(one_cell([(1.1, 0.5), (1.0, 0.6), (1.2, 0.7)]), k=1)
    assert (found["ndcg"], found["reason"]) == (None, "no AUC is below 1")


def test_the_top_of_no_more_drugs_than_it_has_is_undefined():
    found = cell_of(one_cell([(0.1, 0.1), (0.2, 0.2)]), k=2)
    assert (found["recall"], found["reason"]) == (None, "no more than 2 drugs")


def test_baselines_that_are_one_value_per_cell_rank_nothing():
    for method in ("cell_mean", "train_mean"):
        found = cell_of(hold(draw(4, 3)), method)
        assert [found[m] for m in ranking.MEASURES] == [None] * 5
        assert found["reason"] == "one value for all drugs of the cell"


def test_the_oracle_does_not_know_the_cell_that_it_ranks():
    rows = {0: [("a", 0.1, 0), ("b", 0.8, 0)], 1: [("a", 0.9, 0), ("b", 0.2, 0)]}
    table = ranking.rank_cells(hold(rows), k=1).filter(method="drug_mean")
    # In a it ranks by b and the other way round.
    assert table["spearman"].to_list() == pytest.approx([-1, -1])


def test_a_drug_of_one_cell_has_no_mean_over_others():
    rows = {**draw(3, 2), 3: [("C000", 0.5, 0.5)]}
    table = ranking.rank_cells(hold(rows), k=1).filter(cell="C000")
    drugs = dict(table.select("method", "drugs").iter_rows())
    assert (drugs["model"], drugs["drug_mean"]) == (4, 3)


def test_the_summary_is_over_the_cells_in_which_a_measure_is_defined():
    rows = draw(12, 6)
    rows[12] = [("single", 0.5, 0.5)]
    cells = ranking.rank_cells(hold(rows), k=3)
    found = ranking.summarise(cells, ranking.one_order(hold(rows), k=3)).row(0, named=True)
    defined = cells.filter(method="model")["spearman"].drop_nulls()
    assert (found["method"], found["measure"]) == ("model", "spearman")
    assert (found["cells"], found["undefined"]) == (6, 1)
    assert found["mean"] == pytest.approx(defined.mean())
    assert found["median"] == pytest.approx(defined.median())
    assert defined.min() <= found["mean_low"] < found["mean"] < found["mean_high"]
    assert found["median_low"] <= found["median"] <= found["median_high"] <= defined.max()


@settings(max_examples=20)
@given(true=st.lists(st.lists(values, min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_mean_over_cells_of_one_random_order_has_the_spread_over_all_permutations(true):
    x, known = order.arrange(np.array(true)), np.ones((len(true), 5), dtype=bool)
    gain, first, falling = 1 - np.array(true), order.first(5, 2), order.discounts(5, 2)
    ways = [order.arrange(np.tile(w, (len(true), 1))) for w in itertools.permutations(range(5))]
    for ordered, (_, deviation), each in (
        (x.ranks(), order.random_spearman(x), [order.spearman(x, w) for w in ways]),
        (x.spread(first), order.random_recall(x, first), [order.recall(x, w, first) for w in ways]),
        (
            gain,
            order.random_ndcg(gain, x, falling),
            [order.ndcg(gain, x, w, falling) for w in ways],
        ),
    ):
        defined = np.isfinite(deviation)
        expected = np.array(each)[:, defined].mean(axis=1).std() if defined.any() else 0.0
        found = order.random_mean(ordered, known, deviation)
        assert found == pytest.approx(expected, abs=1e-9)


def test_a_model_that_knows_no_drug_is_within_the_interval_of_random_orders_in_95_percent():
    rng = np.random.default_rng(1)
    drugs, cells, experiments = 30, 40, 200
    base = rng.normal(0.6, 0.1, (drugs, 1)) + rng.normal(0, 0.05, (1, cells))
    true = base + rng.normal(0, 0.03, (drugs, cells))
    rows = {d: [(f"C{c:02d}", true[d, c], 0.0) for c in range(cells)] for d in range(drugs)}
    spread = ranking.one_order(hold(rows), k=5)
    x, first = order.arrange(true.T), order.first(drugs, 5)
    outside = dict.fromkeys(("spearman", "kendall", "recall"), 0)
    for _ in range(experiments):
        y = order.arrange(np.tile(rng.random(drugs), (cells, 1)))
        found = order.spearman(x, y), order.kendall(x, y), order.recall(x, y, first) - 5 / drugs
        for name, values in zip(outside, found, strict=True):
            outside[name] += abs(values.mean()) > ranking.TWO_SIDED * spread[name]
    assert all(2 <= count <= 20 for count in outside.values()), outside


def test_no_top_at_all_is_refused():
    with pytest.raises(InputError, match="top 0"):
        ranking.rank_cells(hold(draw(3, 3)), k=0)


@given(pairs=lists, beta=st.sampled_from([0.5, 1.0, 2.0]))
def test_precision_recall_and_f_are_those_of_scikit_learn(pairs, beta):
    true, predicted, *_ = orders(pairs)
    table = classification.classify(one_cell(pairs), threshold=0.4, beta=beta)
    whole = table.filter(pl.col("cell").is_null(), method="model").row(0, named=True)
    expected = precision_recall_fscore_support(
        true < 0.4, predicted < 0.4, beta=beta, average="binary", zero_division=np.nan
    )
    found = [whole[k] if whole[k] is not None else math.nan for k in ("precision", "recall")]
    assert found == pytest.approx(expected[:2], nan_ok=True)
    if whole["f_beta"] is not None:
        assert whole["f_beta"] == pytest.approx(expected[2])


def test_sensitive_pairs_are_counted_by_cell_and_over_all():
    held = hold({0: [("a", 0.2, 0.3), ("b", 0.2, 0.8)], 1: [("a", 0.9, 0.1), ("b", 0.9, 0.9)]})
    table = classification.classify(held).filter(method="model")
    columns = ["cell", "pairs", "sensitive", "predicted", "hits", "precision", "recall", "reason"]
    assert table.select(columns).rows() == [
        (None, 4, 2, 2, 1, 0.5, 0.5, None),
        ("a", 2, 1, 2, 1, 0.5, 1.0, None),
        ("b", 2, 1, 0, 0, None, 0.0, "no pair is predicted so"),
    ]


def test_random_calls_are_as_many_as_the_models_and_hit_by_prevalence():
    table = classification.classify(hold(draw(20, 10)), threshold=0.55)
    model, chance = (
        table.filter(pl.col("cell").is_null(), method=m).row(0, named=True)
        for m in ("model", "random")
    )
    assert chance["predicted"] == model["predicted"]
    assert chance["precision"] == pytest.approx(model["prevalence"])


def test_a_method_that_knows_no_value_calls_nothing_wrong():
    table = classification.classify(hold(draw(1, 8)), threshold=0.55)
    alone = table.filter(pl.col("cell").is_null(), pl.col("method").is_in(BASELINES))
    assert alone["pairs"].to_list() == [0] * len(BASELINES)
    assert alone["recall"].null_count() == alone["prevalence"].null_count() == len(BASELINES)
    assert set(alone["reason"]) == {"no other run tells"}


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"threshold": math.nan}])
def test_a_threshold_or_beta_that_means_nothing_is_refused(options):
    with pytest.raises(InputError):
        classification.classify(hold(draw(2, 2)), **options)


def test_the_command_prints_json_without_nan_and_tells_what_is_missing(tmp_path):
    states = ["done", "done", "waiting", "done"]
    experiment = write(tmp_path / "EXP000", draw(4, 6), states=states)
    result = run_script("rank_cells.py", experiment, "--top", 3, "--cells", "--format", "json")
    rows = json.loads(result.stdout, parse_constant=pytest.fail)
    assert len(rows) == 6 * len(ranking.METHODS)
    assert "1 of 4 runs missing: RUN002" in result.stderr
    assert "no more than 3 drugs" in result.stderr


def test_the_command_classifies_and_filters(tmp_path):
    experiment = write(tmp_path / "EXP000", draw(4, 6), original=True)
    result = run_script("rank_cells.py", experiment, "--classify", "--method", "model")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["method", "model"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--classify", "--top", 3], "--top ranks, and --classify does not"),
        (["--beta", 2], "--sensitive and --beta need --classify"),
    ],
)
def test_options_that_would_change_nothing_are_refused(tmp_path, options, why):
    result = run_script("rank_cells.py", tmp_path, *options)
    assert (result.returncode, why in result.stderr) == (2, True)


def test_the_command_refuses_a_directory_that_is_no_experiment(tmp_path):
    assert_is_refused(run_script("rank_cells.py", tmp_path), "is not an experiment")
