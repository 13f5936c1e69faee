"""Intervals are those of scipy and cover as often as they say; some are undefined."""

import warnings

import numpy as np
import pytest
from scipy import stats

from hed.answers import bootstrap
from hed.answers.bootstrap import Resampling
from hed.errors import InputError


def interval(values, how):
    """Return the BCa interval of the mean of each column."""
    weights = bootstrap.draw(len(values), how)
    without = (values.sum(axis=0) - values) / (len(values) - 1)
    return bootstrap.bca(values.mean(axis=0), weights @ values / len(values), without, how.level)


def test_each_draw_takes_as_many_things_as_there_are():
    weights = bootstrap.draw(50, Resampling(replicates=200))
    assert weights.shape == (200, 50)
    assert set(weights.sum(axis=1)) == {50}
    assert weights.mean() == 1


def test_the_same_seed_draws_the_same():
    first, again, other = (bootstrap.draw(9, Resampling(seed=s)).copy() for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_the_interval_is_that_of_scipy_for_a_skewed_sample():
    values = np.random.default_rng(0).exponential(size=(40, 1))
    low, high = interval(values, Resampling(replicates=20_000))
    expected = stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=20_000, method="BCa", random_state=0
    ).confidence_interval
    width = expected.high - expected.low
    assert (low[0], high[0]) == pytest.approx(expected, abs=0.02 * width)
    symmetric = stats.bootstrap(
        (values[:, 0],), np.mean, n_resamples=20_000, method="basic", random_state=0
    ).confidence_interval
    assert high[0] - symmetric.high > 0.05 * width


def test_the_interval_covers_the_truth_as_often_as_it_says():
    values = np.random.default_rng(1).exponential(size=(80, 500))
    low, high = interval(values, Resampling(replicates=1000, level=0.9))
    assert 0.86 < np.mean((low < 1) & (high > 1)) < 0.93


def test_what_does_not_vary_or_is_undefined_has_no_interval_and_no_warning():
    values = np.column_stack([np.ones(9), np.full(9, np.nan), np.arange(9.0)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = interval(values, Resampling())
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [True, True, False]


def test_draws_without_a_value_are_left_out():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4000, 1))
    holes = np.where(np.arange(4000)[:, None] % 4 == 0, np.nan, drawn)
    without = rng.normal(size=(30, 1)) * 1e-3
    whole = bootstrap.bca(np.zeros(1), drawn, without)
    assert bootstrap.bca(np.zeros(1), holes, without)[1] == pytest.approx(whole[1], abs=0.1)


def test_places_of_the_median_give_the_median_of_each_draw():
    values, how = np.sort(np.random.default_rng(2).random(7)), Resampling(replicates=50)
    low, high = bootstrap.median_places(7, how)
    drawn = [np.repeat(values, w.astype(int)) for w in bootstrap.draw(7, how)]
    assert (values[low] + values[high]) / 2 == pytest.approx([np.median(d) for d in drawn])


@pytest.mark.parametrize("wrong", [{"replicates": 1}, {"seed": -1}, {"level": 1.0}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(InputError):
        Resampling(**wrong)
