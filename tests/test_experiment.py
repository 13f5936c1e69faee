"""Which experiment a start belongs to, what may change in it, and who may run it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed import variables
from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.data import raw, tables
from hed.errors import InputError
from hed.experiment import beginning, description, opening, plan
from hed.experiment.runs import list_runs, read_experiment
from hed.names import RECORD

ROOT = Path(__file__).parents[1]
# Opens and starts the experiment of each configuration that it reads, and says which it got.
STARTER = """
import json, sys
from pathlib import Path
from hed.experiment import opening

opened = []
for line in sys.stdin:
    try:
        opened.append(opening.open_or_exit(json.loads(line), Path(sys.argv[1]), main=True))
        opening.start(opened[-1])
        print(opened[-1].name, flush=True)
    except SystemExit as refusal:
        print(refusal.code, flush=True)
"""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Let no test see which experiment another one opened."""
    for variable in (variables.EXPERIMENT, variables.LAUNCHER, variables.WARM):
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)


@pytest.fixture
def data(tmp_path):
    """Return a preprocessed data set of three drugs and two cells."""
    data = tmp_path / "data"
    data.mkdir()
    pairs = [(cell, drug) for drug in ("z", "b", "a") for cell in ("c2", "c1")]
    response = pl.DataFrame(pairs, schema=[tables.CELL, tables.DRUG], orient="row")
    response.with_columns(auc=pl.lit(0.5)).write_parquet(data / tables.RESPONSE_FILE)
    for kind in (tables.EXPRESSION, tables.DESCRIPTORS):
        ids = response[kind.id].unique(maintain_order=True)
        values = [float(i) for i in range(len(ids))]
        pl.DataFrame({kind.id: ids, f"{kind.prefix}x": values}).write_parquet(data / kind.file)
    return data


@pytest.fixture
def raw_data(tmp_path, data):
    """Return the same data set as raw tables."""
    raw = tmp_path / "raw"
    raw.mkdir()
    names = ("response.tsv", "cancer_gene_expression.tsv", "drug_mordred.tsv")
    for name, table in zip(names, tables.FILES, strict=True):
        pl.read_parquet(data / table).write_csv(raw / name, separator="\t")
    return raw


@pytest.fixture
def config(tmp_path, data):
    """Return a function that makes a configuration, some keys other than usual."""
    (tmp_path / "dflts.json").write_text('{"epochs": 20}')

    def config(**keys):
        usual = {
            "output": str(tmp_path / "output"),
            "data_source": str(data),
            "dflts": str(tmp_path / "dflts.json"),
        }
        return {**usual, **{key: str(v) if isinstance(v, Path) else v for key, v in keys.items()}}

    return config


@pytest.fixture
def look(config):
    """Return a function that plans an experiment as `snakemake -n` does, and ends."""

    def look(**keys):
        opened = opening.open_or_exit(config(**keys), ROOT, main=True)
        if opened.locked:
            opened.locked.close()
            opened.locked = None
        return opened

    return look


@pytest.fixture
def run(look):
    """Return a function that starts an experiment and ends, and tells its name."""

    def run(**keys):
        opened = look(**keys)
        opening.start(opened)
        opened.locked.close()
        return opened.name

    return run


@pytest.fixture
def refuse(look):
    """Return a function that tells the sentence with which a start is refused."""

    def refuse(**keys):
        with pytest.raises(SystemExit) as caught:
            opening.start(look(**keys))
        assert caught.value.code.startswith("error: ")
        assert "\n" not in caught.value.code
        return caught.value.code

    return refuse


@pytest.fixture
def upf(tmp_path):
    """Return a function that writes a UPF of runs: id, index and overrides."""

    def upf(*runs, name="runs.json"):
        lines = [UpfLine(run[0], run[1], dict(run[2:])) for run in runs]
        (tmp_path / name).write_text(hyperparameters.format_upf(lines))
        return tmp_path / name

    return upf


