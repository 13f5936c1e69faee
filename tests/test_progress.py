"""Progress is told in the original's words, with an estimate that follows from what is recorded."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from experiments import (
    assert_is_refused,
    call_script,
    run_script,
    write_checkpoint,
    write_experiment,
    write_json,
)

from hed.progress import (
    read_progress,
    render,
    render_duration,
    seconds_left,
    write_progress,
)
from hed.runs import Run, read_runs

KEYS = ["DIR", "JOB", "JSON", "PROCS", "PPN", "epochs", "OUTs", "RUNs", "NEWs", "DONE", "MKRs"]
MIXED = ["done", "done", "running", "running", "waiting"]


@pytest.fixture
def mixed(tmp_path):
    return write_experiment(tmp_path / "EXP011", MIXED)


def make_run(directory, state, done):
    """Return a run of 20 epochs that has no files beyond `directory`."""
    return Run("RUN000", 0, None, directory, done, 20, state)


def test_every_key_is_told_in_the_originals_order(mixed):
    assert list(read_progress(mixed)) == [*KEYS, "TIME"]


def test_a_running_experiment_is_counted(mixed):
    progress = read_progress(mixed)
    assert progress["epochs"] == "54/100"
    assert [progress[key] for key in ("OUTs", "RUNs", "NEWs", "DONE", "MKRs")] == [4, 5, 2, 2, 2]
    assert (progress["JOB"], progress["JSON"]) == ("5845341.aurora-pbs", "upf.json")


def test_a_finished_experiment_tells_when_it_stopped_and_no_time_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 2)
    for index, when in ((0, 1_000_000_000), (1, 1_000_000_060)):
        os.utime(experiment / f"markers/marker-{index:03d}.txt", (when, when))
    progress = read_progress(experiment)
    assert "TIME" not in progress
    assert progress["STOP"] == "2001-09-09 01:47:40"


def test_the_original_is_counted_too(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", MIXED, original=True)
    progress = read_progress(experiment)
    assert (progress["JSON"], progress["DONE"], progress["NEWs"]) == ("hed-gen.json", 2, 2)


def test_settings_come_from_the_environment(mixed, monkeypatch):
    monkeypatch.setenv("PROCS", "157")
    monkeypatch.delenv("PPN", raising=False)
    progress = read_progress(mixed)
    assert (progress["PROCS"], progress["PPN"]) == ("157", "-")


def test_without_a_job_or_upf_a_dash_stands(mixed):
    (mixed / "jobid.txt").unlink()
    (mixed / "upf.json").unlink()
    progress = read_progress(mixed)
    assert (progress["JOB"], progress["JSON"]) == ("-", "-")


def test_the_time_left_is_that_of_the_last_of_the_runs_to_come(mixed):
    # Two at once, 13 epochs each to go, then 20 of the run that waits: 33 epochs of 6 s.
    assert seconds_left(read_runs(mixed)) == 33 * 6.0
    assert read_progress(mixed)["TIME"] == "3m"


def test_runs_that_wait_share_the_places_that_become_free(mixed, tmp_path):
    waiting = [make_run(tmp_path, "waiting", 0)] * 3
    # Places end at 13 and 13, 33 and 33, so three more take 20 epochs beyond 33.
    assert seconds_left([*read_runs(mixed), *waiting]) == (13 + 20 + 20) * 6.0


def test_nothing_is_estimated_when_no_run_is_running(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "waiting"])
    assert read_progress(experiment)["TIME"] == "-"


def test_the_checkpoints_give_the_pace_before_any_run_has_ended(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"], original=True)
    run = experiment / "run/RUN000"
    for epoch, when in ((7, 1_000_000), (9, 1_007_200)):
        info = write_checkpoint(run, epoch=epoch) / "ckpt-info.json"
        os.utime(info, (when, when))
    assert read_progress(experiment)["TIME"] == "11h 0m"


def test_one_checkpoint_gives_no_pace(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"], original=True)
    assert read_progress(experiment)["TIME"] == "-"


def test_more_epochs_than_planned_leave_none_to_go(mixed):
    runs = [*read_runs(mixed)[:2], make_run(mixed, "running", 25)]
    assert seconds_left(runs) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m"), (8000, "2h 13m"), (3600, "1h 0m"), (273600, "3d 4h")],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, text):
    assert render_duration(seconds) == text


@pytest.mark.parametrize("name", ["markers", "out", "run", "jobid.txt"])
def test_a_missing_part_is_no_error(mixed, name):
    part = mixed / name
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    assert read_progress(mixed)["RUNs"] == 5


def test_half_written_timings_are_no_error(mixed):
    (mixed / "run/RUN000/timings.json").write_text('{"epoch_seconds": [6.0')
    write_json(mixed / "run/RUN001/timings.json", {"epoch_seconds": []})
    assert read_progress(mixed)["TIME"] == "-"


def test_progress_is_written_whole(mixed):
    write_progress(mixed, read_progress(mixed))
    assert (mixed / "progress.txt").read_text() == render(read_progress(mixed))
    assert not list(mixed.glob(".*"))


def test_the_command_prints_what_it_writes(mixed):
    result = run_script("progress.py", ".", cwd=mixed)
    assert result.stdout == (mixed / "progress.txt").read_text()
    assert result.stdout.splitlines()[0] == f"DIR: {mixed}"


def test_the_command_prints_json_but_writes_text(mixed):
    printed = call_script("progress.py", mixed, "--format", "json")
    assert json.loads(printed)["DONE"] == 2
    assert "DONE: 2\n" in (mixed / "progress.txt").read_text()


def test_the_command_refuses_a_directory_that_is_no_experiment(tmp_path):
    assert_is_refused(run_script("progress.py", tmp_path), "is not an experiment")
    assert_is_refused(run_script("progress.py", tmp_path / "none"), "no such directory")
    assert not list(Path(tmp_path).iterdir())
