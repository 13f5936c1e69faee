"""The parts of the pilot, each alone: commands, spool, guard, tile, blocks and their providers."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

import psutil
import pytest
from parsl.jobs.states import JobState, JobStatus
from waiting import wait_for

from hed.data import layout
from hed.errors import InputError
from hed.pilot import (
    allocation,
    guard,
    processes,
    release,
    scaling,
    script,
    sidecar,
    tile,
)
from hed.pilot.parsl import providers, recorded, setup
from hed.pilot.parsl.executor import Pool
from hed.pilot.parsl.launcher import PerNode
from hed.pilot.parsl.providers import Pbs, Slurm
from hed.pilot.scaling import Limits
from hed.pilot.silence import Silence
from hed.pilot.spool import End, Spool, State
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site import site as sites
from hed.site.profile import PILOT, STOP
from hed.site.site import Site


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool whose sidecar is this process."""
    made = Spool.make(tmp_path / ".pilot")
    made.tell_nodes(Tiles(("5",), "", "", False, "", "/tmp"))
    made.tell_sidecar(os.getpid(), os.getppid())
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text(
        "scheduler: local\nwalltime: '01:00:00'\ntiles_per_node: 12\n"
        "device_variable: ZE_AFFINITY_MASK\ndevice_hierarchy: COMPOSITE\nlocal_dir: /tmp\n"
    )
    return sites.read(path, {})


