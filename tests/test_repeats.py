"""Repeats of a run are one answer: the mean prediction, as sure as cells and trainings allow."""

import json
import shutil

import numpy as np
import polars as pl
import pytest
from answers import draw, hold, repeat, write, write_baselines
from experiments import run_script
from scipy import stats

from hed.answers import draws, moments, repeats, scores
from hed.answers.bootstrap import Resampling
from hed.answers.draws import Draws
from hed.answers.grid import arrange
from hed.answers.heldout import predictions, read, with_baselines
from hed.answers.high_error import tabulate, unlisted
from hed.answers.rule import Rule
from hed.config.hyperparameters import UpfLine, generate_upf
from hed.config.repeats import expand, first_of_each
from hed.errors import InputError
from hed.experiment.runs import read_runs
from hed.watching.aggregate import BASELINES

QUICK = Resampling(replicates=400)


def test_repeats_have_ids_and_seeds_of_their_own_after_all_first_ones():
    upf = [UpfLine("A", 3, {"epochs": 2}), UpfLine("B", 1, {"rng_seed": 7})]
    assert expand(upf, 3, {"rng_seed": 5}) == [
        *upf,
        UpfLine("A-2", 3, {"epochs": 2, "rng_seed": 6}),
        UpfLine("B-2", 1, {"rng_seed": 8}),
        UpfLine("A-3", 3, {"epochs": 2, "rng_seed": 7}),
        UpfLine("B-3", 1, {"rng_seed": 9}),
    ]
    assert expand(upf, 1, {}) == upf


def test_repeats_of_another_model_count_from_its_own_seed():
    upf = [UpfLine("A", 3, {}), UpfLine("B", 1, {"model": "other"})]
    own = {"mine": {"rng_seed": 1}, "other": {"rng_seed": 7102}}
    seeds = [line.overrides["rng_seed"] for line in expand(upf, 3, {"model": "mine"}, own)[2:]]
    assert seeds == [2, 7103, 3, 7104]
    with pytest.raises(InputError, match="repeats: the rng_seed of mine is not known here"):
        expand(upf, 2, {"model": "mine"}, {"other": {"rng_seed": 1}})
    with pytest.raises(InputError, match="repeats: mine has no hyperparameter rng_seed"):
        expand(upf, 2, {"model": "mine"}, {**own, "mine": {"depth": 1}})


def test_more_repeats_leave_those_there_are_as_they_were():
    upf = generate_upf(range(4))
    assert expand(upf, 5, {})[:12] == expand(upf, 3, {})


def test_a_seed_that_is_no_number_cannot_be_repeated():
    with pytest.raises(InputError, match="rng_seed of A must be a whole number"):
        expand([UpfLine("A", 0, {"rng_seed": "x"})], 2, {})


def test_a_run_whose_repeats_could_not_be_read_again_is_refused():
    with pytest.raises(InputError, match="too long for its repeats"):
        expand([UpfLine("a" * 99, 0, {})], 2, {})
    with pytest.raises(InputError, match="rng_seed of A is too large for its repeats"):
        expand([UpfLine("A", 0, {"rng_seed": 2**32 - 1})], 2, {})


def test_runs_repeat_each_other_if_nothing_but_the_seed_differs():
    named = {
        "RUN000": {"id": "RUN000", "index": 0, "held_out": "D", "marker": "000"},
        "RUN001": {"id": "RUN001", "index": 1},
        "RUN000-2": {"id": "RUN000-2", "index": 0, "rng_seed": 1, "marker": "000-RUN000-2"},
        "other": {"id": "other", "index": 0, "loss": "mae"},
        "again": {"id": "again", "index": 0, "loss": "mae", "rng_seed": 4},
        "unknown": {"id": "unknown"},
        "stranger": {"id": "stranger"},
    }
    assert first_of_each(named) == {"RUN000-2": "RUN000", "again": "other"}


def test_predictions_of_repeats_are_averaged_row_by_row():
    rows = {0: [("A", 0.5, 0.4), ("A", 0.6, 0.2), ("B", 0.7, 0.9)], 1: [("A", 0.1, 0.2)]}
    held = repeat(rows, 3, noise=0.1)
    assert held.rows.select("run", "cell", "true").equals(
        hold(rows).rows.select("run", "cell", "true")
    )
    each = held.parts["predicted"].to_numpy().reshape(3, 4)
    assert held.rows["predicted"].to_numpy() == pytest.approx(each.mean(axis=0))
    assert held.each(held.rows)["average"].to_numpy() == pytest.approx(
        np.tile(each.mean(axis=0), 3)
    )


