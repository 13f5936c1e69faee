"""What every rule shares: the experiment, its runs, and where their files are.

Later rules of a run have higher priorities, so that a run is finished before another is started.
"""

import sys
from pathlib import Path

from hed import variables, warm
from hed.experiment import messages, opening

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "scripts"

if workflow.is_main_process and workflow.overwrite_workdir is not None:
    sys.exit("error: --directory has no effect here: set output and experiment")

EXPERIMENT = opening.open_or_exit(config, ROOT, main=workflow.is_main_process)
DATA = EXPERIMENT.data
# A run's partition, on the disk of the node that runs its jobs.
LOCAL = f"{EXPERIMENT.local}/{{run}}"
RUNS = {run.id: run for run in EXPERIMENT.runs}
MARKED = {run.marker: run.id for run in EXPERIMENT.runs}
MARKERS = [f"markers/marker-{marker}.txt" for marker in MARKED]

# The prefix of the science commands: a client of a warm server, and the machine's launcher.
WARM = warm.prefix(config["warm"])
LAUNCH = f"{WARM} {config['launcher']}".strip()

# The jobs use the code of this checkout, in whatever environment they run.
shell.prefix("export PYTHONPATH={ROOT:q}/src${{PYTHONPATH:+:$PYTHONPATH}}; ")

logger.addFilter(messages.is_shown)


envvars:
    variables.EXPERIMENT,


onsuccess:
    logger.info(f"Results: {EXPERIMENT.directory}")


wildcard_constraints:
    run=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
    marker=r"[A-Za-z0-9][A-Za-z0-9._+-]*",
