"""What all tests share."""

from pathlib import Path

import pytest
from hypothesis import settings

# No example of a property is timed, since machines are shared.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# Characters of the reason of a second try.
MOST = 2000


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Name a failure or a second try among the dots: tests that are stopped have no summary.

    Of a second try it says why, since nothing else does.
    """
    why = ""
    if report.outcome == "failed":
        category = "failed" if report.when == "call" else "error"
    elif report.outcome == "rerun":
        category = "rerun"
        why = "".join(f"{line}\n" for line in report.longreprtext.splitlines() if line[:2] == "E ")
    else:
        return None
    return category, f"\n{category}: {report.nodeid}\n{why[:MOST]}", category.upper()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The experiment of `held` to which nothing happens, by the same model, on this machine."""
    from held import RUNS, run_here

    return run_here(tmp_path_factory.mktemp("undisturbed"), RUNS, {"model": "cell_means"})