class Starter:
    """Another process that starts experiments and keeps them until it ends."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, config):
        """Ask for a start."""
        self.process.stdin.write(json.dumps(config) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Return the name of the experiment, or why there is none."""
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number=signal.SIGKILL):
        """End the process by a signal."""
        self.process.send_signal(number)
        self.process.communicate()


@pytest.fixture
def starters():
    """Return a function that makes some starters, which have imported all they need."""
    made = []

    def starters(count):
        made.extend(Starter() for _ in range(count))
        for starter in made:
            starter.ask({"sede": 1})
        assert all("sede" in starter.answer() for starter in made)
        return made

    yield starters
    for starter in made:
        starter.end()


def record(output, name="EXP000"):
    """Return the record of an experiment."""
    return json.loads((output / name / RECORD).read_text())


@pytest.fixture
def output(tmp_path):
    return tmp_path / "output"


# Which experiment


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
        {"partition": {"test": 0.2}},
        {"dflts": ""},
    ],
)
def test_other_settings_are_another_experiment(run, change):
    assert [run(), run(**change)] == ["EXP000", "EXP001"]


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
        ({"partition": {"splits": "{index}_{stage}.txt"}}, "partition: splits needs mode: file"),
        ({"partition": {"test_rows": "all.txt"}}, "partition: test_rows needs mode: file"),
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


# A named experiment


def test_a_name_starts_and_continues_an_experiment_beside_the_numbered_ones(run, output):
    assert [run(experiment="mine"), run(), run(experiment="mine")] == ["mine", "EXP000", "mine"]
    assert record(output, "mine")["name"] == "mine"


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("seed", {"seed": 1}),
        ("partition", {"partition": {"validation": 0.25}}),
        ("dflts", {"dflts": ""}),
        ("preprocess", {"preprocess": {"scale_on": "training"}}),
    ],
)
@pytest.mark.parametrize("is_back", [False, True])
def test_other_settings_for_a_name_are_refused_with_the_key_and_two_ways_out(
    run, refuse, key, change, is_back
):
    before, change = (change, {}) if is_back else ({}, change)
    run(experiment="mine", **before)
    sentence = refuse(experiment="mine", **change)
    assert f"mine was made with another {key} (" in sentence and "); restore it" in sentence
    # The old experiment's checkpoints are of use only if the rows of each run are the same.
    assert ("(experiment=NAME and restart_from=mine)" in sentence) == (key == "dflts")
    assert "(experiment=NAME" in sentence


def test_other_data_for_a_name_are_refused(run, refuse, data):
    run(experiment="mine")
    response = pl.read_parquet(data / tables.RESPONSE_FILE)
    response.reverse().write_parquet(data / tables.RESPONSE_FILE)
    assert "mine was made with another data_source" in refuse(experiment="mine")


def test_runs_may_be_added_to_a_name_or_left_out(run, upf, output):
    for runs in ([("a", 0)], [("b", 1), ("a", 0)], [("b", 1)], [("c", 2), ("b", 1)]):
        run(experiment="mine", upf=upf(*runs))
        assert [r["id"] for r in record(output, "mine")["runs"]] == [r[0] for r in runs]


def test_begun_runs_that_are_left_out_stay_known(run, upf, output, capsys):
    runs = [("a", 0), ("b", 1), ("c", 2)]
    run(experiment="mine", upf=upf(*runs), repeats=2)
    for begun in ("a", "a-2", "b"):
        (output / "mine" / "run" / begun).mkdir(parents=True)
    capsys.readouterr()
    run(experiment="mine", upf=upf(("c", 2), ("a", 0)))
    assert "note: started earlier, kept, and not continued now: b, a-2\n" in capsys.readouterr().err
    found = list_runs(read_experiment(output / "mine"))
    assert [(r.id, r.drug, r.repeat_of) for r in found] == [
        ("c", "a", ""), ("a", "z", ""), ("b", "b", ""), ("a-2", "z", "a")
    ]  # fmt: skip
    run(experiment="mine", upf=upf(*runs), repeats=2)
    assert "not continued now" not in capsys.readouterr().err
    assert len(record(output, "mine")["runs"]) == 6