def call(name: str, spool: Spool, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Call one of Snakemake's commands as Snakemake does."""
    environment = {**os.environ, "SNAKEMAKE_CLUSTER_SIDECAR_VARS": str(spool.directory), **more}
    command = [str(PILOT / name), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def status(spool: Spool, job: str) -> str:
    """Return what the status command prints; it must never fail, or Snakemake ends."""
    done = call("status", spool, job)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_job_runs_from_its_submission_to_its_end(spool: Spool) -> None:
    job = call("submit", spool, "/some where/tmp.x/snakejob.run.0123.sh").stdout.strip()
    assert status(spool, job) == "running"
    assert list(spool.take()) == [(job, "/some where/tmp.x/snakejob.run.0123.sh")]
    assert status(spool, job) == "running"
    spool.settle(job, "success")
    assert status(spool, job) == "success"


def test_the_first_end_of_a_job_is_the_one_that_counts(spool: Spool) -> None:
    assert spool.settle("job", "success") == "success"
    assert spool.settle("job", "failed") == "success"


def test_jobs_of_the_same_name_in_two_starts_have_different_ids(spool: Spool) -> None:
    scripts = [f"/some where/.snakemake/tmp.{start}/snakejob.run.7.sh" for start in ("ab_1", "x9")]
    first, second = (call("submit", spool, script).stdout.strip() for script in scripts)
    assert first.rpartition("-")[0] == "run.7.ab_1"
    assert second.rpartition("-")[0] == "run.7.x9"


def test_a_script_that_is_being_written_is_not_taken(spool: Spool) -> None:
    (spool.directory / "new" / "job").write_text("/half/a/pa")
    assert list(spool.take()) == []
    assert spool.unfinished() == ["job"]


def test_jobs_are_taken_in_the_order_of_their_submission(spool: Spool) -> None:
    jobs = [call("submit", spool, f"/x/snakejob.{name}.sh").stdout.strip() for name in "cab"]
    assert [job for job, _ in spool.take()] == jobs


def test_a_dead_sidecar_takes_no_job_and_lets_none_run_for_ever(spool: Spool) -> None:
    job = call("submit", spool, "/x/snakejob.run.sh").stdout.strip()
    ended = call("submit", spool, "/x/snakejob.other.sh").stdout.strip()
    spool.settle(ended, "success")
    # The id of a process that is there, but started at another time.
    snakemake = subprocess.Popen(["sleep", "300"])
    (spool.directory / "pid").write_text(f"{os.getpid()} 1 {snakemake.pid}\n")
    assert status(spool, ended) == "success"
    refused = call("submit", spool, "/x/snakejob.third.sh")
    assert refused.returncode == 1
    assert refused.stderr == "error: the pilot has ended; start Snakemake again\n"
    # Snakemake, which would try every other job, is stopped, and nobody says the same again.
    assert snakemake.wait(60) == -STOP
    again = call("submit", spool, "/x/snakejob.fourth.sh")
    assert (again.returncode, again.stderr) == (1, "")
    # It gets some time to stop, in which it needs no report of each job.
    assert status(spool, job) == "running"
    os.utime(spool.directory / "ended", (0, 0))
    assert status(spool, job) == "failed"
    assert spool.orphaned_snakemake() is None


def test_of_several_that_find_the_sidecar_dead_one_stops_snakemake(spool: Spool) -> None:
    job = call("submit", spool, "/x/snakejob.run.sh").stdout.strip()
    # Nearly at once: of 24, several found no file in one of three rounds when each looked first.
    at_once = f"for _ in $(seq 24); do {PILOT}/status {job} >/dev/null & done; wait"
    variables = {**os.environ, "SNAKEMAKE_CLUSTER_SIDECAR_VARS": str(spool.directory)}
    for _ in range(20):
        (spool.directory / "ended").unlink(missing_ok=True)
        (spool.directory / "pid").write_text(f"{os.getpid()} 1 {2**22 + 1}\n")
        told = subprocess.run(["sh", "-c", at_once], env=variables, capture_output=True, text=True)
        assert told.stderr.count("the pilot has ended") == 1
        assert spool.orphaned_snakemake() is None


STOPPED = """
import asyncio, os, pathlib, sys, time
from hed.site import profile

async def finish():
    os.kill(os.getpid(), profile.STOP)
    await asyncio.sleep(0.3)
    print("finished")

profile._enter(pathlib.Path(sys.argv[1]))
try:
    asyncio.run(finish())
    time.sleep(60)
except KeyboardInterrupt:
    os.kill(os.getpid(), profile.STOP)
    print("ended")
"""


def test_a_snakemake_that_is_stopped_finishes_what_it_does_and_is_not_stopped_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "site.yaml").touch()
    command = [sys.executable, "-c", STOPPED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "finished\nended\n", "")


def test_a_job_that_nobody_knows_has_failed(spool: Spool) -> None:
    assert status(spool, "snakejob.never-1") == "failed"


def test_a_new_sidecar_fails_what_an_old_one_left(spool: Spool) -> None:
    job = call("submit", spool, "/x/snakejob.run.sh").stdout.strip()
    list(spool.take())
    spool.fail_unfinished()
    assert status(spool, job) == "failed"
    assert spool.unfinished() == []


def test_what_waits_and_what_ran_is_left_to_the_next_dispatcher(spool: Spool) -> None:
    scripts = [f"/x/snakejob.{name}.sh" for name in "cab"]
    ran, waits, new = (call("submit", spool, script).stdout.strip() for script in scripts)
    list(spool.take())
    os.replace(spool.directory / "queue" / new, spool.directory / "new" / new)
    spool.begin(ran, "0")
    sidecar.clear(spool, repeat=True)
    assert spool.queued() == [(ran, scripts[0]), (waits, scripts[1])]
    assert list(spool.take()) == [(new, scripts[2])]
    assert [status(spool, job) for job in (ran, waits, new)] == ["running"] * 3
    assert [spool.is_lost(job, 0) for job in (ran, waits, new)] == [True, False, False]


def test_a_spool_is_closed_to_others_even_if_it_was_open(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o755)
    made = Spool.make(tmp_path / "spool")
    assert made.directory.stat().st_mode & 0o077 == 0


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


def test_a_tile_is_named_in_the_words_of_the_site(site: Site) -> None:
    tiles = tile.of(site)
    found = tile.environment(tiles, 11, {"PBS_JOBID": "17.server", "PATH": "/bin"})
    assert found["ZE_AFFINITY_MASK"] == "5.1"
    assert found["ZE_FLAT_DEVICE_HIERARCHY"] == "COMPOSITE"
    assert (found["HED_BLOCK"], found["PATH"]) == ("17.server", "/bin")
    assert tile.environment(tiles, 0, {"PARSL_WORKER_BLOCK_ID": "3"})["HED_BLOCK"] == "block-3"


def bind(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a science command on a tile."""
    full = [str(PILOT / "tile"), *command]
    known = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(full, env=known, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("mask", "hierarchy", "words"),
    [
        ("", "FLAT", "names no device"),
        ("0,1", "FLAT", "names several devices (0,1)"),
        ("3", "COMPOSITE", "ZE_AFFINITY_MASK=3 is a GPU of two tiles"),
    ],
)
def test_a_mask_that_is_not_one_tile_is_refused(mask: str, hierarchy: str, words: str) -> None:
    more = {"ZE_AFFINITY_MASK": mask, "ZE_FLAT_DEVICE_HIERARCHY": hierarchy}
    done = bind("echo", "trained", HED_DEVICE_VARIABLE="ZE_AFFINITY_MASK", **more)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_science_command_gets_the_environment_but_keeps_its_tile(tmp_path: Path) -> None:
    script = tmp_path / "modules.sh"
    script.write_text("export ZE_AFFINITY_MASK=0,1,2 MODULE=tensorflow\n")
    more = {"HED_DEVICE_VARIABLE": "ZE_AFFINITY_MASK", "ZE_AFFINITY_MASK": "7"}
    show = 'echo "$ZE_AFFINITY_MASK $MODULE $1"'
    done = bind("bash", "-c", show, "-", "two words", HED_ENVIRONMENT=str(script), **more)
    assert done.stdout == "7 tensorflow two words\n"


def test_an_environment_that_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "modules.sh").write_text("false\n")
    done = bind("echo", "trained", HED_ENVIRONMENT=str(tmp_path / "modules.sh"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {tmp_path}/modules.sh failed\n"


LIMITS = Limits(first=1, least=0, most=4, tiles=12)


@pytest.mark.parametrize(
    ("waiting", "free", "begun", "number"),
    [
        (0, [], False, 0),
        (1, [], False, 1),
        (770, [], False, 4),
        (10, [12], True, 0),
        (13, [12], True, 1),
        (24, [0, 12], True, 1),
        (770, [0, 0, 0, 0], True, 0),
    ],
)
def test_blocks_are_asked_for_as_runs_wait(
    waiting: int, free: list[int], begun: bool, number: int
) -> None:
    assert scaling.wanted(LIMITS, waiting, free, begun=begun) == number


def test_the_first_blocks_are_those_of_the_site_but_only_if_a_run_waits() -> None:
    limits = Limits(first=3, least=0, most=4, tiles=12)
    assert scaling.wanted(limits, 1, [], begun=False) == 3
    assert scaling.wanted(limits, 0, [], begun=False) == 0
    assert scaling.wanted(limits, 1, [], begun=True) == 1
    # Data that are preprocessed here are complete when the first run waits, and not before.
    kept = Limits(first=1, least=1, most=4, tiles=12)
    assert scaling.wanted(kept, 0, [], begun=False) == 0
    assert scaling.wanted(kept, 1, [], begun=False) == 1
    assert scaling.wanted(kept, 0, [], begun=True) == 1


def pool(tasks: int = 0, *, draining: bool = False) -> Pool:
    """Return the worker pool of a node of 12 tiles."""
    return Pool("n0-1", "0", tasks, workers=12, is_active=True, is_draining=draining)


def test_a_block_in_the_queue_or_starting_counts_with_all_its_tiles() -> None:
    assert scaling.free_tiles([], 24, seconds=0) == 24
    assert scaling.free_tiles([pool(5)], 24, seconds=10) == 19
    assert scaling.free_tiles([pool(5)], 24, seconds=9999) == 7


def test_a_block_whose_pools_are_gone_has_no_free_tile_whatever_its_state() -> None:
    assert scaling.free_tiles([], 24, seconds=9999) == 0


def test_a_block_near_its_end_has_no_free_tile() -> None:
    assert scaling.free_tiles([pool(1, draining=True), pool()], 24, seconds=10) == 0


def test_a_job_that_pbs_holds_for_ever_is_known() -> None:
    never = {"job_state": "Q", "comment": "Can Never Run: Not enough nodes"}
    assert providers.hopeless(never) == "Can Never Run: Not enough nodes"
    assert "PBS holds it" in providers.hopeless({"job_state": "H", "Hold_Types": "s"})
    assert providers.hopeless({"job_state": "H", "Hold_Types": "u"}) == ""
    assert providers.hopeless({"job_state": "Q", "comment": "Not Running: no nodes"}) == ""


def test_a_job_that_pbs_has_forgotten_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "qstat").write_text("#!/bin/sh\necho unknown >&2\nexit 153\n")
    (tmp_path / "qstat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.RUNNING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17.server"] = known
    made.spool.add_block("17.server", {"command": "qdel"})
    assert made.status(["17.server"])[0].state == JobState.COMPLETED
    assert made.spool.blocks() == {}


def write_commands(directory: Path, **scripts: str) -> None:
    """Write executable shell scripts."""
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)


def test_blocks_stay_as_they_were_while_pbs_does_not_say_how_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if one job cannot be looked at, or its comment is in Latin-1."""
    answer = '{"Jobs": {"18.server": {"job_state": "R", "comment": "Z\\374rich"}}}'
    last = "for job; do :; done"
    refused = "[ $job != 17.server ] || { echo 'No Permission' >&2; exit 159; }"
    garbled = "[ $job != 19.server ] || { echo maintenance; exit 0; }"
    write_commands(tmp_path, qstat=f"{last}; {garbled}; {refused}; printf '{answer}'")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    monkeypatch.setattr(recorded, "TIMERS", replace(TIMERS, first_reminder=0.0))
    jobs = ["19.server", "17.server", "18.server"]
    for job in jobs:
        state = JobStatus(JobState.PENDING)
        made.resources[job] = {"status": state, "job_stdout_path": "", "job_stderr_path": ""}
    found = made.status(jobs)
    waits, runs = JobState.PENDING, JobState.RUNNING
    assert [status.state for status in found] == [waits, waits, runs]
    assert made.comment("18.server") == "Z\ufffdrich"
    assert "the scheduler does not say how the blocks are: No Permission" in caplog.text


def test_what_a_site_s_wrapper_of_qsub_prints_is_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, qsub="echo 'Welcome to 4.site! 3 jobs are yours.'; echo 17.server")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs(launcher=PerNode("", "", inside=False))
    made.spool, made.jobs = Spool.make(tmp_path / "spool"), tmp_path / "jobid.txt"
    made.script_dir = str(tmp_path)
    assert made.submit("true", 1) == "17.server"
    assert list(made.resources) == ["17.server"]


def test_slurm_s_accounting_which_has_not_heard_of_a_new_block_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, sacct="exit 0", squeue="echo CLUSTER: big; echo 17 PD")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Slurm()
    made.spool = Spool.make(tmp_path / "spool")
    status = JobStatus(JobState.PENDING)
    made.resources["17"] = {"status": status, "job_stdout_path": "", "job_stderr_path": ""}
    assert made.status(["17"])[0].state == JobState.PENDING


