"""What may change in an experiment that has a name, or that another starts from."""

import json
import shutil

import polars as pl
import pytest
from starting import record

from hed.data import tables
from hed.experiment.runs import list_runs, read_experiment
from hed.names import RECORD


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


def test_finished_runs_that_are_copied_with_other_hyperparameters_are_told(
    run, upf, output, capsys
):
    run(experiment="old", upf=upf(("a", 0), ("b", 1)))
    for name, marker in (("a", "000"), ("b", "001")):
        (output / "old" / "run" / name).mkdir(parents=True)
        text = json.dumps({"id": name, "index": int(marker), "epochs": 20, "loss": "mse"})
        (output / "old" / "run" / name / "parameters.txt").write_text(text)
    (output / "old" / "markers").mkdir()
    (output / "old" / "markers" / "marker-000.txt").touch()
    changed = upf(("a", 0, ("epochs", 30)), ("b", 1, ("loss", "mae")), name="changed.json")
    run(restart_from="old/", upf=changed)
    told = capsys.readouterr().err
    assert (
        "finished runs of old are copied as they are, 1 of them trained with another epochs" in told
    )
    run(restart_from="old", upf=upf(("a", 0), ("b", 1), name="same.json"))
    assert capsys.readouterr().err == ""


def test_an_experiment_that_has_lost_its_upf_says_so(run, refuse, upf, output, capsys):
    mine = upf(("a", 0), name="mine.json")
    run(upf=mine)
    (output / "EXP000" / "mine.json").unlink()
    assert "EXP000 has lost its UPF: copy yours there as mine.json" in refuse(
        experiment="EXP000", upf=mine
    )
    assert run(upf=mine) == "EXP001"
    assert "note: EXP000 is not continued:" in capsys.readouterr().err


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
