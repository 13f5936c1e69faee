"""The cluster of a test session, and what a test has to leave of it.

For the test modules that name this one in `pytest_plugins`.
"""

from collections.abc import Iterator

import pytest

from slurm import install
from slurm.cluster import Cluster, start


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a running cluster, to which this process and its children submit."""
    install.ensure()
    shared = tmp_path_factory.getbasetemp()
    with (
        pytest.MonkeyPatch.context() as patch,
        start(tmp_path_factory.mktemp("slurm"), shared=[shared]) as cluster,
    ):
        patch.setenv("SLURM_CONF", cluster.environ["SLURM_CONF"])
        yield cluster


@pytest.fixture
def all_given_back(slurm: Cluster) -> Iterator[None]:
    """Check that a test leaves no job and no process of a job, and repair the nodes it lost."""
    yield
    left = slurm.jobs()
    if left:
        slurm.run("scancel", *left)
    for name in slurm.nodes.names:
        if not slurm.nodes.is_up(name):
            slurm.repair(name)
    slurm.wait_for_nodes(*slurm.nodes.names)
    assert left == []
    assert slurm.processes() == []
