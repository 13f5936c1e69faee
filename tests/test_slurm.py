"""Blocks of many nodes on a real Slurm, whose nodes are stand-ins on this machine."""

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise, product
from pathlib import Path

import nodes
import parsl
import psutil
import pytest
import yaml
from chains import ROOT, Chain
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SrunLauncher
from parsl.providers import SlurmProvider
from slurm import install
from slurm.cluster import Cluster, environment, start
from waiting import PATIENCE, wait_for

from hed.pilot import release
from hed.pilot.spool import Spool

pytest_plugins = ["slurm.fixture"]
pytestmark = [
    pytest.mark.xdist_group("slurm"),
    pytest.mark.flaky(reruns=1),
    pytest.mark.usefixtures("all_given_back"),
]

# On each node a process that is told to end and does not, and one that left its parents.
STUBBORN = """
(trap '' TERM; sleep 600; sleep 600) &
setsid --fork sleep 600
sleep 600
"""
TILES = ("0", "1", "2")
SITE = {
    "walltime": "00:30:00",
    "nodes_per_block": 2,
    "tiles_per_node": len(TILES),
    "device_variable": "ZE_AFFINITY_MASK",
    "device_hierarchy": "FLAT",
    "check_device": False,
    "scheduler_options": ["--exclusive"],
    "stage": False,
}
# A session of tests with a cluster that is killed in the middle.
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path = {path}
from slurm.cluster import start
with start(Path("{directory}"), ["n0"]) as cluster:
    cluster.submit("sleep 600")
    os.kill(os.getpid(), signal.SIGKILL)
"""
# The first six wait for one another, so that each tile of two nodes must take one of them.
TASK = """
echo started >> {directory}/started
while (( $(wc -l < {directory}/started) < 6 )); do sleep 0.1; done
begin=$(date +%s.%N); sleep 0.3
echo $(hostname) $ZE_AFFINITY_MASK $begin $(date +%s.%N)
"""


def submit_stubborn(slurm: Cluster, *options: str, nodes: str) -> str:
    """Submit a job whose processes are hard to end; return its id when all of them run."""
    count = len(nodes.split(","))
    script = f"srun --ntasks={count} bash -c {shlex.quote(STUBBORN)}"
    job = slurm.submit(script, f"--nodelist={nodes}", f"--nodes={count}", *options)
    wait_for(lambda: len(sleeping(slurm)) == 3 * count, f"job {job} runs on {nodes}")
    return job


def sleeping(slurm: Cluster) -> list[psutil.Process]:
    """Return the processes of jobs that sleep."""
    return [process for process in slurm.processes() if words(process)[:1] == ["sleep"]]


def test_nodes_share_all_files_but_those_in_tmp(slurm: Cluster, tmp_path: Path) -> None:
    script = f"echo $SLURMD_NODENAME > /tmp/name; cat /tmp/name > {tmp_path}/$(hostname)"
    slurm.run("srun", "--nodes=2", "bash", "-c", script)
    seen = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert seen == {"n0": "n0\n", "n1": "n1\n"}
    assert (slurm.nodes.disk("n1") / "name").read_text() == "n1\n"
    assert not Path("/tmp/name").exists()


def test_cancelling_a_job_ends_its_processes_on_all_its_nodes(slurm: Cluster) -> None:
    job = submit_stubborn(slurm, nodes="n0,n1")
    slurm.run("scancel", job)
    slurm.wait_for_state(job, "CANCELLED")
    assert slurm.processes() == []


def test_a_job_of_which_only_the_name_is_known_is_found_and_given_back(
    slurm: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in slurm.environ.items():
        monkeypatch.setenv(variable, value)
    name = "parsl.EXP000.block-0.1764113923.5"
    job = slurm.submit("sleep 600", f"--job-name={name}")
    assert release.find("scancel", name) == [job]
    assert release.find("scancel", f"{name}1") == []
    assert release.give_back(name, {"command": "scancel", "name": name})
    slurm.wait_for_state(job, "CANCELLED")


def test_a_job_ends_with_its_walltime(slurm: Cluster) -> None:
    job = submit_stubborn(slurm, "--time=1", nodes="n0,n1")
    slurm.end_walltime(job, after=1)
    slurm.wait_for_state(job, "TIMEOUT")
    assert slurm.processes() == []


def test_a_job_fails_when_one_of_its_nodes_is_lost(slurm: Cluster) -> None:
    job = submit_stubborn(slurm, "--no-requeue", nodes="n0,n1")
    started = slurm.processes()
    slurm.lose("n1")
    slurm.wait_for_state(job, "NODE_FAIL")
    wait_for(lambda: not any(map(runs, started)), f"nothing of job {job} is left")
    slurm.repair("n1")
    assert slurm.run("srun", "--nodelist=n1", "hostname") == "n1\n"


def runs(process: psutil.Process) -> bool:
    """Say whether a process has not ended; nobody may have asked for its status yet."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_parsl_fills_every_tile_of_a_block_with_one_task_at_a_time(
    slurm: Cluster, tmp_path: Path
) -> None:
    script = TASK.format(directory=tmp_path)
    with parsl.load(parsl_config(tmp_path)):
        app = parsl.python_app(subprocess.check_output)
        tasks = [app(["bash", "-c", script], text=True) for _ in range(12)]
        lines = [task.result(timeout=PATIENCE) for task in tasks]
    assert_each_tile_takes_one_at_a_time(line.split() for line in lines)


