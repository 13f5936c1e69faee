"""The chain on this machine: tiles, and what happens when a part of it is killed."""

import os
import signal
import socket
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from chains import TILES, Chain
from waiting import PATIENCE, wait_for

from hed import lock
from hed.pilot import processes
from hed.pilot.spool import Spool
from hed.watching import archive

# Each of them needs the whole machine.
pytestmark = [pytest.mark.xdist_group("chain"), pytest.mark.flaky(reruns=1)]


# What Snakemake says of a run that it takes to have failed.
RETRY = "Trying to restart"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path, runs=3, seconds=3)
    yield made
    for process in made.processes():
        with suppress(psutil.Error):
            process.kill()


@pytest.mark.parametrize("warm", [True, False])
def test_every_tile_is_used_and_never_by_two_runs_at_once(chain: Chain, warm: bool) -> None:
    chain.settings = {"runs": 8, "seconds": 0.2}
    chain.warm = warm
    # Short runs may end before the worker of the last tile has started.
    chain.hold()
    command = chain.start()
    chain.await_trainings(TILES)
    chain.finish(command)
    chain.assert_is_finished()
    used = Spool(chain.spool).tiles()
    assert {record["tile"] for record in used} == {str(tile) for tile in range(TILES)}
    assert {record["run"] for record in used} == {f"{run:03d}" for run in range(8)}
    for tile in range(TILES):
        times = [(r["start"], r["end"]) for r in used if r["tile"] == str(tile)]
        assert all(first[1] <= second[0] for first, second in pairwise(times))
    assert stat.S_IMODE(chain.spool.stat().st_mode) == 0o700
    with tarfile.open(archive.export(chain.output)) as tar:
        logs = [name for name in tar.getnames() if name.startswith("EXP000/out/")]
    block = next((chain.spool / "parsl").glob("parsl.*.sh")).name
    assert logs == [f"EXP000/out/{name}" for name in (f"{block}.err", f"{block}.out", "pilot.log")]


def test_a_run_of_which_a_process_is_killed_is_repeated(chain: Chain) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(3)
    trainings = [psutil.Process(note[2]) for note in chain.notes("start")]
    forked = [chain.ancestors(training, "hed.pilot.forkserver") for training in trainings]
    trainings[0].kill()
    _, guard, _, server = forked[1]
    _, _, steward, same = forked[2]
    assert server == same
    for process in (guard, steward, server):
        process.kill()
    wait_for(lambda: not any(processes.born(training.pid) for training in trainings))
    chain.finish(command)
    chain.assert_is_finished()


def test_the_runs_of_a_killed_worker_pool_go_on_in_another(chain: Chain) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(3)
    chain.kill("bin/process_worker_pool.py")
    chain.await_losses(3)
    printed = chain.finish(command)
    assert len(chain.notes("start")) == 6
    assert RETRY not in printed
    chain.assert_is_finished()


def test_a_killed_dispatcher_is_replaced(chain: Chain) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(3)
    chain.kill("hed.pilot.dispatcher")
    printed = chain.finish(command)
    assert "the dispatcher died" in printed
    assert RETRY not in printed
    chain.assert_is_finished()


def test_a_killed_sidecar_ends_the_command_in_a_sentence_and_the_next_one_finishes(
    chain: Chain,
) -> None:
    chain.settings = {"runs": 40, "seconds": 0.5}
    chain.hold()
    command = chain.start()
    chain.await_trainings(3)
    chain.kill("hed.pilot.sidecar")
    printed = chain.await_end(command)
    assert command.returncode == 1
    assert printed.count("the pilot has ended; start Snakemake again") == 1
    lines = [line for line in printed.splitlines() if not line.startswith("Submitted group job")]
    assert len(lines) < 40, printed
    chain.assert_is_gone()
    chain.run()
    chain.assert_is_finished()


def test_nothing_outlives_a_killed_command_and_the_next_one_finishes(chain: Chain) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(3)
    command.kill()
    chain.await_end(command)
    chain.assert_is_gone()
    chain.run()
    chain.assert_is_finished()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_nothing_outlives_an_interrupted_command(chain: Chain, number: int) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(1)
    command.send_signal(number)
    chain.end(command)
    chain.assert_is_gone()
    assert not Spool(chain.spool).unfinished()


def test_a_command_under_nohup_survives_the_hangup_of_a_logout(chain: Chain) -> None:
    chain.hold()
    command = chain.start("nohup")
    chain.await_trainings(1)
    # To the whole job, as a shell does.
    os.killpg(command.pid, signal.SIGHUP)
    chain.finish(command)
    chain.assert_is_finished()


def test_a_second_start_of_a_live_experiment_is_refused_in_a_sentence(chain: Chain) -> None:
    chain.hold()
    command = chain.start()
    chain.await_trainings(1)
    # As Snakemake does for an experiment of the project, which this chain is not.
    with lock.acquire(chain.output) as held:
        assert held is not None
        second = chain.start()
        printed = second.communicate(timeout=PATIENCE)[0]
    assert second.returncode != 0
    holder = f"process {os.getpid()} on {socket.gethostname()} since "
    assert f"error: EXP000 is being run by {holder}" in printed
    assert "Traceback" not in printed
    printed = chain.finish(command)
    chain.assert_is_finished()


def test_a_start_waits_while_the_blocks_of_an_earlier_one_are_given_back(chain: Chain) -> None:
    with lock.acquire(chain.spool) as held:
        assert held is not None
        command = chain.start()
        log = chain.spool / "pilot.log"
        wait_for(lambda: log.exists() and "which releases its blocks" in log.read_text())
        assert not (chain.spool / "pid").exists()
    chain.finish(command)
    chain.assert_is_finished()


def test_a_cancelled_run_ends_with_all_its_processes(chain: Chain) -> None:
    chain.settings = {"runs": 1, "seconds": 300}
    chain.hold()
    command = chain.start()
    chain.await_trainings(1)
    training = psutil.Process(chain.notes("start")[0][2])
    tree = [training, *training.children(recursive=True)]
    job = next((chain.spool / "queue").iterdir()).name
    (chain.spool / "cancel" / job).touch()
    wait_for(lambda: not any(process.is_running() for process in tree))
    wait_for(lambda: Spool(chain.spool).state(job) == "failed")
    command.send_signal(signal.SIGINT)
    chain.end(command)
    chain.assert_is_gone()
