"""Processes that do not outlive the one they work for (Linux)."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

import psutil

# From <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Seconds that processes get to end by themselves.
GRACE = 5
# A command that is killed so often, each time within so many seconds, is not started again.
ATTEMPTS, SOON = 3, 30
# When the block began, in seconds since 1970, and after how long a worker pool takes no new run.
BLOCK_START = "HED_BLOCK_START"
DRAIN = "--drain_period="


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
    """Become the parent of descendants whose own parent dies, so that none is lost sight of."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def kill_descendants() -> None:
    """Kill all processes below this one, also those that they start meanwhile."""
    while found := psutil.Process().children(recursive=True):
        for process in found:
            _kill(process)
        psutil.wait_procs(found, timeout=5)


def born(process: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if there is none."""
    try:
        with open(f"/proc/{process}/stat") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def kill_group(group: int) -> None:
    """Kill the processes of a group, if there are any."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl failed")


def sweep(command: Sequence[str]) -> int:
    """Run a command and, when it has ended or must, kill whatever it left; return its status.

    One that a signal has killed is started again: without, a worker pool that runs out of memory
    would take its node, or with some launchers the whole block, from all runs to come.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    adopt_orphans()
    attempts = 0
    while True:
        started = time.monotonic()
        status = _attend(from_now(command))
        attempts = attempts + 1 if time.monotonic() - started < SOON else 1
        if status >= 0 or attempts == ATTEMPTS:
            return status
        # If the block has been told to end meanwhile, this is where it does.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def from_now(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a worker pool's command whose drain period, told of the block, counts from now.

    Parsl counts it from the start of the pool, after the copies, or after other pools have died.
    """
    if BLOCK_START not in environ:
        return list(command)
    gone = int(time.time()) - int(environ[BLOCK_START])
    told = {part: part.removeprefix(DRAIN) for part in command if part.startswith(DRAIN)}
    # Parsl takes 0 for never.
    left = {p: f"{DRAIN}{max(1, int(n) - gone)}" for p, n in told.items() if n.isdigit()}
    return [left.get(part, part) for part in command]


def _attend(command: Sequence[str]) -> int:
    """Run a command to its end and kill what it left; SIGTERM stays blocked after that."""
    mortal = partial(die_with_parent, os.getpid())
    try:
        # No other thread is here, so the child may set itself up before it executes the command.
        return subprocess.Popen(command, preexec_fn=mortal).wait()
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        # The guards of the runs end them and say so, if they are let.
        psutil.wait_procs(psutil.Process().children(recursive=True), timeout=GRACE)
        kill_descendants()


def main() -> None:
    """Execute `mortal PARENT COMMAND...`, which dies with its parent, or `sweep COMMAND...`."""
    kind, *rest = sys.argv[1:]
    if kind == "sweep":
        sys.exit(sweep(rest))
    die_with_parent(int(rest[0]))
    os.execvp(rest[1], rest[1:])


if __name__ == "__main__":
    main()