def assert_each_tile_takes_one_at_a_time(records: Iterable[Sequence[str]]) -> None:
    """Check that all tiles of n0 and n1 were used; records are node, tile, begin and end."""
    tiles: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for node, tile, begin, end in records:
        tiles.setdefault((node, tile), []).append((float(begin), float(end)))
    assert set(tiles) == set(product(("n0", "n1"), TILES))
    for times in tiles.values():
        assert all(first[1] <= second[0] for first, second in pairwise(sorted(times)))


def parsl_config(directory: Path) -> Config:
    """Return Parsl with one block of two nodes of three tiles."""
    provider = SlurmProvider(
        nodes_per_block=2,
        init_blocks=1,
        max_blocks=1,
        walltime="00:10:00",
        launcher=SrunLauncher(),
        scheduler_options="#SBATCH --no-requeue",
        worker_init=f"export PATH={Path(sys.executable).parent}:$PATH",
    )
    executor = HighThroughputExecutor(
        address="127.0.0.1",
        encrypted=True,
        available_accelerators=TILES,
        max_workers_per_node=len(TILES),
        cores_per_worker=1e-3,
        provider=provider,
    )
    return Config(executors=[executor], run_dir=str(directory / "parsl"))


class SlurmChain(Chain):
    """The chain with profiles/slurm, whose blocks here are two nodes of three tiles."""

    def __init__(self, root: Path, *, runs: int, seconds: float) -> None:
        given = yaml.safe_load((ROOT / "profiles" / "slurm" / "site.yaml").read_text())
        site = yaml.safe_dump(given | SITE)
        super().__init__(root, runs=runs, seconds=seconds, site=site, profile="slurm")
        # A training whose sleep is ended has not ended itself.
        self.note.write_text(f"set -e\n{self.note.read_text()}")


@pytest.fixture
def chain(slurm: Cluster, tmp_path: Path) -> Iterator[SlurmChain]:
    """Return a chain with a run for each tile of a block; what it leaves is ended."""
    made = SlurmChain(tmp_path, runs=6, seconds=1)
    yield made
    for process in made.processes():
        with suppress(psutil.Error):
            process.kill()


def test_the_pilot_fills_all_tiles_and_goes_on_elsewhere_when_a_node_is_lost(
    slurm: Cluster, chain: SlurmChain
) -> None:
    chain.hold()
    command = chain.start()
    tiles = set(product(("n0", "n1"), TILES))
    wait_for(lambda: set(busy_tiles(slurm, chain.note)) == tiles, "all tiles are busy")
    slurm.lose("n1")
    chain.finish(command)
    chain.assert_is_finished()
    assert {record["node"] for record in Spool(chain.spool).tiles()} >= {"n0", "n2"}


def cancel(slurm: Cluster, job: str) -> None:
    """Cancel a job as a user does."""
    slurm.run("scancel", job)


