"""What every rule shares: the experiment, its runs, and where their files are.

Later rules of a run have higher priorities, so that a run is finished before another is begun.
"""

from pathlib import Path
from shlex import quote

from hed import experiment

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "scripts"

EXPERIMENT = experiment.open_or_exit(config, ROOT, main=workflow.is_main_process)
DATA = EXPERIMENT.data
RUNS = {run.id: run for run in EXPERIMENT.runs}
MARKED = {run.marker: run.id for run in EXPERIMENT.runs}
RESTART = (
    f"--restart-from {quote(EXPERIMENT.restart_from)}"
    if EXPERIMENT.restart_from
    else ""
)
MARKERS = [f"markers/marker-{marker}.txt" for marker in MARKED]

# Three lines per run in each dry run, which say nothing.
logger.addFilter(lambda record: "temporary output" not in record.getMessage())


wildcard_constraints:
    run=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    marker=r"[A-Za-z0-9][A-Za-z0-9._+-]*",


def local(path):
    """Return a file on node-local disk, which only the jobs of one group see, and only for a time."""
    return temp(directory(f"{EXPERIMENT.local}/{path}"), group_jobs=True)
