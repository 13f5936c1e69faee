"""A notebook reads any experiment: ours, one of repeats, one of the original's."""

import re
from pathlib import Path

import polars as pl
import pytest
from answers import draw, write
from experiments import run_script

from hed import results
from hed.errors import InputError

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def experiment(tmp_path):
    return write(tmp_path / "EXP000", draw(4, 10))


def test_tables_have_the_columns_that_the_documentation_names(experiment):
    found = results.load(experiment)
    assert found.runs.columns[:4] == ["run", "repeat_of", "repeat", "index"]
    assert tuple(found.predictions.columns) == results.PREDICTIONS
    assert found.predictions.height == found.ensemble.height == 40
    assert found.scores["held_out"].to_list() == [f"Drug-{i}" for i in range(4)]
    assert found.high_error()["drug"].n_unique() == 4
    assert found.ranking()["cell"].n_unique() == 10
    assert found.tiles.is_empty()
    assert {"run", "epoch", "val_loss"} <= {*found.epochs.columns}


def test_an_experiment_of_the_originals_is_read_by_index(tmp_path):
    experiment = write(tmp_path / "EXP011", draw(4, 10), original=True)
    found = results.load(experiment)
    assert set(found.predictions["held_out"]) == {f"index {i}" for i in range(4)}
    assert found.predictions["repeat"].unique().to_list() == [1]
    # The same name in every table, or they could not be joined.
    for table in (found.runs, found.scores):
        assert table["held_out"].to_list() == [f"index {i}" for i in range(4)]


def test_an_experiment_that_has_just_begun_has_empty_tables(tmp_path):
    found = results.load(write(tmp_path / "EXP000", {1: []}, states=["waiting", "waiting"]))
    assert found.runs["state"].to_list() == ["waiting", "waiting"]
    assert found.predictions.is_empty()
    assert found.scores.is_empty()
    for answer in (found.high_error, found.ranking):
        with pytest.raises(InputError, match="has predictions yet"):
            answer()
    assert found.notes == ("2 of 2 runs missing: RUN000, RUN001",)


def test_what_is_no_experiment_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not an experiment"):
        results.load(tmp_path)


def test_all_predictions_are_exported_as_one_table(experiment, tmp_path):
    result = run_script("export.py", experiment, "--parquet", "--output", tmp_path / "all.parquet")
    assert result.stdout.strip() == str(tmp_path / "all.parquet")
    assert pl.read_parquet(tmp_path / "all.parquet").equals(results.load(experiment).predictions)


def test_the_example_of_the_documentation_runs(experiment, monkeypatch, capsys):
    (example,) = EXAMPLE.findall((ROOT / "docs" / "answers.md").read_text())
    monkeypatch.chdir(experiment.parent)
    exec(example.replace("output/", ""), {})
    assert "Drug-" in capsys.readouterr().out
