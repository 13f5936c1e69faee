"""Processes that do not outlive the one they work for (Linux)."""

import ctypes
import os
import signal
import sys
from contextlib import suppress

import psutil

from hed.pilot.timers import TIMERS
from hed.site.profile import STOP

# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent dies.

    Args:
        parent: id of the parent; if it has died already, this process ends.
        number: the signal.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that none is lost."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants() -> bool:
    """Kill all processes below this one, including those that they start meanwhile.

    Returns:
        Whether all are gone: one that waits in a driver or for a file server cannot be killed.
    """
    for _ in range(TIMERS.kill_rounds):
        if not (found := psutil.Process().children(recursive=True)):
            return True
        for process in found:
            _kill(process)
        psutil.wait_procs(found, timeout=TIMERS.kill_grace)
    return False


def born(process: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if it does not exist."""
    try:
        with open(f"/proc/{process}/stat") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def stop_snakemake(process: int, number: int = STOP) -> None:
    """Stop Snakemake, which would otherwise try to submit every job; `STOP` cancels what it has."""
    with suppress(psutil.NoSuchProcess):
        snakemake = psutil.Process(process)
        if any("snakemake" in part for part in snakemake.cmdline()[:3]):
            snakemake.send_signal(number)


def kill_group(group: int) -> None:
    """Kill the processes of a group, if there are any."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def has_group(group: int) -> bool:
    """Return whether a group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl failed")


def main() -> None:
    """Execute `mortal PARENT COMMAND...`, which dies with its parent."""
    _, parent, *rest = sys.argv[1:]
    die_with_parent(int(parent))
    os.execvp(rest[0], rest)


if __name__ == "__main__":
    main()
