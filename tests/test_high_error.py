"""High error drugs are those that were made so; what cannot be told is null, never a guess."""

import json
import warnings

import numpy as np
import polars as pl
import pytest
from answers import draw, hold, write, write_baselines
from experiments import assert_is_refused, name_run, run_script
from improvelib.metrics import compute_metrics
from scipy import stats

from hed.answers import high_error, moments, rule, stability
from hed.answers.bootstrap import Resampling
from hed.answers.grid import arrange
from hed.answers.heldout import read, with_baselines
from hed.answers.high_error import tabulate
from hed.answers.rule import METRICS, Rule, noise_in, standardise
from hed.errors import InputError

QUICK = Resampling(replicates=300)


def planted(drugs=30, cells=40, bad=(3, 17), shift=0.3, seed=0):
    """Return rows in which the drugs `bad` are predicted too high by `shift`."""
    rows = draw(drugs, cells, seed=seed, decimals=4)
    return {d: [(c, t, p + shift * (d in bad)) for c, t, p in each] for d, each in rows.items()}


def row_of(table, index):
    return table.filter(index=index).row(0, named=True)


def test_errors_of_each_drug_are_those_of_improve():
    rows = draw(5, 30)
    table = tabulate(hold(rows), Rule(), how=QUICK)
    for index, each in rows.items():
        true, predicted = np.array([row[1:] for row in each]).T
        expected = compute_metrics(true, predicted, metric_type="regression")
        found = row_of(table, index)
        assert {k: found[k] for k in expected} == pytest.approx(expected, abs=1e-6)
        assert found["mae"] == pytest.approx(np.abs(true - predicted).mean())
        assert found["bias"] == pytest.approx((predicted - true).mean())
        assert found["auc_sd"] == pytest.approx(true.std(ddof=1))
        assert found["auc_iqr"] == pytest.approx(stats.iqr(true))
        assert found["rmse_over_sd"] == pytest.approx(found["rmse"] / true.std(ddof=1))


def test_a_column_is_the_same_alone_as_among_all():
    held = hold(planted())
    for each in (Rule(), Rule(metric="pcc"), Rule(metric="skill_train_mean", by="z")):
        whole = tabulate(held, each, how=QUICK)
        assert tuple(whole.columns) == high_error.COLUMNS
        for name in high_error.COLUMNS:
            alone = tabulate(held, each, how=QUICK, columns=[name])
            assert alone.equals(whole.select(name)), (each, name)


def test_drugs_made_bad_are_listed_first_with_certainty_and_no_others():
    table = tabulate(hold(planted()), Rule(), how=QUICK)
    assert set(table.head(2)["index"]) == {3, 17}
    assert table["rank"].to_list() == list(range(1, 31))
    assert table["high"].to_list() == [True] * 2 + [False] * 28
    assert table["probability"].head(2).to_list() == [1, 1]
    assert (table["funnel_z"].head(2) > 5).all()


def test_a_drug_at_the_threshold_is_listed_in_some_draws_only():
    table = tabulate(hold(draw(30, 40, decimals=6)), Rule(by="top", threshold=3), how=QUICK)
    assert table["high"].sum() == 3
    assert table["probability"].sum() == pytest.approx(3)
    assert 0 < table["probability"][2] < 1


def test_scores_over_drugs_are_those_of_known_numbers():
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    assert standardise(values, "z") == pytest.approx(stats.zscore(values, ddof=1))
    mad = stats.median_abs_deviation(values)
    assert standardise(values, "robust_z") == pytest.approx(0.6745 * (values - 3) / mad)
    assert standardise(values, "quantile") == pytest.approx([0.2, 0.4, 0.6, 0.8, 1])
    assert standardise(values, "top").tolist() == [5, 4, 3, 2, 1]


def test_the_spread_of_noisy_values_is_that_of_what_they_estimate():
    rng = np.random.default_rng(0)
    true, noise = rng.normal(0, 2, 4000), rng.normal(0, 1, 4000)
    true[0] = noisy = 8.0
    values = true + noise
    values[0] = noisy
    for by in ("z", "robust_z"):
        expected = standardise(true, by)[0]
        assert standardise(values, by, noise=1.0)[0] == pytest.approx(expected, rel=0.05)
        assert standardise(values, by)[0] < 0.95 * expected
        # Where all is noise half of the variance stays.
        least = standardise(values, by, noise=100.0)[0] / standardise(values, by)[0]
        assert least == pytest.approx(2**0.5)


