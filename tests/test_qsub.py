"""The stand-in's qsub reads what the real one reads and refuses what the site refuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pbs.cluster import Cluster
from pbs.request import read
from pbs.user import call

QUEUES = {
    "tests": {},
    "small": {"min_walltime": 300, "max_walltime": 3600, "min_nodes": 2, "max_nodes": 4},
}
OPTIONS = "-A Project -l walltime=00:10:00,filesystems=home:flare -l select=1:ncpus=4 -q tests"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a cluster without nodes, which only refuses."""
    with Cluster(tmp_path_factory.mktemp("refusing") / "pbs", nodes=0, queues=QUEUES) as running:
        yield running


def test_the_command_line_takes_precedence_over_the_script() -> None:
    directives = "#PBS -N in -A one -l walltime=1:00,select=2"
    script = f"#!/bin/bash\n\n{directives}\n# text\necho\n#PBS -q late"
    request = read(
        ["-N", "outside", "-l", "select=3:ngpus=2:system=aurora"], script, "default", directory="/d"
    )
    assert (request.name, request.account, request.queue) == ("outside", "one", "")
    assert (request.walltime, request.chunks) == (60, 3)
    assert request.chunk == {"ncpus": 1, "ngpus": 2}


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (OPTIONS.replace("-A Project", ""), 32),
        (OPTIONS.replace("walltime=00:10:00,", ""), 32),
        (OPTIONS.replace(",filesystems=home:flare", ""), 32),
        (OPTIONS.replace("-l select=1:ncpus=4", ""), 32),
        (f"{OPTIONS} -V", 32),
        (f"{OPTIONS} -k oe", 32),
        (f"{OPTIONS} -q small -l select=1", 188),
        (f"{OPTIONS} -q small -l select=5", 188),
        (f"{OPTIONS} -q small -l select=2,walltime=299", 188),
        (f"{OPTIONS} -q small -l select=2,walltime=1:00:01", 188),
        (f"{OPTIONS} -q nowhere", 170),
        (f"{OPTIONS} -l walltime=soon", 166),
        (f"{OPTIONS} -l select=many", 166),
        (f"{OPTIONS} -N 'two words'", 2),
        (f"{OPTIONS} -Z", 2),
    ],
)
def test_qsub_refuses_what_the_site_forbids(refusing: Cluster, options: str, status: int) -> None:
    answer = call(refusing, f"qsub {options}", input="echo")
    assert (answer.returncode, answer.stdout) == (status, "")
    assert answer.stderr.startswith("qsub: ")
    assert refusing.server.jobs == {}


def test_the_queues_of_aurora_are_known_by_default(tmp_path: Path) -> None:
    with Cluster(tmp_path / "pbs", nodes=0) as aurora:
        for queue, nodes, status in [("capacity", 13, 0), ("capacity", 17, 188), ("prod", 65, 188)]:
            line = f"qsub {OPTIONS} -q {queue} -l select={nodes} </dev/null"
            assert call(aurora, line).returncode == status