def test_a_block_that_pbs_will_never_start_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"Jobs": {"17.server": {"job_state": "Q", "comment": "Can Never Run: too large"}}}
    write_commands(tmp_path, qstat=f"echo '{json.dumps(answer)}'", qdel="exit 162")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Pbs()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.PENDING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17.server"] = known
    made.spool.add_block("17.server", {"command": "qdel"})
    # While PBS does not take it back, it may start after all.
    assert made.status(["17.server"])[0].state == JobState.PENDING
    assert list(made.spool.blocks()) == ["17.server"]
    write_commands(tmp_path, qdel=f"echo $1 >{tmp_path}/deleted")
    (found,) = made.status(["17.server"])
    assert (found.state, found.message) == (JobState.FAILED, "Can Never Run: too large")
    assert (tmp_path / "deleted").read_text() == "17.server\n"


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("R", JobState.RUNNING),
        ("CG", JobState.COMPLETED),
        ("OOM", JobState.FAILED),
        ("PR", JobState.TIMEOUT),
        ("S", JobState.PENDING),
    ],
)
def test_a_block_that_slurm_is_ending_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, state: JobState
) -> None:
    write_commands(tmp_path, sacct="exit 1", squeue=f"echo 17 {code}")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    made = Slurm()
    made.spool = Spool.make(tmp_path / "spool")
    known = {"status": JobStatus(JobState.RUNNING), "job_stdout_path": "", "job_stderr_path": ""}
    made.resources["17"] = known
    assert made.status(["17"])[0].state == state