def test_equal_drugs_have_no_scores_and_share_their_place():
    for by in ("z", "robust_z"):
        assert np.isnan(standardise(np.ones(4), by)).all()
        assert np.isnan(standardise(np.ones(1), by)).all()
    assert standardise(np.ones(4), "top").tolist() == [1] * 4


@pytest.mark.parametrize("metric", METRICS)
def test_the_worst_by_each_metric_is_first(metric):
    table = tabulate(hold(planted()), Rule(metric=metric), how=QUICK)
    values = table[metric].abs() if metric == "bias" else table[metric]
    larger_is_worse = metric in rule.LARGER_IS_WORSE
    assert values[0] == (values.max() if larger_is_worse else values.min())
    has_moments = metric != "scc"
    assert (table["probability"].null_count() == 0) == has_moments


def replicate(rows, how):
    """Return the sums of draws of cells."""
    return moments.draw_cells(moments.per_cell(rows, arrange(rows, by="run")), how)


def test_replicates_of_a_statistic_are_its_values_on_the_drawn_rows():
    held = hold(draw(3, 8))
    rows = with_baselines(held)
    drawn = replicate(rows, Resampling(replicates=4, seed=5))
    weights = moments.draw(8, Resampling(replicates=4, seed=5))
    names = sorted(rows["cell"].unique())
    for b, run in ((b, r) for b in range(4) for r in range(3)):
        part = rows.filter(run=name_run(run))
        take = np.repeat(np.arange(8), [int(weights[b][names.index(c)]) for c in part["cell"]])
        true, predicted = (part[c].to_numpy()[take] for c in ("true", "predicted"))
        expected = compute_metrics(true, predicted, metric_type="regression")
        for metric in ("mse", "rmse", "pcc", "r2"):
            found = moments.compute(metric, drawn)[b, run]
            assert found == pytest.approx(expected[metric], abs=1e-6), metric
        base = part["cell_mean"].to_numpy()[take]
        skill = 1 - expected["mse"] / np.mean((base - true) ** 2)
        assert moments.compute("skill_cell_mean", drawn)[b, run] == pytest.approx(skill, abs=1e-6)


def test_a_constant_truth_has_no_r2_in_any_draw():
    rows = with_baselines(hold({**draw(2, 49), 2: [(f"C{c:03d}", 0.9137, c) for c in range(49)]}))
    drawn = replicate(rows, QUICK)
    for metric in ("r2", "pcc"):
        found = moments.compute(metric, drawn)
        assert np.isnan(found[:, 2]).all()
        assert np.isfinite(found[:, :2]).all()


def test_intervals_of_the_error_are_those_of_scipy():
    rows = draw(2, 60, decimals=4)
    found = row_of(tabulate(hold(rows), Rule(), how=Resampling(replicates=8000)), 1)
    squared = np.array([(p - t) ** 2 for _, t, p in rows[1]])
    expected = stats.bootstrap(
        (squared,), np.mean, n_resamples=8000, method="BCa", random_state=0
    ).confidence_interval
    width = expected.high - expected.low
    assert found["rmse_low"] ** 2 == pytest.approx(expected.low, abs=0.05 * width)
    assert found["rmse_high"] ** 2 == pytest.approx(expected.high, abs=0.05 * width)


def test_rows_of_one_cell_are_drawn_together():
    rows = draw(4, 20, decimals=4)
    twice = {d: [row for row in each for _ in range(4)] for d, each in rows.items()}
    one, four = (row_of(tabulate(hold(r), Rule(), how=QUICK), 0) for r in (rows, twice))
    assert (four["rows"], four["cells"]) == (80, 20)
    assert four["rmse_low"] == pytest.approx(one["rmse_low"])


