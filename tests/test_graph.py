"""What the real Snakefile plans: how many jobs of which rule, and what it refuses before any."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from experiments import write_experiment
from waiting import PATIENCE

from hed import variables
from hed.config.hyperparameters import UpfLine, format_upf
from hed.data import tables
from hed.experiment import opening

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
RUNS = ["RUN000", "RUN001", "RUN002"]
# What the rules make, in the order in which they make it.
RUN_OUTPUTS = [
    "history.txt",
    "val_scores.json",
    "val_y_data_predicted.csv",
    "baseline_scores.json",
    "test_y_data_predicted.csv",
    "test_scores.json",
]
LAST_OUTPUTS = [
    "scores.csv",
    "scores.parquet",
    "epochs.txt",
    "progress.txt",
    "figures/errors.png",
    "high_error_drugs.csv",
    "ranking.csv",
    "report.html",
    "EXP000.tgz",
]
ANSWERS = {"high_error_drugs": 1, "rank_cells": 1, "plot": 1, "report": 1}
ONCE = {"aggregate": 1, **ANSWERS, "export": 1, "all": 1}


def snakemake(config, *options):
    """Run snakemake as a user does, with a configuration."""
    keys = [f"{key}={value}" for key, value in config.items()]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    environment.pop(variables.EXPERIMENT, None)
    return subprocess.run(
        [BIN / "snakemake", *options, "--config", *keys],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def count_jobs(config, *options):
    """Return how many jobs of each rule a dry run plans."""
    done = snakemake(config, "--dry-run", *options)
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    rows = re.findall(r"^ *([a-z]+(?:[ _][a-z]+)*) +(\d+) *$", text, re.MULTILINE)
    assert rows or "Nothing to be done" in text, text
    return {name.replace(" ", "_"): int(count) for name, count in rows if name != "total"}


@pytest.fixture
def data(tmp_path):
    """Return a preprocessed data set of three drugs and two cells."""
    (tmp_path / "data").mkdir()
    pairs = [(cell, drug) for drug in ("z", "b", "a") for cell in ("c2", "c1")]
    response = pl.DataFrame(pairs, schema=[tables.CELL, tables.DRUG], orient="row")
    response.with_columns(auc=pl.lit(0.5)).write_parquet(tmp_path / "data" / tables.RESPONSE_FILE)
    for kind in (tables.EXPRESSION, tables.DESCRIPTORS):
        ids = response[kind.id].unique(maintain_order=True)
        features = pl.DataFrame({kind.id: ids, f"{kind.prefix}x": [0.5] * len(ids)})
        features.write_parquet(tmp_path / "data" / kind.file)
    return tmp_path / "data"


@pytest.fixture
def config(tmp_path, data):
    """Return a configuration with everything below the test's own directory."""
    return {
        "output": tmp_path / "output",
        "data_source": data,
        "local_dir": tmp_path / "local",
    }


@pytest.fixture
def begun(config, monkeypatch):
    """Return a function that makes the directory of an experiment as its start does."""
    monkeypatch.setenv(variables.EXPERIMENT, "")

    def begun(**keys):
        text = {key: str(value) for key, value in {**config, **keys}.items()}
        opened = opening.open_or_exit(text, ROOT, main=True)
        opening.start(opened)
        opened.locked.close()
        return opened.directory

    return begun


def write_in_turn(paths):
    """Write files whose times follow each other and are all in the past."""
    first = time.time() - 1000
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (first + number, first + number))


def finish(directory):
    """Write what all jobs of an experiment leave."""
    runs = [directory / "run" / run / name for run in RUNS for name in RUN_OUTPUTS]
    markers = [directory / "markers" / f"marker-00{number}.txt" for number in range(3)]
    last = [directory / name for name in LAST_OUTPUTS[:-1]]
    write_in_turn([*runs, *markers, *last, directory / f"{directory.name}.tgz"])


def test_the_demo_has_its_24_runs(tmp_path):
    of_each_run = dict.fromkeys(("partition", "train", "score", "mark"), 24)
    expected = {"preprocess": 1, **of_each_run, **ONCE}
    assert count_jobs({"output": tmp_path}) == expected


def test_preprocessed_data_are_used_as_they_are_and_a_target_limits_the_jobs(config):
    of_each_run = dict.fromkeys(("partition", "train", "score", "mark"), 3)
    assert count_jobs(config, "--until", "aggregate") == {**of_each_run, "aggregate": 1}


def test_a_finished_experiment_has_nothing_to_do_though_its_data_were_touched(config, begun, data):
    finish(begun())
    for path in data.iterdir():
        os.utime(path)
    assert count_jobs(config) == {}


def test_a_marker_lost_after_aggregation_costs_no_training(config, begun):
    directory = begun()
    finish(directory)
    (directory / "markers" / "marker-001.txt").unlink()
    assert count_jobs(config) == {"mark": 1, **ONCE}


def test_an_added_run_is_the_only_one_trained(config, begun, tmp_path):
    upf = tmp_path / "more.json"
    upf.write_text(format_upf([UpfLine(f"RUN00{i}", i % 3, {}) for i in range(4)]))
    finish(begun(experiment="EXP000"))
    of_the_new_run = dict.fromkeys(("partition", "train", "score", "mark"), 1)
    assert count_jobs({**config, "experiment": "EXP000", "upf": upf}) == {**of_the_new_run, **ONCE}


def test_a_restart_copies_what_was_finished_and_trains_the_rest(config, tmp_path):
    states = ["done", "running", "waiting"]
    write_experiment(tmp_path / "output" / "EXP011", states, original=True)
    of_the_others = dict.fromkeys(("partition", "train", "score"), 2)
    expected = {"restore": 1, **of_the_others, "mark": 3, **ONCE}
    assert count_jobs({**config, "restart_from": "EXP011"}) == expected


def test_a_run_that_the_earlier_experiment_finishes_later_is_not_replaced(config, begun, tmp_path):
    write_experiment(tmp_path / "output" / "EXP011", ["waiting"] * 3)
    finish(begun(restart_from="EXP011"))
    write_experiment(tmp_path / "output" / "EXP011", ["done"] * 3)
    assert count_jobs({**config, "restart_from": "EXP011"}) == {}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"sede": 3}, "unknown key 'sede' in the configuration; did you mean 'seed'?"),
        ({"upf": "{}/upf.json"}, "no drug at index 3: the response table has 3 drugs (0 to 2)"),
    ],
)
def test_a_mistake_ends_with_one_sentence_before_any_job(config, tmp_path, keys, sentence):
    (tmp_path / "upf.json").write_text(format_upf([UpfLine("a", 3, {})]))
    keys = {key: str(value).format(tmp_path) for key, value in keys.items()}
    done = snakemake({**config, **keys})
    assert done.returncode == 1
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if not is_preamble(line)]
    assert errors == [f"error: {sentence}"]
    assert not (tmp_path / "output").exists()


def is_preamble(line):
    """Tell whether a line is one with which Snakemake says what it read."""
    return line.startswith(
        ("Using workflow specific profile", f"Config file {ROOT}/config/config.yaml")
    )


def test_an_experiment_that_is_being_run_is_refused_before_any_job(config, begun, monkeypatch):
    directory = begun()
    opened = opening.open_or_exit({k: str(v) for k, v in config.items()}, ROOT, main=True)
    opening.start(opened)
    done = snakemake(config, "--cores", "1")
    opened.locked.close()
    assert done.returncode == 1
    assert f"error: EXP000 is being run by process {os.getpid()} on " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (directory / "out").exists() and not (directory / "run").exists()