def test_a_local_block_is_given_back_unless_its_number_is_another_s_by_now() -> None:
    sleeping = subprocess.Popen(["sleep", "300"], start_new_session=True)
    how = {"process": str(sleeping.pid), "group": str(sleeping.pid), "born": "1"}
    assert release.give_back(how["process"], how)
    assert sleeping.poll() is None
    assert release.give_back(how["process"], {**how, "born": processes.born(sleeping.pid)})
    assert sleeping.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(("status", "gone"), [(0, True), (35, True), (153, True), (255, False)])
def test_a_block_counts_as_given_back_when_pbs_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, gone: bool
) -> None:
    (tmp_path / "qdel").write_text(f"#!/bin/sh\necho $1 >{tmp_path}/deleted\nexit {status}\n")
    (tmp_path / "qdel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert release.give_back("17.server", {"command": "qdel"}) is gone
    assert (tmp_path / "deleted").read_text() == "17.server\n"


def test_workers_are_started_once_on_each_node() -> None:
    mpi = PerNode("mpiexec", "--no-vni", inside=False)("pool", 1, 13)
    assert "mpiexec --no-vni -n 13 --ppn 1 --hostfile $JOBNAME.nodes /bin/sh $JOBNAME.pool" in mpi
    # Also of one node: the shell of salloc is on the login node.
    assert "srun --overlap  -N 1 -n 1" in PerNode("srun", "", inside=True)("pool", 1, 1)
    slurm = PerNode("srun", "-l", inside=True)("pool", 1, 2)
    assert "srun --overlap -l -N 2 -n 2 --ntasks-per-node 1 /bin/sh $JOBNAME.pool" in slurm
    alone = PerNode("mpiexec", "", inside=False)("pool", 1, 1)
    assert "\n/bin/sh $JOBNAME.pool\n" in alone
    assert "mpiexec" not in alone


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import none.such", "ModuleNotFoundError: No module named 'none'"),
        ("import os; os.write(2, bytes([80, 250])); os._exit(1)", "P\ufffd"),
    ],
)
def test_a_node_whose_python_does_not_start_says_so_and_stays(
    tmp_path: Path, code: str, told: str
) -> None:
    spool = Spool.make(tmp_path / "spool")
    text = PerNode("", "", inside=False)(f"python -c '{code}'", 1, 1)
    environment = {"JOBNAME": "parsl.block-9.block-3.17.5", "HED_SPOOL": str(spool.directory)}
    process = subprocess.Popen(
        ["bash", "-c", text],
        env={**os.environ, **environment},
        cwd=tmp_path,
        start_new_session=True,
    )
    wait_for(spool.reported_nodes)
    assert process.poll() is None
    processes.kill_group(process.pid)
    ((place, why),) = spool.reported_nodes().items()
    assert place == ("3", os.uname().nodename)
    assert why == told