def test_a_run_whose_index_counts_another_drug_now_is_not_continued(run, refuse, output):
    assert run() == "EXP000"
    changed = record(output)
    changed["runs"][1]["held_out"] = "x"  # as a version counted that kept more rows
    (output / "EXP000" / RECORD).write_text(json.dumps(changed))
    sentence = refuse(experiment="EXP000")
    assert "RUN001 of EXP000 holds out x, but index 1 is now b" in sentence
    assert run() == "EXP001"


@pytest.fixture
def by_file(tmp_path, data):
    """Return a function that writes files of rows and the settings that name them."""

    def by_file(*indices, test=5):
        for index in indices:
            for stage, row in {"train": index, "val": index + 1, "test": test}.items():
                (tmp_path / f"rows_{index}_{stage}.txt").write_text(f"{row}\n")
        return {"mode": "file", "splits": str(tmp_path / "rows_{index}_{stage}.txt")}

    return by_file


def test_splits_may_be_added_to_a_name_or_left_out_but_not_change(
    run, refuse, upf, output, by_file
):
    partition = by_file(0, 1, 2)
    run(experiment="mine", partition=partition, upf=upf(("a", 0)))
    (output / "mine" / "run" / "a").mkdir(parents=True)
    for runs in ([("a", 0), ("b", 1)], [("b", 1)], [("a", 0), ("c", 2)]):
        run(experiment="mine", partition=partition, upf=upf(*runs))
    assert run(restart_from="mine", partition=partition, upf=upf(("a", 0), ("b", 1))) == "EXP000"
    by_file(0, test=4)
    for keys in ({"experiment": "mine"}, {"restart_from": "mine"}):
        sentence = refuse(**keys, partition=partition, upf=upf(("a", 0), ("b", 1)))
        assert "mine was made with another splits" in sentence


@pytest.mark.parametrize("changed", [("a", 1), ("a", 0, ("epochs", 2))])
def test_a_run_of_a_name_may_not_change(run, refuse, upf, changed):
    run(experiment="mine", upf=upf(("a", 0), ("b", 1)))
    sentence = refuse(experiment="mine", upf=upf(("b", 1), changed))
    assert "a of mine has other hyperparameters in its UPF" in sentence
    assert "give the changed run a new id" in sentence


@pytest.mark.parametrize("runs", [[("b", 0), ("a", 0)], [("b", 0)]])
def test_a_new_run_may_not_take_the_marker_by_which_another_seems_finished(run, refuse, upf, runs):
    run(experiment="mine", upf=upf(("a", 0)))
    sentence = refuse(experiment="mine", upf=upf(*runs))
    assert "b of mine would take marker-000.txt from a" in sentence
    assert sentence.endswith("keep a in the UPF, before b")
    assert run(experiment="mine", upf=upf(("a", 0), ("b", 0))) == "mine"


def test_a_directory_that_is_not_ours_is_refused_with_a_way_to_use_it(refuse, output):
    (output / "EXP011" / "run").mkdir(parents=True)
    sentence = refuse(experiment="EXP011")
    assert f"{output / 'EXP011'} was not made by this workflow" in sentence
    assert sentence.endswith(f"restart_from={output / 'EXP011'}")


def test_a_start_that_was_killed_before_it_had_a_record_does_not_block_its_name(run, output):
    (output / "mine").mkdir(parents=True)
    for name in (".lock", "upf.json", ".dflts.json.x7.tmp", "dflts.json"):
        (output / "mine" / name).write_text("")
    assert run(experiment="mine") == "mine"


def test_a_new_experiment_may_start_from_one_that_is_not_ours(run, output):
    (output / "EXP011" / "run").mkdir(parents=True)
    assert [run(restart_from="EXP011") for _ in range(2)] == ["EXP012", "EXP012"]
    assert run() == "EXP013"
    assert record(output, "EXP012")["restart_from"] == str(output / "EXP011")