def test_what_some_repeats_do_not_predict_is_averaged_over_the_others():
    held = repeat({0: [("A", 0.5, 0.4), ("B", 0.7, 0.9)]}, 2)
    parts = held.parts[1:]
    rows, place = repeats.average(parts, arrange(parts, by="run"), held.repeat_of)
    b, a, also_b = held.parts["predicted"][1:]
    assert rows.select("cell", "predicted").rows() == [("B", (b + also_b) / 2), ("A", a)]
    assert place.tolist() == [0, 1, 0]


def test_rows_of_several_drugs_are_averaged_by_drug_whatever_a_repeat_lacks():
    drugs = [f"D{number}" for number in range(5)] * 2  # each with a replicate
    true = [0.1 * number for number in range(10)]
    one = pl.DataFrame(
        {"run": "A", "held_out": "C", "drug": drugs, "cell": "C", "true": true, "predicted": true}
    )
    both = pl.concat([one, one[1:].with_columns(run=pl.lit("A-2"))])
    rows, _ = repeats.average(both, arrange(both, by="run"), {"A-2": "A"})
    exact = rows.filter(pl.col("drug") != "D0")
    assert exact["predicted"].to_list() == pytest.approx(exact["true"].to_list())
    assert len(rows) == 10


@pytest.mark.parametrize("name", BASELINES)
def test_repeats_are_judged_by_their_skill(name):
    held = repeat(draw(4, 12, decimals=4), 2)
    found = tabulate(held, Rule(metric=f"skill_{name}"), how=QUICK)
    assert found["high_repeats"].to_list() == [0.0] * 4


def test_what_repeats_share_is_not_changed_by_another_training():
    held = repeat(draw(5, 12, decimals=4), 4, noise=0.2)
    same = repeats.find(held.by_run.drugs, held.repeat_of)
    sums = moments.per_cell(held.each(with_baselines(held)), held.by_run)
    moved = moments.draw_trainings(sums, same, Resampling(replicates=20))
    apart = {name for name, values in moved.items() if np.abs(values).max() > 1e-9}
    assert apart == {*sums} - {"n", "t", "tt", *BASELINES}


def test_shares_of_repeats_add_up_to_the_sums_of_their_average():
    held = repeat(draw(5, 12, decimals=4), 4, noise=0.2)
    rows = with_baselines(held)
    whole = moments.per_cell(rows, arrange(rows, by="run"))
    parts = held.each(rows)
    grid = arrange(parts, by="run")
    same = repeats.find(grid.drugs, held.repeat_of)
    for name, values in moments.per_cell(parts, grid).items():
        assert same.mean(values) == pytest.approx(whole[name]), name


def test_a_drug_of_repeats_is_one_row_of_its_mean_prediction():
    rows = draw(6, 30, decimals=4)
    held = repeat(rows, 3, noise=0.1)
    found = tabulate(held, Rule(), how=QUICK)
    alone = tabulate(hold(rows), Rule(), how=QUICK)
    assert found.height == alone.height == 6
    assert found["repeats"].to_list() == [3] * 6
    error = held.rows.with_columns(e=(pl.col("predicted") - pl.col("true")) ** 2)
    own = held.parts.with_columns(e=(pl.col("predicted") - pl.col("true")) ** 2)
    for row in found.iter_rows(named=True):
        assert row["mse"] == pytest.approx(error.filter(run=row["run"])["e"].mean())
        singles = np.sqrt(own.filter(drug=row["drug"]).group_by("run").agg(pl.col("e").mean())["e"])
        assert row["rmse_repeats"] == pytest.approx(singles.mean())
        assert row["rmse_repeats_sd"] == pytest.approx(singles.std())


def test_equal_repeats_are_as_sure_as_one():
    rows = draw(8, 40, decimals=4)
    columns = ["run", "rmse", "rmse_low", "rmse_high", "bias_low", "probability", "rank_high"]
    one, three = (
        tabulate(held, Rule(), how=QUICK, columns=columns)
        for held in (hold(rows), repeat(rows, 3, noise=0))
    )
    for name in columns[1:]:
        assert three[name].to_numpy() == pytest.approx(one[name].to_numpy()), name


def test_trainings_that_differ_widen_the_intervals():
    rows = draw(8, 40, decimals=4)
    held = repeat(rows, 3, noise=0)
    shift = {f"RUN{d:03d}{end}": s for d in range(8) for end, s in (("-2", 0.05), ("-3", -0.05))}
    moved = pl.col("predicted") + pl.col("run").replace_strict(shift, default=0.0)
    apart = type(held)(held.name, held.runs, held.parts.with_columns(moved), ())
    equal, unequal = (
        tabulate(h, Rule(), how=QUICK, columns=["bias", "bias_low", "bias_high"])
        for h in (held, apart)
    )
    assert unequal["bias"].to_numpy() == pytest.approx(equal["bias"].to_numpy())
    width = [(t["bias_high"] - t["bias_low"]).min() for t in (unequal, equal)]
    assert width[0] > 0.1 > 2 * width[1]


