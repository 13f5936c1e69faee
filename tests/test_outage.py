"""A scheduler that is away or says no, and nodes on which no run begins, for profiles/aurora."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from held import Held, running
from pbs.cluster import Cluster
from pbs.rules import DISABLED, UNKNOWN_QUEUE
from waiting import PATIENCE, wait_for

RETRY = "Trying to restart"

pytestmark = [pytest.mark.xdist_group("outage"), pytest.mark.flaky(reruns=1)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("outage") / "pbs", nodes=2, tiles=2) as running:
        yield running


@pytest.fixture
def project(cluster: Cluster) -> Iterator[Held]:
    """An experiment in a directory that all nodes see, on nodes that nobody else uses."""
    number = sum(1 for _ in cluster.root.parent.glob("test*"))
    root = cluster.root.parent / f"test{number}"
    root.mkdir()
    made = Held(root, cluster)
    yield made
    made.close()
    wait_for(lambda: all(job.state == "F" for job in cluster.server.jobs.values()))
    cluster.server.is_down, cluster.server.refusals = False, iter(())


def pilot_log(project: Held) -> str:
    """Return what the pilot has said so far."""
    path = project.experiment / ".pilot" / "pilot.log"
    return path.read_text() if path.exists() else ""


def test_a_command_waits_for_a_server_that_is_away_and_for_a_queue_that_is_closed(
    project: Held, undisturbed: Path
) -> None:
    server = project.cluster.server
    server.is_down = True
    project.start()
    project.reach(lambda: "the server does not answer" in pilot_log(project))
    server.refusals = iter([DISABLED])
    server.is_down = False
    held = project.fill(())
    server.is_down = True
    project.let(min(held.values()))
    project.reach(lambda: project.trainings().keys() - held.keys())
    server.is_down = False
    project.let_all()
    printed = project.finish()
    told = "qsub refused a block (the server does not answer: "
    assert printed.count(told) >= 1
    assert "(the queue is closed for now: qsub: Queue is not enabled)" in printed
    assert RETRY not in printed
    project.assert_is_like(undisturbed)


def test_a_wrong_queue_ends_the_command_at_the_first_refusal(project: Held) -> None:
    project.cluster.server.refusals = iter([UNKNOWN_QUEUE])
    command = project.start()
    printed = command.communicate(timeout=PATIENCE)[0]
    assert command.returncode == 1
    (sentence,) = (line for line in printed.splitlines() if "no block can start" in line)
    assert sentence.endswith("qsub refused a block (qsub: Unknown queue)")
    assert next(project.cluster.server.refusals, None) is None
    assert "Traceback" not in printed
    assert project.noted("start") == []


def test_nodes_without_the_cores_of_the_tiles_end_the_command_with_a_sentence(
    project: Held,
) -> None:
    project.change(cores=["0", "7777"])
    command = project.start()
    printed = command.communicate(timeout=PATIENCE)[0]
    assert command.returncode == 1
    (sentence,) = (line for line in printed.splitlines() if "no block can start" in line)
    assert "has no node that can start a run (x0n0: tile 1 has cores 7777, but a run" in sentence
    assert "Traceback" not in printed
    assert project.noted("start") == []
    project.assert_nothing_is_left()


def test_a_node_on_which_the_wrapper_fails_is_left_alone_and_the_other_does_all(
    project: Held, undisturbed: Path
) -> None:
    fail = 'if [ $(hostname) = x0n1 ]; then echo "error: no modules here" >&2; false; fi'
    # The copy of the data gives the node up, too.
    project.prepare(f"export HED_STAGE_START=5; {fail}")
    project.start()
    project.reach(lambda: len(project.trainings()) == 2)
    project.let_all()
    printed = project.finish()
    told = "cannot start runs and is left alone: `tile true` fails: no modules here"
    job = list(project.cluster.server.jobs.values())[-1].id
    assert printed.count(f"node x0n1 of block 0 (job {job}) {told}") == 1
    assert {record["node"] for record in project.tiles()} == {"x0n0"}
    assert RETRY not in printed
    project.assert_is_like(undisturbed)


def test_a_node_that_fails_in_the_middle_costs_no_run_a_retry(
    project: Held, undisturbed: Path
) -> None:
    broken = project.root / "broken"
    project.prepare(f'[ ! -e {broken} ] || [ "$(hostname)" != x0n1 ]')
    project.start()
    held = project.fill(())
    broken.touch()
    there = [run for run, place in project.noted("start") if place.startswith("x0n1")]
    (project.gate / min(there)).touch()
    project.reach(lambda: "node x0n1 of block 0" in pilot_log(project))
    assert set(held.values()) - {min(there)} <= set(project.trainings().values())
    project.let_all()
    printed = project.finish()
    assert "cannot start runs and is left alone: `tile true` fails: " in printed
    assert RETRY not in printed
    # Those whose training had ended there had no scores yet, and began anew elsewhere.
    project.assert_has_results_of(undisturbed)
    project.assert_nothing_is_left()


def test_the_runs_of_a_block_that_has_ended_do_not_wait_for_a_heartbeat(
    project: Held, undisturbed: Path
) -> None:
    project.period = 15
    project.start()
    held = project.fill(())
    block = running(project.cluster)
    project.cluster.server.expire(block)
    wait_for(lambda: block.state == "F")
    project.fill(held)
    project.let_all()
    printed = project.finish()
    lost = [line for line in printed.splitlines() if "lost its tile" in line]
    assert len(lost) == 4
    assert all("continues on another" in line and "RUN00" in line for line in lost)
    project.assert_is_like(undisturbed)
