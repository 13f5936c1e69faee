"""The fork server of a node: whose runs it starts, and who ends with whom."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from waiting import wait_for

from hed.pilot import forks, processes
from hed.pilot.forks import KILLED, Order, Server
from hed.pilot.guard import STATUS
from hed.pilot.spool import Spool
from hed.pilot.tile import Tiles
from hed.site.profile import PILOT

# A worker that has a run.
WORKER = """
import json, sys
from hed.pilot import forks
forks.attend(sys.argv[1], forks.Order(**json.loads(sys.argv[2])))
"""


class Runs:
    """Runs of one spool, each a shell script that says in which process it is."""

    def __init__(self, root: Path) -> None:
        self.root, self.spool = root, Spool.make(root / ".pilot")
        self.spool.tell_nodes(Tiles(("5",), "", "", False, "", str(root)))

    def order(self, job: str, text: str, **environment: str) -> Order:
        path = self.root / f"{job}.sh"
        path.write_text(f"echo $$ >{self.root}/{job}.pid\n{text}\n")
        own = {"TMPDIR": str(self.root), "PATH": f"{PILOT}:{os.environ['PATH']}"}
        return Order(
            [str(self.spool.directory), job, "0", str(path)],
            {**os.environ, **own, **environment},
            sorted(os.sched_getaffinity(0)),
        )

    def line(self, job: str) -> list[psutil.Process]:
        """Return a run that has begun, and its ancestors: guard, steward, server, and so on."""
        path = self.root / f"{job}.pid"
        wait_for(lambda: path.exists() and path.read_text())
        run = psutil.Process(int(path.read_text()))
        return [run, *run.parents()]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server to which nothing happens."""
    yield from _serving(tmp_path_factory.mktemp("shared"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    yield from _serving(tmp_path)


def _serving(directory: Path) -> Iterator[Server]:
    # The kernel takes the end of the thread that starts a process for that of its parent.
    made = Server(directory, os.environ)
    yield made
    made.process.kill()
    made.process.wait()


def test_one_process_forks_the_guards_of_all_runs(runs: Runs, shared: Server) -> None:
    ends = {"a": ("true", 0), "b": ("exit 3", STATUS["failed"]), "c": ("kill -9 $PPID", KILLED)}
    line = "ps -o ppid= $(ps -o ppid= $PPID) >>said\n"
    for job, (text, status) in ends.items():
        order = runs.order(job, f"cd {runs.root}\n{line}{text}")
        assert forks.attend(shared.address, order) == status
    assert (runs.root / "said").read_text().split().count(str(shared.process.pid)) == 3
    assert [runs.spool.state(job) for job in "abc"] == ["success", "failed", None]


def test_a_run_has_the_environment_and_the_cores_of_its_tile(runs: Runs, shared: Server) -> None:
    text = f"echo $ZE_AFFINITY_MASK $HOME $(nproc) >{runs.root}/said"
    order = runs.order("job", text, ZE_AFFINITY_MASK="5")
    del order.environment["HOME"]
    forks.attend(shared.address, Order(order.arguments, order.environment, order.cores[:1]))
    assert (runs.root / "said").read_text() == "5 1\n"


def test_what_the_run_of_a_killed_guard_leaves_is_killed(runs: Runs, shared: Server) -> None:
    order = runs.order("job", f"setsid sleep 600 & echo $! >{runs.root}/left\nkill -9 $PPID; wait")
    assert forks.attend(shared.address, order) == KILLED
    assert not processes.born(int((runs.root / "left").read_text()))
    assert not processes.born(int((runs.root / "job.pid").read_text()))


@pytest.mark.parametrize(
    ("number", "end"), [(signal.SIGTERM, STATUS["lost"]), (signal.SIGKILL, KILLED)]
)
def test_a_run_ends_with_its_steward(runs: Runs, shared: Server, number: int, end: int) -> None:
    with ThreadPoolExecutor() as threads:
        ended = threads.submit(forks.attend, shared.address, runs.order("job", "sleep 600"))
        run, _, steward, above, *_ = runs.line("job")
        assert above.pid == shared.process.pid
        steward.send_signal(number)
        assert ended.result() == end
    assert not processes.born(run.pid)
    assert runs.spool.state("job") is None


def test_a_run_ends_with_its_worker(runs: Runs, shared: Server) -> None:
    order = runs.order("job", "trap '' TERM; sleep 600 & wait; wait")
    words = [sys.executable, "-c", WORKER, shared.address, forks.encoded(order)]
    with subprocess.Popen(words) as worker:
        run, guard, steward, *_ = runs.line("job")
        worker.kill()
    wait_for(lambda: not any(processes.born(each.pid) for each in (run, guard, steward)))
    assert runs.spool.state("job") is None


def test_no_run_is_left_of_a_worker_that_dies_at_once(runs: Runs, shared: Server) -> None:
    """While guards are forked they lose signals."""
    jobs = [f"job{number}" for number in range(12)]
    for number, job in enumerate(jobs):
        with socket.socket(socket.AF_UNIX) as worker:
            worker.connect(shared.address)
            stream = worker.makefile("rw")
            assert stream.readline() == forks.READY
            print(forks.encoded(runs.order(job, "sleep 600")), file=stream, flush=True)
            time.sleep(number * 0.004)
            stream.close()
    wait_for(lambda: not _stewards(shared))
    begun = [path.read_text().strip() for path in runs.root.glob("job*.pid")]
    assert not [process for process in begun if processes.born(int(process or 0))]
    assert [runs.spool.state(job) for job in jobs] == [None] * len(jobs)


def _stewards(server: Server) -> list[psutil.Process]:
    """Return the stewards of a server that have not ended."""
    found = psutil.Process(server.process.pid).children()
    return [each for each in found if processes.born(each.pid)]


def test_a_directory_in_which_others_may_put_a_socket_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match="is not this user's alone"):
        Server(tmp_path, os.environ)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_runs_go_on_without_their_server_and_the_next_is_told_that_there_is_none(
    runs: Runs, server: Server, number: int
) -> None:
    with ThreadPoolExecutor() as threads:
        text = f"while [ ! -e {runs.root}/end ]; do sleep 0.1; done"
        ended = threads.submit(forks.attend, server.address, runs.order("job", text))
        runs.line("job")
        server.process.send_signal(number)
        server.process.wait()
        assert forks.attend(server.address, runs.order("next", "true")) is None
        (runs.root / "end").touch()
        assert ended.result() == 0
    assert runs.spool.state("job") == "success"
    assert not (runs.root / "next.pid").exists()


def test_a_worker_that_waits_for_a_server_that_dies_is_told_that_there_is_none(
    runs: Runs, server: Server
) -> None:
    server.process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        ended = threads.submit(forks.attend, server.address, runs.order("job", "true"))
        wait_for(lambda: server.address in Path("/proc/net/unix").read_text())
        server.process.kill()
        assert ended.result() is None