def test_a_drug_of_one_row_has_an_error_and_nothing_else():
    rows = {**draw(5, 20), 5: [("C000", 0.5, 0.9)]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = row_of(tabulate(hold(rows), Rule(), how=QUICK), 5)
    assert (found["rows"], found["rmse"], found["high"]) == (1, pytest.approx(0.4), True)
    absent = {k for k, v in found.items() if v is None}
    intervals = {f"{m}_{end}" for m in high_error.INTERVALS for end in ("low", "high")}
    undefined = {"auc_sd", "pcc", "scc", "r2", "rmse_over_sd", "funnel_z"}
    assert absent == undefined | intervals | {*high_error.OF_REPEATS}


def test_a_constant_prediction_has_no_correlation_and_is_not_judged_by_it():
    rows = {**draw(5, 20), 5: [(f"C{c:03d}", c / 20, 0.3) for c in range(20)]}
    table = tabulate(hold(rows), Rule(metric="pcc"), how=QUICK)
    found = row_of(table, 5)
    assert (found["pcc"], found["scc"], found["rank"], found["high"]) == (None, None, None, False)
    notes = list(high_error.unlisted(table, Rule(metric="pcc")))
    assert notes == ["pcc is undefined for 1 of 6 drugs: not judged"]


def test_a_single_drug_is_neither_high_nor_compared():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = tabulate(hold(draw(1, 10)), Rule(), how=QUICK)
    found = table.row(0, named=True)
    assert (found["robust_z"], found["high"], found["skill_cell_mean"]) == (None, False, None)
    assert found["probability"] is None
    assert "too few drugs differ" in list(high_error.unlisted(table, Rule()))[0]


def test_recorded_baselines_are_used_and_their_absence_told(tmp_path):
    experiment = write(tmp_path / "EXP000", draw(6, 20), original=True)
    write_baselines(experiment / "run/RUN000", train_mean=0.4, cell_mean=0.5)
    table = tabulate(read(experiment), Rule(), how=QUICK)
    found, other = row_of(table, 0), row_of(table, 1)
    assert (found["baseline"], other["baseline"]) == ("recorded", "recomputed")
    assert found["skill_cell_mean"] == pytest.approx(1 - found["mse"] / 0.5)
    assert found["skill_cell_mean_low"] < found["skill_cell_mean"] < found["skill_cell_mean_high"]
    # The interval is that of the recorded level.
    assert found["skill_cell_mean_low"] > 0.98
    assert other["cell_mean_mse"] < 0.1


def test_recomputed_baselines_are_the_means_over_the_other_drugs():
    rows = {0: [("a", 0.5, 0.4)], 1: [("a", 0.7, 0.4), ("b", 0.2, 0.1)]}
    found = row_of(tabulate(hold(rows), Rule(), how=QUICK), 0)
    assert found["cell_mean_mse"] == pytest.approx(0.2**2)
    assert found["train_mean_mse"] == pytest.approx(0.05**2)
    assert found["skill_cell_mean"] == pytest.approx(1 - 0.01 / 0.04)


@pytest.mark.parametrize("wrong", [{"metric": "nrmse"}, {"by": "sigma"}])
def test_an_unknown_rule_is_refused(wrong):
    with pytest.raises(InputError, match="choose one of"):
        Rule(**wrong)


@pytest.mark.parametrize(
    ("by", "threshold"),
    [("z", float("nan")), ("top", -3), ("quantile", 7), ("robust_z", float("inf"))],
)
def test_a_threshold_that_no_drug_could_be_at_is_refused(by, threshold):
    with pytest.raises(InputError, match=f"the threshold of {by} must be a number"):
        Rule(by=by, threshold=threshold)


def lists(first, second):
    """Return the joined lists of two experiments with these rows."""
    rows = {"EXP010": first, "EXP011": second}
    tables = {name: tabulate(hold(each), Rule(), how=QUICK) for name, each in rows.items()}
    return stability.join(tables, Rule())


def test_two_lists_are_counted_against_each_other():
    joined = lists(planted(bad=(1, 2, 3)), planted(bad=(2, 3, 4, 5)))
    by_index = dict(joined.select("index", "listed").iter_rows())
    assert [by_index[i] for i in range(7)] == [
        "neither",
        "first",
        "both",
        "both",
        "second",
        "second",
        "neither",
    ]
    found = stability.agree(joined).row(0, named=True)
    assert (found["listed_first"], found["listed_second"], found["listed_both"]) == (3, 4, 2)
    assert found["jaccard"] == pytest.approx(2 / 5)
    assert found["overlap"] == pytest.approx(2 / 3)
    assert found["expected"] == pytest.approx(3 * 4 / 30)
    assert found["p_value"] == pytest.approx(stats.hypergeom.sf(1, 30, 3, 4))


def test_rank_correlations_of_two_experiments_are_those_of_scipy():
    joined = lists(planted(seed=0), planted(seed=1))
    found = stability.agree(joined).row(0, named=True)
    pair = joined["first"].to_numpy(), joined["second"].to_numpy()
    assert found["spearman"] == pytest.approx(stats.spearmanr(*pair).statistic)
    assert found["kendall"] == pytest.approx(stats.kendalltau(*pair).statistic)


def test_drugs_of_one_experiment_only_stay_and_are_told():
    first, second = planted(), planted()
    del first[29], second[0], second[1]
    joined = lists(first, second)
    assert len(joined) == 30
    assert row_of(joined, 29)["high_first"] is None
    notes = list(stability.unmatched(joined, ("EXP010", "EXP011")))
    assert [note.split(",")[0] for note in notes] == [
        "1 of 30 drugs are not in EXP010",
        "2 of 30 drugs are not in EXP011",
    ]
    assert stability.agree(joined)["drugs"].item() == 27


def test_equal_lists_without_any_drug_have_no_agreement():
    found = stability.agree(lists(draw(5, 10), draw(5, 10))).row(0, named=True)
    assert (found["listed_both"], found["jaccard"], found["overlap"]) == (0, None, None)
    assert found["p_value"] == 1


def test_an_originals_drugs_are_matched_by_index(tmp_path):
    ours = tabulate(read(write(tmp_path / "EXP010", planted())), Rule(), how=QUICK)
    theirs = write(tmp_path / "EXP011", planted(), original=True)
    joined = stability.join(
        {"EXP010": ours, "EXP011": tabulate(read(theirs), Rule(), how=QUICK)}, Rule()
    )
    found = row_of(joined, 3)
    assert (found["drug"], found["listed"], len(joined)) == ("Drug-3", "both", 30)


def test_two_runs_of_one_drug_are_listed_but_cannot_be_matched():
    held = hold(planted())
    again = held.rows.with_columns(run=pl.concat_str(pl.lit("again-"), "run"))
    runs = (*held.runs, *(type(r)(f"again-{r.id}", *list(vars(r).values())[1:]) for r in held.runs))
    both = type(held)("EXP010", runs, pl.concat([held.rows, again]), ())
    table = tabulate(both, Rule(), how=QUICK)
    assert len(table) == 60
    with pytest.raises(InputError, match="RUN.* of EXP010 hold out the same drug"):
        stability.join({"EXP010": table, "EXP011": table}, Rule())


def test_the_command_prints_the_list_and_talks_on_stderr(tmp_path):
    states = ["done"] * 29 + ["running"]
    experiment = write(tmp_path / "EXP000", planted(), states=states)
    result = run_script("high_error_drugs.py", experiment, "--format", "json")
    rows = json.loads(result.stdout, parse_constant=pytest.fail)
    assert {row["drug"] for row in rows} == {"Drug-3", "Drug-17"}
    assert "1 of 30 runs missing: RUN029" in result.stderr
    assert "2 of 29 drugs are high error drugs: robust_z of rmse at least 3.5" in result.stderr


def test_the_command_compares_two_experiments(tmp_path):
    names = [write(tmp_path / name, planted(seed=i)) for i, name in enumerate(("EXP010", "EXP011"))]
    result = run_script(
        "high_error_drugs.py", names[0], "--against", names[1], "--agreement", "--format", "csv"
    )
    header, line = result.stdout.splitlines()
    assert dict(zip(header.split(","), line.split(","), strict=True))["jaccard"] == "1.0"


def test_the_command_refuses_agreement_with_nothing_or_itself(tmp_path):
    result = run_script("high_error_drugs.py", tmp_path, "--agreement")
    assert (result.returncode, "needs --against" in result.stderr) == (2, True)
    result = run_script("high_error_drugs.py", tmp_path, "--against", tmp_path)
    assert (result.returncode, "another experiment" in result.stderr) == (2, True)
    assert_is_refused(run_script("high_error_drugs.py", tmp_path), "is not an experiment")


@pytest.mark.parametrize("by", ["z", "robust_z"])
def test_the_noise_in_draws_is_found_by_adding_it_again(by):
    rng = np.random.default_rng(0)
    estimates = rng.normal(0, 1, 4000) + rng.normal(0, 0.5, 4000)
    draws = estimates + rng.normal(0, 0.5, (50, 4000))
    assert noise_in(draws, estimates, Rule(by=by)) == pytest.approx(2 * 0.5**2, rel=0.05)
    assert noise_in(np.tile(estimates, (50, 1)), estimates, Rule(by=by)) == 0
    assert noise_in(draws, estimates, Rule(by="top")) == 0


def test_the_spread_of_errors_that_are_not_normal_is_found_below_noise():
    rng = np.random.default_rng(0)
    truth = np.sqrt(rng.normal(0, 0.6, 4000) ** 2 + 1)
    estimates = truth + rng.normal(0, 0.06, 4000)
    draws = estimates + rng.normal(0, 0.06, (50, 4000))

    def spread(values, noise=0.0):
        return np.sqrt(
            np.median(stats.median_abs_deviation(values, axis=-1, scale="normal")) ** 2 - noise
        )

    found = spread(draws, noise_in(draws, estimates, Rule()))
    # To subtract the variance of the noise leaves twice as much of it.
    assert abs(found - spread(truth)) < abs(spread(draws, 2 * 0.06**2) - spread(truth)) / 2
