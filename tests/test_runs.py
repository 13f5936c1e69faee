"""An experiment is read from its directory, whole or half present, ours or the original's."""

import json
import os
import shutil
import time

import pytest
from experiments import (
    SCRIPTS,
    call_script,
    name_run,
    write_checkpoint,
    write_experiment,
    write_json,
    write_run,
    write_upf,
)

from hed.config import hyperparameters
from hed.errors import InputError
from hed.experiment.runs import last_checkpoint, read_experiment, read_object, read_runs

MIXED = ["done", "running", "waiting"]


@pytest.fixture(params=[False, True], ids=["ours", "original"])
def mixed(request, tmp_path):
    return write_experiment(tmp_path / "EXP011", MIXED, original=request.param)


def states(experiment):
    return [run.state for run in read_runs(experiment)]


def test_runs_are_done_running_or_waiting(mixed):
    assert states(mixed) == MIXED


def test_epochs_come_from_the_history_else_from_the_last_checkpoint(mixed):
    assert [run.epochs_done for run in read_runs(mixed)] == [20, 7, 0]


def test_every_run_has_its_index_whether_it_has_started_or_not(mixed):
    assert [(run.id, run.index) for run in read_runs(mixed)] == [
        ("RUN000", 0),
        ("RUN001", 1),
        ("RUN002", 2),
    ]


def test_a_byte_order_mark_hides_nothing_of_upf_and_dflts(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["waiting", "waiting"])
    lines = [{"id": f"RUN00{i}", "index": 0, "loss": loss} for i, loss in enumerate(["mse", "mae"])]
    text = "\n".join(json.dumps(line) for line in lines)
    (experiment / "upf.json").write_text("\ufeff# of Windows\n" + text)
    dflts = experiment / "dflts-demo.json"
    dflts.write_text("\ufeff" + dflts.read_text())
    runs = read_runs(experiment)
    assert [run.repeat_of for run in runs] == ["", ""]
    assert [run.epochs_planned for run in runs] == [20, 20]


def test_only_our_experiments_name_the_drug(tmp_path):
    ours = write_experiment(tmp_path / "EXP000", ["done"])
    original = write_experiment(tmp_path / "EXP001", ["done"], original=True)
    assert [run.drug for run in read_runs(ours) + read_runs(original)] == ["Drug-0", None]


def test_a_run_with_a_marker_but_no_scores_is_done_only_in_the_original(mixed):
    (mixed / "run/RUN000/test_scores.json").unlink()
    original = not (mixed / "experiment.json").exists()
    assert states(mixed)[0] == ("done" if original else "running")


def test_a_run_whose_marker_was_lost_is_not_done(mixed):
    (mixed / "markers/marker-000.txt").unlink()
    assert states(mixed)[0] == "running"


def test_the_upf_of_an_original_is_found_among_its_json_files(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    found = read_experiment(experiment)
    assert (found.upf.name, found.dflts.name) == ("hed-gen.json", "dflts-demo.json")


def test_a_run_directory_that_no_file_names_comes_last(mixed):
    (mixed / "run/RUN100").mkdir()
    write_run(mixed, 99, state="running")
    assert [(r.id, r.index) for r in read_runs(mixed)][3:] == [("RUN099", 99), ("RUN100", None)]


def test_an_experiment_without_upf_is_known_by_its_run_directories(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "running"], original=True)
    (experiment / "hed-gen.json").unlink()
    assert [(r.index, r.state) for r in read_runs(experiment)] == [(0, "done"), (1, "running")]


def test_two_runs_of_one_index_are_two_runs(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "running"], original=True)
    lines = [{"id": "RUN000", "index": 0}, {"id": "RUN001", "index": 0}, {"id": "RUN002"}]
    write_upf(experiment / "hed-gen.json", lines)
    assert [run.index for run in read_runs(experiment)] == [0, 0, None]


def test_each_of_two_runs_of_one_index_is_done_by_its_own_marker(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "done"])
    markers = ["000", "000-RUN001"]
    described = [{"id": f"RUN00{i}", "index": 0, "marker": m} for i, m in enumerate(markers)]
    write_json(experiment / "experiment.json", {"runs": described})
    assert states(experiment) == ["done", "running"]
    (experiment / "markers/marker-000-RUN001.txt").write_text("")
    assert states(experiment) == ["done", "done"]


