"""Blocks given back by a process that did not ask for them; without Parsl, which starts slowly."""

import subprocess

from hed.pilot import processes
from hed.pilot.timers import TIMERS

# qdel and qstat: the job has finished, the job is not known. scancel and squeue say it in words.
FORGOTTEN = (35, 153)
INVALID = "Invalid job id"


# What prints the jobs of a name that have not ended, by the command that gives one back.
FIND = {
    "qdel": ("qselect", "-N"),
    "scancel": ("squeue", "--noheader", "--format=%i", "--name"),
}


def give_back(job: str, how: dict[str, str]) -> bool:
    """Give a block back whose provider is gone; return whether it is.

    Of one whose submission was cut off only the name is known, and it may have none.
    """
    if "command" not in how:
        return _end_group(how)
    if "name" not in how:
        return _cancel(how["command"], job)
    jobs = find(how["command"], how["name"])
    return jobs is not None and all([_cancel(how["command"], each) for each in jobs])


def find(command: str, name: str) -> list[str] | None:
    """Return the jobs of a name, None if the scheduler does not tell.

    Args:
        command: that would give them back.
        name: of the jobs.
    """
    try:
        done = subprocess.run(
            [*FIND[command], name],
            capture_output=True,
            text=True,
            timeout=TIMERS.scheduler_answer,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split()


def _cancel(command: str, job: str) -> bool:
    try:
        done = subprocess.run(
            [command, job],
            capture_output=True,
            text=True,
            timeout=TIMERS.scheduler_answer,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode in (0, *FORGOTTEN) or INVALID in done.stderr


def _end_group(how: dict[str, str]) -> bool:
    """End a local block, unless its process id belongs to another by now."""
    if processes.born(int(how["process"])) == how["born"]:
        processes.kill_group(int(how["group"]))
    return True
