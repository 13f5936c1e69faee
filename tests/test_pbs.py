"""The stand-in for PBS behaves as a real server does, as far as its clients can see."""

import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from parsl.launchers import MpiExecLauncher
from pbs.cluster import Cluster
from pbs.user import call, file, look, output, reach, submit
from waiting import wait_for

from hed.pilot.parsl.providers import Pbs
from hed.pilot.spool import Spool

QUEUES = {
    "tests": {"min_walltime": 1, "max_nodes": 8},
    "two": {"max_jobs": 3, "max_running": 1},
}
OPTIONS = "-A Project -l walltime=00:10:00,filesystems=home:flare -l select=1:ncpus=4 -q tests"
SCATTERED = f"{OPTIONS} -l place=scatter -l select=2:ncpus=4"
PYTHON = sys.executable
# Each rank writes its number to its node's own disk, and all exchange their nodes' names.
RANKS = """
import pathlib, socket
from mpi4py import MPI
world = MPI.COMM_WORLD
pathlib.Path(f"/tmp/rank{world.rank}").write_text(str(world.allreduce(world.rank)))
if names := world.gather(socket.gethostname()):
    print(*names)
"""

pytestmark = [pytest.mark.xdist_group("pbs"), pytest.mark.flaky(reruns=1)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Start two nodes of three tiles."""
    with Cluster(tmp_path / "pbs", nodes=2, tiles=3, cpus=8, queues=QUEUES, grace=0.3) as running:
        yield running


def test_a_job_runs_on_its_first_node_with_pbs_variables_and_nothing_of_the_submitters(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBMITTERS_OWN", "secret")
    script = 'hostname; echo $PBS_JOBID $PBS_ENVIRONMENT "$PBS_O_WORKDIR" $GIVEN $SUBMITTERS_OWN'
    job = submit(cluster, f"{script}; cat $PBS_NODEFILE; pwd", f"{SCATTERED} -v GIVEN=one")
    found = reach(cluster, job, "F")
    assert output(cluster, job).splitlines() == [
        "x0n0",
        f"{job} PBS_BATCH {cluster.root.parent} one",
        "x0n0",
        "x0n1",
        str(Path.home()),
    ]
    assert (found["Exit_status"], found["job_state"], job) == (0, "F", "1.stand-in")


def test_what_a_script_leaves_behind_ends_with_it(cluster: Cluster) -> None:
    job = submit(cluster, "setsid sleep 65 & mpiexec -n 2 --ppn 1 true", SCATTERED)
    reach(cluster, job, "F")
    assert [cluster.nodes.processes(node) for node in cluster.nodes.names] == [[], []]


def test_chunks_that_are_not_scattered_share_a_node(cluster: Cluster) -> None:
    job = submit(cluster, "cat $PBS_NODEFILE", f"{OPTIONS} -l select=2:ncpus=4")
    reach(cluster, job, "F")
    assert output(cluster, job).split() == ["x0n0", "x0n0"]


def test_an_mpi_job_uses_the_disk_of_each_of_its_nodes(cluster: Cluster) -> None:
    (cluster.root.parent / "ranks.py").write_text(RANKS)
    line = f"mpiexec -n 4 --ppn 2 --hostfile $PBS_NODEFILE {PYTHON} $PBS_O_WORKDIR/ranks.py"
    job = submit(cluster, line, SCATTERED)
    assert reach(cluster, job, "F")["Exit_status"] == 0
    assert output(cluster, job).split() == ["x0n0", "x0n0", "x0n1", "x0n1"]
    sums = {
        node: sorted((path.name, path.read_text()) for path in cluster.disk(node).glob("rank*"))
        for node in cluster.nodes.names
    }
    assert sums == {
        "x0n0": [("rank0", "6"), ("rank1", "6")],
        "x0n1": [("rank2", "6"), ("rank3", "6")],
    }


def test_mpiexec_takes_the_options_of_pals_and_numbers_the_ranks(cluster: Cluster) -> None:
    rank = "sh -c 'echo $(hostname) $PALS_RANKID $PALS_LOCAL_RANKID $MORE'"
    line = f"mpiexec --cpu-bind list:1-8:9-16 --no-vni --ppn 1 --env MORE=yes -n 2 {rank}"
    job = submit(cluster, f"{line}\nmpiexec --bind-to none -n 1 true || echo refused", SCATTERED)
    reach(cluster, job, "F")
    lines = output(cluster, job).splitlines()
    assert sorted(lines) == ["refused", "x0n0 0 0 yes", "x0n1 1 0 yes"]


def test_jobs_wait_for_nodes_and_never_share_them(cluster: Cluster) -> None:
    nap = "mkdir /tmp/here && until [ -e $PBS_O_WORKDIR/go ]; do sleep 0.1; done; rmdir /tmp/here"
    jobs = [submit(cluster, nap, OPTIONS) for _ in range(3)]
    wait_for(lambda: "Not enough free nodes" in look(cluster, jobs[2]).get("comment", ""))
    (cluster.root.parent / "go").touch()
    assert [reach(cluster, job, "F")["Exit_status"] for job in jobs] == [0, 0, 0]


def test_a_user_has_so_many_jobs_in_a_queue_and_so_many_running(cluster: Cluster) -> None:
    jobs = [submit(cluster, "sleep 60", f"{OPTIONS} -q two") for _ in range(3)]
    assert call(cluster, f"qsub {OPTIONS} -q two", input="echo").returncode == 38
    reach(cluster, jobs[0], "R")
    wait_for(lambda: "running job limit" in look(cluster, jobs[1]).get("comment", ""))
    assert look(cluster, jobs[1])["job_state"] == "Q"
    call(cluster, f"qdel {jobs[2]}")
    assert call(cluster, f"qsub {OPTIONS} -q two", input="echo").returncode == 0


def test_a_finished_job_is_shown_only_with_x(cluster: Cluster) -> None:
    job = submit(cluster, "exit 3", OPTIONS)
    assert reach(cluster, job, "F")["Exit_status"] == 3
    assert call(cluster, f"qstat {job}").returncode == 35
    assert call(cluster, "qstat").stdout == ""
    assert call(cluster, f"qstat -x {job}").stdout.split()[-2:] == ["F", "tests"]
    assert f"Job Id: {job}\n    Job_Name = job\n" in call(cluster, f"qstat -x -f {job}").stdout


def test_unknown_jobs_do_not_hide_known_ones(cluster: Cluster) -> None:
    job = submit(cluster, "sleep 60", OPTIONS)
    answer = call(cluster, f"qstat -F json -f 77 {job} 78.stand-in")
    assert answer.returncode == 153
    assert list(json.loads(answer.stdout)["Jobs"]) == [job]
    assert answer.stderr.count("Unknown Job Id") == 2
    assert "Jobs" not in json.loads(call(cluster, "qstat -f -F json 77").stdout)


def test_of_several_jobs_that_are_named_json_has_the_first_only(cluster: Cluster) -> None:
    jobs = [submit(cluster, "sleep 60", OPTIONS) for _ in range(2)]
    answer = call(cluster, f"qstat -F json -f 77 {' '.join(jobs)}")
    assert list(json.loads(answer.stdout)["Jobs"]) == jobs[:1]
    assert list(json.loads(call(cluster, "qstat -F json -f").stdout)["Jobs"]) == jobs


def test_a_running_job_has_the_attributes_that_clients_read(cluster: Cluster) -> None:
    job = submit(cluster, "sleep 60", f"{SCATTERED} -o logs.out -j oe -r n")
    found = reach(cluster, job, "R")
    assert found["job_state"] == "R" and "Exit_status" not in found
    assert found["Job_Owner"].endswith(f"@{socket.gethostname()}")
    assert found["exec_host"] == "x0n0/0*4+x0n1/0*4"
    assert found["Resource_List"]["nodect"] == 2
    assert found["Resource_List"]["walltime"] == "00:10:00"
    assert found["Output_Path"].endswith(f":{cluster.root.parent}/logs.out")
    assert (found["Rerunable"], found["Hold_Types"], found["substate"]) == ("False", "n", 42)


def test_without_a_server_commands_fail_and_jobs_run_on(cluster: Cluster) -> None:
    job = submit(cluster, "sleep 0.3; touch /tmp/done", OPTIONS)
    reach(cluster, job, "R")
    cluster.server.is_down = True
    commands = (f"qstat -x {job}", f"qdel {job}", f"qsub {OPTIONS} </dev/null", "qselect -N job")
    assert [call(cluster, line).returncode for line in commands] == [255, 162, 162, 162]
    file(cluster, "x0n0", "done")
    cluster.server.is_down = False
    assert reach(cluster, job, "F")["Exit_status"] == 0


def test_a_job_deleted_in_the_queue_has_no_exit_status(cluster: Cluster) -> None:
    first = submit(cluster, "sleep 60", SCATTERED)
    second = submit(cluster, "sleep 60", OPTIONS)
    assert call(cluster, f"qdel {second}").returncode == 0
    found = look(cluster, second)
    assert found["job_state"] == "F" and "Exit_status" not in found
    assert call(cluster, f"qdel {second} 99").returncode == 153
    assert call(cluster, f"qdel 99 {second}").returncode == 35
    assert look(cluster, first)["job_state"] == "R"


def test_a_job_deleted_while_running_is_asked_to_end_first(cluster: Cluster) -> None:
    job = submit(
        cluster, "(trap 'touch /tmp/asked; exit' TERM; touch /tmp/on; sleep 60 & wait)", OPTIONS
    )
    file(cluster, "x0n0", "on")
    call(cluster, f"qdel {job}")
    assert reach(cluster, job, "F")["Exit_status"] == 271
    assert file(cluster, "x0n0", "asked")


def test_a_job_deleted_by_force_is_not_asked(cluster: Cluster) -> None:
    job = submit(
        cluster, "trap 'touch /tmp/asked; exit' TERM; touch /tmp/on; sleep 60 & wait", OPTIONS
    )
    file(cluster, "x0n0", "on")
    call(cluster, f"qdel -W force {job}")
    assert reach(cluster, job, "F")["Exit_status"] == 256 + signal.SIGKILL
    assert not (cluster.disk("x0n0") / "asked").exists()


def test_qdel_x_forgets_a_job(cluster: Cluster) -> None:
    job = submit(cluster, "true", OPTIONS)
    reach(cluster, job, "F")
    assert call(cluster, f"qdel -x {job}").returncode == 0
    assert call(cluster, f"qstat -x {job}").returncode == 153


def test_the_end_of_the_walltime_leaves_no_process_on_any_node(cluster: Cluster) -> None:
    stubborn = "sh -c \"trap '' TERM; setsid sleep 61 & touch /tmp/on; sleep 62; sleep 63\""
    line = f"mpiexec -n 2 --ppn 1 {stubborn}"
    job = submit(cluster, line, f"{SCATTERED} -l walltime=10")
    for node in cluster.nodes.names:
        file(cluster, node, "on")
        assert cluster.nodes.processes(node)
    assert reach(cluster, job, "F")["Exit_status"] == -29
    assert [cluster.nodes.processes(node) for node in cluster.nodes.names] == [[], []]
    assert "walltime" in (cluster.root.parent / "job.e1").read_text()


@pytest.mark.parametrize(("lost", "left", "status"), [("x0n0", "x0n1", -20), ("x0n1", "x0n0", -14)])
def test_a_lost_node_ends_a_job_that_may_not_run_again(
    cluster: Cluster, lost: str, left: str, status: int
) -> None:
    job = submit(cluster, "mpiexec -n 2 sh -c 'touch /tmp/on; sleep 60'", f"{SCATTERED} -r n")
    for node in (lost, left):
        file(cluster, node, "on")
    cluster.lose(lost)
    assert reach(cluster, job, "F")["Exit_status"] == status
    assert cluster.nodes.processes(left) == []
    assert cluster.nodes.run(lost, ["true"]).returncode == 255
    after = submit(cluster, "hostname", OPTIONS)
    reach(cluster, after, "F")
    assert output(cluster, after).strip() == left


def test_the_server_may_learn_late_of_a_lost_node(cluster: Cluster) -> None:
    job = submit(cluster, "touch /tmp/on; sleep 60", f"{OPTIONS} -r n")
    file(cluster, "x0n0", "on")
    cluster.nodes.lose("x0n0")
    time.sleep(0.5)
    assert look(cluster, job)["job_state"] == "R"
    cluster.server.lose("x0n0")
    assert reach(cluster, job, "F")["Exit_status"] == -20


def test_a_job_that_may_run_again_waits_for_the_lost_node(cluster: Cluster) -> None:
    job = submit(cluster, "touch /tmp/on; [ -e $PBS_O_WORKDIR/go ] || sleep 60", SCATTERED)
    file(cluster, "x0n0", "on")
    cluster.lose("x0n0")
    found = reach(cluster, job, "Q")
    assert "Exit_status" not in found and "exec_host" not in found
    (cluster.root.parent / "go").touch()
    cluster.boot("x0n0")
    found = reach(cluster, job, "F")
    assert (found["Exit_status"], found["run_count"]) == (0, 2)


def test_without_its_log_directory_a_job_is_held_for_ever(cluster: Cluster) -> None:
    found = reach(cluster, submit(cluster, "true", f"{OPTIONS} -o nowhere/out"), "H")
    assert (found["Hold_Types"], "exec_host" in found) == ("s", False)


@pytest.mark.parametrize("chunks", ["3:ncpus=8", "1:ncpus=9", "1:ncpus=1:ngpus=4"])
def test_what_the_nodes_do_not_have_can_never_run(cluster: Cluster, chunks: str) -> None:
    job = submit(cluster, "true", f"{SCATTERED} -l select={chunks}")
    wait_for(lambda: "Can Never Run" in look(cluster, job).get("comment", ""))
    assert look(cluster, job)["job_state"] == "Q"


def test_the_pilot_submits_follows_and_cancels_blocks(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", cluster.environment()["PATH"])
    provider: Any = Pbs(
        account="Project",
        queue="tests",
        scheduler_options="#PBS -l filesystems=home:flare -l place=scatter\n#PBS -k doe -r n",
        nodes_per_block=2,
        walltime="00:10:00",
        worker_init=f"cd {cluster.root.parent}",
        launcher=MpiExecLauncher(bind_cmd="--cpu-bind", overrides="--ppn 1 --no-vni"),
    )
    provider.script_dir = str(cluster.root.parent)
    provider.spool, provider.jobs = Spool.make(cluster.root / "spool"), cluster.root / "jobid.txt"
    first, second = (provider.submit(f"touch /tmp/on; {rest}", 1) for rest in ("true", "sleep 60"))
    for node in cluster.nodes.names:
        file(cluster, node, "on")
    wait_for(lambda: cluster.server.jobs[2].state == "R")
    states = [state.state.name for state in provider.status([first, second])]
    assert states == ["COMPLETED", "RUNNING"]
    assert provider.cancel([second]) == [True]
    assert reach(cluster, second, "F")["Exit_status"] == 271
