"""The summary shows the worst drugs and the baselines on one plain screen."""

import pytest
from experiments import (
    assert_is_refused,
    make_scores,
    partition_by,
    run_script,
    write_experiment,
    write_json,
)

from hed.answers.summary import print_summary
from hed.experiment.kind import drug_label, shorten
from hed.watching import aggregate, archive


@pytest.fixture
def finished(tmp_path):
    return write_experiment(tmp_path / "EXP011", ["done"] * 12)


def shown(experiment, capsys, count=10):
    print_summary(experiment, count=count)
    return capsys.readouterr().out


def numbered(text):
    """Return the lines of the table of drugs, split."""
    return [line.split() for line in text.splitlines() if line.strip()[:1].isdigit()]


def test_drugs_are_listed_worst_first(finished, capsys):
    lines = numbered(shown(finished, capsys, count=3))
    assert [line[:3] for line in lines] == [
        ["1", "RUN011", "Drug-11"],
        ["2", "RUN010", "Drug-10"],
        ["3", "RUN009", "Drug-9"],
    ]
    assert lines[0][3:] == ["16", "0.1900", "0.0900", "0.450", "-0.200"]


def test_mean_and_median_stand_beside_the_baselines(finished, capsys):
    write_json(finished / "run/RUN011/test_scores.json", make_scores(0.79))
    lines = [line.split() for line in shown(finished, capsys).splitlines()]
    assert ["mean", "0.1850", "0.0900", "0.1500"] in lines
    assert ["median", "0.1350", "0.0900", "0.1500"] in lines


def test_errors_and_baselines_are_means_over_the_same_runs(finished, capsys):
    for run in range(4, 12):  # as those that another experiment of the original had finished
        write_json(finished / f"run/RUN{run:03d}/baseline_scores.json", {})
    text = shown(finished, capsys)
    assert "rmse over 4 of 12 runs" in text
    assert ["mean", "0.0950", "0.0900", "0.1500"] in [line.split() for line in text.splitlines()]


def test_the_runs_that_beat_the_cell_mean_are_counted(finished, capsys):
    assert "better than that in 1 of 12 runs" in shown(finished, capsys)


@pytest.mark.parametrize(
    ("mode", "noun", "baseline", "meaning"),
    [
        ("by_drug", "drug", "cell mean", "each cell's mean AUC over the training drugs"),
        ("by_cell", "cell", "training mean", "the mean AUC of all training rows"),
        ("random", "split", "cell mean", "each cell's mean AUC over the training rows"),
    ],
)
def test_what_is_held_out_and_its_baseline_are_named(
    finished, capsys, mode, noun, baseline, meaning
):
    text = shown(partition_by(finished, mode), capsys)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"run {noun} rows rmse {baseline} scc r2" in lines
    assert f"{baseline}: rmse of predicting {meaning}" in text
    assert ("cell mean" in text) == (mode != "by_cell")
    assert "better than that in" in text


def test_missing_runs_are_counted_and_named(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 2 + ["waiting"] * 7)
    text = shown(experiment, capsys)
    assert "7 of 9 runs missing: RUN002, RUN003, RUN004, RUN005, RUN006 and 2 more" in text
    assert len(numbered(text)) == 2 + 1


def test_an_experiment_without_scores_says_so(tmp_path, capsys):
    text = shown(write_experiment(tmp_path / "EXP000", ["running", "waiting"]), capsys)
    assert "no run has test scores yet" in text
    assert "2 of 2 runs missing: RUN000, RUN001" in text


def test_the_original_is_shown_without_baselines(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    text = shown(experiment, capsys)
    assert numbered(text)[0][2:4] == ["index", "0"]
    assert "training mean" not in text
    assert "cell mean:" not in text


def test_an_undefined_score_is_a_dash(finished, capsys):
    write_json(finished / "run/RUN011/test_scores.json", make_scores(0.5, scc=None))
    assert numbered(shown(finished, capsys))[0][-2:] == ["-", "-0.200"]


def test_the_screen_is_ascii_and_80_columns_with_names_of_any_length(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 2)
    named = [
        {"id": f"RUN00{i}", "index": i, "held_out": name}
        for i, name in enumerate(("[bold]x[/bold]", "N-(4-hydroxyphenyl)retinamide hydrochloride"))
    ]
    write_json(experiment / "experiment.json", {"runs": named})
    text = shown(experiment, capsys)
    assert text.isascii()
    assert max(map(len, text.splitlines()[:10])) <= 80
    assert "[bold]x[/bold]" in text
    assert "N-(4-hydroxyphenyl.." in text


def test_results_that_exist_are_named_relative_to_where_one_stands(finished, capsys, monkeypatch):
    aggregate.write_all(finished, "mse")
    archive.export(finished)
    (finished / "figures").mkdir()
    (finished / "figures/errors.png").write_bytes(b"")
    monkeypatch.chdir(finished.parent)
    names = ["scores.csv", "scores.parquet", "figures/errors.png", "EXP011.tgz"]
    assert shown(finished, capsys).split()[-4:] == [f"EXP011/{name}" for name in names]


def test_results_elsewhere_are_named_whole_on_one_line(finished, capsys, monkeypatch, tmp_path):
    aggregate.write_all(finished, "mse")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert f" {finished / 'scores.csv'}" in shown(finished, capsys).splitlines()


@pytest.mark.parametrize(
    ("run", "index", "drug", "label"),
    [("RUN3", 3, "PLX", "PLX"), ("RUN3", 3, None, "index 3"), ("RUN3", None, None, "RUN3")],
)
def test_a_drug_is_called_by_the_best_name_known(run, index, drug, label):
    assert drug_label(run, index, drug) == label


@pytest.mark.parametrize(("text", "short"), [("abcd", "abcd"), ("abcde", "ab..")])
def test_a_name_is_cut_only_if_it_is_too_long(text, short):
    assert shorten(text, 4) == short


def test_the_command_shows_as_many_drugs_as_asked(finished):
    result = run_script("summary.py", finished, "--count", 4)
    assert len(numbered(result.stdout)) == 4
    assert "\x1b" not in result.stdout


def test_the_command_shows_at_least_one_drug(finished):
    assert_is_refused(run_script("summary.py", finished, "--count", -8), "must be at least 1")


def test_the_command_refuses_a_directory_that_is_no_experiment(tmp_path):
    assert_is_refused(run_script("summary.py", tmp_path), "is not an experiment")