def test_an_experiment_that_started_from_another_goes_on_when_both_were_moved(
    run, output, tmp_path
):
    (output / "EXP011" / "run").mkdir(parents=True)
    assert run(restart_from="EXP011") == "EXP012"
    output.rename(tmp_path / "moved")
    assert run(output=str(tmp_path / "moved"), restart_from="EXP011") == "EXP012"


def test_an_older_record_that_has_the_path_of_its_source_is_continued(run, output):
    (output / "EXP011" / "run").mkdir(parents=True)
    run(restart_from="EXP011")
    older = record(output, "EXP012")
    older["identity"]["restart_from"] = str(output / "EXP011")
    (output / "EXP012" / RECORD).write_text(json.dumps(older))
    assert run(restart_from="EXP011") == "EXP012"


@pytest.mark.parametrize(
    ("key", "change"),
    [("seed", {"seed": 1}), ("partition", {"partition": {"validation": 0.25}})],
)
def test_an_experiment_does_not_start_from_runs_tested_on_other_rows(
    run, refuse, output, key, change
):
    run(experiment="old")
    (output / "old" / "run").mkdir()
    sentence = refuse(restart_from="old", **change)
    assert f"restart_from: old was made with another {key}" in sentence
    assert run(restart_from="old", dflts="") == "EXP000"


def test_an_experiment_does_not_start_from_a_run_of_another_index(run, refuse, upf, output):
    run(experiment="old", upf=upf(("a", 0), ("b", 1)))
    (output / "old" / "run").mkdir()
    assert "a has index 0 in old, not 2" in refuse(restart_from="old", upf=upf(("a", 2)))


def test_a_marker_that_was_left_behind_is_not_taken_for_another_run_s(run, refuse, upf, output):
    run(experiment="mine", upf=upf(("a", 0)))
    (output / "mine" / "markers").mkdir()
    (output / "mine" / "markers" / "marker-000.txt").write_text("run/a/test_scores.json\n")
    run(experiment="mine", upf=upf(("b", 1)))
    assert "c of mine would take marker-000.txt from a" in refuse(
        experiment="mine", upf=upf(("b", 1), ("c", 0))
    )


def test_a_run_that_was_begun_may_not_come_back_as_another(run, refuse, upf, output):
    run(experiment="mine", upf=upf(("a", 0)))
    parameters = output / "mine" / "run" / "a" / "parameters.txt"
    parameters.parent.mkdir(parents=True)
    parameters.write_text('{"id": "a", "index": 0, "loss": "mse"}')
    run(experiment="mine", upf=upf(("b", 1)))
    # Older versions forgot begun runs that were left out.
    older = record(output, "mine")
    older["runs"].pop()
    (output / "mine" / RECORD).write_text(json.dumps(older))
    shutil.copy(upf(("b", 1)), output / "mine")
    assert "a of mine was started with another index (0)" in refuse(
        experiment="mine", upf=upf(("a", 2))
    )
    assert "a of mine was started with another loss" in refuse(
        experiment="mine", upf=upf(("a", 0, ("loss", "mae")))
    )
    assert "a has index 0 in mine, not 2" in refuse(restart_from="mine", upf=upf(("a", 2)))
    assert run(experiment="mine", upf=upf(("a", 0))) == "mine"


def test_what_was_left_open_may_have_been_decided_either_way(run, upf, output, tmp_path):
    (tmp_path / "dflts.json").write_text('{"precision": "auto"}')
    run(experiment="mine", upf=upf(("a", 0)))
    begun = output / "mine" / "run" / "a" / "parameters.txt"
    begun.parent.mkdir(parents=True)
    begun.write_text('{"id": "a", "index": 0, "precision": "bfloat16"}')
    (output / "mine" / "precision.json").write_text('{"precision": "bfloat16"}')
    assert run(experiment="mine", upf=upf(("a", 0))) == "mine"
    run(experiment="next", restart_from="mine", upf=upf(("a", 0)))
    assert "bfloat16" in (output / "next" / "precision.json").read_text()


