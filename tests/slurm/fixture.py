"""The cluster of a test session, for the test modules that name this one in `pytest_plugins`."""

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
