"""The real Snakefile with profiles/aurora, and what may happen to it on the way.

After each fault the same command finishes the experiment: no run is trained twice to its end, and
the results are those of an experiment that nothing happened to.
"""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import tiny
from held import RUNS, SCORES, UNTIL, Held, contents, expire, run_here, running, write_upf
from pbs.cluster import Cluster
from pbs.rules import HOOK, PER_USER, QUEUE_LIMIT
from projects import Project
from waiting import PATIENCE

UNO = {
    "epochs": 100,
    "early_stopping_patience": 100,
    **tiny.SMALL,
}
# What no fault may change of a run of Uno, besides its scores.
TRAINED = ("parameters.txt", "result.txt", "val_scores.json", "val_y_data_predicted.csv")
# What a client says of its server.
DIED = "the warm server died"
# What Snakemake says of a run that it takes to have failed.
RETRY = "Trying to restart"

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.flaky(reruns=1)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Held]:
    with Cluster(tmp_path / "pbs", nodes=2, tiles=2) as cluster:
        made = Held(tmp_path, cluster)
        yield made
        made.close()


def test_one_command_survives_refusals_a_killed_training_a_killed_pool_and_a_walltime(
    project: Held, undisturbed: Path
) -> None:
    project.cluster.server.refusals = iter([PER_USER, QUEUE_LIMIT, HOOK])
    project.start()
    held = project.fill(())
    second = project.start()
    assert "error: EXP000 is being run by process " in second.communicate(timeout=PATIENCE)[0]
    assert second.returncode != 0
    project.commands.remove(second)
    project.let(min(held.values()))

    victim = min(project.fill(()), key=psutil.Process.create_time)
    victim.kill()
    project.fill({victim})

    block = running(project.cluster)
    pool = project.processes("x0n1", "bin/process_worker_pool.py")[0]
    on_the_node = project.processes("x0n1", "scripts/train.py")
    assert len(on_the_node) == 2
    pool.kill()
    held = project.fill(on_the_node)
    assert running(project.cluster) is block

    expire(project.cluster)
    project.fill(held)
    project.let_all()
    printed = project.finish()

    for reason in ("jobs per user is reached", "limit of jobs is reached", "rejects it"):
        assert reason in printed
    assert len(project.noted("start")) >= len(RUNS) + 1 + 2 + 4
    # Only of the training that was killed; a pool or a block costs no run one of its retries.
    assert printed.count(RETRY) == 1
    project.assert_is_like(undisturbed)


def test_after_a_killed_sidecar_and_a_killed_command_the_same_command_finishes(
    project: Held, undisturbed: Path
) -> None:
    command = project.start()
    held = project.fill(())
    project.let(min(held.values()))
    project.sidecar().kill()
    printed = command.communicate(timeout=PATIENCE)[0]
    assert command.returncode == 1, printed
    assert "the pilot has ended; start Snakemake again" in printed

    command = project.start()
    held = project.fill(held)
    project.let(min(held.values()))
    command.kill()

    project.start()
    project.fill(held)
    project.let_all()
    project.finish()
    project.assert_is_like(undisturbed)


def test_a_site_that_refuses_every_block_ends_the_command_with_a_sentence(project: Held) -> None:
    project.cluster.server.refusals = itertools.repeat(HOOK)
    # As in a script that starts several commands in the background.
    command = project.start("env", "--ignore-signal=INT")
    printed = command.communicate(timeout=PATIENCE)[0]
    assert command.returncode == 1
    (sentence,) = (line for line in printed.splitlines() if "no block can start" in line)
    assert "a rule of the site rejects it: qsub: Job rejected by a hook of the site" in sentence
    # Not of each run, four times, that it has failed.
    assert "Failed" not in printed and "Traceback" not in printed
    assert project.noted("start") == []


def test_a_training_that_its_block_s_walltime_cut_goes_on_in_the_next_block_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    runs = RUNS[:2]
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path / "pbs", nodes=1, tiles=1))
        project = Project(tmp_path, cluster, dflts=UNO, nodes_per_block=1, check_device=False)
        stack.callback(project.close)
        project.arguments += UNTIL
        project.settings |= {"upf": str(write_upf(tmp_path, runs)), "threads": "1"}
        project.start()
        project.reach(lambda: half_done(project, runs))
        (cut,) = half_done(project, runs)
        expire(cluster)
        assert half_done(project, runs) == [cut]
        log = f"out/out-{cut}-train.txt"
        project.reach(lambda: goes_on(project.read(log)))
        (server,) = servers(project)
        server.kill()
        # It fails the run that it is in and nothing else; Snakemake starts that one's log anew.
        project.reach(lambda: DIED in project.read(log))
        project.reach(lambda: goes_on(project.read(log)))
        (second,) = servers(project)
        project.processes(*cluster.nodes.names, "bin/process_worker_pool.py")[0].kill()
        second.wait(PATIENCE)
        assert project.finish().count(RETRY) == 1
        assert not servers(project)
        logs = [project.read(f"out/out-{run}-train.txt") for run in runs]
    assert [log.count("resuming after epoch") for log in logs] == [run == cut for run in runs]
    assert [log.count("epoch 100/100") for log in logs] == [1, 1]
    assert len(cluster.server.jobs) == 2
    (tmp_path / "here").mkdir()
    here = run_here(tmp_path / "here", runs, UNO)
    names = SCORES + TRAINED
    assert contents(project.experiment, runs, names) == contents(here, runs, names)


def goes_on(log: str) -> bool:
    """Return whether a training has resumed and trained for some epochs, by its log."""
    return DIED not in log and log.partition("resuming after")[2].count("epoch") > 2


def servers(project: Project) -> list[psutil.Process]:
    """Return the warm servers of the one node."""
    (node,) = project.cluster.nodes.names
    return project.processes(node, "warm/server.py")


def half_done(project: Project, runs: tuple[str, ...]) -> list[str]:
    """Return the runs that have trained for some epochs and are not done, if another is done."""
    places = {run: project.experiment / "run" / run for run in runs}
    done = [run for run, place in places.items() if (place / "test_scores.json").exists()]
    lasts = {run: place / "ckpts" / "last" for run, place in places.items()}
    begun = [run for run, last in lasts.items() if last.exists() and last.resolve().name > "005"]
    return [run for run in begun if done and not (places[run] / "history.txt").exists()]