def test_a_deleted_experiment_leaves_no_partition_to_one_of_its_name(look, upf):
    places = [
        look(experiment="mine", upf=upf(("a", 0))).local,
        look(experiment="mine", upf=upf(("a", 1))).local,
        look(experiment="mine", upf=upf(("a", 0)), seed=1).local,
    ]
    assert len(set(places)) == 3
    assert look(experiment="mine", upf=upf(("a", 0))).local == places[0]


def test_a_user_without_a_name_has_a_node_local_directory(look, monkeypatch):
    monkeypatch.setattr(beginning.getpass, "getuser", lambda: {}["name"])
    assert f"/{os.getuid()}/hed/" in look().local


def test_a_upf_cannot_take_the_name_of_a_result(refuse, upf):
    assert "which has its own progress.txt" in refuse(upf=upf(("a", 0), name="progress.txt"))


@pytest.mark.parametrize("key", ["model", "custom_loss_module"])
def test_a_module_that_cannot_be_imported_is_refused_before_any_job(refuse, upf, key):
    for module in ("nowhere", "nowhere.at.all"):
        sentence = refuse(upf=upf(("a", 0, (key, module))))
        assert sentence.startswith(f"error: {key} '{module}' cannot be imported")


@pytest.mark.parametrize(("name", "shown"), [(5, "5"), (["a"], '["a"]'), (None, "null")])
def test_a_model_that_is_no_name_is_refused_before_any_job(refuse, upf, name, shown):
    sentence = refuse(upf=upf(("a", 0, ("model", name))))
    assert sentence == f"error: model must be the name of a module, not {shown}"


# Mistakes


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"sede": 1}, "error: unknown key 'sede' in the configuration; did you mean 'seed'?"),
        ({"upf": "none.json"}, f"error: upf: no such file: {ROOT}/none.json"),
        ({"data_source": "src"}, f"error: data_source {ROOT}/src holds neither rsp_merged.parquet"),
        ({"output": "pyproject.toml"}, f"error: {ROOT}/pyproject.toml/EXP000: Not a directory"),
    ],
)
def test_a_mistake_is_one_sentence(refuse, keys, sentence):
    assert refuse(**keys).startswith(sentence)


@pytest.mark.parametrize(("mode", "count"), [("by_drug", "3 drugs"), ("by_cell", "2 cells")])
def test_an_index_that_the_data_do_not_have_is_refused_before_any_job(refuse, upf, mode, count):
    sentence = refuse(upf=upf(("a", 0), ("b", 3)), partition={"mode": mode})
    assert f"at index 3: the response table has {count}" in sentence


def test_drugs_without_features_are_told_before_any_job_and_keep_their_indices(look, data, capsys):
    descriptors = pl.read_parquet(data / tables.DESCRIPTOR_FILE)
    descriptors[1:].write_parquet(data / tables.DESCRIPTOR_FILE)
    opened = look()
    assert [(run.index, run.held_out) for run in opened.runs] == [(0, "z"), (1, "b"), (2, "a")]
    assert capsys.readouterr().err == (
        "note: 2 of 6 responses are not used: there are no features of 1 drug (z)\n"
        "note: no row to be tested on for 1 of 3 drugs, whose indices stay: 0 z\n"
    )


def test_two_copies_cannot_have_one_name(refuse, tmp_path, upf):
    (tmp_path / "deep").mkdir()
    same = shutil.copy(upf(("a", 0)), tmp_path / "deep" / "dflts.json")
    assert "upf and dflts need two different names" in refuse(upf=same)
    recorded = shutil.copy(same, tmp_path / RECORD)
    assert "neither of them experiment.json" in refuse(upf=recorded)


