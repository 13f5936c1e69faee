"""Submit and leave: the whole experiment within an allocation, continued in the next one."""

import re
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from held import Held, expire
from pbs.cluster import Cluster
from pbs.user import call
from projects import MODELS, ROOT
from waiting import wait_for

pytestmark = [pytest.mark.xdist_group("outage"), pytest.mark.flaky(reruns=1)]

# docs/aurora.md, "Submit and leave".
SCRIPT = """\
#!/bin/bash
#PBS -A MyProject -q capacity
#PBS -l select={nodes}:ncpus=4,walltime={walltime},filesystems=home:flare
#PBS -l place=scatter
#PBS -k doe -j oe
cd "$PBS_O_WORKDIR" && export PATH={binaries}:$PATH PYTHONPATH={path} HED_PILOT_PERIOD=2 || exit
exec {command}
"""


# Seconds of an allocation before its reserve.
USABLE = 60


class Inside(Held):
    """The experiment in a batch job of all nodes of the cluster."""

    def submit(self, walltime: str = "00:30:00") -> str:
        """Submit the job and return its id."""
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        text = SCRIPT.format(
            nodes=len(self.cluster.nodes.names),
            walltime=walltime,
            binaries=shlex.quote(str(Path(sys.executable).parent)),
            path=shlex.quote(f"{ROOT}/src:{MODELS}"),
            command=shlex.join(["snakemake", *self.arguments, "--config", *settings]),
        )
        (self.root / "hed.sh").write_text(text)
        answer = call(self.cluster, f"cd {self.root} && qsub hed.sh")
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    def printed(self) -> str:
        """Return what the last job printed."""
        number = len(self.cluster.server.jobs)
        return (self.root / f"hed.sh.o{number}").read_text()

    def reach(self, condition: Any) -> Any:
        """Return what a condition gives as soon as it holds, unless the job ends before."""
        job = self.cluster.server.jobs[len(self.cluster.server.jobs)]
        found = wait_for(lambda: condition() or job.state == "F")
        assert job.state != "F", self.printed()
        return found

    def takes_no_more(self) -> bool:
        """Return whether the reserve has begun for the pools of all nodes.

        ASSUME: Parsl's manager logs when that is; it counts from the pool's own start.
        """
        logs = (self.experiment / ".pilot" / "parsl").glob("*/block-0/*/manager.log")
        found = [at for log in logs for at in re.findall(r"drain at ([\d.]+)", log.read_text())]
        ready = len(found) == len(self.cluster.nodes.names)
        return ready and time.time() > max(map(float, found))

    def await_end(self) -> int | None:
        """Wait for the end of the last job and return its exit status."""
        job = self.cluster.server.jobs[len(self.cluster.server.jobs)]
        wait_for(lambda: job.state == "F")
        return job.exit_status


@pytest.fixture(params=[2, 3])
def inside(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Inside]:
    with Cluster(tmp_path / "pbs", nodes=request.param, tiles=2) as cluster:
        yield Inside(tmp_path, cluster)


def test_what_the_walltime_of_an_allocation_cuts_off_goes_on_in_the_next(
    inside: Inside, undisturbed: Path
) -> None:
    first = inside.submit()
    held = inside.fill(())
    inside.let(min(held.values()))
    expire(inside.cluster)
    second = inside.submit()
    inside.reach(lambda: inside.trainings().keys() - held.keys())
    inside.let_all()
    assert inside.await_end() == 0, inside.printed()
    assert inside.read("jobid.txt").split() == [first, second]
    assert {record["block"] for record in inside.tiles()} == {first, second}
    inside.assert_is_like(undisturbed)


def test_in_the_reserve_of_an_allocation_the_command_ends_and_starts_no_other_block(
    tmp_path: Path,
) -> None:
    with Cluster(tmp_path / "pbs", nodes=2, tiles=2) as cluster:
        inside = Inside(tmp_path, cluster, walltime="02:00:00", reserve=3600 - USABLE)
        inside.submit("01:00:00")
        inside.reach(inside.takes_no_more)
        inside.let_all()
        status = inside.await_end()
        printed = inside.printed()
        assert len(inside.noted("start")) <= 4
    assert status == 1
    assert "this allocation is about to end, and no run is started in its reserve" in printed
    assert "Traceback" not in printed
    assert len(list((inside.experiment / ".pilot" / "parsl").glob("parsl.*.sh"))) == 1
