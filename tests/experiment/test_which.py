"""Which experiment a start belongs to."""

import os
import shutil

import polars as pl
import pytest

from hed.data import raw, tables
from hed.names import RECORD


def test_experiments_are_numbered_from_000(run):
    assert [run(seed=seed) for seed in range(3)] == ["EXP000", "EXP001", "EXP002"]


def test_the_same_settings_continue_the_same_experiment(run):
    assert [run(), run(seed=1), run(), run(seed=1)] == ["EXP000", "EXP001", "EXP000", "EXP001"]


def test_a_default_that_is_written_out_is_the_same_setting(run):
    assert [run(), run(seed=0, partition={"validation": 0.2}, upf="")] == ["EXP000", "EXP000"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"partition": {"mode": "by_cell"}},
        {"partition": {"validation": 0.25}},
        {"partition": {"mode": "random"}},
        {"dflts": ""},
    ],
)
def test_other_settings_are_another_experiment(run, change):
    assert [run(), run(**change)] == ["EXP000", "EXP001"]


def test_another_share_of_random_test_rows_is_another_experiment(run):
    shares = [{"mode": "random", **more} for more in ({}, {"test": 0.2}, {"test": 0.1})]
    assert [run(partition=share) for share in shares] == ["EXP000", "EXP001", "EXP000"]


@pytest.mark.parametrize(
    "change",
    [{"threads": 4}, {"launcher": "nice"}, {"local_dir": "/scratch"}],
)
def test_what_no_result_depends_on_is_the_same_experiment(run, change):
    assert [run(), run(**change)] == ["EXP000", "EXP000"]


def test_dflts_are_compared_by_value_not_by_name_or_comments(run, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('# as before\n{\n  "epochs": 20, "input_dir": "/tmp"}\n')
    assert [run(), run(dflts=other)] == ["EXP000", "EXP000"]
    other.write_text('{"epochs": 21}')
    assert run(dflts=other) == "EXP001"


def test_runs_are_compared_in_value_and_order(run, upf):
    assert run(upf=upf(("a", 0), ("b", 1))) == "EXP000"
    assert run(upf=upf(("a", 0), ("b", 1), name="same.json")) == "EXP000"
    assert run(upf=upf(("b", 1), ("a", 0))) == "EXP001"
    assert run(upf=upf(("a", 0), ("b", 1, ("epochs", 2)))) == "EXP002"


def test_the_generated_upf_is_the_same_as_one_that_says_so(run, upf):
    assert run() == "EXP000"
    assert run(upf=upf(("RUN000", 0), ("RUN001", 1), ("RUN002", 2))) == "EXP000"


def test_data_that_were_touched_or_moved_are_the_same(run, data):
    assert run() == "EXP000"
    for name in tables.FILES:
        os.utime(data / name)
    assert run() == "EXP000"
    moved = data.rename(data.with_name("moved"))
    (moved / "notes.tsv").write_text("from a colleague\n")
    assert run(data_source=moved) == "EXP000"


def test_data_that_were_changed_are_others(run, data):
    assert run() == "EXP000"
    response = pl.read_parquet(data / tables.RESPONSE_FILE)
    response.with_columns(auc=pl.lit(0.75)).write_parquet(data / tables.RESPONSE_FILE)
    assert run() == "EXP001"
    expression = pl.read_parquet(data / tables.EXPRESSION_FILE)
    wider = expression.with_columns(pl.lit(1.5).alias("ge.y"))
    wider.write_parquet(data / tables.EXPRESSION_FILE)
    assert run() == "EXP002"


def test_one_changed_feature_of_the_same_size_makes_other_data(run, data):
    path = data / tables.DESCRIPTOR_FILE
    descriptors = pl.read_parquet(path)
    descriptors.write_parquet(path, compression="uncompressed")
    content = path.read_bytes()
    assert run() == "EXP000"
    twice = descriptors.with_columns(pl.col(descriptors.columns[-1]) * 2)
    twice.write_parquet(path, compression="uncompressed")
    assert len(path.read_bytes()) == len(content)
    assert run() == "EXP001"
    path.write_bytes(content)
    assert run() == "EXP000"


def test_how_features_are_scaled_matters_for_raw_data_only(run, raw_data):
    other = {"preprocess": {"ge_scaling": "minmax"}}
    assert [run(), run(**other)] == ["EXP000", "EXP000"]
    assert [run(data_source=raw_data), run(data_source=raw_data, **other)] == ["EXP001", "EXP002"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"preprocess": {"sources": ["CCLE"]}}, "preprocess: sources selects from raw tables"),
        ({"preprocess": {"min_r2fit": 0.3}}, "preprocess: min_r2fit selects from raw tables"),
        ({"partition": {"splits": "{index}_{stage}.txt"}}, "set mode to file"),
        ({"partition": {"test_rows": "all.txt"}}, "set mode to file"),
        ({"partition": {"groups": "groups.tsv"}}, "set mode to by_group"),
        ({"partition": {"test": 0.2}}, "partition: test has no effect in mode by_drug: leave it"),
        (
            {"partition": {"mode": "file", "validation": 0.1}},
            "validation has no effect in mode file",
        ),
    ],
)
def test_a_setting_that_would_have_no_effect_is_refused(refuse, keys, sentence):
    assert sentence in refuse(**keys)