def test_a_damaged_record_is_refused_with_its_path(run, refuse, output):
    run()
    (output / "EXP000" / RECORD).write_text("{")
    sentence = refuse(experiment="EXP000")
    assert f"{output}/EXP000/experiment.json is not valid JSON" in sentence
    assert run() == "EXP001"


@pytest.mark.parametrize(
    ("damaged", "place"),
    [
        ({"index": 17}, "runs.17 "),
        ({"id": "", "index": 17}, "runs.17.id "),
        ({"id": "RUN017", "index": True}, "runs.17.index "),
        ("RUN017", "runs.17 "),
    ],
)
def test_one_damaged_run_among_many_alike_is_named_by_its_place(tmp_path, damaged, place):
    runs = [{"id": f"RUN{n:03d}", "index": n} for n in range(30)]
    runs[17] = damaged
    (tmp_path / RECORD).write_text(json.dumps({"runs": runs}))
    with pytest.raises(InputError, match=rf"{place}.*experiment\.json.*take it from a copy"):
        description.read(tmp_path)


def test_the_record_of_something_else_is_not_ours(run, output):
    (output / "EXP000").mkdir(parents=True)
    (output / "EXP000" / RECORD).write_text("{}")
    assert run() == "EXP001"


# What is recorded


@pytest.mark.parametrize(
    "text", [b'{"id": "a", "index": 0}', b'# \xc3\xa9\r\n{"id":"a","index":0}\r\n']
)
def test_upf_and_dflts_are_copied_byte_by_byte_under_their_names(run, output, tmp_path, text):
    (tmp_path / "my-upf.txt").write_bytes(text)
    (tmp_path / "my-dflts.json").write_bytes(b'# mine\r\n{"epochs": 3}')
    run(upf=tmp_path / "my-upf.txt", dflts=tmp_path / "my-dflts.json")
    assert (output / "EXP000" / "my-upf.txt").read_bytes() == text
    assert (output / "EXP000" / "my-dflts.json").read_bytes() == b'# mine\r\n{"epochs": 3}'


def test_without_upf_and_dflts_those_in_force_are_written(run, output):
    run(dflts="")
    lines = hyperparameters.read_upf(output / "EXP000" / "upf.json")
    assert lines == hyperparameters.generate_upf(range(3))
    assert hyperparameters.read_dflts(output / "EXP000" / "dflts.json") == {}


def test_runs_hold_out_drugs_in_order_of_first_appearance(look):
    runs = look().runs
    assert [(r.id, r.index, r.held_out, r.marker) for r in runs] == [
        ("RUN000", 0, "z", "000"),
        ("RUN001", 1, "b", "001"),
        ("RUN002", 2, "a", "002"),
    ]


def test_each_mode_has_its_runs(look):
    by_cell = look(partition={"mode": "by_cell"}).runs
    assert [run.held_out for run in by_cell] == ["c2", "c1"]
    (random,) = look(partition={"mode": "random"}).runs
    assert (random.index, random.held_out) == (0, None)


def test_a_random_split_takes_any_index(look, upf):
    found = look(upf=upf(("a", 12345)), partition={"mode": "random"}).runs
    assert [(run.held_out, run.marker) for run in found] == [(None, "12345")]


def test_a_second_run_of_an_index_has_a_marker_of_its_own(look, upf):
    found = look(upf=upf(("a", 2), ("b", 0), ("c", 2), ("d", 2))).runs
    assert [run.marker for run in found] == ["002", "000", "002-c", "002-d"]


@given(indices=st.lists(st.integers(0, 3), max_size=12))
def test_markers_are_distinct_and_every_index_has_its_plain_one(indices):
    upf = [UpfLine(f"RUN{number:03d}", index, {}) for number, index in enumerate(indices)]
    markers = [run.marker for run in plan._runs(upf, None)]
    assert len(set(markers)) == len(markers)
    assert {f"{index:03d}" for index in indices} <= set(markers)


