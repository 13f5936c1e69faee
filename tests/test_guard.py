"""The guard of a run ends it with all that it started, and records how it ended."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

import psutil
import pytest
import spools
from spools import call
from waiting import wait_for

from hed.pilot import guard, processes
from hed.pilot.silence import Silence
from hed.pilot.spool import End, Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site.profile import PILOT


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spools.make(tmp_path)


def start_guard(spool: Spool, text: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start the guard of a job with this script."""
    path = spool.directory / "job.sh"
    path.write_text(text)
    command = [sys.executable, "-m", "hed.pilot.guard", str(os.getpid()), str(spool.directory)]
    return subprocess.Popen([*command, "job", "0", str(path)], env={**os.environ, **environment})


@pytest.mark.parametrize(("end", "state"), [("true", "success"), ("false", "failed")])
def test_a_guard_records_how_its_run_ended_and_where(spool: Spool, end: str, state: str) -> None:
    text = (
        f"snakemake() {{ {end}; }}\nsnakemake --target-jobs 'train:run=RUN007' && exit 0 || exit 1"
    )
    start_guard(spool, text, HED_TILE="5", HED_BLOCK="17.server").wait()
    assert spool.state("job") == state
    (record,) = spool.tiles()
    assert (record["run"], record["tile"], record["block"]) == ("RUN007", "5", "17.server")
    assert (record["node"], record["state"]) == (os.uname().nodename, state)
    assert 0 <= record["end"] - record["start"] < 60


def test_a_guard_ends_processes_that_ran_away_from_their_session(spool: Spool) -> None:
    away = spool.directory / "away"
    text = f"setsid sh -c 'echo $$ >{away}; exec sleep 300' &\nwhile ! [ -s {away} ]; do :; done"
    start_guard(spool, text).wait()
    assert spool.state("job") == "success"
    assert not psutil.pid_exists(int(away.read_text()))


@pytest.mark.parametrize(
    ("is_cancelled", "end", "state"), [(False, "lost", None), (True, "cancelled", "failed")]
)
def test_a_run_whose_guard_is_told_to_end_may_go_on_elsewhere_unless_it_is_cancelled(
    spool: Spool, is_cancelled: bool, end: End, state: State | None
) -> None:
    started = spool.directory / "started"
    process = start_guard(spool, f"sleep 300 &\necho $! >{started}\nwait")
    wait_for(lambda: started.exists() and started.read_text())
    if is_cancelled:
        call("cancel", spool, "job")
    process.send_signal(signal.SIGTERM)
    assert process.wait() == guard.STATUS[end]
    assert spool.state("job") == state
    assert not psutil.pid_exists(int(started.read_text()))


def test_a_run_that_the_end_of_its_block_signals_before_its_guard_may_go_on_elsewhere(
    spool: Spool,
) -> None:
    process = start_guard(spool, "kill $$")
    wait_for(lambda: psutil.Process(process.pid).children() == [] and spool.begun())
    process.send_signal(signal.SIGTERM)
    assert process.wait() == guard.STATUS["lost"]
    assert spool.state("job") is None


def test_a_guard_ends_a_cancelled_run(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "TIMERS", replace(TIMERS, guard_look=0.05))
    path = spool.directory / "job.sh"
    path.write_text(f"{PILOT}/cancel job\nexec sleep 300\n")
    monkeypatch.setenv("SNAKEMAKE_CLUSTER_SIDECAR_VARS", str(spool.directory))
    start = time.monotonic()
    assert guard._run(spool, "job", str(path), 0) == "cancelled"
    processes.kill_descendants()
    assert time.monotonic() - start < 60


@pytest.mark.parametrize(("silence", "end"), [(1, "silent"), (0, "success")])
def test_a_guard_ends_a_run_that_has_written_nothing_for_too_long(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, silence: int, end: End
) -> None:
    monkeypatch.setattr(guard, "TIMERS", replace(TIMERS, guard_look=0.05))
    spool.tell_nodes(Tiles(("5",), "", "", False, "", "/tmp", silence=silence))
    path = spool.directory / "job.sh"
    path.write_text(f"sleep {60 * silence}\n: snakemake --target-jobs 'train:run=RUN0'\n")
    assert guard._run(spool, "job", str(path), 0) == end
    processes.kill_descendants()
    assert spool.finish("job", 0, end) == end
    assert spool.state("job") == (None if end == "silent" else "success")


def test_a_run_hangs_if_neither_its_logs_nor_its_files_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    names = ("out/out-RUN0-train.txt", "run/RUN0/save/model")
    others = ("out/out-RUN0-2-train.txt", "run/RUN0-2/model", "run/RUN0/monitor.csv")
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    watched = Silence(tmp_path, "RUN0", 100)

    def look(seconds: float, *written: str) -> bool:
        now[0] += seconds
        for name in written:
            os.utime(tmp_path / name, (now[0] + 1e9, now[0] + 1e9))
        return watched.look()

    assert not look(60)
    assert not look(60, names[0])
    assert not look(60, names[1])
    assert not look(90, *others)
    assert look(20, *others)
    never = Silence(tmp_path, "RUN0", 0)
    now[0] += 1e9
    assert not never.look()


def test_a_run_that_was_given_to_another_tile_ends_on_the_first_without_a_word(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "TIMERS", replace(TIMERS, guard_look=0.05))
    path = spool.directory / "job.sh"
    path.write_text("exec sleep 300\n")
    Timer(1, spool.lose, ["job"]).start()
    assert guard._run(spool, "job", str(path), 0) == "lost"
    processes.kill_descendants()
    assert spool.finish("job", 0, "failed") == "lost"
    assert spool.state("job") is None
    assert spool.finish("job", 1, "success") == "success"
    assert spool.state("job") == "success"


def test_a_job_that_was_cancelled_while_it_waited_never_starts(spool: Spool) -> None:
    call("cancel", spool, "job", "other")
    start_guard(spool, f"touch {spool.directory}/ran").wait()
    assert spool.state("job") == "failed"
    assert not (spool.directory / "ran").exists()


def test_a_process_that_cannot_be_killed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "300"]) as child:
        with monkeypatch.context() as patch:
            patch.setattr(processes, "TIMERS", replace(TIMERS, kill_grace=0.05))
            patch.setattr(processes, "_kill", lambda process: None)
            assert not processes.kill_descendants()
        assert child.poll() is None
        assert processes.kill_descendants()


def test_a_mortal_command_dies_with_its_parent(tmp_path: Path) -> None:
    born = tmp_path / "born"
    text = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-m', 'hed.pilot.processes', 'mortal', str(os.getpid())]\n"
        f"subprocess.Popen([*command, 'sh', '-c', 'echo $$ >{born}; exec sleep 300'])\n"
        f"while not os.path.exists({str(born)!r}) or not os.path.getsize({str(born)!r}): pass\n"
    )
    subprocess.run([sys.executable, "-c", text], check=True)
    wait_for(lambda: not processes.born(int(born.read_text())))
