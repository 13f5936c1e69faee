"""What starts a worker pool on each node of a block."""

from pathlib import Path

from parsl.launchers.base import Launcher

from hed.pilot.script import Staging
from hed.pilot.spool import SERVED
from hed.pilot.timers import TIMERS

# Ends the name of a file that a block writes when its worker pools are being started.
LAUNCHED = ".launched"
# When a block's script ends, the scheduler kills all that is left on its nodes; so a script that
# gets SIGTERM waits for the keepers, which clear up. PBS's kill_delay is 10 s.
END = """\
trap 'ending=yes' TERM
{launch}
status=$?
[ -z "$ending" ] || sleep {seconds}
exit $status"""
# What each node executes. The keeper itself reports all errors except those of its own start. The
# dispatcher then releases the block, or leaves this node alone; without one the block ends.
KEEP = """\
errors=$JOBNAME.$(uname -n).err
HED_ERRORS=$errors {command} 3>&2 2>"$errors"
status=$?
[ $status != 0 ] || exit 0
why=$(tail -n 1 "$errors" 2>/dev/null)
block=${{JOBNAME##*.block-}}
echo "${{why:-its Python ends with status $status}}" >"$HED_SPOOL/nodes/${{block%%.*}}.$(uname -n)"
until [ -n "$(find "$HED_SPOOL/{served}" -mmin +{minutes} 2>/dev/null)" ]; do sleep 60; done
exit 1
"""


def _keep(command: str) -> str:
    """Return what each node executes to start a command."""
    minutes = 2 * TIMERS.idle_look * TIMERS.idle_looks / 60  # clocks may differ
    return KEEP.format(command=command, served=SERVED, minutes=f"{minutes:.0f}")


class PerNode(Launcher):  # type: ignore[misc]
    """Starts one process on each node of a block, with mpiexec or srun."""

    def __init__(
        self, launcher: str, options: str, *, inside: bool, staging: Staging | None = None
    ) -> None:
        """Take the site's launcher and its options; `inside` an allocation or not."""
        super().__init__()
        self.launcher, self.options, self.inside = launcher, options, inside
        self.staging = staging

    def __call__(
        self, command: str, tasks_per_node: int, nodes_per_block: int, script_dir: str = ""
    ) -> str:
        """Return the part of a block's script that starts `command` on each node."""
        hosts, start = self._start(nodes_per_block)
        stage = f"{self.staging.script(start)}\n" if self.staging else ""
        # Not $JOBNAME.sh: within an allocation that is the script that bash is reading.
        pool = f"cat >$JOBNAME.pool <<'END'\n{_keep(command)}END\n"
        launch = " ".join(filter(None, [start, "/bin/sh $JOBNAME.pool"]))
        end = END.format(launch=launch, seconds=TIMERS.clear_up)
        return f"{hosts}{stage}{pool}: >$JOBNAME{LAUNCHED}\n{end}"

    def _start(self, nodes: int) -> tuple[str, str]:
        """Return what prepares the start of a process on each node, and what starts it."""
        by_srun = Path(self.launcher).name == "srun"
        # Within an allocation of one node this may be the login node, where salloc has its shell.
        if nodes == 1 and not (by_srun and self.inside):
            return "", ""
        if by_srun:
            return "", self._srun(nodes)
        hosts = (
            'if [ -n "$PBS_NODEFILE" ]; then sort -u "$PBS_NODEFILE" >$JOBNAME.nodes; '
            "else echo localhost >$JOBNAME.nodes; fi\n"
        )
        options = f"{self.options} -n {nodes} --ppn 1 --hostfile $JOBNAME.nodes"
        return hosts, f"{self.launcher} {options}"

    def _srun(self, nodes: int) -> str:
        # Started from within a step of the allocation, srun would wait for that step to end.
        overlap = "--overlap " if self.inside else ""
        return f"{self.launcher} {overlap}{self.options} -N {nodes} -n {nodes} --ntasks-per-node 1"
