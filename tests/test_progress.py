"""Progress is told in the original's words, with an estimate that follows from what is recorded."""

import io
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
    write_run,
)
from rich.console import Console

from hed.errors import InputError
from hed.experiment import outcome
from hed.experiment.runs import TrackedRun, read_experiment, read_runs, track_runs
from hed.pilot.spool import Spool
from hed.watching import watch
from hed.watching.health import diagnose
from hed.watching.progress import (
    read_progress,
    render,
    render_duration,
    seconds_left,
    summarise,
    texts,
    write_progress,
)

KEYS = ["DIR", "JOB", "JSON", "PROCS", "PPN", "epochs", "alpha"]
KEYS += ["OUTs", "RUNs", "NEWs", "DONE", "MKRs"]
ADDED = ["UPF", "SUM", "WAIT", "FAIL", "RATE"]
MIXED = ["done", "done", "running", "running", "waiting"]


@pytest.fixture
def mixed(tmp_path):
    return write_experiment(tmp_path / "EXP011", MIXED)


def make_run(directory, state, done):
    """Return a run of 20 epochs that has no files beyond `directory`."""
    return TrackedRun(
        "RUN000", 0, None, directory, epochs_done=done, epochs_planned=20, state=state
    )


def test_every_key_is_told_in_the_originals_order_and_ours_after_them(mixed):
    assert list(texts(read_progress(mixed))) == [*KEYS, *ADDED, "TIME"]


def test_runs_without_a_row_to_be_tested_on_are_named(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "done", "running"])
    run = experiment / "run/RUN001"
    outcome.write_empty(run)
    (run / "history.txt").write_text("{}")
    shutil.rmtree(run / "ckpts")
    progress = texts(read_progress(experiment))
    assert (progress["EMPTY"], progress["DONE"], progress["SUM"]) == ("RUN001", "2", "27/40 epochs")


def test_a_running_experiment_is_counted(mixed):
    progress = texts(read_progress(mixed))
    assert (progress["epochs"], progress["alpha"]) == ("20", "1.0")
    assert progress["SUM"] == "54/100 epochs"
    keys = ("OUTs", "RUNs", "NEWs", "DONE", "MKRs", "WAIT", "FAIL")
    assert [progress[key] for key in keys] == ["4", "5", "2", "2", "2", "1", "0"]
    assert (progress["JOB"], progress["JSON"]) == ("5845341.aurora-pbs", "dflts-demo.json")
    assert progress["UPF"] == "upf.json"


def test_a_finished_experiment_tells_when_it_stopped_and_no_time_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 2)
    for index, when in ((0, 1_000_000_000), (1, 1_000_000_060)):
        os.utime(experiment / f"markers/marker-{index:03d}.txt", (when, when))
    progress = texts(read_progress(experiment))
    assert not {"TIME", "RATE"} & set(progress)
    assert progress["STOP"] == "2001-09-09 01:47:40"


