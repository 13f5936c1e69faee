"""A run that somebody works on is told from one that has failed, whatever the file system tells."""

import fcntl
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
from experiments import call_script, write_experiment

from hed import lock
from hed.experiment.runs import read_runs
from hed.names import PHASES
from hed.watching import health

ROOT = Path(__file__).parents[1]

HOUR = 3600.0
TRACEBACK = "Traceback (most recent call last):\n  File 'a.py'\nValueError: no rows\n"


@pytest.fixture
def experiment(tmp_path):
    """Return an experiment with one run that has been trained for 7 epochs."""
    return write_experiment(tmp_path / "EXP011", ["running"])


def age(experiment, seconds):
    """Let all files of an experiment have been written `seconds` ago."""
    when = time.time() - seconds
    for path in experiment.rglob("*"):
        os.utime(path, (when, when), follow_symlinks=False)


def write_lock(experiment, *, host):
    """Leave the lock file of a training that has ended."""
    text = f"process 7 on {host} since Sat Nov 21 12:00:00 2026"
    (experiment / "run/RUN000" / lock.LOCK_FILE).write_text(text)


def diagnose(experiment):
    (found,) = health.diagnose(read_runs(experiment))
    return found


def write_log(experiment, text, phase="train"):
    (experiment / f"out/out-RUN000-{phase}.txt").write_text(text)


def test_a_run_that_was_written_to_just_now_is_running(experiment):
    assert diagnose(experiment) == health.Health("running")


def test_a_held_lock_is_running_whatever_the_log_says_and_however_long_it_is_silent(experiment):
    held = lock.acquire(experiment / "run/RUN000")
    write_log(experiment, TRACEBACK)
    age(experiment, 100 * HOUR)
    assert diagnose(experiment).state == "running"
    held.close()
    assert diagnose(experiment).state == "failed"


def test_asking_leaves_the_lock_and_its_file_as_they_were(experiment):
    write_lock(experiment, host="node-7")
    path = experiment / "run/RUN000" / lock.LOCK_FILE
    before = (path.read_text(), path.stat().st_mtime_ns)
    assert lock.is_locked(path.parent) is False
    assert (path.read_text(), path.stat().st_mtime_ns) == before
    assert lock.acquire(path.parent) is not None


def test_without_a_lock_file_or_locks_nothing_is_known_of_the_lock(experiment, monkeypatch):
    assert lock.is_locked(experiment / "run/RUN000") is None
    write_lock(experiment, host="node-7")
    refuse = OSError(38, "Function not implemented")
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(refuse))
    assert lock.is_locked(experiment / "run/RUN000") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TRACEBACK, "ValueError: no rows"),
        ("epoch 7/20\nerror: no such drug\n", "error: no such drug"),
    ],
)
def test_a_log_that_ends_with_an_error_is_a_failure(experiment, text, reason):
    write_log(experiment, text)
    assert diagnose(experiment) == health.Health("failed", reason)


def test_a_failure_before_the_training_began_is_told_too(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["waiting"])
    write_log(experiment, "error: no drug at index 0\n", "partition")
    assert diagnose(experiment) == health.Health("failed", "error: no drug at index 0")


def test_an_error_before_another_attempt_is_none(experiment):
    write_log(experiment, TRACEBACK)
    age(experiment, 30.0)
    (experiment / "run/RUN000/parameters.txt").touch()
    assert diagnose(experiment).state == "running"


def test_a_process_that_was_killed_on_this_computer_is_told_by_its_free_lock(experiment):
    write_lock(experiment, host=socket.gethostname())
    age(experiment, 10.0)
    assert diagnose(experiment).state == "running"
    age(experiment, 90.0)
    assert diagnose(experiment).state == "failed"
    assert "killed" in diagnose(experiment).reason


def test_a_run_that_is_scored_needs_no_lock(experiment):
    write_lock(experiment, host=socket.gethostname())
    (experiment / "run/RUN000/history.txt").write_text('{"loss": [0.1]}')
    age(experiment, 90.0)
    assert diagnose(experiment).state == "running"


@pytest.mark.parametrize(("silence", "state"), [(5 * HOUR, "running"), (7 * HOUR, "failed")])
def test_silence_on_another_computer_is_a_failure_after_six_hours(experiment, silence, state):
    write_lock(experiment, host="another-node")
    age(experiment, silence)
    assert diagnose(experiment).state == state


@pytest.mark.parametrize(("silence", "state"), [(800.0, "running"), (1000.0, "failed")])
def test_silence_counts_sooner_where_epochs_are_known_to_be_short(tmp_path, silence, state):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "running"])
    age(experiment, silence)
    assert [h.state for h in health.diagnose(read_runs(experiment))] == ["done", state]


def test_removing_old_checkpoints_does_not_bring_a_run_back_to_life(experiment):
    age(experiment, 7 * HOUR)
    shutil.rmtree(experiment / "run/RUN000/ckpts/epochs/007")
    assert diagnose(experiment).state == "failed"


def test_the_log_of_the_originals_rank_tells_of_its_run(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["running"], original=True)
    (experiment / "run/RUN000/rank.txt").write_text("012\n")
    (experiment / "out/out-012.txt").write_text(TRACEBACK)
    assert diagnose(experiment) == health.Health("failed", "ValueError: no rows")


def test_the_log_that_the_originals_rank_goes_on_writing_keeps_no_run_alive(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["running"], original=True)
    (experiment / "run/RUN000/rank.txt").write_text("012\n")
    age(experiment, 7 * HOUR)
    (experiment / "out/out-012.txt").write_text("epoch 3/20\n")
    assert diagnose(experiment).state == "failed"


def test_the_epochs_command_tells_who_failed_and_why(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP011", ["running", "done", "waiting"])
    write_log(experiment, TRACEBACK)
    printed = call_script("epochs.py", experiment)
    assert printed.splitlines()[0] == "RUN000  7/20 failed"
    assert capsys.readouterr().err == "RUN000 failed: ValueError: no rows\n"
    rows = call_script("epochs.py", experiment, "--format", "csv").splitlines()
    assert rows[:2] == [
        "run,index,drug,epochs_done,epochs_planned,state,reason",
        "RUN000,0,Drug-0,7,20,failed,ValueError: no rows",
    ]


def test_the_logs_of_a_run_are_those_of_its_rules():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert set(re.findall(r"out/out-\{run\}-(\w+)\.txt", rules)) == set(PHASES)
