"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# No example of a property is timed, since machines are shared.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment of `held` to which nothing happens, by the same model, on this machine."""
    from held import RUNS, run_here

    return run_here(tmp_path_factory.mktemp("undisturbed"), RUNS, {"model": "cell_means"})