def test_the_original_is_counted_too(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", MIXED, original=True)
    progress = read_progress(experiment)
    assert (progress.upf, progress.done, progress.running) == ("hed-gen.json", 2, 2)


def test_the_tiles_that_ended_runs_are_counted_and_the_most_of_a_node(mixed):
    spool = Spool.make(mixed / ".pilot")
    for node, tile in (("a", "0"), ("a", "1"), ("b", "0"), ("a", "0")):
        spool.record_tile(node, {"node": node, "tile": tile, "start": 0})
    progress = texts(read_progress(mixed))
    assert (progress["PROCS"], progress["PPN"]) == ("3", "2")


def test_the_original_s_log_tells_its_processes(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", MIXED, original=True)
    (experiment / "turbine.log").write_text("JOB:       1\nPROCS:     781\nPPN:       12\n")
    progress = read_progress(experiment)
    assert (progress.procs, progress.ppn) == (781, 12)


def test_without_a_pilot_no_processes_are_told(mixed, monkeypatch):
    monkeypatch.setenv("PROCS", "157")
    progress = texts(read_progress(mixed))
    assert (progress["PROCS"], progress["PPN"]) == ("-", "-")


def test_without_a_job_or_upf_a_dash_stands(mixed):
    (mixed / "jobid.txt").unlink()
    (mixed / "upf.json").unlink()
    progress = texts(read_progress(mixed))
    assert (progress["JOB"], progress["UPF"]) == ("-", "-")


def test_the_time_left_is_that_of_the_last_of_the_runs_to_come(mixed):
    # Two at once, 13 epochs each to go, then 20 of the run that waits: 33 epochs of 6 s.
    assert seconds_left(read_runs(mixed)) == 33 * 6.0
    assert texts(read_progress(mixed))["TIME"] == "3m"


def test_runs_that_wait_share_the_places_that_become_free(mixed, tmp_path):
    waiting = [make_run(tmp_path, "waiting", 0)] * 3
    # Places end at 13 and 13, 33 and 33, so three more take 20 epochs beyond 33.
    assert seconds_left([*read_runs(mixed), *waiting]) == (13 + 20 + 20) * 6.0


def test_nothing_is_estimated_when_no_run_is_running(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "waiting"])
    assert texts(read_progress(experiment))["TIME"] == "-"


def test_the_checkpoints_give_the_pace_before_any_run_has_ended(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    run = experiment / "run/RUN000"
    for epoch, when in ((7, 1_000_000), (9, 1_007_200)):
        info = write_checkpoint(run, epoch=epoch) / "ckpt-info.json"
        os.utime(info, (when, when))
    assert texts(read_progress(experiment))["TIME"] == "11h 0m"


def test_a_copy_of_an_experiment_has_the_pace_that_its_checkpoints_tell(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"], original=True)
    # 13 epochs of 6,000 s.
    assert texts(read_progress(experiment))["TIME"] == "21h 40m"


def test_one_checkpoint_gives_no_pace(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    assert texts(read_progress(experiment))["TIME"] == "-"


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
    assert read_progress(mixed).runs == 5


def test_half_written_timings_are_no_error(mixed):
    (mixed / "run/RUN000/timings.json").write_text('{"epoch_seconds": [6.0')
    write_json(mixed / "run/RUN001/timings.json", {"epoch_seconds": []})
    assert texts(read_progress(mixed))["TIME"] == "-"


def test_progress_is_written_whole(mixed):
    write_progress(mixed, read_progress(mixed))
    assert (mixed / "progress.txt").read_text() == render(read_progress(mixed))
    assert not list(mixed.glob(".*"))


def test_the_command_prints_what_it_writes(mixed):
    result = run_script("progress.py", ".", cwd=mixed)
    assert result.stdout == (mixed / "progress.txt").read_text()
    assert result.stdout.splitlines()[0] == f"DIR: {mixed}"


def test_the_command_prints_json_but_writes_text(mixed):
    found = json.loads(call_script("progress.py", mixed, "--format", "json"))
    assert (found["done"], found["running"], found["waiting"], found["failed"]) == (2, 2, 1, 0)
    assert (found["epochs_done"], found["seconds_left"], found["stopped"]) == (54, 198.0, None)
    assert "DONE: 2\n" in (mixed / "progress.txt").read_text()


def test_the_command_prints_tables_too(mixed):
    (header, values) = call_script("progress.py", mixed, "--format", "csv").splitlines()
    assert dict(zip(header.split(","), values.split(","), strict=True))["waiting"] == "1"
    lines = call_script("progress.py", mixed, "--format", "table").splitlines()
    assert lines[0].split() == ["key", "value"]
    assert ["WAIT", "1"] in [line.split() for line in lines]


def test_the_command_refuses_a_directory_that_is_no_experiment(tmp_path):
    assert_is_refused(run_script("progress.py", tmp_path), "is not an experiment")
    assert_is_refused(run_script("progress.py", tmp_path / "none"), "no such directory")
    assert not list(Path(tmp_path).iterdir())


def fail(experiment, index, error="error: no space left on device"):
    """Let the training of a run have ended with an error."""
    (experiment / f"out/out-RUN{index:03d}-train.txt").write_text(f"epoch 7/20\n{error}\n")


def test_a_failed_run_is_told_from_a_running_one(mixed):
    fail(mixed, 2)
    progress = read_progress(mixed)
    assert (progress.done, progress.running, progress.waiting, progress.failed) == (2, 1, 1, 1)


def test_every_run_is_in_exactly_one_state(mixed):
    fail(mixed, 3)
    found = read_progress(mixed)
    assert found.runs == found.done + found.running + found.waiting + found.failed


def test_the_rate_is_that_of_the_running_runs_together(mixed):
    # Two runs, 6 s an epoch.
    assert read_progress(mixed).rate == 1200.0
    assert "RATE: 1200.0 epochs/h\n" in render(read_progress(mixed))


def test_a_failed_run_is_still_to_be_done(mixed):
    fail(mixed, 2)
    # One at a time: 13 epochs, then the 13 of the failed run and the 20 of the one that waits.
    assert read_progress(mixed).seconds_left == (13 + 13 + 20) * 6.0


def test_an_experiment_that_nobody_works_on_has_no_rate_and_no_time_left(mixed):
    fail(mixed, 2)
    fail(mixed, 3)
    found = read_progress(mixed)
    assert (found.rate, found.seconds_left, found.stopped) == (None, None, None)


def draw(experiment, *, width=80, **size):
    """Return what the view of an experiment looks like without colours."""
    described = read_experiment(experiment)
    runs = track_runs(described)
    healths = diagnose(runs)
    view = watch.view(summarise(described, runs, healths), runs, healths, **size)
    console = Console(width=width, file=io.StringIO())
    console.print(view)
    return console.file.getvalue()


def test_the_view_shows_counts_epochs_time_left_and_why_runs_failed(mixed):
    fail(mixed, 2)
    drawn = draw(mixed, height=40)
    assert "2 done  1 running  1 waiting  1 failed" in drawn
    assert "54/100  600.0 epochs/h  4m left" in drawn
    lines = [line for line in drawn.splitlines() if "RUN" in line]
    assert [line.split()[:3] for line in lines] == [
        ["x", "RUN002", "Drug-2"],
        ["▓", "RUN003", "Drug-3"],
    ]
    assert lines[0].rstrip().endswith("error: no space left on device")


def test_the_view_of_many_runs_is_as_high_as_the_terminal(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["running"] * 40, original=True)
    lines = draw(experiment, height=24).splitlines()
    assert len(lines) <= 23
    assert lines[-1].strip() == "and 26 more"


def test_the_view_fits_80_columns_and_no_line_is_broken(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"] * 30 + ["running", "waiting"])
    fail(experiment, 30, "error: a reason that is longer than the line of a terminal " * 3)
    narrow, wide = (draw(experiment, height=24, width=width) for width in (80, 300))
    assert len(narrow.splitlines()) == len(wide.splitlines())


@pytest.mark.parametrize("counts", [(770, 0, 0, 0), (768, 1, 0, 1), (1, 1, 767, 1), (0, 0, 0, 0)])
def test_every_state_that_a_run_is_in_shows_in_the_bar(counts):
    widths = watch._widths(counts)
    assert all((width > 0) == (count > 0) for width, count in zip(widths, counts, strict=True))
    assert sum(widths) <= watch.BAR_WIDTH + 3


def test_watching_ends_when_all_is_done_and_prints_lines_where_there_is_no_terminal(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"] * 2)
    printed = call_script("progress.py", experiment, "--watch", "0.01")
    assert printed.count("DIR: ") == 1
    assert (experiment / "progress.txt").exists()


def test_watching_reads_again_until_all_is_done(tmp_path, monkeypatch):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "running"])
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        write_run(experiment, 1, state="done")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    printed = call_script("progress.py", experiment, "--watch")
    assert naps == [10.0]
    assert [line for line in printed.splitlines() if "DONE" in line] == ["DONE: 1", "DONE: 2"]


def test_an_interrupt_ends_the_watching_with_the_report_written(mixed, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupt)
    call_script("progress.py", mixed, "--watch", "5")
    assert "DONE: 2\n" in (mixed / "progress.txt").read_text()


@pytest.mark.parametrize("seconds", ["0", "nan", "1e12"])
def test_an_interval_that_means_nothing_is_refused(mixed, seconds):
    with pytest.raises(InputError, match="--watch takes more than 0 and at most 86400 s, not "):
        call_script("progress.py", mixed, "--watch", seconds)
    with pytest.raises(InputError, match="leave out --format"):
        call_script("progress.py", mixed, "--watch", "1", "--format", "json")


def test_the_progress_of_an_experiment_of_another_user_is_shown(mixed, monkeypatch, capsys):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "progress.txt")

    monkeypatch.setattr("hed.watching.progress.write_progress", refuse)
    assert "DONE: 2\n" in call_script("progress.py", mixed)
    assert "not written: Permission denied" in capsys.readouterr().err
