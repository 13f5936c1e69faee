"""Several models are ranked as the textbooks say, and by chance alone none is called better."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
import scikit_posthocs
from experiments import run_script
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_compare import scored

from hed.answers import compare, mean_ranks
from hed.answers.plots import contest as figure
from hed.errors import InputError


def paired(*columns, metric="rmse"):
    """Return errors of drugs in experiments A, B, ..."""
    names = [chr(ord("A") + n) for n in range(len(columns))]
    tables = {n: scored(dict(enumerate(c))) for n, c in zip(names, columns, strict=True)}
    return compare.pair(tables, metric)


def errors(*shifts, drugs=30, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.gamma(3, 0.02, drugs)
    return [(base + s + rng.normal(0, 0.005, drugs)).tolist() for s in shifts]


def test_tests_are_those_of_scipy_and_scikit_posthocs():
    columns = errors(0, 0.01, 0.002, 0.03)
    found = mean_ranks.contest(paired(*columns), "rmse")
    expected = stats.friedmanchisquare(*columns)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    pairs = scikit_posthocs.posthoc_conover_friedman(np.array(columns).T, p_adjust="holm")
    assert mean_ranks.pairwise(np.array(columns).T) == pytest.approx(pairs.to_numpy())


def test_the_best_is_first_and_wins_are_counted():
    found = mean_ranks.contest(paired([0.3, 0.3, 0.1], [0.1, 0.1, 0.2], [0.2, 0.2, 0.2]), "rmse")
    assert found.table["experiment"].to_list() == ["B", "C", "A"]
    assert dict(found.table.select("experiment", "best").iter_rows()) == {"B": 2, "C": 0, "A": 1}
    assert found.table["rank"].to_list() == pytest.approx([1.5, 13 / 6, 7 / 3])


def test_a_drug_that_two_win_is_shared():
    found = mean_ranks.contest(paired([0.1, 0.2], [0.1, 0.3], [0.2, 0.4]), "rmse")
    assert dict(found.table.select("experiment", "best").iter_rows()) == {
        "A": 1.5,
        "B": 0.5,
        "C": 0,
    }


def test_a_correlation_is_better_where_it_is_higher():
    tables = {
        n: scored({0: v, 1: v}).with_columns(scc=pl.col("rmse"))
        for n, v in (("A", 0.1), ("B", 0.9), ("C", 0.5))
    }
    found = mean_ranks.contest(compare.pair(tables, "scc"), "scc")
    assert found.table["experiment"].to_list() == ["B", "C", "A"]


def test_models_that_differ_by_chance_share_a_letter_and_others_do_not():
    found = mean_ranks.contest(paired(*errors(0, 0, 0.1, 0.1, seed=4)), "rmse")
    letters = dict(found.table.select("experiment", "letters").iter_rows())
    assert letters["A"] == letters["B"] != letters["C"] == letters["D"]
    assert len(figure.bars(found, 5.0)) == 2


def test_where_all_are_alike_no_pair_differs():
    wrong = 0
    for seed in range(40):
        found = mean_ranks.contest(paired(*errors(0, 0, 0, 0, seed=seed)), "rmse")
        wrong += set(found.table["letters"]) != {"a"}
    assert wrong <= 5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("drugs", [6, 8, 10, 24])
@pytest.mark.parametrize(
    ("values", "letters"),
    [((0.1, 0.1, 0.3), "aab"), ((0.1, 0.2, 0.3), "abc"), ((0.4, 0.1, 0.2, 0.4), "abcc")],
)
def test_the_same_ranks_on_every_drug_are_certain_also_where_two_are_equal(values, letters, drugs):
    found = mean_ranks.contest(paired(*([value] * drugs for value in values)), "rmse")
    assert "".join(found.table["letters"]) == letters


@given(st.lists(st.sampled_from([0.001, 0.2, 1.0]), min_size=15, max_size=15))
def test_two_share_a_letter_if_and_only_if_they_do_not_differ(values):
    p_values = np.ones((6, 6))
    p_values[np.triu_indices(6, 1)] = values
    p_values = np.minimum(p_values, p_values.T)
    letters = [set(each) for each in mean_ranks.letter(p_values)]
    assert all(letters)
    for i, j in combinations(range(6), 2):
        assert bool(letters[i] & letters[j]) == (p_values[i, j] >= mean_ranks.LEVEL)


def test_two_experiments_or_equal_ones_cannot_be_ranked():
    with pytest.raises(InputError, match="three experiments or more"):
        mean_ranks.contest(paired(*errors(0, 0.1)), "rmse")
    with pytest.raises(InputError, match="no experiment differs"):
        mean_ranks.contest(paired([0.1, 0.2], [0.1, 0.2], [0.1, 0.2]), "rmse")


def test_the_figure_is_drawn(tmp_path):
    found = mean_ranks.contest(paired(*errors(0, 0.05, 0.1)), "rmse")
    figure.plot(found).save(tmp_path / "contest.png", verbose=False)
    assert (tmp_path / "contest.png").stat().st_size > 10_000


def test_the_command_refuses_two_experiments(tmp_path):
    result = run_script("plot.py", "contest", tmp_path, tmp_path, "x.png")
    assert result.returncode == 2
    assert "contest needs 3 experiments or more" in result.stderr
