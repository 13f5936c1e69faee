"""The parts of the pilot, each alone: commands, spool, tile, blocks and their scripts."""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import spools
from spools import call, read_site
from waiting import wait_for

from hed.data import layout
from hed.errors import InputError
from hed.pilot import allocation, processes, scaling, script, sidecar, tile
from hed.pilot.parsl import setup
from hed.pilot.parsl.executor import Pool
from hed.pilot.parsl.launcher import PerNode
from hed.pilot.scaling import Limits
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS
from hed.site.profile import PILOT, STOP
from hed.site.site import Site


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spools.make(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(tmp_path)


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
