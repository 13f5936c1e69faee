"""What goes with the error of a drug is told by numbers that can be checked, never by a story."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from answers import describe_drugs, draw, hold, write, write_descriptors
from experiments import name_drug, run_script, write_json
from scipy import stats
from scipy.spatial import distance

from hed.answers import explanation, heldout, similar
from hed.answers.bootstrap import Resampling
from hed.answers.explanation import Sources
from hed.answers.high_error import tabulate
from hed.answers.report import contents
from hed.answers.rule import Rule
from hed.data import tables
from hed.errors import InputError

QUICK = Resampling(replicates=500)
# Acetaminophen, its methyl ether, aspirin, ethanol; the last is no molecule.
SMILES = {
    "a": "CC(=O)Nc1ccc(O)cc1",
    "b": "CC(=O)Nc1ccc(OC)cc1",
    "c": "CC(=O)Oc1ccccc1C(=O)O",
    "d": "CCO",
    "e": "no molecule",
}


def reasons(**known):
    """Return a table of drugs with these columns; other reasons are unknown."""
    unknown = {name: None for name in explanation.REASONS if name not in known}
    return pl.DataFrame(known).with_columns(**unknown)


def test_the_nearest_drugs_are_those_of_least_distance_and_never_the_drug_itself(tmp_path):
    data = write_descriptors(tmp_path, [0.0, 1.0, 3.0, 7.0, 7.5])
    found = similar.by_descriptors(data, [name_drug(1), "stranger", name_drug(4)])
    assert found.names[0] == [name_drug(i) for i in (0, 2, 3)]
    assert found.names[1] == []
    assert found.distance == pytest.approx([1.0, np.nan, 0.5], nan_ok=True)


def test_distances_are_those_of_scipy_and_drugs_of_the_same_descriptors_are_at_none(tmp_path):
    values = np.random.default_rng(0).normal(5, 2, (40, 1600)).astype(np.float32).clip(-10, 10)
    values[[3, 17]] = values[8]
    names = [name_drug(i) for i in range(40)]
    found = similar.by_descriptors(write_descriptors(tmp_path, values), names)
    expected = distance.squareform(distance.pdist(values.astype(np.float64)))
    np.fill_diagonal(expected, np.inf)
    assert found.distance == pytest.approx(expected.min(axis=1), rel=1e-9)
    nearest = np.argsort(expected, axis=1, kind="stable")[:, : similar.NEAREST]
    assert found.names == [[names[i] for i in row] for row in nearest]
    assert found.names[3][:2] == [names[8], names[17]]
    assert found.distance[[3, 8, 17]].tolist() == [0, 0, 0]


def test_drugs_of_one_skeleton_are_nearest_by_their_fingerprints():
    found = similar.by_fingerprints(SMILES, ["a", "c", "e"])
    assert found.names[0][0] == "b"
    assert 0 < found.distance[0] < 0.5 < found.distance[1]
    assert found.names[2] == []
    assert np.isnan(found.distance[2])


def test_correlations_are_those_of_scipy_and_the_strongest_is_first(tmp_path):
    rng = np.random.default_rng(0)
    rows = {d: [(c, t, p + 0.02 * d) for c, t, p in r] for d, r in draw(25, 30, decimals=4).items()}
    held = hold(rows)
    judged = tabulate(held, Rule(), how=QUICK)
    data = write_descriptors(tmp_path, np.append(rng.normal(0, 0.1, 24), 5.0).tolist())
    near = similar.by_descriptors(data, judged["drug"].to_list())
    table = explanation.describe(held, judged, "rmse", near, None)
    found = explanation.correlate(table, "rmse", QUICK)
    assert "tanimoto" not in found["reason"]
    assert "noise" not in found["reason"]
    for reason, drugs, rho, low, high in found.iter_rows():
        assert drugs == 25
        assert rho == pytest.approx(stats.spearmanr(table[reason], table["rmse"]).statistic)
        assert low <= rho <= high
    assert found["spearman"].abs().is_sorted(descending=True)


def test_the_interval_is_that_of_scipy_over_samples_of_drugs():
    rng = np.random.default_rng(1)
    error = rng.normal(size=40).round(1)  # with ties
    reason = (error + rng.normal(size=40)).round()
    found = explanation.correlate(reasons(rmse=error, distance=reason), "rmse", QUICK)
    chosen = np.random.default_rng(QUICK.seed).integers(0, 40, (QUICK.replicates, 40))
    drawn = [stats.spearmanr(reason[each], error[each]).statistic for each in chosen]
    assert found.row(0)[3:] == pytest.approx(np.quantile(drawn, [0.025, 0.975]))


def test_the_interval_of_a_strong_correlation_excludes_zero_and_of_none_holds_it():
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    table = reasons(rmse=x, distance=x + rng.normal(0, 0.3, 60), rows=rng.permutation(60))
    found = {row[0]: row for row in explanation.correlate(table, "rmse", QUICK).iter_rows()}
    assert found["distance"][3] > 0.7
    assert found["rows"][3] < 0 < found["rows"][4]


def test_noise_is_the_spread_between_replicates_and_sensitive_the_share_of_cells():
    rows = {
        0: [("A", 0.2, 0.3), ("A", 0.4, 0.3), ("B", 0.9, 0.8), ("B", 0.7, 0.8), ("C", 0.8, 0.8)],
        1: [("A", 0.2, 0.3), ("B", 0.9, 0.8)],
    }
    found = explanation._of_responses(hold(rows).rows).sort("drug")
    assert found["noise"].to_list() == [pytest.approx(0.02**0.5), None]
    assert found["sensitive"].to_list() == pytest.approx([1 / 3, 1 / 2])


def test_a_tree_explains_what_depends_on_a_reason_and_nothing_of_noise():
    rng = np.random.default_rng(2)
    near = rng.uniform(size=80)
    base = {name: rng.normal(size=80) for name in explanation.REASONS}
    step = pl.DataFrame({**base, "distance": near, "rmse": (near > 0.5) + rng.normal(0, 0.1, 80)})
    noise = pl.DataFrame({**base, "rmse": rng.normal(size=80)})
    text, explained = explanation.grow(step, "rmse")
    assert "distance" in text
    assert explained > 0.9
    assert explanation.grow(noise, "rmse")[1] < 0.2
    with pytest.raises(InputError, match="too few for a tree"):
        explanation.grow(step[:10], "rmse")


def test_a_drug_that_several_runs_hold_out_counts_once(tmp_path):
    rows = draw(25, 12, decimals=4)
    held = hold(rows)
    twice = held.parts.with_columns(pl.col("run") + "b", predicted=pl.col("predicted") + 0.1)
    runs = [*held.runs, *(replace(run, id=f"{run.id}b") for run in held.runs)]
    held = replace(held, runs=tuple(runs), parts=pl.concat([held.parts, twice]))
    write_descriptors(tmp_path / "data", np.arange(25.0))
    judged = tabulate(held, Rule(), how=QUICK)
    sources = Sources(data=tmp_path / "data")
    found = explanation.explain(tmp_path, held, judged, "rmse", sources)
    assert len(judged) == 50
    assert sorted(found["drug"]) == sorted(name_drug(i) for i in range(25))
    assert found["noise"].null_count() == 25
    mean = judged.group_by("drug").agg(pl.col("rmse").mean())
    assert dict(found.select("drug", "rmse").rows()) == pytest.approx(dict(mean.rows()))
    page = judged.with_columns(
        repeats=1, **dict.fromkeys({*contents.COLUMNS} - {*judged.columns}, 0.0)
    )
    assert len(contents._columns(page, found, None)) == 50


def test_a_drug_without_responses_is_no_neighbour(tmp_path):
    held = hold(draw(4, 12, decimals=4))
    data = write_descriptors(tmp_path / "data", [0.0, 5.0, 11.0, 18.0, 0.1], ["stranger"])
    tested = {tables.DRUG: [name_drug(i) for i in range(4)]}
    pl.DataFrame(tested).write_parquet(data / tables.RESPONSE_FILE)
    lines = [f"{name_drug(i)}\t{'C' * (3 + i)}O\n" for i in range(4)]
    (tmp_path / "smiles.tsv").write_text(
        f"improve_chem_id\tsmiles\n{''.join(lines)}stranger\tCCCO\n"
    )
    judged = tabulate(held, Rule(), how=QUICK)
    for sources in (Sources(data), Sources(data, tmp_path / "smiles.tsv")):
        found = explanation.explain(tmp_path, held, judged, "rmse", sources)
        first = found.filter(drug=name_drug(0))
        assert first["nearest"].to_list() == [[name_drug(i) for i in (1, 2, 3)]]
        assert first["distance"].to_list() == pytest.approx([5.0])


def test_descriptors_that_each_partition_scaled_are_scaled_to_find_the_nearest(tmp_path):
    values = np.random.default_rng(0).normal(size=(25, 3))
    experiment = write(tmp_path / "EXP000", draw(25, 12, decimals=4))
    described = json.loads((experiment / "experiment.json").read_text())
    preprocess = {"md_scaling": "std", "scale_on": "training"}
    changed = {**described, "identity": {"preprocess": preprocess}}
    write_json(experiment / "experiment.json", changed)
    judged = tabulate(held := heldout.read(experiment), Rule(), how=QUICK)

    def distances(factor):
        data = write_descriptors(tmp_path / str(factor), values * [1, 1, factor])
        sources = Sources(data=data)
        found = explanation.explain(experiment, held, judged, "rmse", sources)
        return dict(found.select("drug", "distance").rows())

    assert distances(1) == pytest.approx(distances(1000), rel=1e-4)


def test_a_metric_that_is_larger_for_better_ones_counts_with_the_opposite_sign():
    rising = np.arange(10.0)
    found = explanation.correlate(reasons(pcc=rising, distance=rising), "pcc", QUICK)
    assert found["spearman"].to_list() == [-1]


def test_few_drugs_have_no_tree_and_that_is_no_error(tmp_path):
    experiment = write(tmp_path / "EXP000", draw(8, 12), states=["done"] * 7 + ["running"])
    describe_drugs(experiment, np.arange(8.0))
    result = run_script("explain_errors.py", experiment, "--format", "csv")
    assert result.returncode == 0
    assert "7 drugs are too few for a tree" in result.stderr
    assert "1 of 8 runs missing" in result.stderr


def test_the_command_reads_the_experiments_own_data(tmp_path):
    experiment = write(tmp_path / "EXP000", draw(25, 12, decimals=4))
    describe_drugs(experiment, np.arange(25.0))
    result = run_script("explain_errors.py", experiment, "--format", "csv")
    assert result.stdout.startswith("reason,drugs,spearman,low,high\n")
    assert "of the variance (cross-validated)" in result.stderr
    drugs = run_script("explain_errors.py", experiment, "--drugs", "--format", "csv")
    assert len(drugs.stdout.splitlines()) == 26


def test_an_experiment_that_does_not_tell_its_data_is_refused_in_a_sentence(tmp_path):
    experiment = write(tmp_path / "EXP011", draw(4, 5), original=True)
    result = run_script("explain_errors.py", experiment)
    assert result.returncode == 1
    assert "give them with --data" in result.stderr


def test_the_report_of_three_drugs_says_that_they_are_too_few(tmp_path):
    experiment = write(tmp_path / "EXP000", draw(3, 12, decimals=4))
    describe_drugs(experiment, [0.0, 1.0, 3.0])
    found = contents.read(experiment)
    assert "reasons" not in [figure.name for figure in found.figures]
    (note,) = (note for note in found.notes if "What goes with the error" in note)
    assert "fewer than four drugs have scores" in note
    assert found.drugs.filter(drug=name_drug(0))["nearest"].to_list() == [
        [name_drug(1), name_drug(2)]
    ]
