"""Release blocks that another process requested; without Parsl, which starts slowly."""

import subprocess

from hed.pilot import processes
from hed.pilot.timers import TIMERS

# qdel and qstat: the job has finished, the job is unknown. scancel and squeue say it in words.
FORGOTTEN = (35, 153)
INVALID = "Invalid job id"


# Commands that print the unfinished jobs of a name, by the command that releases one.
FIND = {
    "qdel": ("qselect", "-N"),
    "scancel": ("squeue", "--noheader", "--format=%i", "--name"),
}


def give_back(job: str, how: dict[str, str]) -> bool:
    """Release a block whose provider is gone; return whether that worked.

    If its submission was cut off, only its name is known, and there may be no such job.
    """
    if "command" not in how:
        return _end_group(how)
    if "name" not in how:
        return _cancel(how["command"], job)
    jobs = find(how["command"], how["name"])
    return jobs is not None and all([_cancel(how["command"], each) for each in jobs])


def find(command: str, name: str) -> list[str] | None:
    """Return the jobs of a name, None if the scheduler does not answer.

    Args:
        command: that would release them.
        name: of the jobs.
    """
    try:
        done = subprocess.run(
            [*FIND[command], name],
            capture_output=True,
            errors="replace",
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
            timeout=TIMERS.scheduler_answer,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # With several clusters, squeue names each.
    return [word for word in done.stdout.split() if word[0].isdigit()]


def _cancel(command: str, job: str) -> bool:
    try:
        done = subprocess.run(
            [command, job],
            capture_output=True,
            errors="replace",
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
            timeout=TIMERS.scheduler_answer,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode in (0, *FORGOTTEN) or INVALID in done.stderr


def _end_group(how: dict[str, str]) -> bool:
    """Kill a local block, unless its process id has been reused."""
    if processes.born(int(how["process"])) == how["born"]:
        processes.kill_group(int(how["group"]))
    return True