def test_a_scaling_that_preprocessed_tables_do_not_get_is_told(run, capsys):
    run(preprocess={"ge_scaling": "minmax"})
    assert "preprocess: ge_scaling would scale raw tables" in capsys.readouterr().err


def test_another_list_of_genes_makes_another_experiment_wherever_it_is(run, raw_data, tmp_path):
    columns = [name.removeprefix("ge.") for name in raw.read(raw_data).expression.columns]
    listed = tmp_path / "genes.txt"

    def start(path):
        return run(data_source=raw_data, preprocess={"genes": str(path)})

    listed.write_text(f"{columns[1]}\n")
    assert start(listed) == "EXP000"
    assert start(listed.rename(tmp_path / "moved.txt")) == "EXP000"
    (tmp_path / "moved.txt").write_text("\n".join(columns[1:3]))
    assert start(tmp_path / "moved.txt") == "EXP001"


def test_an_experiment_of_another_user_is_left_alone(run, output, monkeypatch):
    assert run() == "EXP000"
    monkeypatch.setattr(os, "access", lambda path, mode: "EXP000" not in str(path))
    assert [run(), run()] == ["EXP001", "EXP001"]
    # Of a dry run there, only the lock is left.
    for entry in (output / "EXP001").glob("[!.]*"):
        entry.unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".lock"))
    assert run() == "EXP002"


def test_an_experiment_whose_upf_is_damaged_does_not_keep_others_from_starting(run, output):
    assert run() == "EXP000"
    (output / "EXP000" / "upf.json").write_text("{")
    assert run() == "EXP001"


def test_the_newest_of_several_experiments_of_the_same_settings_is_continued(run, output):
    run()
    shutil.copytree(output / "EXP000", output / "EXP1000")
    shutil.copytree(output / "EXP000", output / "EXP999")
    assert run() == "EXP1000"
    assert run(seed=1) == "EXP1001"


def test_numbers_go_on_after_the_last_directory_whoever_made_it(run, output):
    (output / "EXP283" / "run").mkdir(parents=True)
    for other in ("EXP", "EXP9", "EXP900-old", "demo"):
        (output / other).mkdir()
        (output / other / "notes.txt").write_text("")
    (output / "EXP901").write_text("a file")
    assert run() == "EXP284"


def test_what_a_dry_run_leaves_does_not_cost_a_number(look, run, output):
    assert look().name == "EXP000"
    (output / "EXP000" / ".snakemake").mkdir()
    assert [look(seed=1).name, run(seed=2), run(seed=1)] == ["EXP000", "EXP000", "EXP001"]


def test_a_dry_run_changes_nothing_in_an_experiment(look, run, output):
    run(experiment="mine")
    before = (output / "mine" / RECORD).read_bytes()
    look(experiment="mine")
    assert (output / "mine" / RECORD).read_bytes() == before
