"""The process that looks after the worker pool of one node, from the node's check to its last run.

`python -m hed.pilot.keeper COMMAND...`, in a block, once on each of its nodes. A node on which no
run can start says so in the spool and idles, since with most launchers the end of one process ends
the whole block; the dispatcher releases the block when it has no other node.
"""

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NoReturn

import psutil

from hed import command, variables, warm
from hed.errors import InputError
from hed.experiment import description
from hed.pilot import allocation, forks, node, processes, scratch
from hed.pilot.node import Unfit
from hed.pilot.spool import Spool
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS, QuickDeaths
from hed.site import cores

# After how long a worker pool takes no new run.
DRAIN = "--drain_period="
# What a worker imports to start a run.
WORKER = "hed.pilot.worker"
# The last line of a Python error.
ERROR = re.compile(r"(\w+\.)*\w*(Error|Exception|Exit|Interrupt|Fault|Lost|Mismatch)\b")


def main() -> NoReturn:
    """Keep a worker pool until it has nothing to do, or idle where none can work."""
    _restore_stderr()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    _outlive_parent()
    processes.adopt_orphans()
    arguments, spool = sys.argv[1:], Spool(Path(os.environ[variables.SPOOL]))
    with ExitStack() as stack:
        try:
            tiles = spool.node()
            prepare(tiles)
            directory = _directory(spool, tiles)
            if allocation.job():  # else somebody may use the directory without a pilot
                scratch.remove_dead(directory.parent)
            temporary = stack.enter_context(scratch.use(directory))
            keep(arguments, {**os.environ, "TMPDIR": str(temporary)}, tiles)
        except (Unfit, OSError, InputError) as error:
            why = command.sentence(error) if isinstance(error, OSError) else str(error)
            spool.report_node(_option(arguments, "--block_id="), os.uname().nodename, why)
            print(f"{os.uname().nodename} cannot start runs: {why}", file=sys.stderr, flush=True)
            _idle(spool)
    sys.exit(0)


def _outlive_parent() -> None:
    """Gain time to clear up: launchers kill what they started as a group, without warning."""
    os.setpgrp()
    processes.die_with_parent(os.getppid(), signal.SIGTERM)


def _restore_stderr() -> None:
    """Write errors where the block's go; until now they went to a file of this node."""
    if errors := os.environ.pop(variables.ERRORS, ""):
        os.dup2(3, 2)
        os.close(3)
        Path(errors).unlink(missing_ok=True)


def _idle(spool: Spool) -> NoReturn:
    """Wait for the end of the block; end if no dispatcher lives that could release it.

    Its machine may have crashed while the block was in the queue. Most launchers end a block when
    all of its nodes have ended without an error.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    seen, looks = 0.0, 0
    while looks < TIMERS.idle_looks:
        time.sleep(TIMERS.idle_look)
        last = spool.signed()
        looks = looks + 1 if last == seen else 0  # nan, of a stale mount, says nothing
        seen = last
    print("no dispatcher is left, so this node ends", file=sys.stderr, flush=True)
    sys.exit(0)  # after an error the block's script would report it and wait, too


def _option(arguments: Sequence[str], name: str) -> str:
    """Return the value of an option of the worker pool, empty if it has none."""
    return next((word.removeprefix(name) for word in arguments if word.startswith(name)), "")


def _directory(spool: Spool, tiles: Tiles) -> Path:
    """Return the experiment's directory on this node: that of its partitions, if it has any."""
    described = description.read(spool.directory.parent) or {}
    if "local" in described:
        return Path(described["local"])
    return Path(tiles.local, f"hed-{spool.digest}")


def prepare(tiles: Tiles) -> None:
    """Free this process from a launcher's binding, and check that runs can start here.

    Raises:
        Unfit: if none can.
    """
    cores.unbind()
    try:
        importlib.import_module(WORKER)
    except Exception as error:
        raise Unfit(f"{type(error).__name__}: {error}") from None
    node.require_fit(tiles)