def test_the_record_tells_what_the_experiment_is_and_when_it_began(run, output):
    run()
    first = record(output)
    assert [run["held_out"] for run in first["runs"]] == ["z", "b", "a"]
    assert (first["upf"], first["dflts"]) == ("upf.json", "dflts.json")
    (output / "EXP000" / RECORD).write_text(json.dumps({**first, "created": "then"}))
    run()
    assert record(output) == {**first, "created": "then"}


def test_raw_data_are_preprocessed_into_the_experiment_and_others_used_in_place(
    look, data, raw_data
):
    ready, raw = look(), look(data_source=raw_data)
    assert (ready.data, ready.raw) == (str(data), "")
    assert (raw.data, raw.raw) == ("data", str(raw_data))
    assert [run.held_out for run in raw.runs] == [run.held_out for run in ready.runs]


def test_two_experiments_never_share_a_node_local_directory(look, tmp_path):
    first = look(output=tmp_path / "one")
    second = look(output=tmp_path / "two")
    assert first.name == second.name
    assert first.local != second.local
    assert look(output=tmp_path / "one").local == first.local


def test_a_child_process_reads_the_record_and_nothing_else(look, config, data):
    main = look()
    opening.start(main)
    shutil.rmtree(data)
    child = opening.open_or_exit(config(), ROOT, main=False)
    names = ("directory", "runs", "data", "raw", "local", "upf", "dflts", "restart_from", "splits")
    for name in names:
        assert getattr(child, name) == getattr(main, name)
    assert child.locked is None


def test_the_user_s_own_start_does_not_read_what_an_earlier_one_left(run):
    assert [run(), run(seed=1)] == ["EXP000", "EXP001"]


def test_a_start_completes_the_configuration_that_the_rules_read(config):
    keys = config(seed=4)
    opened = opening.open_or_exit(keys, ROOT, main=True)
    opened.locked.close()
    assert (keys["seed"], keys["partition"]["mode"]) == (4, "by_drug")


# Who may run it


def test_simultaneous_starts_never_share_a_directory(starters, config, tmp_path):
    processes = starters(3)
    for number in range(5):
        output = tmp_path / f"round-{number}"
        for process in processes:
            process.ask(config(output=output))
        names = [process.answer() for process in processes]
        started = [name for name in names if name.startswith("EXP")]
        assert started and len(set(started)) == len(started), names
        assert all("is being run by" in name for name in names if name not in started), names
        for name in started:
            assert record(output, name)["name"] == name


def test_one_of_simultaneous_starts_of_a_name_runs_it(starters, config, tmp_path):
    processes = starters(3)
    for number in range(5):
        for process in processes:
            process.ask(config(output=tmp_path / f"round-{number}", experiment="mine"))
        names = [process.answer() for process in processes]
        assert names.count("mine") == 1, names
        assert sum("error: mine is being run by " in name for name in names) == 2, names


def test_an_experiment_that_is_being_run_is_refused_with_the_process_until_that_is_killed(
    starters, config, run, refuse, output
):
    (holder,) = starters(1)
    holder.ask(config())
    assert holder.answer() == "EXP000"
    path = output / "EXP000" / RECORD
    before = path.stat()
    sentence = refuse()
    assert f"EXP000 is being run by process {holder.process.pid} on " in sentence
    assert "wait for it to end, or stop it, or name another experiment" in sentence
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert run(seed=1) == "EXP001"
    holder.end(signal.SIGKILL)
    assert run() == "EXP000"


def test_an_experiment_that_is_being_run_can_be_looked_at(starters, config, look):
    (holder,) = starters(1)
    holder.ask(config())
    assert holder.answer() == "EXP000"
    assert look().name == "EXP000"


def test_a_file_of_the_original_is_taken_as_it_is(look, capsys):
    look(dflts=ROOT / "tests/original/dflts-e20.json")
    assert capsys.readouterr().err == (
        "note: ignored in dflts-e20.json: input_dir, input_dir_1, input_dir_2, calc_infer_scores, "
        "pre_module, post_module\n"
    )
