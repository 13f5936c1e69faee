"""Paired tests are those of scipy; what cannot be tested says why."""

import json
import warnings

import answers
import numpy as np
import polars as pl
import pytest
from experiments import (
    assert_is_refused,
    name_drug,
    name_run,
    partition_by,
    run_script,
    scatter_errors,
    write_experiment,
    write_json,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hed.answers import compare, pairing
from hed.errors import InputError
from hed.watching import aggregate


def scored(values, *, named=True):
    """Return a table of scores with this rmse by index; None for an undefined one."""
    rows = [
        {"run": name_run(i), "index": i, "drug": name_drug(i) if named else None, "rmse": value}
        for i, value in values.items()
    ]
    return pl.DataFrame(rows, schema=aggregate.SCHEMA)


def compared(*columns):
    """Return the comparisons of experiments with these errors with the first."""
    tables = {f"EXP{n:03d}": scored(dict(enumerate(c))) for n, c in enumerate(columns)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return compare.test(compare.pair(tables, "rmse"), "rmse")


def row_of(table):
    return table.row(0, named=True)


def errors(seed, count=25):
    return np.random.default_rng(seed).gamma(3, 0.02, count)


def test_paired_tests_are_those_of_scipy():
    old, new = errors(0), errors(0) + np.random.default_rng(1).normal(0.01, 0.02, 25)
    found = row_of(compared(old, new))
    assert found["wilcoxon_p"] == pytest.approx(stats.wilcoxon(new, old).pvalue)
    assert found["t_p"] == pytest.approx(stats.ttest_rel(new, old).pvalue)
    interval = stats.ttest_rel(new, old).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    assert found["sign_p"] == pytest.approx(stats.binomtest(found["worse"], 25).pvalue)
    difference = new - old
    assert found["difference"] == pytest.approx(difference.mean())
    assert found["median_difference"] == pytest.approx(np.median(difference))
    assert found["cohen_d"] == pytest.approx(difference.mean() / difference.std(ddof=1))


def test_better_worse_and_equal_follow_the_sense_of_the_metric():
    table = compared([0.3, 0.3, 0.3, 0.3], [0.2, 0.2, 0.3, 0.4])
    assert table.select("better", "worse", "equal").row(0) == (2, 1, 1)
    tables = {
        name: scored({0: 1, 1: 1}).with_columns(r2=pl.Series(r2))
        for name, r2 in {"a": [0.5, 0.5], "b": [0.6, 0.7]}.items()
    }
    better = compare.test(compare.pair(tables, "r2"), "r2")
    assert better.select("better", "worse").row(0) == (2, 0)


def test_differences_of_zero_are_no_signs_and_share_their_ranks():
    old = errors(0)
    new = old + np.repeat([0, 0.01, -0.02, 0.03, 0.04], 5)
    found = row_of(compared(old, new))
    assert (found["better"], found["worse"], found["equal"]) == (5, 15, 5)
    assert found["sign_p"] == pytest.approx(stats.binomtest(15, 20).pvalue)
    expected = stats.wilcoxon(new - old, zero_method="pratt").pvalue
    assert found["wilcoxon_p"] == pytest.approx(expected)


def test_the_rank_biserial_is_one_if_all_are_worse_and_zero_if_they_cancel():
    assert compare.rank_biserial(np.array([0.1, 0.2, 0.3])) == 1
    assert compare.rank_biserial(np.array([-0.1, -0.2])) == -1
    assert compare.rank_biserial(np.array([-0.1, -0.2, 0.3])) == 0
    assert compare.rank_biserial(np.array([0.0, 0.2])) == pytest.approx(2 / 3)


def test_equal_experiments_have_no_tests_and_say_so():
    found = row_of(compared([0.1, 0.2], [0.1, 0.2]))
    assert (found["wilcoxon_p"], found["t_p"], found["sign_p"]) == (None, None, None)
    assert (found["equal"], found["difference"], found["reason"]) == (2, 0, "no drug differs")


def test_a_constant_difference_has_no_t_test():
    found = row_of(compared([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]))
    assert (found["t_p"], found["cohen_d"]) == (None, None)
    assert found["wilcoxon_p"] == pytest.approx(0.25)
    assert found["reason"] == "all drugs differ by the same: no t test"


def test_one_drug_in_both_is_described_but_not_tested():
    found = row_of(compared([0.1], [0.3]))
    assert (found["drugs"], found["difference"]) == (1, pytest.approx(0.2))
    assert (found["t_p"], found["reason"]) == (None, "fewer than two drugs in both")


def test_holms_adjustment_is_that_of_a_worked_example():
    p_values = pl.Series([0.01, 0.04, 0.03, 0.005])
    assert compare.holm(p_values).to_list() == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_long_as_no_smaller_p_value_fails(p_values):
    adjusted = compare.holm(pl.Series(p_values)).to_list()
    for level in (0.0123, 0.0567, 0.3141):
        ordered = sorted(p_values)
        limits = [level / (len(p_values) - i) for i in range(len(p_values))]
        passed = [p <= limit for p, limit in zip(ordered, limits, strict=True)]
        rejected = passed.index(False) if False in passed else len(passed)
        assert sum(a <= level + 1e-12 for a in adjusted) == pytest.approx(rejected, abs=0)


def test_a_test_that_is_undefined_does_not_count_in_holms_adjustment():
    assert compare.holm(pl.Series([0.03, None, 0.02])).to_list() == [0.04, None, 0.04]


def test_several_experiments_are_compared_with_the_first_and_adjusted():
    table = compared(errors(0), errors(1), errors(2) * 1.5)
    assert table.select("experiment", "reference").rows() == [
        ("EXP001", "EXP000"), ("EXP002", "EXP000")
    ]  # fmt: skip
    assert table["t_holm"].min() == pytest.approx(2 * table["t_p"].min())


def test_drugs_missing_in_one_are_left_out_of_the_tests_and_told():
    tables = {"a": scored({0: 0.1, 1: 0.2, 2: 0.3}), "b": scored({2: 0.1, 1: None, 5: 0.3})}
    paired = compare.pair(tables, "rmse")
    assert paired["index"].to_list() == [0, 1, 2, 5]
    found = row_of(compare.test(paired, "rmse"))
    assert (found["drugs"], found["missing"]) == (1, 3)
    assert list(compare.unmatched(paired)) == [
        "1 of 4 drugs have no score in a", "2 of 4 drugs have no score in b"
    ]  # fmt: skip


def test_differences_are_listed_drug_by_drug():
    tables = {"a": scored({0: 0.1, 1: 0.2}), "b": scored({1: 0.3, 0: 0.1}), "c": scored({1: 0.1})}
    table = compare.differences(compare.pair(tables, "rmse"))
    rows = table.select("drug", "experiment", pl.col("difference").round(6)).rows()
    assert rows == [("Drug-0", "b", 0), ("Drug-1", "b", 0.1), ("Drug-1", "c", -0.1)]


def test_drugs_are_matched_by_name_and_by_index_where_an_original_has_none():
    moved = scored({0: 0.1, 1: 0.2}).with_columns(drug=pl.Series(["Drug-1", "Drug-0"]))
    by_name = compare.pair({"a": scored({0: 0.3, 1: 0.4}), "b": moved}, "rmse")
    assert by_name.select("drug", "a", "b").row(0) == ("Drug-0", 0.3, 0.2)
    original = scored({1: 0.1, 0: 0.2}, named=False)
    by_index = compare.pair({"a": original, "b": scored({0: 0.3, 1: 0.4})}, "rmse")
    assert by_index.select("drug", "a", "b").row(0) == ("Drug-0", 0.2, 0.3)


def test_two_runs_of_one_drug_cannot_be_matched():
    twice = scored({0: 0.1, 1: 0.2}).with_columns(drug=pl.lit("Drug-0"))
    with pytest.raises(InputError, match="RUN000 and RUN001 of b hold out the same drug"):
        compare.pair({"a": scored({0: 0.1}), "b": twice}, "rmse")


def test_a_run_that_nothing_gives_an_index_cannot_be_matched():
    lost = scored({0: 0.1}, named=False).with_columns(index=pl.lit(None, pl.Int64))
    with pytest.raises(InputError, match="RUN000 of b"):
        compare.pair({"a": scored({0: 0.1}), "b": lost}, "rmse")


def test_experiments_of_one_name_are_named_by_their_paths(tmp_path):
    paths = [write_experiment(tmp_path / name / "EXP000", []) for name in ("one", "two")]
    assert list(compare.name(paths)) == list(map(str, paths))
    other = write_experiment(tmp_path / "EXP001", [])
    assert list(compare.name([paths[0], other])) == ["EXP000", "EXP001"]
    with pytest.raises(InputError, match="with itself"):
        compare.name([paths[0], paths[0]])


@pytest.fixture
def two(tmp_path):
    names = ["EXP010", "EXP011"]
    paths = [write_experiment(tmp_path / name, ["done"] * 12) for name in names]
    for seed, path in enumerate(paths):
        scatter_errors(path, seed=seed)
    return paths


def test_the_command_prints_a_line_per_number_and_the_same_as_json(two):
    table = run_script("compare.py", *two, "--metric", "mse").stdout
    assert table.splitlines()[0].strip() == "EXP011 - EXP010"
    row = json.loads(run_script("compare.py", *two, "--format", "json").stdout)[0]
    assert (row["drugs"], row["experiment"]) == (12, "EXP011")


def test_the_command_lists_drugs_and_tells_what_is_missing(two):
    (two[1] / "run/RUN003/test_scores.json").unlink()
    result = run_script("compare.py", *two, "--drugs", "--format", "csv")
    assert len(result.stdout.splitlines()) == 13
    assert "1 of 12 drugs have no score in EXP011" in result.stderr


def test_experiments_that_hold_out_different_things_are_refused(two):
    partition_by(two[1], "by_cell")
    with pytest.raises(InputError, match="EXP010 was partitioned by_drug and EXP011 by_cell"):
        compare.name(two)


def test_the_command_says_what_it_compares_if_it_is_not_drugs(two):
    for experiment in two:
        partition_by(experiment, "by_cell")
    (two[1] / "run/RUN003/test_scores.json").unlink()
    result = run_script("compare.py", *two)
    assert "1 of 12 cells have no score in EXP011" in result.stderr
    assert "\ncells" in result.stdout and "drug" not in result.stdout
    each = run_script("compare.py", *two, "--drugs", "--format", "csv").stdout
    assert each.startswith("cell,index,")


def test_random_splits_that_share_rows_are_compared_without_a_test(tmp_path):
    true = [(f"C{cell}", cell / 10) for cell in range(10)]
    paths = []
    for name, noise in (("one", 0.1), ("two", 0.2), ("three", 0.3)):
        rows = {s: [(c, t, t + noise * (s + 1) / 9) for c, t in true] for s in range(6)}
        paths.append(partition_by(answers.write(tmp_path / name, rows), "random"))
    row = json.loads(run_script("compare.py", *paths[:2], "--format", "json").stdout)[0]
    assert (row["worse"], row["wilcoxon_p"], row["low"]) == (6, None, None)
    assert "splits share test rows" in row["reason"]
    ranks = run_script("compare.py", *paths, "--ranks", "--format", "csv")
    assert "no test: splits share test rows" in ranks.stderr
    assert ranks.stdout.splitlines()[1].startswith("one,1.0,6.0,")
    drawn = run_script("plot.py", "contest", *paths, tmp_path / "contest.svg")
    assert drawn.returncode == 0, drawn.stderr
    # Splits of other rows are a sample, as drugs are.
    rows = {s: [(f"C{s}-{c}", 0.5, 0.4) for c in range(10)] for s in range(6)}
    assert not pairing.share_rows(partition_by(answers.write(tmp_path / "x", rows), "random"))


def test_what_differs_besides_the_model_is_told(two):
    record = json.loads((two[0] / "experiment.json").read_text())
    again = {**record["runs"][0], "id": "RUN000-2", "marker": "000-RUN000-2"}
    first = {"partition": {"mode": "by_drug"}, "data_source": "a", "preprocess": {}}
    other = {**first, "data_source": "b", "preprocess": {"y_column": "auc1", "ge_scaling": "none"}}
    write_json(two[0] / "experiment.json", {**record, "identity": first})
    write_json(
        two[1] / "experiment.json",
        {**record, "identity": other, "runs": [*record["runs"], again]},
    )
    (two[1] / "run" / "RUN000-2").mkdir()
    lines = [json.dumps({"id": run["id"], "index": run["index"]}) for run in record["runs"]]
    lines.append(json.dumps({"id": "RUN000-2", "index": 0, "rng_seed": 1}))
    (two[1] / record["upf"]).write_text("\n".join(lines) + "\n")
    told = run_script("compare.py", *two).stderr
    assert "EXP011 has other data than EXP010 (data_source, y_column): where test rows" in told
    assert "EXP011 has another number of repeats than EXP010 (2 and 1)" in told


def test_ranks_and_drugs_are_two_tables(two):
    result = run_script("compare.py", *two, "--ranks", "--drugs")
    assert (result.returncode, "not allowed with argument" in result.stderr) == (2, True)


def test_the_command_refuses_one_experiment_or_none(two, tmp_path):
    result = run_script("compare.py", two[0])
    assert (result.returncode, "two experiments" in result.stderr) == (2, True)
    assert_is_refused(run_script("compare.py", two[0], tmp_path), "is not an experiment")
