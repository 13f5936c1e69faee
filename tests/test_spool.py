"""The spool: jobs from Snakemake's commands to their end, whichever process dies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spools
from spools import call

from hed.pilot import sidecar
from hed.pilot.spool import Spool
from hed.site.profile import PILOT, STOP


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spools.make(tmp_path)


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


def test_a_record_of_a_tile_is_one_line_of_json(spool: Spool) -> None:
    for start in (2.0, 1.0):
        spool.record_tile("n0", {"start": start})
    assert [record["start"] for record in spool.tiles()] == [1.0, 2.0]
    lines = (spool.directory / "tiles" / "n0.txt").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"start": 2.0}, {"start": 1.0}]