def run_block(staging: script.Staging, tmp_path: Path, tools: Path = PILOT) -> str:
    """Run the script of a block of one node whose pool says what it was given."""
    command = 'echo "data at $HED_STAGED, software in $HED_LOCAL."; [ "$HED_BLOCK_START" ]'
    text = PerNode("mpiexec", "", inside=False, staging=staging)(command, 1, 1)
    prologue = script.prologue(Spool.make(tmp_path / "spool"), tools, tmp_path)
    prologue += "\nexport JOBNAME=parsl.EXP000.block-0.17.5"
    done = subprocess.run(
        ["bash", "-c", f"{prologue}\n{text}"], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def test_a_block_whose_data_cannot_be_copied_reads_them_from_the_pfs(
    tmp_path: Path, site: Site
) -> None:
    local = tmp_path / "hed" / "EXP000-0"
    staging = script.staging(site, str(tmp_path / "no data"), str(local))
    printed = run_block(staging, tmp_path)
    assert "the data are read from the shared file system\ndata at , software in .\n" in printed


def test_a_copy_that_hangs_does_not_keep_a_block_from_its_runs(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "TIMERS", replace(TIMERS, copy=0.5))
    (tmp_path / "tile").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "tile").chmod(0o755)
    (tmp_path / "training.tar").touch()
    staged = replace(site, software=tmp_path / "training.tar")
    staging = script.staging(staged, "/data", str(tmp_path / "hed" / "EXP000-0"))
    start = time.monotonic()
    printed = run_block(staging, tmp_path, tmp_path)
    assert time.monotonic() - start < 60
    assert "the data are read from the shared" in printed
    assert "the software is started from the shared" in printed
    assert f"data at , software in {tmp_path / 'hed'}.\n" in printed


def test_a_block_that_copies_is_not_taken_for_one_that_is_silent() -> None:
    copies = 2 * (TIMERS.copy + TIMERS.copy_kill)  # data, then software
    assert copies < TIMERS.copying_block