def keep(arguments: Sequence[str], environ: Mapping[str, str], tiles: Tiles) -> None:
    """Run a worker pool to its end; restart it if it is killed.

    Otherwise a pool that runs out of memory would cost all later runs its node, or with some
    launchers the whole block.

    Raises:
        Unfit: if its workers cannot start a run, or if it keeps ending in an error.
    """
    deaths = QuickDeaths(TIMERS.quick_pools, TIMERS.quick_pool)
    while True:
        started = time.monotonic()
        pool = Pool(from_now(arguments, environ), environ, warm=tiles.warm and warm.is_possible())
        status = pool.attend(TIMERS.worker_deaths * len(tiles.masks))
        if not status:
            return
        if deaths.add(time.monotonic() - started):
            raise Unfit(pool.error or f"its worker pool ends with status {status}")
        # If the block has been told to end meanwhile, it ends here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


class Pool:
    """A running worker pool, and the last error that it or one of its workers printed."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], *, warm: bool) -> None:
        """Start it, under a name that includes its node; if warm, with a fork server."""
        self._forks = forks.Server(Path(environ["TMPDIR"]), environ) if warm else None
        if self._forks:
            environ = {**environ, variables.FORKS: self._forks.address}
        name = f"--uid={os.uname().nodename}-{uuid.uuid4().hex[:8]}"
        mortal = [sys.executable, "-m", "hed.pilot.processes", "mortal", str(os.getpid())]
        self._process = subprocess.Popen(
            [*mortal, *arguments, name], env=dict(environ), stderr=subprocess.PIPE, errors="replace"
        )
        self.error = ""
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()

    def _read(self, stream: IO[str]) -> None:
        """Pass on the pool's output, and remember its last error."""
        for line in stream:
            sys.stderr.write(line)
            sys.stderr.flush()
            if ERROR.match(line):
                self.error = line.strip()

    def attend(self, most: int) -> int:
        """Wait for the end of the pool, kill what it left, and return its exit status.

        SIGTERM stays blocked after that.

        Args:
            most: deaths of workers, while none has a run, after which the pool is ended.

        Raises:
            Unfit: if it was ended for that, or if what it left cannot be killed.
        """
        try:
            status = self._watch(most)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            self._process.terminate()
            if self._forks:
                self._forks.process.kill()  # runs do not need it, and end with their workers
            # The guards of the runs end them and record that, if given the time.
            psutil.wait_procs(psutil.Process().children(recursive=True), timeout=TIMERS.guard_grace)
            gone = processes.kill_descendants()
            self._reader.join(TIMERS.guard_grace)
        if not gone:
            raise Unfit("processes of its worker pool cannot be killed")
        return status

    def _watch(self, most: int) -> int:
        seen: set[int] = set()
        deaths = 0
        while (status := self._process.poll()) is None:
            alive = {child.pid for child in _children(self._process.pid)}
            seen |= alive
            if len(seen) - len(alive) > deaths:
                deaths = len(seen) - len(alive)
                if self._has_run(alive):
                    seen, deaths = alive, 0
                elif deaths >= most:
                    raise Unfit(self.error or "its workers die before they begin a run")
            time.sleep(TIMERS.keeper_look)
        return status

    def _has_run(self, workers: set[int]) -> bool:
        """Return whether one of these workers has a run, by itself or by the fork server."""
        parents = workers | ({self._forks.process.pid} if self._forks else set())
        return any(_children(parent) for parent in parents)


def _children(process: int) -> list[psutil.Process]:
    """Return the living children of a process."""
    with suppress(psutil.Error):
        found = psutil.Process(process).children()
        return [child for child in found if processes.born(child.pid)]
    return []


def from_now(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a worker pool's command with the block's drain period converted to count from now.

    Parsl counts it from the start of the pool, after the copies, or after other pools have died.
    """
    if variables.BLOCK_START not in environ:
        return list(arguments)
    gone = int(time.time()) - int(environ[variables.BLOCK_START])
    told = {part: part.removeprefix(DRAIN) for part in arguments if part.startswith(DRAIN)}
    # Parsl takes 0 for never.
    left = {p: f"{DRAIN}{max(1, int(n) - gone)}" for p, n in told.items() if n.isdigit()}
    return [left.get(part, part) for part in arguments]


if __name__ == "__main__":
    main()