def test_draws_of_repeats_vary_as_the_mean_of_repeats_does():
    rng = np.random.default_rng(3)
    for count in (2, 3, 5):
        names = [f"R{i}" for i in range(count)]
        same = repeats.find(names, dict.fromkeys(names[1:], names[0]))
        values = rng.normal(size=count)
        drawn = same.weighted(values, same.deviate(Resampling(replicates=20_000)))
        assert drawn.mean() == pytest.approx(0, abs=0.03)
        assert drawn.var() == pytest.approx(values.var(ddof=1) / count, rel=0.05)


def test_the_square_of_an_average_varies_as_its_normal_mean_does_also_around_zero():
    names = ["A", "A-2", "A-3"]
    same = repeats.find(names, dict.fromkeys(names[1:], "A"))
    for average in (0.0, 5.0):
        error = average + np.array([[-0.3, 0.1, 0.2]])
        sums = {"n": np.ones((1, 3)), "e": error, "ee": 2 * average * error - average**2}
        moved = moments.draw_trainings(sums, same, Resampling(replicates=40_000))["ee"]
        variance = error.var(ddof=1) / 3
        expected = 4 * average**2 * variance + 2 * variance**2
        assert moved.mean() == pytest.approx(0, abs=0.02 * expected**0.5)
        assert moved.var() == pytest.approx(expected, rel=0.05)


def test_the_share_of_repeats_in_the_list_is_told():
    rows = {
        d: [(c, t, p + 0.3 * (d == 3)) for c, t, p in r]
        for d, r in draw(30, 40, decimals=4).items()
    }
    held = repeat(rows, 4, noise=0)
    good = pl.col("run").is_in(["RUN003-2"])
    better = pl.when(good).then(pl.col("true")).otherwise(pl.col("predicted")).alias("predicted")
    held = type(held)(held.name, held.runs, held.parts.with_columns(better), ())
    found = tabulate(held, Rule(), how=QUICK).filter(index=3).row(0, named=True)
    assert (found["high"], found["high_repeats"]) == (True, 0.75)
    assert found["rank_low"] == found["rank"] == 1