def test_a_run_named_twice_is_one_run(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"], original=True)
    write_upf(experiment / "hed-gen.json", [{"id": "RUN000", "index": 0}] * 2)
    assert len(read_runs(experiment)) == 1


def test_the_index_of_experiment_json_prevails(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    write_upf(experiment / "upf.json", [{"id": "RUN000", "index": 5}])
    assert read_runs(experiment)[0].index == 0


@pytest.mark.parametrize(
    ("in_parameters", "in_upf", "in_dflts", "planned"),
    [(3, 4, 5, 3), (None, 4, 5, 4), (None, None, 5, 5), (None, None, None, 200)],
)
def test_planned_epochs_are_the_most_specific_known(
    tmp_path, in_parameters, in_upf, in_dflts, planned
):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    values = [{} if epochs is None else {"epochs": epochs} for epochs in (in_parameters, in_upf)]
    write_json(experiment / "run/RUN000/parameters.txt", values[0])
    write_upf(experiment / "upf.json", [{"id": "RUN000", "index": 0, **values[1]}])
    write_json(experiment / "dflts-demo.json", {"epochs": in_dflts} if in_dflts else {"a": 1})
    assert read_runs(experiment)[0].epochs_planned == planned


@pytest.mark.parametrize("original", [False, True])
def test_epochs_planned_come_from_a_dflts_with_comments(tmp_path, original):
    states = ["done", "waiting"]
    experiment = write_experiment(tmp_path / "EXP000", states, original=original)
    (experiment / "dflts-demo.json").write_text('# small\n{\n  # short\n  "epochs": 12\n}\n')
    assert read_experiment(experiment).dflts.name == "dflts-demo.json"
    assert read_runs(experiment)[1].epochs_planned == 12


def test_every_dflts_of_the_project_tells_the_epochs_of_waiting_runs(tmp_path):
    for number, dflts in enumerate((SCRIPTS.parent / "config").glob("dflts-*.json")):
        experiment = write_experiment(tmp_path / f"EXP00{number}", ["waiting"])
        shutil.copy(dflts, experiment / "dflts-demo.json")
        expected = hyperparameters.read_dflts(dflts)["epochs"]
        assert read_runs(experiment)[0].epochs_planned == expected


@pytest.mark.parametrize(
    "name", ["parameters.txt", "history.txt", "ckpts/epochs/007/ckpt-info.json"]
)
@pytest.mark.parametrize(
    "content", ["", '{"epoch"', "[]", '{"epoch": null, "loss": 3}', "\x00\x00"]
)
def test_a_file_that_is_not_whole_is_no_error(mixed, name, content):
    (mixed / "run/RUN001" / name).write_text(content)
    run = read_runs(mixed)[1]
    assert run.state == "running"
    assert run.epochs_done in (0, 7)


@pytest.mark.parametrize("name", ["out", "run", "markers", "upf.json", "dflts-demo.json"])
def test_a_missing_part_of_our_experiment_is_no_error(tmp_path, name):
    experiment = write_experiment(tmp_path / "EXP000", MIXED)
    part = experiment / name
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert [run.id for run in read_runs(experiment)] == ["RUN000", "RUN001", "RUN002"]


def test_epochs_are_known_where_the_link_to_the_last_checkpoint_is_broken(mixed):
    run = mixed / "run/RUN001"
    write_checkpoint(run, epoch=12)
    (run / "ckpts/last").unlink()
    (run / "ckpts/last").symlink_to("/lus/flare/EXP283/run/RUN001/ckpts/epochs/012")
    assert read_runs(mixed)[1].epochs_done == 12
    write_checkpoint(run, epoch=999)
    write_checkpoint(run, epoch=1000)
    (run / "ckpts/last").unlink()
    assert last_checkpoint(run)["epoch"] == 1000


@pytest.mark.parametrize("name", ["", "nothing-here"])
def test_a_directory_that_is_no_experiment_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="is not an experiment|no such directory"):
        read_runs(tmp_path / name)


DAMAGED = {
    '{"name":': "is not valid JSON",
    "[]": "must be of type object, not []",
    '{"runs": [{"index": 3}]}': "runs.0 in .* lacks 'id'",
    '{"runs": {"a": 1}}': "must be of type array",
    '{"identity": 3}': "identity in .* must be of type object, not 3",
    '{"identity": {"partition": "x"}}': "identity.partition in .* must be of type object",
}
COMMANDS = ("progress.py", "summary.py", "convergence.py", "high_error_drugs.py", "export.py")


@pytest.mark.parametrize(("text", "sentence"), DAMAGED.items())
def test_a_damaged_experiment_json_is_one_sentence_from_every_command(tmp_path, text, sentence):
    experiment = write_experiment(tmp_path / "EXP000", ["done"])
    (experiment / "experiment.json").write_text(text)
    with pytest.raises(InputError, match=sentence.replace("[]", r"\[\]")):
        read_runs(experiment)
    for name in COMMANDS:
        with pytest.raises(InputError, match="experiment.json"):
            call_script(name, experiment)


def test_an_object_is_told_from_no_file_and_from_a_part_of_one(tmp_path):
    (tmp_path / "whole.json").write_text('{"a": 1}')
    (tmp_path / "part.json").write_text('{"a": ')
    names = ("whole.json", "part.json", "none.json")
    assert [read_object(tmp_path / name) for name in names] == [{"a": 1}, {}, None]


def test_the_runs_of_770_drugs_are_read_within_a_second(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"] * 770)
    start = time.process_time()
    runs = read_runs(experiment)
    assert time.process_time() - start < 1
    assert runs[769].id == name_run(769)
    assert {run.state for run in runs} == {"running"}


def test_an_experiment_is_named_by_its_directory_also_from_inside(tmp_path, monkeypatch):
    monkeypatch.chdir(write_experiment(tmp_path / "EXP007", ["done"]))
    assert read_experiment(type(tmp_path)(os.curdir)).name == "EXP007"