def test_a_block_copies_the_data_and_unpacks_the_software_on_its_nodes(
    tmp_path: Path, site: Site
) -> None:
    for name in layout.FEATURE_FILES:
        (tmp_path / name).write_text(name)
    (tmp_path / "python").write_text("3.10")
    with tarfile.open(tmp_path / "training-7.tar", "w") as tar:
        tar.add(tmp_path / "python", "bin/python")
    staged = replace(site, software=tmp_path / "training-7.tar")
    local = tmp_path / "hed"
    staging = script.staging(staged, str(tmp_path), str(local / "EXP000-0"))
    printed = run_block(staging, tmp_path)
    assert f"data at {staging.to}, software in {local}.\n" in printed
    assert [(Path(staging.to) / name).read_text() for name in layout.FEATURE_FILES] == [
        *layout.FEATURE_FILES
    ]
    assert (local / "training-7/bin/python").read_text() == "3.10"
    assert not script.staging(replace(site, software=tmp_path / "none.tar"), "", "/a/b").software


def test_an_allocation_is_one_block_of_its_nodes(tmp_path: Path, site: Site) -> None:
    (tmp_path / "nodes").write_text("n0\nn0\nn1\nn2\n")
    site = replace(site, launcher="mpiexec")
    inside = allocation.within(site, {"PBS_JOBID": "1", "PBS_NODEFILE": str(tmp_path / "nodes")})
    assert (inside.scheduler, inside.nodes_per_block, inside.max_blocks) == ("local", 3, 1)
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 1000)}
    slurm = allocation.within(site, {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2", **end})
    assert slurm.nodes_per_block == 2
    with pytest.raises(InputError, match="has 2 nodes, and the profile's site.yaml no launcher"):
        allocation.within(replace(site, launcher=""), {"SLURM_JOB_ID": "1", "SLURM_NNODES": "2"})
    assert 990 <= slurm.walltime <= 1000
    assert allocation.within(site, {}) is site


def test_an_allocation_that_ends_before_a_run_could_begin_is_refused(site: Site) -> None:
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 500)}
    words = r"ends in (500|49\d) s, and no run is started in the last 600 s \(reserve"
    with pytest.raises(InputError, match=words):
        allocation.within(replace(site, reserve=600), environment)
    assert 490 <= allocation.within(replace(site, reserve=400), environment).walltime <= 500


def test_a_worker_takes_no_new_run_in_the_reserve(tmp_path: Path, site: Site) -> None:
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 3000)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        here = allocation.within(site)
        made = setup.make(here, Spool.make(tmp_path / "spool"), "EXP000", PILOT, inside=True)
    assert 2990 - site.reserve <= made.drain_period <= 3000 - site.reserve
    (began,) = re.findall("HED_BLOCK_START=([0-9]+)", made.provider.worker_init)
    assert abs(int(began) - time.time()) < 60


def test_a_node_of_pbs_has_what_its_site_selects(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_commands(tmp_path, qsub=f"cp $1 {tmp_path}/given; echo 17.server")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = replace(site, scheduler="pbs", nodes_per_block=2, select="ngpus=4:system=polaris")
    spool = Spool.make(tmp_path / "spool")
    made = setup.make(here, spool, "EXP000", PILOT, inside=False)
    made.provider.submit("true", 1)
    (line,) = re.findall("-l select=.*", (tmp_path / "given").read_text())
    assert re.fullmatch("-l select=2:ncpus=[0-9]+:ngpus=4:system=polaris", line)


def test_connections_are_encrypted_and_stay_on_this_machine_if_the_blocks_do(
    tmp_path: Path, site: Site
) -> None:
    made = setup.make(site, Spool.make(tmp_path / "spool"), "EXP 000", PILOT, inside=False)
    assert made.encrypted
    assert (made.address, made.all_addresses) == ("127.0.0.1", {"127.0.0.1"})
    assert made.label == "EXP_000"


def test_a_record_of_a_tile_is_one_line_of_json(spool: Spool) -> None:
    for start in (2.0, 1.0):
        spool.record_tile("n0", {"start": start})
    assert [record["start"] for record in spool.tiles()] == [1.0, 2.0]
    lines = (spool.directory / "tiles" / "n0.txt").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"start": 2.0}, {"start": 1.0}]
