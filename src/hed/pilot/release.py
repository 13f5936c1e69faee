"""Blocks given back by a process that did not ask for them; without Parsl, which starts slowly."""

import subprocess

from hed.pilot import processes

# qdel and qstat: the job has finished, the job is not known. scancel and squeue say it in words.
FORGOTTEN = (35, 153)
INVALID = "Invalid job id"


def give_back(job: str, how: dict[str, str]) -> bool:
    """Give a block back whose provider is gone; return whether it is."""
    if "command" not in how:
        return _end_group(how)
    try:
        done = subprocess.run(
            [how["command"], job], capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode in (0, *FORGOTTEN) or INVALID in done.stderr


def _end_group(how: dict[str, str]) -> bool:
    """End a local block, unless its process id belongs to another by now."""
    if processes.born(int(how["process"])) == how["born"]:
        processes.kill_group(int(how["group"]))
    return True