def time_out(slurm: Cluster, job: str) -> None:
    """Let the walltime of a job end."""
    slurm.end_walltime(job, after=1)


@pytest.mark.parametrize(("end", "state"), [(cancel, "CANCELLED"), (time_out, "TIMEOUT")])
def test_the_runs_of_a_block_that_ends_too_soon_go_on_in_another(
    slurm: Cluster, chain: SlurmChain, end: Callable[[Cluster, str], None], state: str
) -> None:
    chain.hold()
    command = chain.start()
    wait_for(lambda: len(busy_tiles(slurm, chain.note)) == 6, "all tiles are busy")
    (job,) = slurm.jobs()
    end(slurm, job)
    slurm.wait_for_state(job, state)
    chain.finish(command)
    assert len(chain.notes("start")) > 6
    chain.assert_is_finished()


@pytest.mark.parametrize("nodes", [2, 3])
def test_what_an_allocation_did_not_finish_goes_on_in_the_next_of_a_chain(
    slurm: Cluster, chain: SlurmChain, nodes: int
) -> None:
    # Submit and leave: the command itself is the job.
    chain.settings["runs"] = 3 * nodes
    lines = [f"export {name}={shlex.quote(text)}" for name, text in chain.variables().items()]
    script = "\n".join([f"cd {shlex.quote(str(chain.root))}", *lines, shlex.join(chain.command())])
    options = [f"--nodes={nodes}", "--exclusive", "--time=30"]
    chain.hold()
    first = slurm.submit(script, *options)
    second = slurm.submit(script, *options, f"--dependency=afterany:{first}")
    wait_for(lambda: len(busy_tiles(slurm, chain.note)) == 3 * nodes, "all tiles are busy")
    slurm.run("scancel", first)
    slurm.wait_for_state(first, "CANCELLED")
    chain.release()
    slurm.wait_for_state(second, "COMPLETED")
    assert len(chain.notes("start")) == 6 * nodes
    assert (chain.output / "jobid.txt").read_text().split() == [first, second]
    assert {record["block"] for record in Spool(chain.spool).tiles()} >= {second}
    chain.assert_is_finished()


def parent(process: psutil.Process) -> int | None:
    """Return the number of a process's parent, None if it has ended."""
    with suppress(psutil.Error):
        return process.ppid()
    return None


def busy_tiles(slurm: Cluster, note: Path) -> list[tuple[str, str]]:
    """Return the node and the tile of each training; no tile may have two."""
    shells = {p.pid: p for p in slurm.processes() if words(p)[:2] == ["sh", str(note)]}
    # A shell that is about to start another program is two for a moment.
    trainings = [shell for shell in shells.values() if parent(shell) not in shells]
    environments = filter(None, map(environment, trainings))
    tiles = [(each["SLURMD_NODENAME"], each["ZE_AFFINITY_MASK"]) for each in environments]
    assert len(tiles) == len(set(tiles)), tiles
    return tiles


def test_a_failure_leaves_no_daemon(slurm: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), start(tmp_path, ["n0"]) as cluster:
        submit_stubborn(cluster, nodes="n0")
        assert len(using(tmp_path)) > 3
        raise ZeroDivisionError
    assert using(tmp_path) == []


def test_killed_tests_leave_no_daemon(slurm: Cluster, tmp_path: Path) -> None:
    program = KILLED.format(path=sys.path, directory=str(tmp_path))
    result = subprocess.run([sys.executable, "-c", program], check=False)
    assert result.returncode == -signal.SIGKILL
    wait_for(lambda: using(tmp_path) == [], "all daemons have ended")


def using(directory: Path) -> list[psutil.Process]:
    """Return the processes of the cluster of a directory."""
    return [p for p in psutil.process_iter() if any(str(directory) in w for w in words(p))]


def words(process: psutil.Process) -> list[str]:
    """Return the command line and the environment of a process, empty if it has ended."""
    return [*nodes.command(process), *environment(process).values()]


def test_a_user_who_cannot_install_slurm_reads_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find", lambda program: program)
    monkeypatch.setattr(install, "APT_GET", ("false",))
    with pytest.raises(pytest.fail.Exception, match="apt-get update failed.*packages munge, slurm"):
        install.ensure()