@pytest.fixture
def repeated(tmp_path):
    """Return the directory of four drugs of ten cells, each predicted by two runs."""
    experiment = write(tmp_path / "EXP000", draw(4, 10))
    upf = [
        {"id": f"RUN{i % 4:03d}{'-2' * (i > 3)}", "index": i % 4, "rng_seed": i // 4}
        for i in range(8)
    ]
    record = json.loads((experiment / "experiment.json").read_text())
    record["runs"] += [
        {**r, "id": f"{r['id']}-2", "marker": f"{r['marker']}-2"} for r in record["runs"]
    ]
    (experiment / "experiment.json").write_text(json.dumps(record))
    (experiment / record["upf"]).write_text("".join(f"{json.dumps(line)}\n" for line in upf))
    for run in [*(experiment / "run").iterdir()]:
        again = run.with_name(f"{run.name}-2")
        again.mkdir()
        for name in ("test_y_data_predicted.csv", "test_scores.json"):
            (again / name).write_bytes((run / name).read_bytes())
    shutil.copytree(experiment, tmp_path / "again")
    return experiment


def test_a_directory_of_repeats_is_read_as_one_answer_per_drug(repeated):
    held = read(repeated)
    assert (held.parts.height, held.rows.height) == (80, 40)
    listed = run_script("high_error_drugs.py", repeated, "--all", "--format", "csv")
    assert len(listed.stdout.splitlines()) == 5


def test_summary_and_scores_have_a_row_per_drug(repeated):
    found = scores.read(repeated)
    held = read(repeated)
    assert found["run"].to_list() == [f"RUN{d:03d}" for d in range(4)]
    assert found["rmse"].to_numpy() == pytest.approx(
        tabulate(held, Rule(), how=QUICK).sort("index")["rmse"].to_numpy()
    )
    shown = run_script("summary.py", repeated).stdout
    assert "RUN000-2" not in shown
    assert run_script("compare.py", repeated, repeated.parent / "again").returncode == 0


def test_what_is_undefined_of_a_mean_prediction_is_not_that_of_the_first_training():
    held = repeat({0: [("A", 0.5, 0.4), ("B", 0.5, 0.6)]}, 2)
    each = pl.DataFrame(
        {
            "run": ["RUN000", "RUN000-2"],
            "rmse": [0.1, 0.1],
            "pcc": [0.5, 0.5],
            "seconds": [None] * 2,
        },
        schema_overrides={"seconds": pl.Float64},
    )
    assert scores.together(each, held)["pcc", "seconds"].rows() == [(None, None)]


def test_without_its_first_repeat_a_drug_is_judged_by_the_others(repeated):
    write_baselines(repeated / "run" / "RUN001-2", train_mean=0.4, cell_mean=0.2)
    for name in ("test_y_data_predicted.csv", "test_scores.json", "baseline_scores.json"):
        (repeated / "run" / "RUN001" / name).unlink()
    held = read(repeated)
    found = tabulate(held, Rule(), how=QUICK).sort("index")
    assert found["baseline"].to_list() == ["recorded"] * 4
    assert found["cell_mean_mse"][1] == 0.2 != found["cell_mean_mse"][0]
    assert found["run"].to_list() == [f"RUN{d:03d}" for d in range(4)]
    # It is the second one that it is compared with.
    assert repeats.number(held.runs)["RUN001-2"] == 2
    assert repeats.number(held.runs)["RUN001"] == 1


def test_repeats_that_have_only_begun_have_no_answers_yet(tmp_path):
    waiting = write(tmp_path / "EXP000", {1: []}, states=["waiting"] * 2)
    record = json.loads((waiting / "experiment.json").read_text())
    record["runs"].append({**record["runs"][0], "id": "RUN000-2", "marker": "000-RUN000-2"})
    (waiting / "experiment.json").write_text(json.dumps(record))
    assert predictions(read_runs(waiting)).rows.is_empty()
    assert scores.read(waiting).is_empty()
    assert "no run has test scores yet" in run_script("summary.py", waiting).stdout


def test_a_repeat_that_is_missing_is_told(repeated):
    (repeated / "run" / "RUN001-2" / "test_scores.json").unlink()
    shown = run_script("summary.py", repeated).stdout
    assert "1 of 8 runs missing: RUN001-2" in shown
    assert "4 of 4 runs" in shown


def test_an_interval_reaches_as_far_as_students_t_over_trainings_beyond_that_over_cells():
    rng = np.random.default_rng(0)
    cells = {"n": np.ones((50, 2)), "e": rng.normal(0, 3, (50, 2))}
    drawn = moments.draw_cells(cells, Resampling())
    moved = {"n": np.zeros((1000, 2)), "e": 50 * rng.normal(0, [4, 0], (1000, 2))}
    error = moved["e"].std(axis=0) / 50
    estimate = moments.compute("bias", moments.total(cells))
    low, _ = Draws(cells, drawn, {}, np.array([1, 1])).interval("bias", estimate, 0.95)
    found, _ = Draws(cells, drawn, moved, np.array([3, 1])).interval("bias", estimate, 0.95)
    reach = stats.t(2).ppf(0.975) * error
    assert estimate - found == pytest.approx(np.hypot(estimate - low, reach))


@pytest.mark.parametrize("count", [2, 3])
def test_intervals_hold_the_truth_also_where_trainings_differ_much(count):
    inside, above, widths = [], [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        shift = rng.normal(0, 1.2, (20, count))
        cells = rng.normal(0, 1, (40, 20))
        parts = np.repeat(cells, count, axis=1) + shift.ravel()
        sums = {"n": np.ones_like(parts), "e": parts}
        same = repeats.Repeats(np.arange(20 * count), np.full(20, count))
        average = np.repeat(same.mean(parts), count, axis=1)
        sums["ee"] = 2 * average * parts - average**2
        means = {name: same.mean(values) for name, values in sums.items()}
        how = Resampling(replicates=200, seed=seed)
        drawn = draws.draw(sums, means, same, metrics=["mse"], how=how, scale={})
        estimate = moments.compute("rmse", moments.total(means))
        low, high = drawn.interval("rmse", estimate, 0.95)
        truth = np.sqrt(1 + 1.2**2 / count)
        inside.append((low < truth) & (truth < high))
        above.append(high < truth)
        widths.append(high - low)
    assert np.mean(inside) > 0.92
    assert np.mean(above) < 0.08
    assert np.median(widths) < {2: 6, 3: 3}[count] * truth


def test_a_drug_of_one_training_among_repeats_is_told_and_no_skill_is_above_one():
    held = repeat(draw(6, 30, decimals=4), 2, noise=0.1)
    single = held.parts.filter(pl.col("run") != "RUN002-2")
    table = tabulate(type(held)(held.name, held.runs, single, ()), Rule(), how=QUICK)
    assert table["skill_cell_mean_high"].max() <= 1.0
    assert [each.partition(":")[0] for each in unlisted(table, Rule())] == [
        "1 of 6 drugs have predictions of fewer than 2 trainings, and larger errors for that",
        "intervals of drugs with one training know nothing of others",
    ]
